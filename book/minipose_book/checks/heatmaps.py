"""Checks of chapter 2, "Heatmaps": joints to maps and back."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from minipose.heatmaps import decode_heatmaps, encode_heatmaps, to_crop, to_map
from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "heatmaps"


def _one_target(rng: np.random.Generator) -> dict:
    """A joint in crop px, the stride, sigma in cells, and a cell (column, row) beside the joint."""
    stride, column = int(rng.choice([4, 8])), int(rng.integers(5, 20))
    x, y = np.array([column, column + 2]) * stride + rng.integers(0, stride, 2)
    sigma = float(rng.choice([1.0, 1.5]))
    return {"joint": (int(x), int(y)), "stride": stride, "sigma": sigma, "cell": (column + 1, column + 2)}


@exercise(CHAPTER, "warm-up", _one_target)
def target_by_hand(answer, joint, stride, sigma, cell) -> Verdict:
    """The value of a target in one cell."""
    at, edge = to_map(torch.tensor(joint), stride).numpy(), np.divide(joint, stride)
    return compare(answer, _gaussian(cell, at, sigma), {
        _gaussian(cell, edge, sigma): "Pixels and cells are counted from their centres: remember the halves.",
        _gaussian(cell[::-1], at, sigma): "A cell is (column, row), as a point is (x, y).",
        _gaussian(cell, at, sigma / 2**0.5): "There is a 2 in the exponent's denominator.",
        _gaussian(cell, at.round(), sigma): "The Gaussian's centre is the joint, not the middle of a cell.",
    })  # fmt: skip


def _gaussian(cell, centre, sigma) -> float:
    return float(np.exp(-(np.subtract(cell, centre) ** 2).sum() / (2 * sigma**2)))


def _small_map(rng: np.random.Generator) -> dict:
    """A heatmap (5, 5) whose peak has two equal neighbours along one axis, and its stride."""
    values = rng.integers(1, 4, (5, 5)) / 10
    column, row = rng.permutation([1, 2, 3])[:2]
    pairs = [rng.permutation([4, 7]) / 10, np.array([0.5, 0.5])]
    across, down = pairs if rng.random() < 0.5 else pairs[::-1]
    values[row, column - 1 : column + 2] = across[0], 0.9, across[1]
    values[row - 1 : row + 2, column] = down[0], 0.9, down[1]
    return {"heatmap": values, "stride": int(rng.choice([4, 8]))}


@exercise(CHAPTER, "warm-up", _small_map)
def quarter_by_hand(answer, heatmap, stride) -> Verdict:
    """The point that the quarter offset reads, in crop px."""
    point, cell = (decode_heatmaps(heatmap, refine)[0] for refine in ("quarter", "argmax"))
    return compare(answer, want := to_crop(point, stride), [
        (want.flip(0), "x is the column, counted to the right, and comes first."),
        (point, "That is in cells of the map; the question is in pixels of the crop."),
        (to_crop(cell, stride) + point - cell, "A quarter of a cell: move first, then go back to the crop."),
        (to_crop(torch.where(point == cell, cell - 0.25, point), stride), "Of two equals none is larger."),
        (point * stride, "Cell 0 covers the first pixels, and its centre is not pixel 0."),
    ])  # fmt: skip


def _least_peak(rng: np.random.Generator) -> dict:
    """A value that the highest cell shall never fall below, and a stride."""
    return {"level": float(rng.choice([0.5, 0.6, 0.7, 0.8, 0.9])), "stride": int(rng.choice([4, 8]))}


@exercise(CHAPTER, "practice", _least_peak)
def width_for_a_peak(answer, level, stride) -> Verdict:
    """The least sigma for which no target's highest cell is below a level, in cells and in crop px."""
    sigma = 0.5 / np.log(1 / level) ** 0.5
    return compare(answer, (sigma, sigma * stride), {
        (sigma / 2**0.5, sigma * stride / 2**0.5): "A joint can be between two cells in x and in y at once.",
        (sigma * 2**0.5, sigma * stride * 2**0.5): "The worst joint is half a cell off each way. Mind the 2.",
        (sigma**2, sigma**2 * stride): "That is sigma squared.",
        (sigma, sigma): "A cell is as wide as `stride` pixels.",
        (sigma, sigma / stride): "Pixels are smaller than cells, so there are more of them to a sigma.",
    })  # fmt: skip


BACK = {
    "cell * stride": lambda cell, stride: cell * stride,
    "cell * stride + stride / 2": lambda cell, stride: cell * stride + stride / 2,
    "(cell + 0.5) * stride - 0.5": to_crop,
}


def _convention(rng: np.random.Generator) -> dict:
    """A stride, and how a convention goes back to the crop, as it is written in the code."""
    return {"stride": int(rng.choice([4, 8])), "back": str(rng.choice(list(BACK)))}


@exercise(CHAPTER, "practice", _convention)
def rounding_bias(answer, stride, back) -> Verdict:
    """Mean error and mean size of the error of a convention that rounds, along x, in crop px."""
    bias, size = want = _round_trip(stride, back, lambda x: np.floor(x + 0.5))
    return compare(answer, want, {
        (-bias, size): "Found minus true: above zero where a joint is found too far to the right.",
        (bias / stride, size / stride): "In pixels of the crop, not in cells.",
        _round_trip(stride, back, np.floor): "Those are the cells floor(x / s). Here 0.5 is added before.",
        _round_trip(stride, back, np.round): "NumPy rounds a half to the even one. Here it goes up.",
    })  # fmt: skip


def _round_trip(stride, back, rounded) -> tuple[float, float]:
    x = np.arange(256)
    error = BACK[back](rounded(x / stride), stride) - x
    return float(error.mean()), float(np.abs(error).mean())


def _three_maps(rng: np.random.Generator) -> dict:
    """Tuples of a heatmap (H, W) and a reach in cells; the last peak is near the border."""
    cases = []
    for x, y in ((6.3, 9.2), (10.4, 3.7), (0.8, 12.3)):
        at = torch.tensor([[[x, y]]]) + torch.from_numpy(rng.uniform(-0.4, 0.4, (1, 1, 2)))
        clean = encode_heatmaps(at, [[2]], (14, 16), float(rng.choice([1.0, 1.5])))[0, 0].double().numpy()
        cases.append((clean + rng.uniform(0, 0.05, clean.shape), int(rng.integers(2, 4))))
    return {"cases": cases}


@exercise(CHAPTER, "project", _three_maps)
def centre_of_mass(answer, cases) -> Verdict:
    """A function (heatmap (H, W), reach) -> (x, y), the centre of mass around the highest cell."""
    return compare(answer, _mass, {
        (lambda heatmap, reach: _mass(heatmap, reach)[::-1]): "x first: the mean of the columns.",
        (lambda heatmap, reach: _mass(heatmap, reach, power=0)): "Every cell counts as much as it is bright.",
        (lambda heatmap, reach: _mass(heatmap, 99)): "Only cells within `reach` of the highest one count.",
        (lambda heatmap, reach: _mass(heatmap, reach, origin=False)): "Count from the map's first cell.",
    }, cases)  # fmt: skip


def _mass(heatmap, reach, power=1, origin=True):
    peak = np.unravel_index(heatmap.argmax(), heatmap.shape)
    low = np.maximum(np.subtract(peak, reach), 0)
    part = heatmap[low[0] : peak[0] + reach + 1, low[1] : peak[1] + reach + 1] ** power
    rows, columns = np.indices(part.shape) + (low[:, None, None] if origin else 0)
    return np.array([(part * columns).sum(), (part * rows).sum()]) / part.sum()


def _noisy_maps(rng: np.random.Generator) -> dict:
    """Maps (60, 16, 16) of stride 8 with noise, their sigma in cells, and their joints (60, 2), crop px."""
    sigma, joints = float(rng.choice([2.0, 2.25])), torch.from_numpy(rng.uniform(48, 80, (60, 2)))
    clean = encode_heatmaps(to_map(joints, 8)[None], torch.ones(1, 60), (16, 16), sigma)[0]
    noise = torch.from_numpy(rng.normal(0, 0.025, clean.shape)).float()
    return {"maps": clean + noise, "sigma": sigma, "joints": joints}


@exercise(CHAPTER, "research", _noisy_maps)
def stride_eight(answer, maps, sigma, joints) -> Verdict:
    """A function (maps (N, H, W), sigma) -> (N, 2) crop px that reads noisy maps of stride 8."""
    return compare(answer, lambda *_: joints, {
        partial(_read, refine="argmax"): "The highest cell alone: that is off by up to 4 px each way.",
        partial(_read, refine="quarter"): "A quarter of a cell is 2 px here. Ask more cells.",
        partial(_read, refine="parabola"): "The parabola trusts five noisy cells. Ask more of them.",
        partial(_read, refine="parabola", half=0.0): "The halves on the way back to the crop are missing.",
    }, [(maps, sigma)], tolerance=0.02)  # fmt: skip


def _read(maps, sigma, refine, half=0.5):
    return (decode_heatmaps(maps, refine)[0] + half) * 8 - half
