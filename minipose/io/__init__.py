"""Files that are read and written: photos, checkpoints and weights, and what is wrong with them."""
