"""What takes minutes to show: that training and prediction keep working, through faults and for long.

`python -m soak` runs all and prints a table; the tests run the same functions, for shorter.
"""
