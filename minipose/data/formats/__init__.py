"""The layouts of the data sets' files."""
