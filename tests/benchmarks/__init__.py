"""Speed of the package, each figure beside a plain baseline measured in the same run."""
