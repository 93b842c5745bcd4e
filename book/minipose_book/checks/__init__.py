"""Self-checks of the book's exercises: `checks.NAME(answer)` says whether it is right, and if not, why.

`checks.NAME.given()` is what the exercise is about, and `minipose-book check` lists them all.
"""

from minipose_book.checks.core import EXERCISES, LEVELS, Exercise, Verdict, compare

# In the order of the book, in which the exercises are listed.
# isort: off
from minipose_book.checks.where_is_the_elbow import (
    pckh_by_hand,
    six_suspects,
    three_rules,
    two_winners,
    which_network,
)
from minipose_book.checks.heatmaps import (
    centre_of_mass, quarter_by_hand, rounding_bias, stride_eight, target_by_hand, width_for_a_peak
)  # fmt: skip
from minipose_book.checks.crops import (
    back_to_the_photo, broken_mirror, cost_of_a_shift, mirror_first, room_to_turn, whose_cells
)  # fmt: skip
from minipose_book.checks.residual import (
    bottleneck_by_hand, chain_in_advance, faulty_module, gradient_by_hand, long_chains, same_price
)  # fmt: skip
from minipose_book.checks.hourglass import (
    field_going_down, how_far_it_travels, modules_and_work, place_that_is_left, size_that_fits,
    unrolled_hourglass,
)  # fmt: skip
from minipose_book.checks.stacking import (
    detached_stages, early_exit, last_or_all, stack_by_hand, stop_after, who_moves_it
)  # fmt: skip
from minipose_book.checks.training import (
    best_of_several, black_screen, frozen_weights, mend_the_loop, moves_of_rmsprop, rate_of_a_step
)  # fmt: skip
from minipose_book.checks.does_stacking_help import (
    a_fair_opponent, how_many_seeds, mended_and_spoiled, other_people, seed_by_seed, what_a_stack_adds
)  # fmt: skip
from minipose_book.checks.results import (
    behind_the_bar, hidden_share, mean_of_what, one_threshold_then_all, sure_and_wrong, swapped_or_doubled
)  # fmt: skip
from minipose_book.checks.your_photos import (
    box_and_crops, hold_out, how_many_people, label_row, learning_curve, what_moved
)  # fmt: skip
from minipose_book.checks.convolutional_pose_machines import (
    ask_for_another, beliefs_by_hand, seen_through_beliefs, ways_to_see_far, where_it_saturates,
    who_tells_whom,
)  # fmt: skip
from minipose_book.checks.part_heatmap_regression import (
    discs_and_peaks, from_zero, loss_of_a_shrug, sum_of_a_table, sure_of_the_seen, three_changes
)  # fmt: skip
from minipose_book.checks.from_mpii_to_coco import (
    labels_on_nothing, one_yardstick, people_in_company, what_oks_forgives, what_ranking_is_worth,
    why_mirrors_help,
)  # fmt: skip
# isort: on

__all__ = [
    "EXERCISES",
    "LEVELS",
    "Exercise",
    "Verdict",
    "a_fair_opponent",
    "ask_for_another",
    "back_to_the_photo",
    "behind_the_bar",
    "beliefs_by_hand",
    "best_of_several",
    "black_screen",
    "bottleneck_by_hand",
    "box_and_crops",
    "broken_mirror",
    "centre_of_mass",
    "chain_in_advance",
    "compare",
    "cost_of_a_shift",
    "detached_stages",
    "discs_and_peaks",
    "early_exit",
    "faulty_module",
    "field_going_down",
    "from_zero",
    "frozen_weights",
    "gradient_by_hand",
    "hidden_share",
    "hold_out",
    "how_far_it_travels",
    "how_many_people",
    "how_many_seeds",
    "label_row",
    "labels_on_nothing",
    "last_or_all",
    "learning_curve",
    "long_chains",
    "loss_of_a_shrug",
    "mean_of_what",
    "mend_the_loop",
    "mended_and_spoiled",
    "mirror_first",
    "modules_and_work",
    "moves_of_rmsprop",
    "one_threshold_then_all",
    "one_yardstick",
    "other_people",
    "pckh_by_hand",
    "people_in_company",
    "place_that_is_left",
    "quarter_by_hand",
    "rate_of_a_step",
    "room_to_turn",
    "rounding_bias",
    "same_price",
    "seed_by_seed",
    "seen_through_beliefs",
    "six_suspects",
    "size_that_fits",
    "stack_by_hand",
    "stop_after",
    "stride_eight",
    "sum_of_a_table",
    "sure_and_wrong",
    "sure_of_the_seen",
    "swapped_or_doubled",
    "target_by_hand",
    "three_changes",
    "three_rules",
    "two_winners",
    "unrolled_hourglass",
    "ways_to_see_far",
    "what_a_stack_adds",
    "what_moved",
    "what_oks_forgives",
    "what_ranking_is_worth",
    "where_it_saturates",
    "which_network",
    "who_moves_it",
    "who_tells_whom",
    "whose_cells",
    "why_mirrors_help",
    "width_for_a_peak",
]  # fmt: skip
