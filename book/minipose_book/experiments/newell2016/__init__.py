"""Stacked Hourglass Networks for Human Pose Estimation (Newell, Yang, Deng, ECCV 2016)."""
