"""The training loop (paper, section 3.4), on one screen, and what it needs around it."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from tqdm import tqdm

from minipose.checkpoints import atomic, load_checkpoint, make_folder, save_checkpoint, save_weights
from minipose.data.sample import PoseDataset
from minipose.errors import InputError
from minipose.evaluation import evaluate
from minipose.inference import choose_device, place, prepare
from minipose.models.network import PoseNetwork
from minipose.pipeline import batches, order

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "rmsprop": lambda parameters, rate: torch.optim.RMSprop(parameters, rate, alpha=0.99),
    "adam": torch.optim.Adam,
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, rate, momentum=0.9),
}
SCHEDULES = ("plateau", "cosine", "constant")


def train(
    network: PoseNetwork,
    dataset: PoseDataset,
    validation: PoseDataset | None = None,
    *,
    epochs: int = 100,
    size: int = 256,
    batch: int = 6,
    learning_rate: float = 2.5e-4,
    optimizer: str = "rmsprop",
    schedule: str = "plateau",
    patience: int = 5,
    augment: str = "code",
    seed: int = 0,
    device: str | torch.device = "auto",
    workers: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train a network and return its history, a row of plain numbers per epoch.

    Parameters
    ----------
    network : trained in place. Only parameters that require a gradient change, and only the stages
        in `network.supervised` carry a loss: a phase of training is one call after setting these.
    validation : measured after each epoch, stage by stage, by its own kind of PCK, without flip.
    learning_rate, optimizer, batch : the paper's RMSprop at 2.5e-4; 6 crops as in the authors' code.
    schedule : "plateau" divides the rate by 5, once, when validation PCK (or else the training loss)
        has not improved for `patience` epochs; "cosine" lets it fall to zero over all epochs.
    augment : a recipe of `augmentation`. seed : of order and draws.
    folder : receives checkpoint.pt and history.csv each epoch, weights.safetensors at the end.
    resume : continue from the checkpoint in `folder`; on a CPU bit for bit as if never stopped. All
        settings must be those of the run to continue, only `epochs` may be more.

    On a GPU the network is compiled where Triton is installed, and computes in bfloat16 where the
    GPU does; everywhere the loss is float32.

    Raises `InputError` where network, data and settings do not fit, and `FloatingPointError`, with the
    samples' ids, when the loss is not a finite number.
    """
    if len(dataset.skeleton) != network.joints:
        skeleton = dataset.skeleton.name
        raise InputError(
            "train", "network.joints", f"{len(dataset.skeleton)}, as in {skeleton}", network.joints
        )
    if len(dataset) == 0:
        raise InputError("train", "dataset", "at least one person", "none")
    device = choose_device(device)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    folder = Path(folder) if folder is not None else None
    network.skeleton, network.size, network.crop_rule = dataset.skeleton, size, dataset.crop_rule
    # The device first: an optimizer keeps its state where the parameters are.
    place(network, device)
    stepper = build_optimizer(network, optimizer, learning_rate)
    rate = Rate(schedule, learning_rate, epochs, patience)
    settings = {
        "people": len(dataset), "size": size, "batch": batch, "learning_rate": learning_rate,
        "optimizer": optimizer, "schedule": schedule, "patience": patience, "augment": augment, "seed": seed,
        "trained tensors": sum(p.requires_grad for p in network.parameters()),
    }  # fmt: skip
    history: list[dict[str, float]] = []
    if resume:
        if folder is None:
            raise ValueError("resume needs the folder of an earlier call")
        state = load_checkpoint(folder / "checkpoint.pt", network, settings)
        stepper.load_state_dict(state["optimizer"])
        history = state["history"]
    if folder is not None:
        make_folder(folder)  # now, and not after the first epoch
    if device.type == "cuda" and find_spec("triton"):
        network.compile()  # in place, so that parameters keep their names

    for epoch in range(len(history), epochs):
        started, total = time.perf_counter(), 0.0
        network.train()
        numbers = order(len(dataset), seed, epoch)
        loader = batches(dataset, numbers, size, batch, augment, seed, epoch, workers)
        steps = math.ceil(len(numbers) / batch)
        bar = tqdm(loader, total=steps, desc=f"epoch {epoch + 1}/{epochs}", disable=not progress, leave=False)
        for step, crops in enumerate(bar):
            crops = crops.to(device)
            for group in stepper.param_groups:
                group["lr"] = rate.at(epoch + step / steps, history)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                stages = network(prepare(crops.images, device))
            loss = network.loss(stages, crops.keypoints, crops.visibility, crops.others)
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            value = loss.item()
            if not math.isfinite(value):
                people = ", ".join(dataset[n].id for n in crops.numbers)
                raise FloatingPointError(f"the loss is {value} in epoch {epoch + 1}, samples {people}")
            total += value * len(crops.numbers)
            bar.set_postfix(loss=f"{total / ((step + 1) * batch):.5f}", refresh=False)

        row = {
            "epoch": epoch + 1,
            "learning_rate": stepper.param_groups[0]["lr"],
            "loss": total / len(numbers),
        }
        row |= accuracies(network, validation, size, batch, device, workers)
        row["seconds"] = time.perf_counter() - started
        history.append(row)
        if progress:
            tqdm.write(describe(row, epochs, validation))
        if folder is not None:
            save_history(history, folder / "history.csv")
            save_checkpoint(
                folder / "checkpoint.pt", network, settings, optimizer=stepper.state_dict(), history=history
            )
    network.eval()
    if folder is not None:
        save_weights(network, folder / "weights.safetensors")
    return history


class Rate:
    """The learning rate at a moment of training, from the epochs that lie behind it.

    It keeps no state: what is not in `history` cannot get lost when training is interrupted.
    """

    def __init__(self, schedule: str, start: float, epochs: int, patience: int):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, found {schedule!r}")
        self.schedule, self.start, self.epochs, self.patience = schedule, start, epochs, patience

    def at(self, epoch: float, history: list[dict[str, float]]) -> float:
        """Rate at `epoch`, counted from 0, fractions being parts of an epoch."""
        if self.schedule == "cosine":
            return self.start * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
        if self.schedule == "plateau" and self._has_plateaued(history):
            return self.start / 5
        return self.start

    def _has_plateaued(self, history) -> bool:
        best, since = -math.inf, 0
        for row in history:
            value = row.get("pck", -row["loss"])
            best, since = (value, 0) if value > best else (best, since + 1)
            if since >= self.patience:
                return True  # dropped once, and for good
        return False


def build_optimizer(network: PoseNetwork, name: str, learning_rate: float) -> torch.optim.Optimizer:
    """An optimizer by name, for the parameters that require a gradient."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, found {name!r}")
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("no parameter requires a gradient: there is nothing to train")
    return OPTIMIZERS[name](parameters, learning_rate)


def accuracies(network, validation, size, batch, device, workers) -> dict[str, float]:
    """PCK by stage on the validation set: "pck_stage_1", ..., and "pck", the last one.

    Each is the unweighted mean over the joints that the data set scores.
    """
    if validation is None:
        return {}
    found = evaluate(
        network, validation, size, flip=False, batch=max(batch, 16), device=device, workers=workers
    )
    scored = list(validation.skeleton.scored)
    means = [
        found.pck(validation.normalizer, validation.threshold, stage).of(scored).mean
        for stage in range(len(found.stages))
    ]
    return {f"pck_stage_{k + 1}": mean for k, mean in enumerate(means)} | {"pck": means[-1]}


def describe(row: dict[str, float], epochs: int, validation: PoseDataset | None) -> str:
    """An epoch's row as a line for whoever watches."""
    stages = " ".join(f"{value:.3f}" for name, value in row.items() if name.startswith("pck_stage"))
    if validation is not None:
        stages = f"  {metric_name(validation)} by stage, mean over joints: {stages}"
    return f"epoch {row['epoch']:>3}/{epochs}  loss {row['loss']:.5f}{stages}  {row['seconds']:.0f} s"


def metric_name(dataset: PoseDataset) -> str:
    """The data set's usual measure: PCKh@0.5 where heads normalise, else PCK."""
    return f"{'PCKh' if dataset.normalizer == 'head' else 'PCK'}@{dataset.threshold}"


def save_history(history: list[dict[str, float]], path: str | Path) -> None:
    """Write the history as CSV, a line an epoch."""
    with atomic(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, history[0].keys())
        writer.writeheader()
        writer.writerows(history)


def read_history(path: str | Path) -> list[dict[str, float]]:
    """Read what `save_history` wrote."""
    try:
        with Path(path).open(newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise InputError(path, "history", "a history.csv written by training", "no such file") from None
    except (TypeError, ValueError) as error:
        raise InputError(path, "history", "numbers in every column", str(error)) from error
