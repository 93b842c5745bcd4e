"""The training loop (paper, section 3.4): `train_one_epoch`, and `train` around it.

The loop is the same on one device and on many: `scaling.distributed` wraps the model that it is given,
`runs` keeps the files.
"""

from __future__ import annotations

import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
from torch import nn
from tqdm import tqdm

from minipose.data.sample import PoseDataset
from minipose.evaluation import evaluate
from minipose.inference import to_channels_last, to_float
from minipose.io.errors import InputError, InputWarning
from minipose.models.network import PoseNetwork
from minipose.optimization import LRSchedule, build_optimizer
from minipose.pipeline import Batch, StepLoader, batches, shuffled_indices
from minipose.runs import History, RunFolder
from minipose.scaling import distributed
from minipose.scaling.gpu_crops import GPUCropCache


def train_one_epoch(
    model: nn.Module,
    loader: StepLoader,
    optimizer: torch.optim.Optimizer,
    lr_schedule: Callable[[float], float],
    epoch: int,
    after_step: Callable[[int, float], None] | None = None,
    progress: bool = False,
) -> float:
    """Pass over the data once and return the loss, a mean over all samples.

    Parameters
    ----------
    model : a network and its loss as one module (`TrainingLoss`).
    loader : the epoch's steps. Each has the indices of its samples, and its crops in one batch or, to
        save memory, in several smaller ones whose gradients add up.
    lr_schedule : gives the learning rate at a moment in epochs: 2.5 is the middle of the third.
    epoch : counted from 0. after_step : see `train`.

    Raises `FloatingPointError`, with the samples' ids, when the loss is not a finite number.
    """
    model.train()
    total_loss, samples = 0.0, 0
    bar = tqdm(loader, desc=f"epoch {epoch + 1}", disable=not progress, leave=False)
    for step, (indices, micro_batches) in enumerate(bar):
        for group in optimizer.param_groups:
            group["lr"] = lr_schedule(epoch + step / len(loader))

        optimizer.zero_grad()
        losses = []
        for batch in micro_batches:
            loss = model(batch, len(indices))
            loss.backward()
            losses.append(loss.detach())
        optimizer.step()

        step_loss = torch.stack(losses).sum().item()  # not earlier: this waits for the GPU
        if not math.isfinite(step_loss):
            where = f"in epoch {epoch + 1}, samples {loader.ids(indices)}"
            raise FloatingPointError(f"the loss is {step_loss} {where}")
        total_loss += step_loss * len(indices)
        samples += len(indices)
        bar.set_postfix(loss=f"{total_loss / samples:.5f}", refresh=False)
        if after_step is not None:
            after_step(epoch * len(loader) + step, step_loss)
    return total_loss / samples


class TrainingLoss(nn.Module):
    """A batch's part of the loss of a step, which is a mean over all samples of the step.

    One module from crops to loss, and not the network alone, because DistributedDataParallel waits in
    every process for a gradient of every trainable parameter, even where a process has no samples.

    network : compiled or not. device : where it is; computes in bfloat16 where that is a GPU which can.
    """

    def __init__(self, network: PoseNetwork, device: torch.device):
        super().__init__()
        self.network, self.device = network, device
        self.bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        # In a phase that ends at an earlier stage, the later ones get no gradient from the loss.
        self.has_unused_parameters = len(network.strides) - 1 not in network.supervised

    def forward(self, batch: Batch | None, step_samples: int) -> torch.Tensor:
        """Crops and labels -> scalar float32. `batch` None: this step has no samples left for it."""
        if batch is None:
            return self._zero()  # the network is not called: BatchNorm cannot average over nothing
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            stages = self.network(to_float(batch.images, self.device))
        loss = self.network.loss(stages, batch.keypoints, batch.visibility, batch.others)
        loss = loss * (len(batch.indices) / step_samples)
        return loss + self._zero() if self.has_unused_parameters else loss

    def _zero(self) -> torch.Tensor:
        """0, with a gradient of 0 for every trainable parameter."""
        return torch.stack([0 * p.sum() for p in self.network.parameters() if p.requires_grad]).sum()


@distributed.reraise_peer_failure()
def train(
    network: PoseNetwork,
    dataset: PoseDataset,
    validation: PoseDataset | None = None,
    *,
    epochs: int = 100,
    size: int = 256,
    batch_size: int = 6,
    accumulate: int = 1,
    learning_rate: float = 2.5e-4,
    optimizer: str = "rmsprop",
    schedule: str = "plateau",
    patience: int = 5,
    augment: str = "code",
    seed: int = 0,
    device: str | torch.device = "auto",
    workers: int = 0,
    gpu_crops: bool = False,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    after_step: Callable[[int, float], None] | None = None,
) -> History:
    """Train a network and return its history, a row of plain numbers per epoch.

    Parameters
    ----------
    network : trained in place. Only parameters that require a gradient change, and only the stages
        in `network.supervised` carry a loss: a phase of training is one call after setting these.
    validation : measured after each epoch, stage by stage, by its own kind of PCK, without flip.
    size : side of the crops in px.
    learning_rate, optimizer, batch_size : the paper's RMSprop at 2.5e-4; 6 crops as in the authors'
        code. `batch_size` is the crops of one step, over all processes.
    accumulate : micro-batches into which each process splits its part of a step, to save memory or to
        stand in for more processes: BatchNorm sees one at a time, and P processes equal one with
        accumulate=P.
    schedule : "plateau" divides the rate by 5, once, when validation PCK (or the training loss, where
        nobody can be measured) has not improved for `patience` epochs; "cosine" lets it fall to zero
        over all epochs; "warmup" is the cosine after a linear rise over the first twentieth, which wide
        networks need; "step" is the student report's, a tenth of the rate (5e-3, then 5e-4, with "adam")
        from two thirds of them on.
    augment : a recipe of `augmentation`. seed : of order and draws; on a CPU the weights repeat with it.
    workers : processes that prepare crops (0: this one).
    gpu_crops : keep every person's surroundings on the device and cut each epoch's crops there
        (`GPUCropCache`), which only pays on a GPU: it replaces the DataLoader and its `workers`.
    folder : receives checkpoint.pt and history.csv each epoch, weights.safetensors at the end.
        BatchNorm's running statistics in them are those of rank 0.
    resume : continue from the checkpoint in `folder`; on a CPU bit for bit as if never stopped. All
        settings must be those of the run to continue, only `epochs` may be more.
    after_step : called in every process after each step with its number, counted from 0 over all epochs,
        and its loss. What it raises ends the training; `resume` continues after the last whole epoch.

    On a GPU the network is compiled while it trains, where Triton can, and computes in bfloat16 where the
    GPU does; everywhere the loss is float32.

    Under torchrun all processes call this with the same arguments and train one network; rank 0 alone
    writes, prints and validates. All return the same history and the same network.

    Raises `InputError` where network, data and settings do not fit, `FloatingPointError`, with the
    samples' ids, when the loss or a weight is not a finite number, and `ConnectionError` when another
    process is gone; the last checkpoint stays.
    """
    device = distributed.setup(device)
    micro_batches = distributed.world_size() * accumulate  # of one step, over all processes
    _check(network, dataset, validation, epochs, size, batch_size, accumulate, micro_batches)
    network.skeleton, network.size, network.crop_rule = dataset.skeleton, size, dataset.crop_rule
    to_channels_last(network, device)  # before the optimizer: it keeps its state where the parameters are
    opt = build_optimizer(network, optimizer, learning_rate)
    lr_schedule = LRSchedule(schedule, learning_rate, epochs, patience)
    settings = {
        "people": len(dataset), "size": size, "batch_size": batch_size, "micro-batches": micro_batches,
        "augment": augment, "learning_rate": learning_rate, "optimizer": optimizer, "schedule": schedule,
        "patience": patience, "seed": seed, "validation people": 0 if validation is None else len(validation),
        "trained tensors": sum(p.requires_grad for p in network.parameters()),
        "supervised": str(network.supervised), "first and last": f"{dataset[0].id}, {dataset[-1].id}",
    }  # fmt: skip
    run = RunFolder(folder, settings, writes=distributed.is_main())
    history = run.load(network, opt, epochs, resume)
    group = distributed.validation_group()
    if distributed.broadcast_object((settings, len(history)), group) != (settings, len(history)):
        raise InputError("train", "settings", "the same people, arguments and checkpoint in every process")
    run.create(history)
    distributed.broadcast_parameters(network)
    compiled = cast(PoseNetwork, torch.compile(network)) if can_compile(device) else network
    progress = progress and distributed.is_main()
    cache = GPUCropCache(dataset, size, device, progress) if gpu_crops else None
    distributed.barrier(group)  # reading all photos may take longer than a step may

    lr_at = partial(lr_schedule.at, history=history)
    for epoch in range(len(history), epochs):
        started = time.perf_counter()
        indices = shuffled_indices(len(dataset), seed, epoch)
        own = distributed.shard_indices(indices, batch_size, distributed.rank(), distributed.world_size())
        micro_size = batch_size // micro_batches
        if cache is not None:
            crops = cache.batches(own, micro_size, augment, seed, epoch)
        else:
            crops = batches(dataset, own, size, micro_size, augment, seed, epoch, workers)
        loader = StepLoader(dataset, indices, batch_size, crops, accumulate)
        # Re-wrapped each epoch: DDP rebuilds its buckets after the first step, and gradients then sum in
        # another order, which would break bit-identical resume.
        model = distributed.data_parallel(TrainingLoss(compiled, device), accumulate)
        loss = train_one_epoch(model, loader, opt, lr_at, epoch, after_step, progress)
        if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
            where = f"in epoch {epoch + 1}, samples {loader.ids(loader.steps[-1])}"
            raise FloatingPointError(f"the last step left a weight that is not finite {where}")
        row = {"epoch": epoch + 1, "learning_rate": opt.param_groups[0]["lr"], "loss": loss}
        if distributed.is_main():
            row |= accuracies(network, validation, size, batch_size, device, workers)
            if validation is not None and not history and math.isnan(row["pck"]):
                warn_unmeasured(validation, schedule)
        row["seconds"] = time.perf_counter() - started
        # "plateau" looks at the accuracies, so that every process needs them.
        history.append(row := distributed.broadcast_object(row, group))
        if progress:
            tqdm.write(describe(row, epochs, validation))
        run.save(network, opt, history)
    network.eval()
    run.finish(network)
    distributed.broadcast_parameters(network)  # after the files, which the others may now read
    distributed.destroy_process_group(group)
    return history


def _check(network, dataset, validation, epochs, size, batch_size, accumulate, micro_batches) -> None:
    """Raise `ValueError` or `InputError` where network, data and settings do not fit each other."""
    if len(dataset.skeleton) != network.joints:
        expected = f"{len(dataset.skeleton)}, as in {dataset.skeleton.name}"
        raise InputError("train", "network.joints", expected, network.joints)
    for name, people in (("dataset", dataset), ("validation", validation)):
        if people is not None and len(people) == 0:
            raise InputError("train", name, "at least one person", "none")
    counts = {"batch_size": batch_size, "accumulate": accumulate, "epochs": epochs, "size": size}
    for name, value in counts.items():
        if value < (least := 0 if name == "epochs" else 1):
            raise ValueError(f"{name} must be at least {least}, found {value}")
    if size % network.multiple:
        raise InputError("train", "size", f"a multiple of {network.multiple} px for this network", size)
    if batch_size % micro_batches:
        expected = f"a multiple of {micro_batches} (processes x accumulate)"
        raise InputError("train", "batch_size", expected, batch_size)


def can_compile(device: torch.device) -> bool:
    """Whether PyTorch's compiler works here: Triton, a GPU that it knows (Volta or newer), a C compiler."""
    if device.type != "cuda" or not find_spec("triton"):
        return False
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return torch.cuda.get_device_capability(device) >= (7, 0) and compiler is not None


def accuracies(network, validation, size, batch_size, device, workers) -> dict[str, float]:
    """PCK by stage on the validation set: "pck_stage_1", ..., and "pck", the last one.

    Each is the unweighted mean over the joints that the data set scores.
    """
    if validation is None:
        return {}
    found = evaluate(
        network, validation, size, flip=False, batch_size=max(batch_size, 16), device=device, workers=workers
    )
    scored = list(validation.skeleton.scored)
    means = [
        found.pck(validation.normalizer, validation.threshold, stage).of(scored).mean
        for stage in range(len(found.stages))
    ]
    return {f"pck_stage_{k + 1}": mean for k, mean in enumerate(means)} | {"pck": means[-1]}


def warn_unmeasured(validation: PoseDataset, schedule: str) -> None:
    """Warn once that the validation PCK is NaN, and say what replaces it."""
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
