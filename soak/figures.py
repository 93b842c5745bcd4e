"""A line of the table that `make soak` prints, and what several of its parts need."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parent.parent


class Figure(NamedTuple):
    """What was tried, what came out, what was asked for, and whether it was met."""

    what: str
    found: str
    asked: str
    met: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.found} | {self.asked} | {'yes' if self.met else 'NO'} |"


def same_weights(one: Path, other: Path) -> bool:
    """Whether two runs' folders hold the same weights, bit for bit."""
    # Not the files' bytes: safetensors writes the fields of a header in any order.
    a, b = (load_file(folder / "weights.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
