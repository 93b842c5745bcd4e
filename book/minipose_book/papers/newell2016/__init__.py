"""Stacked Hourglass Networks for Human Pose Estimation (Newell, Yang, Deng, ECCV 2016)."""

from minipose_book.papers.claims import Paper
from minipose_book.papers.newell2016.analysis import ANALYSIS
from minipose_book.papers.newell2016.network import NETWORK
from minipose_book.papers.newell2016.places import PLACES
from minipose_book.papers.newell2016.results import CONCLUSION, RESULTS
from minipose_book.papers.newell2016.tables import TABLE_1, TABLE_2
from minipose_book.papers.newell2016.training import TRAINING

NEWELL_2016 = Paper("newell2016", NETWORK + TRAINING + RESULTS + ANALYSIS + CONCLUSION, PLACES)

__all__ = ["NEWELL_2016", "TABLE_1", "TABLE_2"]
