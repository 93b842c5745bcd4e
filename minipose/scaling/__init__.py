"""What only several processes (`distributed`) or a GPU (`gpu_crops`) need; training works without either."""
