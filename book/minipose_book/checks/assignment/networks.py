"""Parts 4 and 5: an hourglass, and two of them, trained."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, mse_loss

from minipose.metrics import pck
from minipose.models.residual import Residual
from minipose.skeletons import MPII
from minipose_book.checks.assignment.items import ENOUGH, STRIDE, graded, puppets
from minipose_book.checks.core import Verdict, compare

PEOPLE = 100  # fresh puppets that a trained network is measured on

# Part 4


class _Bump(nn.Module):
    """In the place of a residual: neither linear nor monotone, and it knows at how many cells it is used."""

    def __init__(self, features: int):
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _bump(x)


def _bump(x):
    return torch.cos(2 * x) + x.shape[-1] / 50


def _as_it_is(x):
    return x


def _hourglass(depth, x, pool=max_pool2d, across=_bump, after=_bump, mode="nearest"):
    low = _bump(pool(x, 2))
    inner = _hourglass(depth - 1, low, pool, across, after, mode) if depth > 1 else _bump(low)
    return across(x) + interpolate(after(inner), scale_factor=2, mode=mode)


def _pictures(rng: np.random.Generator) -> dict:
    first, second = (torch.tensor(rng.normal(size=(2, 3, side, side))).float() for side in (4, 16))
    return {"on": [(1, first), (3, second)]}


def _with_bumps(made):
    return lambda depth, x: made(depth, x.shape[1], _Bump)(x)


@graded(4, 7, "MyHourglass", _pictures, _with_bumps)
def recursion(answer, on) -> Verdict:
    """The output, with a known function in the place of every residual."""
    return compare(answer, _hourglass, {
        partial(_hourglass, across=torch.zeros_like): "The way across is missing: what stays at full size.",
        partial(_hourglass, across=_as_it_is): "The way across has a residual too.",
        partial(_hourglass, after=_as_it_is): "A residual is missing between recursion and upsampling.",
        partial(_hourglass, mode="bilinear"): "The upsampling repeats values (nearest); yours interpolates.",
        partial(_hourglass, pool=avg_pool2d): "The pooling takes the largest value, not the mean.",
    }, on)  # fmt: skip


def _residual(features: int) -> Residual:
    return Residual(features, features)


def _count(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def _sizes(rng: np.random.Generator) -> dict:
    return {"on": [(int(rng.integers(2, 4)), int(rng.choice([8, 12, 20]))), (4, 16)]}


def _parameters(depth, features, square=13 / 4, each=6, rows=3, last=1):
    """(3 depth + 1) residuals; one has F²/2 + 9F²/4 + F²/2 weights, 2F biases, and 4F in its norms."""
    return (rows * depth + last) * (square * features**2 + each * features)


@graded(4, 3, "MyHourglass", _sizes, through=lambda made: lambda depth, f: _count(made(depth, f, _residual)))
def own_modules(answer, on) -> Verdict:
    """How many parameters PyTorch sees."""
    return compare(answer, _parameters, {
        lambda depth, features: 0: "PyTorch sees no parameter: make the modules in __init__, as attributes.",
        partial(_parameters, rows=0): "One residual serves in every place; each place has its own.",
        partial(_parameters, rows=4): "A residual too many at every level.",
    }, on)  # fmt: skip


@graded(4, 5, "parameters", _sizes)
def parameter_formula(answer, on) -> Verdict:
    """The same number, from a formula."""
    return compare(answer, _parameters, {
        partial(_parameters, each=4): "Every convolution has a bias.",
        partial(_parameters, each=2): "A batch normalisation has two parameters for each of its channels.",
        partial(_parameters, square=11, each=9): "The two inner convolutions are half as wide.",
        partial(_parameters, last=0): "The lowest resolution has a residual too.",
        lambda depth, features: _parameters(features, depth): "Depth and width have changed places.",
    }, on)  # fmt: skip


# Part 5


def _stages(rng: np.random.Generator) -> dict:
    stages, target = rng.normal(size=(3, 2, 4, 5, 6)), rng.uniform(size=(2, 4, 5, 6))
    return {"on": [(torch.tensor(stages).float(), torch.tensor(target).float())]}


def _loss(stages, target):
    return sum(mse_loss(stage, target) for stage in stages)


@graded(5, 4, "stages_loss", _stages, through=lambda loss: lambda stages, target: loss(list(stages), target))
def loss_of_stages(answer, on) -> Verdict:
    """The mean-squared error of every stage, summed over stages."""
    return compare(answer, _loss, {
        lambda stages, target: _loss(stages[-1:], target): "Only the last stage counts in yours.",
        lambda stages, target: _loss(stages, target) / len(stages): "Stages are summed; yours is their mean.",
        lambda stages, target: (stages - target).square().sum(): "A stage counts by its mean, not its sum.",
    }, on)  # fmt: skip


def _wiring(made):
    """What `TwoStacks` is like: shapes of its stages, and whether the first heatmaps lead to the second."""

    def look(side):
        first, second = made()(torch.linspace(0, 1, 2 * 3 * side * side).reshape(2, 3, side, side))
        [reached] = torch.autograd.grad(second.square().sum(), first, allow_unused=True)
        fed = reached is not None and bool(reached.abs().sum() > 0)
        return [*first.shape, *second.shape, int(fed)]

    return look


def _shapes(side, stride=STRIDE, fed=1):
    return [2, len(MPII), side // stride, side // stride] * 2 + [fed]


@graded(5, 4, "TwoStacks", lambda rng: {"on": [(int(rng.choice([64, 96, 128])),)]}, through=_wiring)
def feeds_back(answer, on) -> Verdict:
    """The second hourglass sees what the first has predicted."""
    return compare(answer, _shapes, {
        partial(_shapes, fed=0): "The first stage's heatmaps do not lead to the second's.",
        partial(_shapes, stride=2): "The heatmaps are twice too large: the stem halves the picture twice.",
    }, on)  # fmt: skip


def _fresh(rng: np.random.Generator) -> dict:
    # The handout's own puppets have small seeds.
    images, points, heads = puppets(PEOPLE, int(rng.integers(10_000, 2**31)))
    return {"images": images, "points": points, "heads": heads}


def _predicted(answer, images) -> torch.Tensor | Verdict:
    """The points (N, J, 2) that `predict` finds, or what is wrong with them."""
    try:
        found = torch.as_tensor(answer(images)).detach().cpu()
    except Exception as error:
        return Verdict(False, f"For {len(images)} pictures predict raises {type(error).__name__}: {error}")
    wanted = (len(images), len(MPII), 2)
    if found.shape != wanted:
        return Verdict(False, f"predict gives the shape {tuple(found.shape)}; asked is {wanted}.")
    return found


@graded(5, 2, "predict", _fresh)
def evaluation_mode(answer, images, points, heads) -> Verdict:
    """A picture's prediction does not depend on the others in its batch."""
    alone, among = _predicted(answer, images[:1]), _predicted(answer, images[:8])
    if isinstance(alone, Verdict):
        return alone
    if isinstance(among, Verdict):
        return among
    if torch.allclose(alone, among[:1], atol=1e-3):
        return Verdict(True, "Right.")
    return Verdict(False, "Not yet. A picture is answered differently in company: call eval() first.")


def pckh_of(found, points, heads) -> float:
    """PCKh@0.5 of predictions (N, 16, 2), all in crop px: the mean over the joints that MPII scores."""
    return pck(found, points, heads, 0.5).of(list(MPII.scored)).mean


def _higher(answer, images, points, heads, rung: float, named: str) -> Verdict:
    """Whether the predictions for fresh puppets score more than `rung`."""
    found = _predicted(answer, images)
    if isinstance(found, Verdict):
        return found
    score = pckh_of(found, points, heads)
    says = f"PCKh@0.5 of {len(images)} fresh puppets is {score:.3f}; {named} has {rung:.3f}."
    return Verdict(score > rung, f"{'Right' if score > rung else 'Not yet'}. {says}")


@graded(5, 2, "predict", _fresh)
def beats_zeros(answer, images, points, heads) -> Verdict:
    """Better than a network that answers all-zero maps."""
    zeros = torch.zeros_like(points)  # their first cell
    return _higher(answer, images, points, heads, pckh_of(zeros, points, heads), "an all-zero map")


@graded(5, 3, "predict", _fresh)
def beats_one_pose(answer, images, points, heads) -> Verdict:
    """Better than one pose for everybody: the mean of the very labels that it is measured on."""
    mean = points.nanmean(dim=0).expand_as(points)
    return _higher(answer, images, points, heads, pckh_of(mean, points, heads), "one mean pose")


@graded(5, 5, "predict", _fresh)
def finds_joints(answer, images, points, heads) -> Verdict:
    """Good enough for all points."""
    return _higher(answer, images, points, heads, ENOUGH, "what is asked for")
