"""What the checks of the sample assignment are made of: parts, points, and crops of painted people."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from minipose.data import Puppets
from minipose.pipeline import batches
from minipose_book.checks.core import Exercise, Verdict

PARTS = {
    1: "Target heatmaps",
    2: "From heatmap to point",
    3: "PCKh with missing labels",
    4: "The hourglass",
    5: "Two stacks, trained",
    6: "Written analysis",
}
WRITTEN = 15  # points of part 6, which is read and not run
SIZE, STRIDE = 64, 4  # px of a crop, and px of it for one cell of a heatmap
ENOUGH = 0.6  # PCKh@0.5 on fresh puppets that earns all points of part 5
ITEMS: dict[str, Item] = {}


@dataclass
class Item(Exercise):
    """A check that is worth points: called with the student's function or class, it returns a `Verdict`.

    part : of `PARTS`. points : all or none of them. asks : the name that the notebook defines. through :
    turns what has that name into a function of tensors and numbers, which is what `check` judges.
    """

    part: int
    points: int
    asks: str
    through: Callable[[Any], Callable]

    def given(self, seed: int = 0) -> dict[str, Any]:
        """What the check is about, by name; checks with the same `draw` share it."""
        own = int.from_bytes(hashlib.sha256(self.draw.__name__.encode()).digest()[:4], "big")
        return self.draw(np.random.default_rng([own, seed]))

    def __call__(self, answer: Any, seed: int = 0) -> Verdict:
        if not callable(answer):
            return Verdict(False, f"{self.asks} is to be called; yours is of type {type(answer).__name__}.")
        function = self.through(answer)
        if function is not answer:
            function.__name__ = self.asks  # for what the verdict says
        # nbgrader takes whatever a cell prints on the error stream, even a warning, for a failure.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.check(function, **self.given(seed))

    def earned(self, answer: Any, seed: int = 0) -> int:
        """The points of an answer, as the last line of a cell: that is how nbgrader reads them."""
        verdict = self(answer, seed)
        print(verdict)
        return self.points if verdict else 0

    @property
    def cell(self) -> str:
        """The notebook's cell with this check."""
        return f"assignment.{self.name}.earned({self.asks})"


def graded(part: int, points: int, asks: str, draw: Callable, through: Callable = lambda function: function):
    """Make an `Item` of a check, and list it in `ITEMS`."""

    def wrap(check: Callable[..., Verdict]) -> Item:
        made = Item(check.__name__, "assignment", "project", draw, check, part, points, asks, through)
        made.__doc__ = check.__doc__
        ITEMS[made.name] = made
        return made

    return wrap


@lru_cache(maxsize=4)
def puppets(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Crops of painted people, the same for the same seed.

    Returns images (N, 3, 64, 64) in [0, 1], points (N, 16, 2) in crop px, NaN where there is no label, and
    heads (N,), their sizes in crop px.
    """
    people = Puppets(count, seed, SIZE)
    [crops] = batches(people, list(range(count)), SIZE, count)
    samples = [people[number] for number in range(count)]
    heads = torch.tensor([each.sizes["head"] * SIZE / float(each.crop.side) for each in samples])
    return crops.images.float() / 255, crops.keypoints, heads
