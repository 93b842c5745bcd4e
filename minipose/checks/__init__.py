"""Self-checks of the book's exercises: `checks.NAME(answer)` says whether it is right, and if not, why.

`checks.NAME.given()` is what the exercise is about, and `python -m minipose.checks` lists them all.
"""

from minipose.checks.core import EXERCISES, LEVELS, Exercise, Verdict, compare
from minipose.checks.where_is_the_elbow import pckh_by_hand

__all__ = ["EXERCISES", "LEVELS", "Exercise", "Verdict", "compare", "pckh_by_hand"]
