"""The training loop (paper, section 3.4), on one screen, and what it needs around it.

The same loop runs in one process and in many (`distributed`), for one micro-batch a step and several.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import torch
from torch import nn
from tqdm import tqdm

from minipose import distributed
from minipose.checkpoints import (
    atomic,
    load_checkpoint,
    load_optimizer,
    make_folder,
    save_checkpoint,
    save_weights,
)
from minipose.data.sample import PoseDataset
from minipose.errors import InputError, InputWarning
from minipose.evaluation import evaluate
from minipose.inference import place, prepare
from minipose.models.network import PoseNetwork
from minipose.optimization import Rate, build_optimizer
from minipose.pipeline import Batch, batches, order

FILES = ("checkpoint.pt", "history.csv", "weights.safetensors")


@distributed.together()
def train(
    network: PoseNetwork,
    dataset: PoseDataset,
    validation: PoseDataset | None = None,
    *,
    epochs: int = 100,
    size: int = 256,
    batch: int = 6,
    accumulate: int = 1,
    learning_rate: float = 2.5e-4,
    optimizer: str = "rmsprop",
    schedule: str = "plateau",
    patience: int = 5,
    augment: str = "code",
    seed: int = 0,
    device: str | torch.device = "auto",
    workers: int = 0,
    resident: bool = False,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    after_step: Callable[[int, float], None] | None = None,
) -> list[dict[str, float]]:
    """Train a network and return its history, a row of plain numbers per epoch.

    Parameters
    ----------
    network : trained in place. Only parameters that require a gradient change, and only the stages
        in `network.supervised` carry a loss: a phase of training is one call after setting these.
    validation : measured after each epoch, stage by stage, by its own kind of PCK, without flip.
    learning_rate, optimizer, batch : the paper's RMSprop at 2.5e-4; 6 crops as in the authors' code.
        `batch` is the crops of one step, over all processes.
    accumulate : micro-batches in which each process takes its part of a step, for want of memory or
        of processes: BatchNorm sees one at a time, and P processes equal one with accumulate=P.
    schedule : "plateau" divides the rate by 5, once, when validation PCK (or else the training loss, also
        where nobody can be measured) has not improved for `patience` epochs; "cosine" lets it fall to zero
        over all epochs; "warmup" is the cosine after a linear rise over the first twentieth, which wide
        networks need; "step" is the student report's, a tenth of the rate (5e-3, then 5e-4, with "adam")
        from two thirds of them on.
    augment : a recipe of `augmentation`. seed : of order and draws; on a CPU the weights repeat with it.
    resident : keep everybody's surroundings on the device and cut crops there (`Resident`), which only
        pays on a GPU: there it takes the loader's place and its `workers`.
    folder : receives checkpoint.pt and history.csv each epoch, weights.safetensors at the end.
        BatchNorm's running statistics in them are the first process's.
    resume : continue from the checkpoint in `folder`; on a CPU bit for bit as if never stopped. All
        settings must be those of the run to continue, only `epochs` may be more.
    after_step : called in every process after each step with its number, counted from 0 over all epochs,
        and its loss. What it raises ends the training; `resume` continues after the last whole epoch.

    On a GPU the network is compiled while it trains, where Triton can, and computes in bfloat16 where the
    GPU does; everywhere the loss is float32.

    Under torchrun all processes call this with the same arguments and train one network; the first
    alone writes, prints and validates. All return the same history and the same network.

    Raises `InputError` where network, data and settings do not fit, `FloatingPointError`, with the
    samples' ids, when the loss or a weight is not a finite number, and `ConnectionError` when another
    process is gone; the last checkpoint stays.
    """
    if len(dataset.skeleton) != network.joints:
        expected = f"{len(dataset.skeleton)}, as in {dataset.skeleton.name}"
        raise InputError("train", "network.joints", expected, network.joints)
    for name, people in (("dataset", dataset), ("validation", validation)):
        if people is not None and len(people) == 0:
            raise InputError("train", name, "at least one person", "none")
    device = distributed.setup(device)
    everybody = distributed.patient()
    main, pieces = distributed.is_main(), distributed.world() * accumulate
    least = {"batch": (batch, 1), "accumulate": (accumulate, 1), "epochs": (epochs, 0), "size": (size, 1)}
    for name, (found, bound) in least.items():
        if found < bound:
            raise ValueError(f"{name} must be at least {bound}, found {found}")
    if size % network.multiple:
        raise InputError("train", "size", f"a multiple of {network.multiple} px for this network", size)
    if batch % pieces:
        raise InputError("train", "batch", f"a multiple of {pieces} (processes x accumulate)", batch)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    folder = Path(folder) if folder is not None else None
    network.skeleton, network.size, network.crop_rule = dataset.skeleton, size, dataset.crop_rule
    # The device first: an optimizer keeps its state where the parameters are.
    place(network, device)
    stepper = build_optimizer(network, optimizer, learning_rate)
    rate = Rate(schedule, learning_rate, epochs, patience)
    settings = {
        "people": len(dataset), "size": size, "batch": batch, "micro-batches": pieces, "augment": augment,
        "learning_rate": learning_rate, "optimizer": optimizer, "schedule": schedule, "patience": patience,
        "seed": seed, "validation people": 0 if validation is None else len(validation),
        "trained tensors": sum(p.requires_grad for p in network.parameters()),
        "supervised": str(network.supervised), "first and last": f"{dataset[0].id}, {dataset[-1].id}",
    }  # fmt: skip
    history: list[dict[str, float]] = []
    if resume:
        if folder is None:
            raise ValueError("resume needs the folder of an earlier call")
        state = load_checkpoint(folder / "checkpoint.pt", network, settings)
        load_optimizer(stepper, state["optimizer"], folder / "checkpoint.pt")
        history = state["history"]
        if len(history) > epochs:
            raise InputError("train", "epochs", f"at least the {len(history)} that are done", epochs)
    elif folder is not None and any((folder / name).exists() for name in FILES):
        another = "a folder without an earlier run, or --resume (resume=True) to continue that one"
        raise InputError(folder, "folder", another)
    if distributed.from_main((settings, len(history)), everybody) != (settings, len(history)):
        raise InputError("train", "settings", "the same people, arguments and checkpoint in every process")
    if folder is not None and main:
        make_folder(folder)  # now, and not after the first epoch
        if history:
            save_history(history, folder / "history.csv")  # a kill may have come between the two files
    if compiles(device):
        network.compile()  # in place, so that parameters keep their names
    distributed.same_everywhere(network)
    stored = None
    if resident:
        from minipose.resident import Resident  # only where asked for: it makes a GPU faster, nothing else

        stored = Resident(dataset, size, device, progress and main)
        distributed.wait(everybody)

    for epoch in range(len(history), epochs):
        started, total = time.perf_counter(), 0.0
        network.train()
        # Anew in each epoch: after its first step it packs gradients in another order, which rounds
        # otherwise, and a job that is resumed would do that in the midst of another's epochs.
        part = distributed.parallel(PartOfLoss(network, device, half))
        numbers = order(len(dataset), seed, epoch)
        mine = distributed.share(numbers, batch, distributed.rank(), distributed.world())
        if stored is not None:
            loader = stored.batches(mine, batch // pieces, augment, seed, epoch)
        else:
            loader = batches(dataset, mine, size, batch // pieces, augment, seed, epoch, workers)
        steps, what = math.ceil(len(numbers) / batch), f"epoch {epoch + 1}/{epochs}"
        bar = tqdm(range(steps), desc=what, disable=not (progress and main), leave=False)
        for step in bar:
            samples = numbers[step * batch : (step + 1) * batch]  # of all processes
            for group in stepper.param_groups:
                group["lr"] = rate.at(epoch + step / steps, history)
            stepper.zero_grad()
            value = torch.zeros((), device=device)
            for micro in range(1, accumulate + 1):
                crops = next(loader, None)  # none where a last step is too small for every part
                with distributed.averaging(part, now=micro == accumulate):
                    loss = part(crops, len(samples))
                    # Gradients are averaged over processes, and the step's is the sum of the parts'.
                    (loss * distributed.world()).backward()
                value += loss.detach()
            stepper.step()
            mean = distributed.total(value)
            if not math.isfinite(mean):
                _stop(f"the loss is {mean}", epoch, dataset, samples)
            total += mean * len(samples)
            if after_step is not None:
                after_step(epoch * steps + step, mean)
            bar.set_postfix(loss=f"{total / ((step + 1) * batch):.5f}", refresh=False)

        row = {
            "epoch": epoch + 1,
            "learning_rate": stepper.param_groups[0]["lr"],
            "loss": total / len(numbers),
        }
        if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
            _stop("the last step left a weight that is no number", epoch, dataset, samples)
        if main:
            row |= accuracies(network, validation, size, batch, device, workers)
            if validation is not None and not history and math.isnan(row["pck"]):
                warn_unmeasured(validation, schedule)
        row["seconds"] = time.perf_counter() - started
        # Accuracies decide the learning rate, so that all must have them.
        history.append(row := distributed.from_main(row, everybody))
        if main and progress:
            tqdm.write(describe(row, epochs, validation))
        if main and folder is not None:
            save_checkpoint(
                folder / "checkpoint.pt", network, settings, optimizer=stepper.state_dict(), history=history
            )
            save_history(history, folder / "history.csv")
    network.eval()
    network._compiled_call_impl = None  # PyTorch has no public way back; export and one photo do without
    if main and folder is not None:
        save_weights(network, folder / "weights.safetensors")
    distributed.same_everywhere(network)  # after the files, which the others may now read
    distributed.dissolve(everybody)
    return history


def compiles(device: torch.device) -> bool:
    """Whether PyTorch's compiler works here: Triton, a GPU that it knows (Volta or newer), a C compiler."""
    if device.type != "cuda" or not find_spec("triton"):
        return False
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return torch.cuda.get_device_capability(device) >= (7, 0) and compiler is not None


def _stop(what: str, epoch: int, dataset: PoseDataset, samples: list[int]) -> NoReturn:
    people = ", ".join(dataset[n].id for n in samples)
    raise FloatingPointError(f"{what} in epoch {epoch + 1}, samples {people}")


class PartOfLoss(nn.Module):
    """A micro-batch's part of the loss of a step, which is the mean over all samples of the step.

    One module from crops to loss, and not the network alone, because DistributedDataParallel waits in
    every process for a gradient of every trainable parameter, whatever there is to learn from.
    """

    def __init__(self, network: PoseNetwork, device: torch.device, half: bool):
        super().__init__()
        self.network, self.device, self.in_half = network, device, half
        # A phase that ends at an earlier stage has no gradient for those behind it.
        self.leaves_out = len(network.strides) - 1 not in network.supervised

    def forward(self, crops: Batch | None, samples: int) -> torch.Tensor:
        if crops is None:
            return self._zero()  # without a look at BatchNorm's statistics
        crops = crops.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_half):
            stages = self.network(prepare(crops.images, self.device))
        loss = self.network.loss(stages, crops.keypoints, crops.visibility, crops.others)
        part = loss * (len(crops.numbers) / samples)
        return part + self._zero() if self.leaves_out else part

    def _zero(self) -> torch.Tensor:
        """0, in which every trainable parameter takes part."""
        return torch.stack([0 * p.sum() for p in self.network.parameters() if p.requires_grad]).sum()


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


def warn_unmeasured(validation: PoseDataset, schedule: str) -> None:
    """Say once that the validation PCK is no number, and what takes its place."""
    ruler = validation.rulers.get(validation.normalizer, "")
    text = f"nobody in the validation set has a labelled {validation.normalizer} ({ruler}), so its PCK is NaN"
    follows = "; the plateau schedule follows the training loss instead" if schedule == "plateau" else ""
    warnings.warn(InputWarning(text + follows), stacklevel=4)  # whoever called train


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
            lines = file.readlines()
        if not "".join(lines).endswith("\n"):
            raise ValueError("a file that ends within a line")
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    except FileNotFoundError:
        raise InputError(path, "history", "a history.csv written by training", "no such file") from None
    except (TypeError, ValueError, csv.Error) as error:
        raise InputError(path, "history", "numbers in every column", str(error)) from error
