"""Figures that move: in a notebook with its kernel, in Colab, and on the book's pages without either."""

from minipose_book.figures.hourglass import (
    beliefs,
    crop,
    features,
    flip,
    presence,
    receptive,
    sigma,
    threshold,
    training,
)
from minipose_book.figures.moving import Moving, compare
from minipose_book.figures.occluder import covering
from minipose_book.figures.oks_tolerance import tolerance

__all__ = [
    "Moving",
    "beliefs",
    "compare",
    "covering",
    "crop",
    "features",
    "flip",
    "presence",
    "receptive",
    "sigma",
    "threshold",
    "tolerance",
    "training",
]
