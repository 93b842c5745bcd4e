"""A line of the table that `make soak` prints, and what several of its parts need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
# PYTHONPATH of the processes that are started here: both packages and these programs.
PATH = os.pathsep.join(str(ROOT / folder) for folder in (".", "book", "tests"))


class Figure(NamedTuple):
    """What was tried, what came out, what was asked for, and whether it was met."""

    what: str
    found: str
    asked: str
    met: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.found} | {self.asked} | {'yes' if self.met else 'NO'} |"


def weights_apart(one: Path, other: Path) -> float:
    """The farthest that a weight in one run's folder is from its like in another's; 0 is bit for bit."""
    # Not the files' bytes: safetensors writes the fields of a header in any order.
    a, b = (load_file(folder / "weights.safetensors") for folder in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


def same_weights(one: Path, other: Path) -> bool:
    """Whether two runs' folders hold the same weights, bit for bit."""
    return weights_apart(one, other) == 0.0
