"""The checks of the sample assignment "From heatmap to score" (book/assignment), with their points.

They stand apart from the chapters' exercises: no chapter asks one of them. Seed 0 is the handout's; a teacher
grades with another one, whose numbers nobody has seen.
"""

from minipose_book.checks.assignment.items import ENOUGH, ITEMS, PARTS, SIZE, STRIDE, WRITTEN, Item, puppets
from minipose_book.checks.assignment.networks import (
    beats_one_pose,
    beats_zeros,
    evaluation_mode,
    feeds_back,
    finds_joints,
    loss_of_stages,
    own_modules,
    parameter_formula,
    pckh_of,
    recursion,
)
from minipose_book.checks.assignment.points import (
    between_cells,
    brightest_cell,
    heads_and_threshold,
    missing_labels,
    nothing_to_measure,
    one_gaussian,
    parabola_peak,
    quarter_cell,
    round_trip_error,
    unlabelled_joints,
)

__all__ = [
    "ENOUGH", "ITEMS", "PARTS", "SIZE", "STRIDE", "WRITTEN", "Item", "beats_one_pose", "beats_zeros",
    "between_cells", "brightest_cell", "evaluation_mode", "feeds_back", "finds_joints",
    "heads_and_threshold", "loss_of_stages", "missing_labels", "nothing_to_measure", "one_gaussian",
    "own_modules", "parabola_peak", "parameter_formula", "pckh_of", "puppets", "quarter_cell",
    "recursion", "round_trip_error", "unlabelled_joints",
]  # fmt: skip
