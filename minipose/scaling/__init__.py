"""What only several processes or a GPU need."""
