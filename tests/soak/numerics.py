"""16 bits against 32, and what the same seed gives: trainings compared loss by loss and bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

import torch

import minipose
from minipose import training
from minipose.data import InMemory, Puppets
from soak.figures import Figure

BATCH = 8
Weights = dict[str, torch.Tensor]


def trained(
    people: int, half: bool = False, off: float = 0.0, **settings
) -> tuple[list[float], list[float], Weights]:
    """One epoch: each step's loss, the same step's in bfloat16 at the same weights, the weights at the end.

    On a CPU training computes in float32; with `half` it learns from the loss in bfloat16. The first
    weights are off by a random share of the size `off`.
    """
    losses: list[float] = []
    halves: list[float] = []

    class InBoth(training.TrainingLoss):
        def forward(self, batch, step_samples):
            self.bf16 = True
            with torch.set_grad_enabled(half):
                in_half = super().forward(batch, step_samples)
            halves.append(in_half.item())
            self.bf16 = False
            return in_half if half else super().forward(batch, step_samples)

    torch.manual_seed(0)
    network = minipose.StackedHourglass(joints=16, stacks=2, features=32, depth=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1 + off * torch.randn_like(parameter))
    whole, training.TrainingLoss = training.TrainingLoss, InBoth  # type: ignore[misc]
    try:
        minipose.train(
            network, InMemory(Puppets(people, seed=3, size=64)), epochs=1, size=64, batch_size=BATCH, seed=1,
            device="cpu", progress=False, after_step=lambda _, loss: losses.append(loss), **settings,
        )  # fmt: skip
    finally:
        training.TrainingLoss = whole  # type: ignore[misc]
    return losses, halves, network.state_dict()


def same(a: Weights, b: Weights) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def at_the_same_weights(people: int) -> list[float]:
    """How far a step's loss in bfloat16 is from float32's, as a share of it, step by step of an epoch."""
    losses, halves, _ = trained(people)
    return [abs(b - a) / a for a, b in zip(losses, halves, strict=True)]


def learning(people: int) -> tuple[float, float]:
    """How far the mean loss of an epoch is from float32's, as a share of it, where bfloat16 learns.

    And where float32 learns from first weights that are off by a millionth. Training makes any rounding
    grow, from step to step, so that this is what equal runs of other rounding are apart.
    """
    mean = fmean(trained(people)[0])
    others = trained(people, half=True)[0], trained(people, off=1e-6)[0]
    half, rounded = (abs(fmean(losses) - mean) / mean for losses in others)
    return half, rounded


def figures(people: int = 800) -> Iterator[Figure]:
    steps = people // BATCH
    shares = at_the_same_weights(people)
    found = f"a step's losses at most {max(shares):.2%} apart, {fmean(shares):.2%} in the mean"
    what = f"bf16 and fp32 at the same weights, {steps} steps of RMSprop"
    yield Figure(what, found, "each within 2 %", max(shares) <= 0.02)
    half, rounded = learning(people)
    what = f"bf16 and fp32 learning on their own, {steps} steps of RMSprop"
    found = f"mean losses {half:.1%} apart; fp32 with first weights off by a millionth: {rounded:.1%}"
    yield Figure(what, found, "within 2 %, or what fp32 is from itself", half <= max(0.02, rounded))
    weights = trained(80)[2]
    again = {
        "again": same(trained(80)[2], weights),
        "with a process that loads": same(trained(80, workers=1)[2], weights),
    }
    found = ", ".join(f"{name}: {'equal' if equal else 'NOT equal'}" for name, equal in again.items())
    yield Figure("same seed on a CPU, 10 steps", found, "bit for bit", all(again.values()))
