"""Convolutional Pose Machines (Wei, Ramakrishna, Kanade, Sheikh, CVPR 2016)."""

from minipose_book.papers.claims import Paper
from minipose_book.papers.wei2016.analysis import ANALYSIS
from minipose_book.papers.wei2016.network import NETWORK
from minipose_book.papers.wei2016.places import PLACES
from minipose_book.papers.wei2016.results import RESULTS

WEI_2016 = Paper("wei2016", NETWORK + ANALYSIS + RESULTS, PLACES)

__all__ = ["WEI_2016"]
