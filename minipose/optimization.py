"""Optimizers by name, and the learning rate at every moment of training (paper, section 3.4)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from minipose.models.network import PoseNetwork

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "rmsprop": lambda parameters, lr: torch.optim.RMSprop(parameters, lr, alpha=0.99),
    "adam": torch.optim.Adam,
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
}
SCHEDULES = ("plateau", "cosine", "warmup", "constant", "step")
# "warmup" rises over this share of all epochs; "step" falls to a tenth after that one.
WARMUP, STEP = 0.05, 2 / 3


class LRSchedule:
    """The learning rate at any moment of training, computed from the epochs that are done.

    Unlike torch's schedulers it has no state: nothing but `history` needs saving for an exact resume.
    """

    def __init__(self, schedule: str, start: float, epochs: int, patience: int):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, found {schedule!r}")
        self.schedule, self.start, self.epochs, self.patience = schedule, start, epochs, patience

    def at(self, epoch: float, history: list[dict[str, float]]) -> float:
        """Learning rate at `epoch`, counted from 0; 2.5 is the middle of the third."""
        if self.schedule == "cosine":
            return self.start * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
        if self.schedule == "warmup":
            done = epoch / self.epochs
            falling = 0.5 * (1 + math.cos(math.pi * max(0.0, done - WARMUP) / (1 - WARMUP)))
            return self.start * min(falling, done / WARMUP)
        if self.schedule == "step" and epoch >= STEP * self.epochs:
            return self.start / 10
        if self.schedule == "plateau" and self._has_plateaued(history):
            return self.start / 5
        return self.start

    def _has_plateaued(self, history) -> bool:
        # Where nobody can be measured, half-body photos without a torso say, the PCK is NaN: no plateau.
        measured = all(math.isfinite(row.get("pck", math.nan)) for row in history)
        best, since = -math.inf, 0
        for row in history:
            value = row["pck"] if measured else -row["loss"]
            best, since = (value, 0) if value > best else (best, since + 1)
            if since >= self.patience:
                return True  # the rate drops once and stays low
        return False


def build_optimizer(network: PoseNetwork, name: str, learning_rate: float) -> torch.optim.Optimizer:
    """An optimizer by name, for the parameters that require a gradient."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, found {name!r}")
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("no parameter requires a gradient: there is nothing to train")
    return OPTIMIZERS[name](parameters, learning_rate)
