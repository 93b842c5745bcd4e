"""Checks of chapter 8, "Does stacking help?": fair comparisons, and what is more than noise."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch

from minipose.models.hourglass import StackedHourglass
from minipose_book.checks.core import Verdict, compare, exercise
from minipose_book.experiments import records


def _shape(rng: np.random.Generator) -> dict:
    """A stack with one residual module at each box: hourglasses, features, joints."""
    return {name: int(rng.choice(values)) for name, values in
            {"stacks": [2, 4, 8], "features": [8, 16, 32, 64], "joints": [14, 16]}.items()}  # fmt: skip


@exercise("does-stacking-help", "warm-up", _shape)
def what_a_stack_adds(answer, stacks, features, joints) -> Verdict:
    """Parameters that a stack has more than a single hourglass of equal capacity."""
    head = (features + 1) * features + 2 * features + (features + 1) * joints
    merge = (features + 1) * features + (joints + 1) * features
    biases = 3 * features + joints
    return compare(answer, (stacks - 1) * (head + merge), {
        stacks * (head + merge): "The single hourglass has a head too, and nothing is merged after the last.",
        (stacks - 1) * head: "Heatmaps also have to find their way back into the next hourglass.",
        (stacks - 1) * merge: "A further hourglass also paints heatmaps of its own.",
        (stacks - 1) * (head + merge - biases): "Each of these convolutions has a bias for every channel.",
        (stacks - 1) * (head + merge - 2 * features): "A batch normalisation has two numbers a channel.",
    }, tolerance=1e-9)  # fmt: skip


def _two_designs(rng: np.random.Generator) -> dict:
    """Accuracies in per cent of designs A and B, each trained with the same four seeds."""
    a = 60 + rng.permutation([0.0, 2.4, 4.1, 5.5]) + rng.integers(0, 5, 4) / 10
    ahead = rng.choice(np.arange(2, 19) / 10, 4, replace=False) * rng.choice([-1, 1])
    return {"a": a.round(1), "b": (a + ahead).round(1)}


@exercise("does-stacking-help", "warm-up", _two_designs)
def seed_by_seed(answer, a, b) -> Verdict:
    """How far B is ahead of A: the mean, lowest and highest difference, seed by seed."""
    gaps, shares = b - a, 100 * (b - a) / a
    return compare(answer, [gaps.mean(), gaps.min(), gaps.max()], [
        ([-gaps.mean(), -gaps.max(), -gaps.min()], "How far is B ahead of A: below zero where B is behind."),
        ([gaps.mean(), b.min() - a.max(), b.max() - a.min()], "These ends compare one seed with another."),
        ([shares.mean(), shares.min(), shares.max()], "Points are asked for, not per cent of A's accuracy."),
    ], tolerance=1e-3)  # fmt: skip


def _looks(rng: np.random.Generator) -> dict:
    """Which joints (N, J) the first and the last stage found, and which count."""
    first, last, counted = (rng.random((40, 6)) < share for share in (0.5, 0.7, 0.8))
    return {"first": first, "last": last, "counted": counted}


@exercise("does-stacking-help", "practice", _looks)
def mended_and_spoiled(answer, **looks) -> Verdict:
    """How often each joint is mended and spoiled between two stages, (2, J)."""
    return compare(answer, lambda first, last, counted: [(last & ~first & counted).sum(0),
                                                         (first & ~last & counted).sum(0)], {
        lambda first, last, counted: [(last & ~first).sum(0), (first & ~last).sum(0)]:
            "A joint without a label can be neither mended nor spoiled.",
        lambda first, last, counted: [(first & ~last & counted).sum(0), (last & ~first & counted).sum(0)]:
            "Mended comes first, and is what the last stage found.",
        lambda first, last, counted: [(last & counted).sum(0), (~last & counted).sum(0)]:
            "What did the first stage say about these joints?",
    }, on=[tuple(looks.values())])  # fmt: skip


def _spread(rng: np.random.Generator) -> dict:
    """Accuracies of two stacks by seed, from our record; the paper's difference; and how sure to be of it."""
    record = records.read("stages", "cpu")
    better, worse = [("8", "4"), ("4", "2"), ("8", "2")][rng.integers(3)]
    final, paper = record.results["final"], record.paper["pckh@0.5"]["final"]
    return {
        "stacks": [better, worse], "a": final[better]["each"], "b": final[worse]["each"],
        "claim": round(paper[better] - paper[worse], 3), "errors": int(rng.integers(2, 4)),
    }  # fmt: skip


@exercise("does-stacking-help", "practice", _spread)
def how_many_seeds(answer, stacks, a, b, claim, errors) -> Verdict:
    """Seeds until the paper's difference is as large as so many standard errors of our mean difference."""
    spread = np.std(np.subtract(a, b), ddof=1)
    few, apart = np.std(np.subtract(a, b)), math.hypot(np.std(a, ddof=1), np.std(b, ddof=1))
    return compare(answer, math.ceil((errors * spread / claim) ** 2), {
        math.ceil((errors * few / claim) ** 2): "Of a few values: divide by one less than there are.",
        math.ceil((errors * apart / claim) ** 2): "The seeds come in pairs. What scatters is the difference.",
        math.ceil((spread / claim) ** 2): "That is one standard error.",
        math.ceil(errors * spread / claim): "An error falls with the root of the number of seeds.",
    }, tolerance=1e-9)  # fmt: skip


def _people(rng: np.random.Generator) -> dict:
    """Which joints (N, J) were found and which count, and numbers of people (R, N), drawn R times."""
    counted = rng.random((30, 4)) < 0.8
    return {
        "hits": counted & (rng.random((30, 4)) < [0.9, 0.7, 0.6, 0.4]),
        "counted": counted, "draws": rng.integers(0, 30, (60, 30)),
    }  # fmt: skip


def _interval(ends=(2.5, 97.5), over=lambda hits, counted: (hits.sum(0) / counted.sum(0)).mean()):
    """The interval of an accuracy over draws of people, by its percentiles."""
    return lambda hits, counted, draws: np.percentile([over(hits[d], counted[d]) for d in draws], ends)


@exercise("does-stacking-help", "project", _people)
def other_people(answer, hits, counted, draws) -> Verdict:
    """The middle 95 % of accuracies that other people of this kind would have given."""
    return compare(answer, _interval(), {
        _interval(over=lambda h, c: h.sum() / c.sum()): "That is a share of labels. Which mean is asked?",
        _interval(over=lambda h, c: h.mean()): "A joint without a label has been counted as missed.",
        _interval(ends=(5, 95)): "This leaves out ten per cent of the draws, five at either end.",
        lambda h, c, d: np.percentile([(h[k].sum(0) / c.sum(0)).mean() for k in d], (2.5, 97.5)):
            "A draw takes its people's labels with them, and not only what was found.",
    }, on=[(hits, counted, draws)])  # fmt: skip


def _hg_int(rng: np.random.Generator) -> dict:
    """An HG-Int: features, residual modules at each box, depth."""
    shape = {"features": [16, 24, 32], "residuals": [3, 4, 5, 6]}
    return {name: int(rng.choice(values)) for name, values in shape.items()} | {"depth": 3}


@cache
def _size(features: int, residuals: int, depth: int, supervision: str) -> int:
    with torch.device("meta"):
        network = StackedHourglass(16, 1, residuals, features, depth, supervision)
    return sum(parameter.numel() for parameter in network.parameters())


@exercise("does-stacking-help", "research", _hg_int)
def a_fair_opponent(answer, features, residuals, depth) -> Verdict:
    """Residual modules at each box of the HG nearest in size to an HG-Int; its excess in per cent."""
    mark = _size(features, residuals, depth, "upsampling")
    more = {n: 100 * (_size(features, n, depth, "last") / mark - 1) for n in range(residuals, residuals + 4)}
    fair = min(more, key=lambda n: abs(more[n]))
    back = 100 * (mark / _size(features, fair, depth, "last") - 1)
    return compare(answer, [fair, more[fair]], [
        ([residuals, more[residuals]], "That is the opponent that the record has, and it is smaller."),
        ([fair + 1, more[fair + 1]], "Another number of residual modules comes nearer."),
        ([fair, back], "By how much is HG larger than HG-Int, in per cent of HG-Int? Below zero: smaller."),
    ], tolerance=2e-3)  # fmt: skip
