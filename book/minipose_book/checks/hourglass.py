"""Checks of chapter 5, "The hourglass": what counts as correct."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from minipose_book.checks.core import Verdict, compare, exercise


def _odd_size(rng: np.random.Generator) -> dict:
    """An image's side in px, just above one that fits, and a depth."""
    depth = int(rng.integers(3, 6))
    return {"side": 4 * 2**depth * int(rng.integers(2, 6)) + int(rng.integers(1, 2**depth)), "depth": depth}


@exercise("hourglass", "warm-up", _odd_size)
def size_that_fits(answer, side, depth) -> Verdict:
    """The least side, in px, of an image around another that fits, and cells at the lowest resolution."""
    whole, inside = 4 * 2**depth, 2**depth
    cells, careless = -(-side // whole), -(-side // inside)
    return compare(answer, (whole * cells, cells), [
        ((inside * careless, careless), "The stem divides the side by 4 before the hourglass halves it."),
        ((whole * (cells - 1), cells - 1), "The image has to fit inside: it may grow, and must not shrink."),
        ((whole * cells, 4 * cells), "Those cells forget the stem: it halves the side twice."),
        ((whole * cells, 2 * cells), "The lowest resolution is one halving further down."),
    ])  # fmt: skip


def _one_cell(rng: np.random.Generator) -> dict:
    """A column of a map that is not in the middle of its block, and how many times the map is halved."""
    depth = int(rng.integers(3, 5))
    column = 2**depth * int(rng.integers(1, 3)) + int(rng.integers(1, 2 ** (depth - 1)))
    return {"column": column, "depth": depth}


@exercise("hourglass", "warm-up", _one_cell)
def place_that_is_left(answer, column, depth) -> Verdict:
    """First and last column of the block that a cell becomes, and the middle's largest error in px."""
    block, half = 2**depth, 2 ** (depth - 1)
    first, error = column - column % block, 2.0 * (block - 1)
    return compare(answer, (first, first + block - 1, error), [
        ((first, first + block - 1, error / 4), "That error is in cells. How many px has a cell?"),
        ((first, first + block - 1, 2 * error), "That is the error from the block's end, not its middle."),
        ((first, first + block, error), "A block of n cells ends n - 1 cells after its first one."),
        ((column - half, column + half - 1, error), "Where blocks begin does not depend on the cell."),
    ])  # fmt: skip


def _shapes(rng: np.random.Generator) -> dict:
    return {"calls": [(depth, int(row)) for depth, row in enumerate(rng.integers(2, 9, 4), 1)]}


def _work(a_level=3, bottom=1, all_work=True, halved=0.25):
    """How many modules an hourglass has, and how much work they are, by depth and row."""

    def count(depth: int, row: int) -> tuple[int, float]:
        work = 1 + 3 * sum(halved**level for level in range(1, depth + 1))
        return row * (a_level * depth + bottom), (row if all_work else 1) * work

    return count


@exercise("hourglass", "practice", _shapes)
def modules_and_work(answer, calls) -> Verdict:
    """A function (depth, row) -> residual modules, and their work in units of one at full size."""
    return compare(answer, _work(), {
        _work(bottom=0): "Which modules work at the lowest resolution?",
        _work(a_level=4, bottom=0): "How many modules has an hourglass of depth 1? Draw it.",
        _work(all_work=False): "All the modules of a row work.",
        _work(halved=0.5): "Of half the side, how many cells has a map?",
    }, on=calls)  # fmt: skip


def _way_down(rng: np.random.Generator) -> dict:
    return {"halvings": int(rng.integers(2, 4)), "row": int(rng.integers(2, 4))}


def _seen(halvings, row, start=29, pooled=True, sides=2, growing=2) -> int:
    """Pixels a side that a cell sees on the way down, behind the modules that follow so many halvings."""
    seen, stride = start, 4
    for _ in range(halvings):
        seen, stride = seen + stride * pooled, stride * growing
        seen += sides * row * stride
    return seen


@exercise("hourglass", "practice", _way_down)
def field_going_down(answer, halvings, row) -> Verdict:
    """How many pixels a side a cell sees, on the way down."""
    return compare(answer, _seen(halvings, row), {
        _seen(halvings, 1): "That is the field with one module in a row.",
        _seen(halvings, row, pooled=False): "Pooling looks at two cells to make one.",
        _seen(halvings, row, sides=1): "A module sees one cell more on either side.",
        _seen(halvings, row, growing=1): "How many px wide is a cell after each halving?",
        _seen(halvings, row, start=1): "The stem's cells have seen something already.",
    })  # fmt: skip


class Part:
    """A layer that is called as a function, and shown by its name."""

    def __init__(self, name: str, layer: nn.Module):
        self._name, self._layer = name, layer

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (B, 4, H, W); a "pool" halves H and W, the others keep them."""
        return self._layer(x)

    def __repr__(self) -> str:
        return self._name


def _two_hourglasses(rng: np.random.Generator) -> dict:
    """Calls (x, levels, bottom): with max-pooling, and with convolutions of stride 2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        x = torch.randn(1, 4, 8, 8)
        calls = []
        for depth, strided in ((1, False), (3, False), (2, True)):
            levels = [
                {name: Part(name, nn.Conv2d(4, 4, 3, padding=1)) for name in ("upper", "down", "up")}
                | {"pool": Part("pool", nn.Conv2d(4, 4, 2, stride=2) if strided else nn.MaxPool2d(2))}
                for _ in range(depth)
            ]
            calls.append((x, levels, Part("bottom", nn.Conv2d(4, 4, 3, padding=1))))
    return {"calls": calls}


def _unrolled(bottoms=1, turned=False, order=1, late=False, across=lambda level, x: level["upper"](x)):
    """An hourglass with two loops, and what may go wrong in it."""

    def run(x: torch.Tensor, levels: list[dict[str, Any]], bottom) -> torch.Tensor:
        kept = []
        for level in levels:
            kept.append(across(level, x))
            x = level["pool"](level["down"](x)) if turned else level["down"](level["pool"](x))
        x = bottom(x) if bottoms else x
        for level, upper in zip(levels[::-1][::order], kept[::-1], strict=True):
            if late:
                x = upper + level["up"](interpolate(x, scale_factor=2.0))
            else:
                x = upper + interpolate(level["up"](x), scale_factor=2.0)
        return x

    return run


@exercise("hourglass", "project", _two_hourglasses)
def unrolled_hourglass(answer, calls) -> Verdict:
    """A function (x, levels, bottom) -> what the hourglass makes of x, without recursion."""
    return compare(answer, _unrolled(), {
        _unrolled(bottoms=0): "What happens at the lowest resolution?",
        _unrolled(turned=True): "On the way down, pooling comes before the modules.",
        _unrolled(order=-1): "On the way up the last level comes first, with its own modules.",
        _unrolled(late=True): "On the way up the modules work before the map is doubled.",
        _unrolled(across=lambda level, x: x): "The way across has modules of its own.",
    }, on=calls)  # fmt: skip


def _rumours(rng: np.random.Generator) -> dict:
    """Maps (N, 1, S, S), zero but for one cell that holds 4 or -4, and its sign (N,); to learn, to test."""
    side = int(rng.choice([12, 16, 20]))
    given: dict[str, torch.Tensor] = {}
    for name, count in (("", 512), ("test_", 256)):
        words, places = rng.choice([-1.0, 1.0], count), rng.integers(0, side, (2, count))
        maps = torch.zeros(count, 1, side, side)
        maps[np.arange(count), 0, places[0], places[1]] = 4 * torch.from_numpy(words).float()
        given |= {f"{name}maps": maps, f"{name}words": torch.from_numpy(words).float()}
    return given


def _needed(depth: int, a: int, b: int) -> tuple[int, int]:
    """First and last cell that an hourglass needs for its output cells a...b; one module in a row."""
    if depth == 0:
        return a - 1, b + 1
    a, b = _needed(depth - 1, a // 2 - 1, b // 2 + 1)
    return 2 * (a - 1), 2 * (b + 1) + 1


def _heard(maps: torch.Tensor, depth: int) -> float:
    """The share of cells, over all maps, in whose field the one cell lies that is not zero."""
    first, last = np.transpose([_needed(depth, cell, cell) for cell in range(maps.shape[-1])])
    _, _, *places = np.nonzero(maps.numpy())
    rows, columns = ((first <= at[:, None]) & (at[:, None] <= last) for at in places)
    return float((rows.mean(axis=1) * columns.mean(axis=1)).mean())


@exercise("hourglass", "research", _rumours)
def how_far_it_travels(answer, test_maps, **training) -> Verdict:
    """The shares of cells that say the word's sign rightly, with hourglasses of depth 1 and 2."""
    shares = np.array([_heard(test_maps, depth) for depth in (1, 2)])
    return compare(answer, (1 + shares) / 2, [
        (shares, "Those cells can know. The others guess, and guess right half of the time."),
        ((0.5, 0.5), "Nobody knows anything yet. Has the network been trained, and for long enough?"),
        ((1, 1), "Everybody knows, even who cannot. Is the test one of evaluation mode, on other maps?"),
        ((1 + shares[::-1]) / 2, "Depth 1 first."),
    ], tolerance=0.04)  # fmt: skip
