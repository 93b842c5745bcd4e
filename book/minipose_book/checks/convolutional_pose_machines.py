"""Checks of chapter 11, "Convolutional Pose Machines": what counts as correct."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "convolutional-pose-machines"


def _a_machine(rng: np.random.Generator) -> dict:
    """What stage 1 sees and its stride, px; the three filters on beliefs, cells; which stage is asked."""
    stride = int(rng.choice([4, 8]))
    side, context = int(rng.choice([40, 60, 100])), int(rng.choice([5, 7, 9]))
    return {"side": side, "stride": stride, "context": context, "stage": int(rng.integers(3, 6))}


def _seen(side, stride, context, stage, filters=3) -> int:
    return side + (stage - 1) * filters * (context - 1) * stride


@exercise(CHAPTER, "warm-up", _a_machine)
def seen_through_beliefs(answer, **given) -> Verdict:
    """Side in px of what a cell of stage t depends on, through all the beliefs before it."""
    side, stride, context, stage = given.values()
    return compare(answer, _seen(**given), {
        _seen(**given | {"stage": 2}): "That is stage 2. Each stage looks at the one before it.",
        _seen(**given | {"stage": stage + 1}): "How many of these stages look at beliefs?",
        _seen(side, 1, context, stage): "Beliefs are looked at in cells. How many px apart are they?",
        _seen(side, stride, context + 1, stage): "How far does a filter reach beyond the cell it stands on?",
        _seen(0, stride, context, stage): "A belief has itself been computed from pixels.",
        _seen(side, stride, context, stage, 1): "How many filters in a row are on the beliefs?",
    })  # fmt: skip


FALL = (1.0, 0.5, 0.1)  # heights of a peak in its own cell and in the next ones; 0 beyond


def _two_people(rng: np.random.Generator) -> dict:
    """Cells of a person's and of another's elbow and wrist, in a row of 8; one wrist has no label."""
    first, reach = int(rng.integers(0, 3)), int(rng.integers(2, 4))
    return {"cells": 8, "person": [first, None], "other": [first + 2, first + 2 + reach]}


def _row(cells: int, at: int | None) -> np.ndarray:
    away = [abs(cell - at) if at is not None else len(FALL) for cell in range(cells)]
    return np.array([FALL[d] if d < len(FALL) else 0.0 for d in away])


def _beliefs(cells, person, other, join=np.maximum, over=lambda parts: parts.max(axis=0), first=True):
    """Ideal beliefs (2, 3, cells): of stage 1 and of the later ones; elbow, wrist, background."""
    own, theirs = (np.array([_row(cells, at) for at in each]) for each in (person, other))
    stages = (join(own, theirs) if first else own, own)
    return np.array([np.vstack((parts, 1 - over(parts))) for parts in stages])


@exercise(CHAPTER, "warm-up", _two_people)
def beliefs_by_hand(answer, **given) -> Verdict:
    """The targets of stage 1 and of the later stages, on a row of cells with two people."""
    right = _beliefs(**given)
    return compare(answer, right, [
        (_beliefs(**given, first=False), "Whom does stage 1 have to find?"),
        (right[::-1], "Are the two stages exchanged?"),
        (np.array([right[0], right[0]]), "Whom do the later stages have to find?"),
        (_beliefs(**given, join=np.add), "Where two peaks of a part meet, the higher one counts."),
        (_beliefs(**given, over=lambda p: p.sum(axis=0)), "Background is 1 less the highest part."),
        (_beliefs(**given, over=lambda p: p[0]), "The wrist counts for the background as well."),
    ])  # fmt: skip


def _fields(rng: np.random.Generator) -> dict:
    """Fields in cells that filters in a row shall see."""
    return {"calls": [(int(field),) for field in rng.choice([13, 19, 25, 31, 37], 3, replace=False)]}


def _ways(left=1, weights=lambda layers, kernel: layers * kernel**2) -> Callable[[int], list]:
    """Rows of equal odd filters that see a field: layers, side, weights for a pair of channels."""

    def ways(field: int) -> list[tuple[int, int, int]]:
        found = []
        for kernel in range(3, field + 1, 2):
            layers, rest = divmod(field - left, kernel - left)
            if not rest:
                found.append((layers, kernel, weights(layers, kernel)))
        return found

    return ways


@exercise(CHAPTER, "practice", _fields)
def ways_to_see_far(answer, calls) -> Verdict:
    """A function (field) -> [(layers, side, weights), ...] of all rows of equal odd filters that see it."""
    return compare(answer, _ways(), {
        _ways(left=0): "The first filter sees its side; what does each further one add?",
        _ways(weights=lambda n, k: k**2): "Every layer has a filter of its own.",
        _ways(weights=lambda n, k: n * k): "A filter is as high as it is wide.",
        (lambda field: _ways()(field)[::-1]): "Begin with the smallest filters.",
        (lambda field: _ways()(field)[:-1]): "A single filter is a row as well.",
    }, on=calls)  # fmt: skip


def _places(rng: np.random.Generator) -> dict:
    """Calls (point (x, y) crop px, (height, width) of the crop, stride)."""
    calls = []
    for stride in (4, 8):
        x, y = rng.uniform(10, 50, 2).round(1).tolist()
        calls.append(((x, y + 8), (96, 64), stride))
    return {"calls": calls}


def _center(of=lambda x, y: (x, y), side=lambda size: size[0], half=0.5, shape=lambda h, w: (h, w)):
    """A peak (h, w) at a point of the crop, as wide as that of a part."""

    def center_at(point, size, stride) -> np.ndarray:
        height, width = shape(size[0] // stride, size[1] // stride)
        x, y = ((value + half) / stride - half for value in of(*point))
        sigma = 21 * side(size) / 368 / stride
        columns, rows = np.arange(width) - x, np.arange(height) - y
        return np.exp(-(columns**2 + rows[:, None] ** 2) / (2 * sigma**2))

    return center_at


@exercise(CHAPTER, "project", _places)
def ask_for_another(answer, calls) -> Verdict:
    """A function (point, size, stride) -> the centre map (h, w) that names the person at that point."""
    return compare(answer, _center(), {
        _center(of=lambda x, y: (y, x)): "Are x and y exchanged?",
        _center(half=0): "Where is the centre of cell 0? Chapter 2 has the rule.",
        _center(side=lambda size: 368): "21 px are for a crop that is 368 px high.",
        _center(shape=lambda h, w: (w, h)): "Maps are indexed (row, column).",
    }, on=calls)  # fmt: skip


def _stages(rng: np.random.Generator) -> dict:
    """Calls (stage, beliefs (P + 1, h, w)): a small stage that mixes beliefs by a matrix."""
    calls = []
    for _ in range(2):
        mixes = rng.uniform(-0.3, 1, (4, 4)).round(1)
        beliefs = rng.uniform(0.1, 1, (4, 3, 5)).round(1)
        calls.append((_Mixing(mixes), beliefs))
    return {"calls": calls}


class _Mixing:
    """A stage: (P + 1, h, w) -> (P + 1, h, w)."""

    def __init__(self, mixes: np.ndarray):
        self.mixes = mixes

    def __call__(self, beliefs):
        return np.tensordot(self.mixes, np.asarray(beliefs), axes=1)

    def __repr__(self) -> str:
        return "stage"


def _told(fold=lambda table: table, keep=False, parts=-1, at_peak=True) -> Callable:
    """Row: the part that is erased; column: by how much the other part's belief falls."""

    def told(stage, beliefs) -> np.ndarray:
        beliefs = np.array(beliefs, dtype=float)
        before = stage(beliefs)[:parts]
        flat = before.reshape(len(before), -1)
        cells, rows = flat.argmax(axis=1), []
        for part in range(len(before)):
            edited = beliefs if keep else beliefs.copy()
            edited[part] = 0
            after = stage(edited)[:parts].reshape(flat.shape)
            there = after[np.arange(len(after)), cells] if at_peak else after.max(axis=1)
            rows.append(flat.max(axis=1) - there)
        return fold(np.array(rows))

    return told


@exercise(CHAPTER, "project", _stages)
def who_tells_whom(answer, calls) -> Verdict:
    """A function (stage, beliefs) -> (P, P): how far each part's belief falls when another is erased."""
    return compare(answer, _told(), {
        _told(fold=np.transpose): "Rows are the parts that are erased.",
        _told(fold=np.negative): "A belief that falls has a positive number here.",
        _told(keep=True): "Is each part back in its place before the next one is erased?",
        _told(parts=None): "The last map is the background, and no part.",
        _told(at_peak=False): "Look at the cell that was the highest before, and not at the highest now.",
    }, on=calls)  # fmt: skip


# Accuracy by field: level with a little drift; a step that does nothing; small and sure steps to the end.
# With each how far the seeds scatter about that.
CURVES = (
    ((0.4, 0.5, 0.6, 0.605, 0.607), 0.01),
    ((0.4, 0.402, 0.5, 0.6, 0.601), 0.005),
    ((0.4, 0.42, 0.44, 0.46, 0.48), 0.008),
    # Second steps of 1.5 standard errors, of 1.9 (2.1 if they are taken with n), and first ones of 2.4.
    ((0.4, 0.42, 0.4322, 0.4325, 0.433), 0.01),
    ((0.4, 0.42, 0.4352, 0.436, 0.437), 0.01),
    ((0.4, 0.42, 0.4202, 0.4204, 0.4206), 0.01),
)
SCATTER = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1]])


def _tables(rng: np.random.Generator) -> dict:
    """Calls (fields (F,) px, accuracy (F, seeds)). A seed is good or bad for every field."""
    calls = []
    for means, scatter in CURVES:
        fields = int(rng.integers(30, 60)) + int(rng.integers(20, 40)) * np.arange(5)
        table = np.array(means)[:, None] + scatter * SCATTER + np.array([-0.2, -0.1, 0.1, 0.2])
        calls.append((fields, table[:, rng.permutation(4)].round(4)))
    return {"calls": calls}


def _saturates(
    error=lambda gaps: gaps.std(axis=1, ddof=1) / gaps.shape[1] ** 0.5, others=slice(None), many=2.0
) -> Callable:
    """The smallest field than which no larger one is better, seed by seed, by `many` standard errors."""

    def saturates(fields, accuracy) -> int:
        fields, accuracy = np.asarray(fields), np.asarray(accuracy)
        for k in range(len(fields)):
            gaps = (accuracy[k + 1 :] - accuracy[k])[others]
            if not (gaps.mean(axis=1) > many * error(gaps)).any():
                return int(fields[k])
        raise AssertionError("of the largest field no larger one is better")

    return saturates


def _apart(fields, accuracy) -> int:
    """The same with the errors of unpaired seeds."""
    accuracy = np.asarray(accuracy)
    errors = accuracy.std(axis=1, ddof=1) / accuracy.shape[1] ** 0.5
    for k in range(len(fields)):
        gaps = accuracy[k + 1 :].mean(axis=1) - accuracy[k].mean()
        if not (gaps > 2 * np.hypot(errors[k + 1 :], errors[k])).any():
            return int(fields[k])
    raise AssertionError("of the largest field no larger one is better")


_spread = _saturates(error=lambda gaps: gaps.std(axis=1, ddof=1))


@exercise(CHAPTER, "research", _tables)
def where_it_saturates(answer, calls) -> Verdict:
    """A function (fields, accuracy (F, seeds)) -> the smallest field that no larger one is sure to beat."""
    return compare(answer, _saturates(), {
        _saturates(others=slice(1)): "Two small steps may make a large one: look at all larger fields.",
        _saturates(many=1.0): "Two standard errors, not one.",
        _saturates(many=3.0): "Two standard errors, not three.",
        _saturates(error=lambda gaps: gaps.std(axis=1) / gaps.shape[1] ** 0.5):
            "With n - 1: the seeds' mean is estimated from these very seeds.",
        _saturates(many=0.0): "By how much must a field be better, before it is not chance?",
        _apart: "All fields were trained with the same seeds. Compare seed by seed.",
        _spread: "That is the spread of the seeds. What is the error of their mean?",
    }, on=calls)  # fmt: skip
