"""The experiments behind the book's numbers, a folder a paper; `catalogue` lists them all."""
