"""Checks of chapter 4, "The residual module": what counts as correct."""

from __future__ import annotations

from math import isqrt

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from minipose.models.residual import Residual
from minipose_book.checks.core import Verdict, compare, exercise


def _thin_module(rng: np.random.Generator) -> dict:
    """How many features enter, how many leave, and how many are in the middle."""
    b = int(rng.choice([8, 16]))
    return {"a": int(rng.choice([5, 7, 10])), "b": b, "m": b // 4}


@exercise("residual", "warm-up", _thin_module)
def bottleneck_by_hand(answer, a, b, m) -> Verdict:
    """Parameters of a module from a to b features with m in its middle."""
    norms, skip = 2 * (a + m + m), a * b + b
    total = norms + (a * m + m) + (9 * m * m + m) + (m * b + b) + skip
    return compare(answer, total, {
        total - skip: "Do the widths agree, so that nothing stands on the skip?",
        total - 2 * (m + b): "Every convolution has a bias, one for each feature that leaves it.",
        total - norms: "A normalisation has parameters too: a scale and a shift for each feature.",
        total - 2 * a + 2 * b: "A normalisation stands before its convolution: how many features enter?",
    })  # fmt: skip


def _three_weights(rng: np.random.Generator) -> dict:
    """x > 0, and w such that what leaves the second module is negative."""
    w = [float(rng.choice(each)) for each in ((0.5, 1, 3), (-2.5, -3.5, -5), (2, 3, 5))]
    return {"x": float(rng.choice([1, 2, 4])), "w": w}


@exercise("residual", "warm-up", _three_weights)
def gradient_by_hand(answer, x, w) -> Verdict:
    """Slopes of a chain of three scalar modules: as it is, and with a ReLU behind each addition."""
    slope = (1 + w[0]) * (1 + w[1])  # the third module's ReLU is closed
    return compare(answer, (slope, 0), [
        ((slope * (1 + w[2]), 0), "What enters the third module? Is its ReLU open?"),
        ((w[0] * w[1], 0), "Those are the slopes of the modules without their additions."),
        ((0, 0), "A closed ReLU closes one of the two ways through a module. The other one stays open."),
        ((slope, slope), "With a ReLU behind the addition, is there still a way that no ReLU can close?"),
    ])  # fmt: skip


class Suspect:
    """A residual module of 8 features with one fault, called as a function."""

    def __init__(self, fault: str, seed: int):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = Residual(8, 8).eval()
            if fault == "D":
                module.bottleneck[5] = nn.Conv2d(4, 4, 1)
            if fault == "E":
                module.bottleneck[5] = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
        self._fault, self._module = fault, module.train(fault == "C")

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (B, 8, H, W) to the same shape."""
        if self._fault == "F":
            x.relu_()
        y = self._module.bottleneck(x) if self._fault == "A" else self._module(x)
        return y.relu() if self._fault == "B" else y


FAULTS = {
    "A": "Without the addition, into how many directions of the features could it write?",
    "B": "With a ReLU at its end, could its output be negative?",
    "C": "If it normalised by the batch, on what would the output for a sample depend?",
    "D": "With a 1x1 filter in its middle, how far would a change of one cell be felt?",
    "E": "If the map's borders were joined, where would a change at the left border be felt?",
    "F": "If it wrote into its input, would the input be the same afterwards?",
}


def _suspect(rng: np.random.Generator) -> dict:
    return {"layer": Suspect(str(rng.choice(list(FAULTS))), int(rng.integers(1000)))}


@exercise("residual", "practice", _suspect)
def faulty_module(answer, layer) -> Verdict:
    """Which of six faults a module has, found by experiments on it."""
    return compare(answer, layer._fault, {k: hint for k, hint in FAULTS.items() if k != layer._fault})


def _price_calls(rng: np.random.Generator) -> dict:
    """Tuples (features, kernel); normalisations and biases matter in the first and not in the second."""
    differ = np.array([_widest(f, 3) != _widest(f, 3, extras=0) for f in range(300)])
    drawn = [int(rng.choice(np.flatnonzero(which)[20:])) for which in (differ, ~differ)]
    return {"calls": [*((f, 3) for f in drawn), *((int(f), 5) for f in rng.integers(20, 300, 2))]}


def _widest(features: int, kernel: int, ends: int = 2, extras: int = 6) -> int:
    """The largest m with 9 m² + (2 F + 6) m <= k² F²."""
    linear = ends * features + extras
    return (isqrt(linear**2 + 36 * (kernel * features) ** 2) - linear) // 18


@exercise("residual", "practice", _price_calls)
def same_price(answer, calls) -> Verdict:
    """The widest middle of a module that costs no more than a plain layer of its width."""
    return compare(answer, _widest, {
        (lambda f, k: f // 2): "That is the usual middle. How much is then left of the budget?",
        (lambda f, k: _widest(f, k) + 1): "That is one feature too many for the budget.",
        (lambda f, k: _widest(f, k, ends=0)): "Have you counted the two 1x1 convolutions?",
        (lambda f, k: _widest(f, k, extras=0)): "Have you counted biases and normalisations on both sides?",
        (lambda f, k: _widest(f, 3)): "Does the plain layer's kernel make a difference?",
    }, on=calls)  # fmt: skip


def _chain_calls(rng: np.random.Generator) -> dict:
    """Tuples (modules, size added by each, gradient passed by each)."""
    sizes = rng.uniform(0.3, 0.8, (3, 2)).round(2)
    return {"calls": [(int(rng.integers(5, 60)), float(s), float(c)) for s, c in sizes]}


def _grown(n, s, c, first=0, power=2, growing=True):
    """Sizes of the features behind n modules, and of the gradient before them."""
    sizes = (1 + np.arange(n + 1) * s**power) ** (1 / power)
    passed = c / (sizes[first : n + first] if growing else np.ones(n))
    return float(sizes[-1]), float(np.prod((1 + passed**power) ** (1 / power)))


@exercise("residual", "project", _chain_calls)
def chain_in_advance(answer, calls) -> Verdict:
    """Sizes of features and gradient of a chain, worked out from one module."""
    return compare(answer, _grown, {
        (lambda n, s, c: _grown(n, s, c, power=1)): "Of independent things the squares of the sizes add.",
        (lambda n, s, c: _grown(n, s, c, growing=False)): "By what does a later normalisation divide?",
        (lambda n, s, c: _grown(n, s, c, first=1)): "The input of the first module has size 1.",
        (lambda n, s, c: _grown(n, s, c)[::-1]): "Features first, then the gradient.",
    }, on=calls)  # fmt: skip


def _smoothing(rng: np.random.Generator) -> dict:
    """Images (512, 1, 8, 8) of noise, and 3 x the mean over 3 x 3 cells of each."""
    images = torch.from_numpy(rng.standard_normal((512, 1, 8, 8))).float()
    return {"images": images, "targets": 3 * avg_pool2d(images, 3, stride=1, padding=1)}


@exercise("residual", "research", _smoothing)
def long_chains(answer, images, targets) -> Verdict:
    """Losses (2, 2), with addition and without, of a short chain and a long one; 1 has learned nothing."""
    return compare(np.clip(np.round(np.asarray(answer, float)), 0, 1), [[0, 0], [0, 1]], [
        ([[1, 1], [1, 1]], "Nothing has learned. Does the optimizer step, and from fresh gradients?"),
        ([[0, 0], [0, 0]], "All have learned. Is the addition really gone, in every module?"),
        ([[0, 1], [0, 0]], "Are the rows exchanged? With the addition first."),
        ([[0, 0], [1, 0]], "Are the columns exchanged? The short chain first."),
        ([[0, 0], [1, 1]], "The short chain without addition should learn. Give it the steps of the text."),
    ])  # fmt: skip
