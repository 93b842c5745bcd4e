"""Many steps and many predictions: the memory of the process must not grow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

import minipose
from minipose.data import InMemory, Puppets
from soak.figures import Figure

PAGE = os.sysconf("SC_PAGE_SIZE")
STEPS = 20  # in an epoch


def memory() -> float:
    """MB of this process that lie in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


class Course:
    """Memory over time; the first fifth, in which caches fill, is what the rest is held against."""

    def __init__(self, count: int):
        self.count = count
        self.seen: list[float] = []

    def note(self, *_) -> None:
        self.seen.append(memory())

    def growth(self) -> float:
        """How far the rest rises above the highest of the first fifth, as a share of it."""
        first = self.count // 5
        if len(self.seen) != self.count:
            raise RuntimeError(f"{len(self.seen)} of {self.count} were done")
        return max(self.seen[first:]) / max(self.seen[:first]) - 1

    def __str__(self) -> str:
        early, late = max(self.seen[: self.count // 5]), max(self.seen[self.count // 5 :])
        return f"{early:.0f} MB, then at most {late:.0f} ({self.growth():+.1%}), last {self.seen[-1]:.0f}"


def network() -> minipose.StackedHourglass:
    torch.manual_seed(0)
    return minipose.StackedHourglass(joints=16, stacks=1, features=16, depth=2)


def train(steps: int) -> Course:
    """A training with all that belongs to it: draws, validation, checkpoints, history."""
    course, puppets = Course(steps), InMemory(Puppets(4 * STEPS, seed=3, size=64))
    with tempfile.TemporaryDirectory() as folder:
        minipose.train(
            network(), puppets, puppets.subset(range(16)), epochs=steps // STEPS, size=64, batch_size=4,
            folder=folder, device="cpu", progress=False, after_step=course.note,
        )  # fmt: skip
    return course


def predict(count: int) -> Course:
    """Predictions on photos of many sizes, as a server would get them."""
    course, net, random = Course(count), network(), np.random.default_rng(0)
    net.skeleton, net.size = minipose.MPII, 64
    net.eval()
    for _ in range(count):
        height, width = random.integers(100, 700, 2)
        minipose.predict(net, random.integers(0, 256, (height, width, 3), np.uint8))
        course.note()
    return course


def figures(steps: int = 2000, predictions: int = 1000) -> Iterator[Figure]:
    works: list[tuple[str, Callable[[int], Course], int]] = [
        ("training steps", train, steps),
        ("predictions", predict, predictions),
    ]
    for what, work, count in works:
        course = work(count)
        yield Figure(f"{count:,} {what}, memory", str(course), "at most +5 %", course.growth() <= 0.05)
