"""Checks of chapter 7, "Training on a GPU, and without one": baselines, rates, steps and what goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from minipose.optimization import WARMUP
from minipose_book.checks.core import Verdict, compare, exercise


def _early_loss(rng: np.random.Generator) -> dict:
    """A run's loss after two epochs; its stages, cells a side, sigma in cells, joints, and labels."""
    given = {
        "stages": int(rng.choice([2, 4, 8])), "cells": 64, "sigma": float(rng.choice([1.25, 1.5, 1.75])),
        "joints": 16, "labelled": int(rng.integers(12, 15)),
    }  # fmt: skip
    return {"loss": round(rng.uniform(0.7, 1.6) * _black(**given), 5)} | given


def _black(stages: float, cells: float, sigma: float, joints: float, labelled: float) -> float:
    return stages * labelled / joints * math.pi * sigma**2 / cells**2


@exercise("training", "warm-up", _early_loss)
def black_screen(answer, loss, **run) -> Verdict:
    """A loss in units of what a network costs that paints nothing."""
    right = loss / _black(**run)
    return compare(answer, right, {
        right * run["stages"]: "A loss sums over the stages, and a black screen pays at every one of them.",
        right * run["labelled"] / run["joints"]: "What does a black screen pay for a joint without a label?",
        right * run["sigma"]: "A Gaussian is wide in two directions.",
        right / 2: "The loss sums the *squared* Gaussian, which is narrower than the Gaussian itself.",
        loss / right: "That is the baseline. How many times its size is the loss?",
    }, tolerance=2e-3)  # fmt: skip


def _two_steps(rng: np.random.Generator) -> dict:
    """A run with schedule "warmup" over 20 epochs, and two of its steps, counted from 0."""
    batch_size = int(rng.choice([8, 12, 16]))
    steps = [int(rng.integers(2, 5)), 6 + 38 * int(rng.integers(1, 3))]
    people = 5 * batch_size + int(rng.integers(1, batch_size))
    return {"people": people, "batch_size": batch_size, "processes": 2, "epochs": 20, "steps": steps}


def _rates(moments, falls: Callable[[float], float] = lambda x: (1 + math.cos(math.pi * x)) / 2) -> list:
    """Shares of the starting rate under "warmup"; moments as shares of the whole training."""
    return [x / WARMUP if x < WARMUP else falls((x - WARMUP) / (1 - WARMUP)) for x in moments]


@exercise("training", "warm-up", _two_steps)
def rate_of_a_step(answer, people, batch_size, processes, epochs, steps) -> Verdict:
    """The learning rate at two steps, in units of the starting rate."""
    done, whole, of_one = (
        np.array(steps) / (n * epochs)
        for n in (
            math.ceil(people / batch_size),
            people // batch_size,
            math.ceil(people / batch_size / processes),
        )
    )
    return compare(answer, _rates(done), [
        (_rates(whole), "The people who do not fill a step are trained on too: an epoch has one step more."),
        (_rates(of_one), "`batch_size` is the crops of a step over all processes, which share it."),
        (_rates(done + done[0] / steps[0]), "Steps are counted from 0: the first has no training behind it."),
        (_rates(done, lambda x: math.cos(math.pi * x)), "A cosine ends at -1. And a learning rate?"),
        (_rates(done, lambda x: 1 - x), "After the warm-up the rate falls, but not along a straight line."),
        ([0.5 * (1 + math.cos(math.pi * x)) for x in done], "That is the plain cosine, without its warm-up."),
    ])  # fmt: skip


def _gradients(rng: np.random.Generator) -> dict:
    """Gradients of one weight in five steps, and alpha, for two weights."""
    return {"weights": [(rng.normal(0, 10.0 ** -rng.integers(0, 4), 5), a) for a in (0.75, 0.99)]}


def _moves(root: bool = True, start: bool = False, corrected: bool = False, whole: bool = False):
    """RMSprop's moves, or those of somebody who mistook it."""

    def moves(gradients, alpha):
        v, found = (gradients[0] ** 2 if start else 0.0), []
        for n, g in enumerate(gradients, start=1):
            v = alpha * v + (1.0 if whole else 1 - alpha) * g**2
            size = v / (1 - alpha**n) if corrected else v
            found.append(g / (size**0.5 if root else size))
        return found

    return moves


@exercise("training", "practice", _gradients)
def moves_of_rmsprop(answer, weights) -> Verdict:
    """How far each step moves a weight, in learning rates."""
    return compare(answer, _moves(), {
        _moves(root=False): "The gradient is divided by the root of v, or its size would still matter.",
        _moves(start=True): "v begins at zero, which is why the first step is a large one.",
        _moves(corrected=True): "That is Adam's v, which is corrected for its beginning. RMSprop's is not.",
        _moves(whole=True): "The new square comes in with a weight of its own, and that is not 1.",
    }, on=weights)  # fmt: skip


@exercise("training", "practice", lambda rng: {"move": float(rng.choice([2.5e-4, 6e-4, 1e-3, 2.5e-3]))})
def frozen_weights(answer, move) -> Verdict:
    """The smallest power of two to which adding `move` changes nothing in bfloat16."""
    exponent = math.ceil(math.log2(move) + 8)  # its numbers lie 2^(e - 7) apart above 2^e
    return compare(answer, 2.0**exponent, {
        2.0 ** (exponent - 1): "A sum is rounded to the nearest number: more than half a gap is a whole one.",
        2.0 ** (exponent + 1): "Count bfloat16's bits again: a sign, eight for the exponent, and the rest.",
        2.0 ** (exponent + 3): "That is float16, which has ten bits behind the point. bfloat16 has fewer.",
        2.0 ** (exponent + 16): "That is float32.",
        exponent: "That is the exponent; the weight is two to the power of it.",
    }, tolerance=1e-6)  # fmt: skip


@dataclass(repr=False)
class Task:
    """A training so small that a loop can be judged by its results.

    network : 3 numbers -> 1, with batch normalisation. batches : pairs of inputs (n, 3) and targets (n, 1),
    the last one smaller. unseen : such a pair that nobody trains on. rate : of plain gradient descent.
    """

    network: nn.Module
    batches: list[tuple[torch.Tensor, torch.Tensor]]
    unseen: tuple[torch.Tensor, torch.Tensor]
    rate: float

    def __repr__(self) -> str:
        return f"a task in steps of {', '.join(str(len(inputs)) for inputs, _ in self.batches)}"


def _task(rng: np.random.Generator) -> dict:
    """A `Task`, from scratch whenever it is asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)).double()
        pairs = [(torch.randn(n, 3).double(), torch.randn(n, 1).double()) for n in (6, 6, 2, 5)]
    return {"task": Task(network, pairs[:3], pairs[3], 0.1)}


def _loop(clears: bool = True, weighs: bool = True, settles: bool = True) -> Callable[[Task], tuple]:
    """One epoch as it should be, or with bugs left in it."""

    def one_epoch(task: Task) -> tuple[float, float]:
        network, total, people = task.network.train(), 0.0, 0
        optimizer = torch.optim.SGD(network.parameters(), task.rate)
        for inputs, targets in task.batches:
            loss = (network(inputs) - targets).square().mean()
            if clears:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            weight = len(inputs) if weighs else 1
            total, people = total + weight * loss.item(), people + weight
        network.train(not settles)
        with torch.no_grad():
            unseen = (network(task.unseen[0]) - task.unseen[1]).square().mean()
        return total / people, unseen.item()

    return one_epoch


@exercise("training", "project", _task)
def mend_the_loop(answer, task) -> Verdict:
    """An epoch without the three bugs that were planted in it."""
    return compare(answer, _loop(), {
        _loop(False, False, False): "It does what it did before: all three bugs are still there.",
        _loop(clears=False): "One is left. From its second step on the network goes where nobody sent it.",
        _loop(weighs=False): "One is left. Two people of the last step count as much as six of another.",
        _loop(settles=False): "One is left. What it finds for one unseen person depends on the others.",
    }, on=[(task,)], tolerance=1e-6)  # fmt: skip


def _search(rng: np.random.Generator) -> dict:
    """Accuracies of 4 learning rates (rows) and 3 seeds, on watched and on unseen people."""
    while True:
        skill = rng.uniform(0.5, 0.6, (4, 1))
        watched, unseen = (np.round(skill + rng.normal(0, 0.03, (4, 3)), 3) for _ in range(2))
        best = {int(each.mean(axis=1).argmax()) for each in (watched, unseen)} | {int(watched.argmax()) // 3}
        apart = np.abs(watched.mean(axis=1) - unseen.max(axis=1)).min() > 1e-3
        if len(best) == 3 and apart:  # every wrong way leads to another answer
            return {"watched": watched, "unseen": unseen}


def _take(by: Callable, of: Callable) -> Callable:
    """A rule: by what the rate is chosen, and what of this rate is reported."""
    return lambda watched, unseen: (rate := int(by(watched, unseen)), float(of(watched, unseen, rate)))


def _watched_mean(watched: np.ndarray, unseen: np.ndarray) -> int:
    return int(watched.mean(axis=1).argmax())


@exercise("training", "research", _search)
def best_of_several(answer, watched, unseen) -> Verdict:
    """Which learning rate to take, and which accuracy to report."""
    return compare(answer, _take(_watched_mean, lambda w, u, r: u[r].mean()), {
        _take(_watched_mean, lambda w, u, r: w[r].mean()): "It was chosen for being the largest of four.",
        _take(_watched_mean, lambda w, u, r: u[r].max()): "Whoever repeats it gets another seed.",
        _take(lambda w, u: u.mean(axis=1).argmax(), lambda w, u, r: u[r].mean()):
            "Once the unseen people have chosen, they are unseen no more.",
        _take(lambda w, u: w.argmax() // 3, lambda w, u, r: u[r].mean()):
            "A single run has chosen. A rate is worth more than its luckiest seed, or less.",
    }, on=[(watched, unseen)])  # fmt: skip
