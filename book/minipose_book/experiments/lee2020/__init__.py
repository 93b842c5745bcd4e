"""Human Pose Estimation Using a Stacked Hourglass Network (Lee et al., a student report, 2020)."""
