"""Parts 1 to 3: drawing heatmaps, reading them, and the score of what was read."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from minipose.heatmaps import decode_heatmaps, encode_heatmaps, to_crop, to_map
from minipose.metrics import pck
from minipose_book.checks.assignment.items import SIZE, graded
from minipose_book.checks.core import Verdict, compare

# Part 1


def _whole_cell(rng: np.random.Generator) -> dict:
    height = int(rng.integers(7, 10))
    points = torch.tensor([[[height - 2.0, 2.0], [1.0, height - 3.0]]])
    sigma = float(rng.choice([1.5, 2.5, 3.0]))
    return {"on": [(points, torch.ones(1, 2, dtype=torch.bool), (height, height + 3), sigma)]}


@graded(1, 6, "target_maps", _whole_cell)
def one_gaussian(answer, on) -> Verdict:
    """Joints in the middle of a cell, in a map that is wider than high."""
    draw = encode_heatmaps
    return compare(answer, draw, {
        lambda p, v, size, s: draw(p.flip(-1), v, size, s): "x and y have changed places: x runs across.",
        lambda p, v, size, s: draw(p, v, size, s / 2**0.5): "The exponent lacks its 2 under the line.",
        lambda p, v, size, s: draw(p, v, size, s**0.5): "The exponent has sigma where it needs its square.",
        lambda p, v, size, s: draw(p, v, size, s) / (2 * torch.pi * s**2): "The peak has height 1.",
    }, on)  # fmt: skip


def _between(rng: np.random.Generator) -> dict:
    points = torch.tensor(rng.integers(2, 7, (2, 3, 2)) + rng.choice([0.25, 0.3, 0.6, 0.75], (2, 3, 2)))
    return {"on": [(points.float(), torch.ones(2, 3, dtype=torch.bool), (10, 10), 1.5)]}


@graded(1, 5, "target_maps", _between)
def between_cells(answer, on) -> Verdict:
    """Joints between the cells."""
    draw = encode_heatmaps
    return compare(answer, draw, {
        lambda p, *rest: draw(p.round(), *rest): "The joint was rounded to a whole cell.",
        lambda p, *rest: draw(p.floor(), *rest): "The joint was cut down to a whole number.",
        lambda p, *rest: draw(p - 0.5, *rest): "A whole number is the centre of a cell, not its corner.",
    }, on)  # fmt: skip


def _some_labels(rng: np.random.Generator) -> dict:
    points = torch.tensor(rng.integers(2, 7, (2, 3, 2))).float()
    points[0, 0], points[1, 2, 0] = torch.nan, -0.75  # no label; and labelled, just outside on the left
    return {"on": [(points, ~points.isnan().any(-1), (9, 9), float(rng.choice([1.0, 1.5])))]}


@graded(1, 4, "target_maps", _some_labels)
def unlabelled_joints(answer, on) -> Verdict:
    """A joint without a label, and one outside the map."""
    draw = encode_heatmaps
    return compare(answer, draw, {
        lambda p, v, *rest: draw(p, v, *rest) + 0 * p[..., :1, None]: "NaN times 0 is NaN: use where.",
        lambda p, v, *rest: draw(p.nan_to_num(), v | True, *rest): "One without a label was drawn.",
        lambda p, v, *rest: draw(p.clamp(min=0), v, *rest): "A joint outside was moved to the border.",
        lambda p, v, *rest: draw(p, v & (p >= 0).all(-1), *rest): "A labelled joint outside reaches in.",
    }, on)  # fmt: skip


# Part 2


def _peaks(rng: np.random.Generator) -> dict:
    height, width = 8, 11
    points = torch.tensor(rng.uniform(1.6, 5.4, (2, 3, 2))).float()
    points[1, 2, 0] = width - 1  # at the right border
    maps = encode_heatmaps(points, torch.ones(2, 3), (height, width), 1.2)
    return {"on": [(maps * torch.tensor(rng.uniform(0.95, 1.0, maps.shape)).float(),)]}


def _moved(maps, offset=lambda left, middle, right: 0 * left, swapped=False) -> torch.Tensor:
    """The brightest cells (B, J, 2), moved by `offset` along x and y where both sides are known."""
    width = maps.shape[-1]
    cell = maps.flatten(2).argmax(-1)
    at = torch.stack((cell % width, cell // width), -1)
    shift = torch.zeros(at.shape)
    for axis, length in enumerate((width, maps.shape[-2])):
        known = (at[..., axis] > 0) & (at[..., axis] < length - 1)
        step = 1 if axis == 0 else width
        near = [maps.flatten(2).gather(-1, (cell + k * step * known)[..., None])[..., 0] for k in (-1, 0, 1)]
        shift[..., axis] = torch.where(known, offset(*near).nan_to_num(), 0.0)
    return at + (shift.flip(-1) if swapped else shift)


def _quarter(left, middle, right):
    return 0.25 * torch.sign(right - left)


def _parabola(left, middle, right):
    return 0.5 * (left - right) / (left - 2 * middle + right)


def _log_parabola(left, middle, right):
    return _parabola(left.log(), middle.log(), right.log())


@graded(2, 5, "brightest", _peaks)
def brightest_cell(answer, on) -> Verdict:
    """The column and the row of each map's highest value."""

    def by_height(maps):
        cell, height = maps.flatten(2).argmax(-1), maps.shape[-2]
        return torch.stack((cell % height, cell // height), -1)

    return compare(answer, _moved, {
        lambda maps: _moved(maps).flip(-1): "That is (row, column); a point is (x, y).",
        by_height: "A row is as long as the map is wide: divide by the width.",
        lambda maps: _moved(maps) + 1: "Cells are counted from 0.",
    }, on)  # fmt: skip


@graded(2, 5, "quarter", _peaks)
def quarter_cell(answer, on) -> Verdict:
    """A quarter of a cell toward the larger neighbour."""
    return compare(answer, partial(_moved, offset=_quarter), {
        partial(_moved, offset=lambda left, middle, right: -_quarter(left, middle, right)): "Wrong way.",
        partial(_moved, offset=_quarter, swapped=True): "The step of x went into y.",
        partial(_moved, offset=lambda *near: 2 * _quarter(*near)): "The step is a quarter, yours is a half.",
        _moved: "That is the brightest cell, and not moved.",
    }, on)  # fmt: skip


@graded(2, 5, "parabola", _peaks)
def parabola_peak(answer, on) -> Verdict:
    """The top of the parabola through three logarithms."""
    return compare(answer, partial(_moved, offset=_log_parabola), {
        partial(_moved, offset=_parabola): "The parabola goes through logarithms, not through values.",
        partial(_moved, offset=lambda *near: -_log_parabola(*near)): "Wrong way.",
        partial(_moved, offset=lambda *near: 2 * _log_parabola(*near)): "The top lies half as far away.",
        partial(_moved, offset=_log_parabola, swapped=True): "The step of x went into y.",
    }, on)  # fmt: skip


def _draw(points):
    return encode_heatmaps(points, torch.ones(points.shape[:2]), (SIZE // 2, SIZE // 2))


def _decode(maps, rule):
    return decode_heatmaps(maps, rule)[0]


def _trip(points, stride, rule, there=to_map, back=to_crop, power=1):
    found = back(_decode(_draw(there(points, stride)), rule), stride)
    return (found - points).norm(dim=-1).pow(power).mean()


def _positions(rng: np.random.Generator) -> dict:
    points = torch.tensor(rng.uniform(20, 44, (4, 5, 2))).float()
    return {"on": [(points, 4, "argmax"), (points, 2, "argmax"), (points, 4, "quarter")]}


@graded(2, 5, "round_trip", _positions, through=lambda trip: (
    lambda points, stride, rule: trip(_draw, partial(_decode, rule=rule), points, stride)
))  # fmt: skip
def round_trip_error(answer, on) -> Verdict:
    """How far a point moves on its way into a heatmap and back, in crop px."""

    def times(points, stride):
        return points * stride

    def over(points, stride):
        return points / stride

    return compare(answer, _trip, {
        partial(_trip, there=over, back=times): "The half cell is missing on both ways.",
        partial(_trip, back=times): "The half cell is missing on the way back.",
        partial(_trip, there=over): "The half cell is missing on the way there.",
        lambda points, s, rule: _trip(points, s, rule) / s: "Yours is in cells, not in crop px.",
        partial(_trip, power=2): "That is the mean of squares; asked is the mean distance.",
    }, on)  # fmt: skip


# Part 3


def _pckh(predicted, target, heads, threshold):
    return pck(predicted, target, heads, threshold).per_joint


def _answers(rng: np.random.Generator) -> dict:
    """Twelve people, three joints: exactly half a head away, nearer, farther, and farther in y alone."""
    heads = torch.tensor(rng.choice([10.0, 20.0, 30.0], 12)).float()
    kinds = torch.tensor([[0.3, 0.4], [0.1, 0.2], [0.9, 0.2], [0.2, 0.8]])
    drawn = [np.concatenate([range(4), range(4), rng.integers(0, 4, 4)]) for _ in range(3)]
    offsets = kinds[np.stack([rng.permutation(each) for each in drawn], 1)] * heads[:, None, None]
    target = torch.tensor(rng.integers(10, 50, (12, 3, 2))).float()
    return {"on": [(target + offsets.round(), target, heads, 0.5)]}


@graded(3, 5, "pckh", _answers)
def heads_and_threshold(answer, on) -> Verdict:
    """Everybody is labelled."""

    def forgets_y(predicted, target, *rest):
        return _pckh(torch.stack((predicted[..., 0], target[..., 1]), -1), target, *rest)

    return compare(answer, _pckh, {
        lambda p, t, heads, threshold: _pckh(p, t, heads, threshold - 1e-6): "A distance equal to it counts.",
        lambda p, t, heads, threshold: _pckh(p, t, 1 + 0 * heads, threshold): "The heads play no part.",
        forgets_y: "Only x counts in your distance.",
    }, on)  # fmt: skip


def _answers_with_gaps(rng: np.random.Generator) -> dict:
    [(predicted, target, heads, threshold)] = _answers(rng)["on"]
    for joint in range(3):  # one that was found and one that was not lose their label
        found = (predicted - target).norm(dim=-1)[:, joint] <= threshold * heads
        target[int(rng.choice(found.nonzero()[:, 0])), joint] = torch.nan
        target[int(rng.choice((~found).nonzero()[:, 0])), joint] = torch.nan
    return {"on": [(predicted, target, heads, threshold)]}


@graded(3, 6, "pckh", _answers_with_gaps)
def missing_labels(answer, on) -> Verdict:
    """Joints without a label count nowhere."""

    def far(predicted, target, *rest):
        return _pckh(predicted, target.nan_to_num(1e6), *rest)

    return compare(answer, _pckh, {
        far: "A missing label was counted as a miss.",
        lambda p, t, *rest: _pckh(p, t.where(~t.isnan(), p), *rest): "A missing label was counted as found.",
        lambda *given: _pckh(*given).mean(): "Asked is one number for each joint, not their mean.",
    }, on)  # fmt: skip


def _odd_people(rng: np.random.Generator) -> dict:
    [(predicted, target, heads, threshold)] = _answers(rng)["on"]
    first, second, third = rng.permutation(12)[:3].tolist()
    heads[first], heads[second] = torch.nan, 0.0
    predicted[third, 0] = torch.nan
    target[:, 2] = torch.nan
    return {"on": [(predicted, target, heads, threshold)]}


@graded(3, 4, "pckh", _odd_people)
def nothing_to_measure(answer, on) -> Verdict:
    """People without a head's size, a joint without prediction, a joint that nobody has."""

    def leaves_out(predicted, target, *rest):
        return _pckh(predicted, target.where(~predicted.isnan(), torch.nan), *rest)

    def headless(predicted, target, heads, threshold):
        return _pckh(predicted, target, heads.where(heads > 0, 1e-6), threshold)

    return compare(answer, _pckh, {
        lambda *given: _pckh(*given).nan_to_num(): "A joint that nobody has gets NaN, not 0.",
        leaves_out: "A label without a prediction is a miss.",
        headless: "Whoever has no head size cannot be measured, and is left out.",
    }, on)  # fmt: skip
