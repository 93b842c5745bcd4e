"""What the book measures, asks and draws with: experiments, exercise checks, claims, figures that move.

It imports `minipose`, never the other way round. Importing it adds the student report's augmentation recipes
to `minipose.augmentation.RECIPES`.
"""

from minipose_book.experiments.lee2020 import augmentation as _augmentation  # for its recipes  # noqa: F401
from minipose_book.pretrained import load

__all__ = ["load"]
