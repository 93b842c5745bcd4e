"""Checks of chapter 12, "Part Heatmap Regression": what counts as correct."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "part-heatmap-regression"
FALL = (1.0, 0.5, 0.1)  # heights of a peak in its own cell and in the next ones; 0 beyond


def _three_parts(rng: np.random.Generator) -> dict:
    """Cells and flags of three parts in one row: visible, occluded and unlabelled, in an order of its own."""
    places = rng.choice([[2, 6, 9], [3, 5, 8], [2, 5, 9]])
    flags = rng.permutation([2, 1, 0])
    parts = list(zip(places.tolist(), flags.tolist(), strict=True))
    return {"cells": 12, "radius": 3, "parts": parts}


def _row(cells: int, at: int, heights) -> np.ndarray:
    return np.array([heights(abs(cell - at)) for cell in range(cells)], dtype=float)


def _asked(cells, radius, parts, discs=(2,), peaks=(1, 2), edge=lambda away, radius: away <= radius):
    """Targets (2, 3, cells) of the detection and of the regression."""

    def fall(away):
        return FALL[away] if away < len(FALL) else 0.0

    kinds = ((discs, lambda away: edge(away, radius)), (peaks, fall))
    return np.array([
        [_row(cells, at, heights) * (flag in drawn) for at, flag in parts] for drawn, heights in kinds
    ])  # fmt: skip


@exercise(CHAPTER, "warm-up", _three_parts)
def discs_and_peaks(answer, **given) -> Verdict:
    """What both networks are asked for on a row of cells, with a hidden part and one without label."""
    right = _asked(**given)
    return compare(answer, right, [
        (_asked(**given, discs=(1, 2)), "Which parts is a detector asked to find?"),
        (_asked(**given, peaks=(2,)), "Which parts is the regression asked to find?"),
        (_asked(**given, discs=(0, 1, 2), peaks=(0, 1, 2)), "A part without a label is asked for nowhere."),
        (_asked(**given, edge=lambda away, radius: away < radius), "The edge of a disc belongs to it."),
        (_asked(**given, edge=lambda away, radius: 2 * away <= radius), "A radius is not a diameter."),
        (right[::-1], "Are the two networks exchanged?"),
    ])  # fmt: skip


def _layers(rng: np.random.Generator) -> dict:
    """Channels and kernels of some convolutions, and of the deconvolution behind them."""
    channels = [int(n) for n in rng.choice([8, 16, 24, 32], 3, replace=False)]
    kernels = [int(n) for n in rng.choice([3, 5, 7, 9], 3, replace=False)]
    return {"parts": int(rng.choice([5, 10])), "layers": list(zip(channels, kernels, strict=True)), "up": 4}


def _sum(parts, layers, up, colours=3, bias=1, across=True, square=2, last=1) -> int:
    """Weights and biases of a regressor: convolutions, one of 1 x 1 that scores, a deconvolution."""
    total, incoming = 0, parts + colours
    for outgoing, kernel in [*layers, (parts, 1)][: None if last else -1]:
        total += outgoing * (incoming * kernel**square + bias)
        incoming = outgoing
    return total + parts * ((parts if across else 1) * up**square + bias)


@exercise(CHAPTER, "warm-up", _layers)
def sum_of_a_table(answer, **given) -> Verdict:
    """Parameters of a regressor, from a table of its layers."""
    return compare(answer, _sum(**given), {
        _sum(**given, colours=0): "The heatmaps do not come alone.",
        _sum(**given, bias=0): "Every layer has a bias for each of its maps.",
        _sum(**given, across=False): "A deconvolution leads from every map to every other, too.",
        _sum(**given, square=1): "A kernel is as high as it is wide.",
        _sum(**given, last=0): "Is the layer of 1x1 in your sum?",
    })  # fmt: skip


def _discs(rng: np.random.Generator) -> dict:
    """Cells of a map, of a disc, and the share of the parts that are visible."""
    return {
        "cells": int(rng.choice([400, 900, 1600])), "disc": int(rng.choice([9, 13, 21])),
        "visible": float(rng.choice([0.6, 0.7, 0.8])),
    }  # fmt: skip


def _shrug(cells, disc, visible, log=math.log, every=True, p=None) -> float:
    """Cross-entropy of a map whose every cell has the same probability, on average over parts."""
    share = disc * visible / cells
    p = share if p is None else p
    loss = -(share * log(p) + (1 - share) * log(1 - p))
    return cells * loss if every else loss


@exercise(CHAPTER, "practice", _discs)
def loss_of_a_shrug(answer, **given) -> Verdict:
    """The lowest loss of a detector that answers the same in every cell, whatever the image."""
    cells, disc, visible = given.values()
    return compare(answer, _shrug(**given), {
        _shrug(**given, p=0.5): "That is the loss of one half everywhere. There is a better constant.",
        _shrug(cells, disc, 1.0): "How many maps have a disc at all?",
        _shrug(**given, log=math.log2): "The loss has natural logarithms.",
        _shrug(**given, every=False): "The loss is a sum over the cells of a map.",
        _shrug(cells, disc, visible, p=disc / cells): "Your constant is for visible parts only. Which "
        "one is the best for all?",
        -_shrug(**given): "Equation 1 lacks its minus.",
    })  # fmt: skip


def _starts(rng: np.random.Generator) -> dict:
    """Calls (which layers start at zero,), of chains of four layers."""
    patterns = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]])
    return {"calls": [(pattern.astype(bool).tolist(),) for pattern in rng.permutation(patterns)]}


def _learns(relu=True, before=True, after=True, itself=False) -> Callable[[list], list]:
    """Which weights of a chain with ReLUs get a gradient, by which of its layers start at zero."""

    def learns(zero: list[bool]) -> list[bool]:
        last = len(zero) - 1
        return [
            not (
                (before and any(zero[:k]))  # nothing comes in
                or (after and any(zero[k + 1 :]))  # no gradient comes back
                or (relu and k < last and zero[k])  # the ReLU behind it is shut
                or (itself and zero[k])
            )
            for k in range(len(zero))
        ]

    return learns


@exercise(CHAPTER, "practice", _starts)
def from_zero(answer, calls) -> Verdict:
    """A function (zero) -> which layers' weights get a gradient in the first step, True or False each."""
    return compare(answer, _learns(), {
        _learns(itself=True): "Must a layer be other than zero, to get a gradient itself?",
        _learns(relu=False): "What does a ReLU hand back where it was given exactly 0?",
        _learns(before=False): "A weight's gradient is also a multiple of what came in.",
        _learns(after=False): "On its way back a gradient passes the later layers.",
        (lambda zero: [True] * len(zero)): "Try it: which gradients are 0?",
    }, on=calls)  # fmt: skip


def _confidences(rng: np.random.Generator) -> dict:
    """Calls (confidence (N, J), visibility (N, J))."""
    calls = []
    for _ in range(3):
        visibility = rng.permutation(np.repeat([0, 1, 2], (4, 6, 10))).reshape(5, 4)
        lift = np.array([0.0, 1.0, 3.0])[visibility]
        calls.append(((rng.integers(1, 8, (5, 4)) + lift).round() / 10, visibility))
    # One of them has a hidden part that is as sure as a visible one.
    confidence, visibility = calls[0]
    confidence[visibility == 1] = confidence[visibility == 2][0]
    return {"calls": calls}


def _tells(hidden=lambda flags: flags == 1, seen=lambda flags: flags == 2, tie=0.5, sign=1) -> Callable:
    """The share of pairs of a visible and a hidden part in which the visible one is surer."""

    def tells(confidence, visibility) -> float:
        confidence, visibility = (np.asarray(each) for each in (confidence, visibility))
        gaps = confidence[seen(visibility)][:, None] - confidence[hidden(visibility)][None]
        return float((sign * gaps > 0).mean() + tie * (gaps == 0).mean())

    return tells


def _gap(confidence, visibility) -> float:
    confidence, visibility = (np.asarray(each) for each in (confidence, visibility))
    return float(confidence[visibility == 2].mean() - confidence[visibility == 1].mean())


@exercise(CHAPTER, "project", _confidences)
def sure_of_the_seen(answer, calls) -> Verdict:
    """A function (confidence, visibility) -> the share of pairs in which the visible part is surer."""
    return compare(answer, _tells(), {
        _tells(hidden=lambda flags: flags < 2): "A part without a label is not known to be hidden.",
        _tells(seen=lambda flags: flags > 0): "Labelled is not the same as visible.",
        _tells(tie=0): "What do you do with two parts that are equally sure?",
        _tells(tie=1): "Two parts that are equally sure count one half.",
        _tells(sign=-1): "In how many pairs is the *visible* part the surer one?",
        _gap: "That is a difference of means, which depends on the scale. Count pairs.",
    }, on=calls)  # fmt: skip


def _factorial(rng: np.random.Generator) -> dict:
    """Calls (accuracy (2, 2, 2, seeds)): target, loss, who is asked for; some effects hang together."""
    calls = []
    for _ in range(2):
        effects, seeds = rng.uniform(0.01, 0.06, 3), rng.normal(0, 0.03, 4)
        table = 0.6 + np.zeros((2, 2, 2, 4)) + seeds
        for axis, effect in enumerate(effects):
            table = table + effect * np.arange(2).reshape([2 if k == axis else 1 for k in range(4)])
        table[1, 1] += rng.uniform(0.02, 0.05)  # the disc helps only with its loss
        calls.append(((table + rng.normal(0, 0.008, table.shape)).round(4),))
    return {"calls": calls}


def _effects(
    other=lambda gaps: gaps.mean(axis=(0, 1)), ddof=1, many=lambda gaps: len(gaps) ** 0.5, sign=1
) -> Callable:
    """Of each factor the mean effect over all levels of the others, and its standard error over seeds."""

    def effects(accuracy) -> np.ndarray:
        accuracy, rows = np.asarray(accuracy), []
        for axis in range(3):
            first, second = (np.take(accuracy, level, axis) for level in (0, 1))
            gaps = other(sign * (second - first))  # one a seed
            rows.append((gaps.mean(), gaps.std(ddof=ddof) / many(gaps)))
        return np.array(rows)

    return effects


def _pooled(accuracy) -> np.ndarray:
    """The same with a standard error over all cells, as if they were seeds."""
    accuracy, rows = np.asarray(accuracy), []
    for axis in range(3):
        gaps = (np.take(accuracy, 1, axis) - np.take(accuracy, 0, axis)).ravel()
        rows.append((gaps.mean(), gaps.std(ddof=1) / len(gaps) ** 0.5))
    return np.array(rows)


@exercise(CHAPTER, "research", _factorial)
def three_changes(answer, calls) -> Verdict:
    """A function (accuracy (2, 2, 2, seeds)) -> (3, 2): effect of each change, and its standard error."""
    return compare(answer, _effects(), {
        _effects(other=lambda gaps: gaps[0, 0]): "One change at a time says nothing of the others' company.",
        _effects(sign=-1): "An effect is the second level less the first.",
        _effects(many=lambda gaps: 1.0): "That is the spread of the seeds. What is the error of their mean?",
        _effects(ddof=0): "Few seeds: divide by one less.",
        _pooled: "Cells of one seed are no independent draws. First average within a seed.",
    }, on=calls)  # fmt: skip
