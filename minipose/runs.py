"""A training run's folder, from which it can be resumed: settings, checkpoint and history."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch

from minipose.io.checkpoints import (
    atomic,
    load_checkpoint,
    load_optimizer,
    make_folder,
    save_checkpoint,
    save_weights,
)
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork

History = list[dict[str, float]]


class RunFolder:
    """The files of one training: checkpoint.pt and history.csv each epoch, weights.safetensors at the end.

    Parameters
    ----------
    path : the folder; None keeps nothing. settings : what must not change when the run is resumed.
    writes : False in processes that leave the writing to another one.
    """

    FILES = ("checkpoint.pt", "history.csv", "weights.safetensors")

    def __init__(self, path: str | Path | None, settings: dict[str, Any], writes: bool = True):
        self.path = None if path is None else Path(path)
        self.settings, self.writes = settings, writes

    def load(
        self, network: PoseNetwork, optimizer: torch.optim.Optimizer, epochs: int, resume: bool
    ) -> History:
        """History of the epochs that are done, and their state loaded into network and optimizer.

        A new run returns an empty list. Raises `InputError` where the folder holds another run, or the
        checkpoint does not fit.
        """
        if resume:
            if self.path is None:
                raise ValueError("resume needs the folder of an earlier call")
            state = load_checkpoint(self.path / "checkpoint.pt", network, self.settings)
            load_optimizer(optimizer, state["optimizer"], self.path / "checkpoint.pt")
            history = state["history"]
            if len(history) > epochs:
                raise InputError("train", "epochs", f"at least the {len(history)} that are done", epochs)
            return history
        if self.path is not None and any((self.path / name).exists() for name in self.FILES):
            expected = "a folder without an earlier run, or --resume (resume=True) to continue that one"
            raise InputError(self.path, "folder", expected)
        return []

    def create(self, history: History) -> None:
        """Make the folder now, so that a bad path fails before the first epoch."""
        if self.path is None or not self.writes:
            return
        make_folder(self.path)
        if history:  # a kill may have come between checkpoint and history
            save_history(history, self.path / "history.csv")

    def save(self, network: PoseNetwork, optimizer: torch.optim.Optimizer, history: History) -> None:
        """Write checkpoint and history after an epoch."""
        if self.path is None or not self.writes:
            return
        state = {"optimizer": optimizer.state_dict(), "history": history}
        save_checkpoint(self.path / "checkpoint.pt", network, self.settings, **state)
        save_history(history, self.path / "history.csv")

    def finish(self, network: PoseNetwork) -> None:
        """Write the trained network."""
        if self.path is not None and self.writes:
            save_weights(network, self.path / "weights.safetensors")


def save_history(history: History, path: str | Path) -> None:
    """Write the history as CSV, a line an epoch."""
    with atomic(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, history[0].keys())
        writer.writeheader()
        writer.writerows(history)


def read_history(path: str | Path) -> History:
    """The rows of a history.csv that training wrote, a dictionary of numbers each.

    Raises `InputError` where there is no such file or it is not a whole one.
    """
    try:
        with Path(path).open(newline="") as file:
            lines = file.readlines()
        if not "".join(lines).endswith("\n"):
            raise ValueError("a file that ends within a line")
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    except FileNotFoundError:
        raise InputError(path, "history", "a history.csv written by training", "no such file") from None
    except (TypeError, ValueError, csv.Error) as error:
        raise InputError(path, "history", "numbers in every column", str(error)) from error
