"""Human Pose Estimation via Convolutional Part Heatmap Regression (Bulat, Tzimiropoulos, ECCV 2016)."""
