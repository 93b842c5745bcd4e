"""Human Pose Estimation via Convolutional Part Heatmap Regression (Bulat, Tzimiropoulos, ECCV 2016)."""

from minipose_book.papers.bulat2016.analysis import ANALYSIS, OCCLUSION
from minipose_book.papers.bulat2016.network import NETWORK
from minipose_book.papers.bulat2016.places import PLACES
from minipose_book.papers.bulat2016.results import RESULTS
from minipose_book.papers.bulat2016.tables import OVERALL, TABLE_5, TABLE_6, TABLE_7
from minipose_book.papers.claims import Paper

BULAT_2016 = Paper("bulat2016", OCCLUSION + NETWORK + ANALYSIS + RESULTS, PLACES)

__all__ = ["BULAT_2016", "OVERALL", "TABLE_5", "TABLE_6", "TABLE_7"]
