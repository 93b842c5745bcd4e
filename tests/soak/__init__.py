"""What takes minutes to show: that training and prediction keep working, through faults and for long.

`make soak` runs all and prints a table (`PYTHONPATH=tests python -m soak NAME` runs one part);
the tests run the same functions, for shorter.
"""
