"""Self-checks of the book's exercises: `checks.NAME(answer)` says whether it is right, and if not, why.

`checks.NAME.given()` is what the exercise is about, and `minipose-book check` lists them all.
"""

from importlib import import_module

from minipose_book.checks.core import EXERCISES, LEVELS, Exercise, Verdict, compare

__all__ = ["CHAPTERS", "EXERCISES", "LEVELS", "Exercise", "Verdict", "compare"]

# In the order of the book, in which the exercises are listed. Importing a chapter's module registers its own.
CHAPTERS = (
    "where_is_the_elbow",
    "heatmaps",
    "crops",
    "residual",
    "hourglass",
    "stacking",
    "training",
    "does_stacking_help",
    "results",
    "your_photos",
    "convolutional_pose_machines",
    "part_heatmap_regression",
    "from_mpii_to_coco",
)
for _chapter in CHAPTERS:
    import_module(f"{__name__}.{_chapter}")


def __getattr__(name: str) -> Exercise:
    """`checks.NAME`: an exercise by its name."""
    try:
        return EXERCISES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no exercise {name!r}") from None


def __dir__() -> list[str]:
    return [*globals(), *EXERCISES]
