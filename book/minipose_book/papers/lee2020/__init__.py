"""Human Pose Estimation Using a Stacked Hourglass Network (Lee et al., a student report, 2020)."""

from minipose_book.papers.claims import Paper
from minipose_book.papers.lee2020.discussion import DISCUSSION
from minipose_book.papers.lee2020.experiments import EXPERIMENTS
from minipose_book.papers.lee2020.method import METHOD
from minipose_book.papers.lee2020.places import PLACES
from minipose_book.papers.lee2020.tables import TABLE_2

LEE_2020 = Paper("lee2020", METHOD + EXPERIMENTS + DISCUSSION, PLACES)

__all__ = ["LEE_2020", "TABLE_2"]
