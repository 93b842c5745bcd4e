"""Several processes that train one network: who am I, which samples are mine, what do we share.

`torchrun` starts the processes and names each by environment variables. Without it every function
here answers for a single process and costs nothing, so that the training loop has one form.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from minipose.inference import choose_device
from minipose.io.errors import InputError

Anything = TypeVar("Anything")

# How long a process waits for the others' part of a step. One that dies is noticed at once, a machine that
# loses its power or its cable says nothing.
PATIENCE = timedelta(minutes=10)
# All others wait while the first process validates, and that may take longer.
VALIDATION = timedelta(hours=3)


def setup(device: str | torch.device = "auto") -> torch.device:
    """Join the other processes, if torchrun started any, and return this one's device.

    On GPUs each process has the one of its number on this machine and they talk by NCCL, on CPUs by
    Gloo. The group stays for later calls.
    """
    if not distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return choose_device(device)
    number, gpus = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
    if number is not None and int(number) < gpus:
        torch.cuda.set_device(int(number))  # first, or every process opens GPU 0
    device = choose_device(device)
    if device.type == "cuda" and number is not None:
        if int(number) >= gpus:
            raise InputError("torchrun", "--nproc-per-node", f"at most {gpus}, a process for each GPU")
        device = torch.device("cuda", int(number))
    elif device.type == "cuda" and device.index is None:  # a program that has joined by itself chose its GPU
        device = torch.device("cuda", torch.cuda.current_device())
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return device


def finish() -> None:
    """Leave the other processes; for the end of a program that went well."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def world() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This process's number among all, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main() -> bool:
    """Whether this is the process that writes, prints and validates."""
    return rank() == 0


def launched() -> bool:
    """Whether torchrun started this program, which it may do again after a process has died."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def together() -> Iterator[None]:
    """Work that ends with a `ConnectionError` of one line where another process is gone."""
    try:
        yield
    except RuntimeError as error:
        # NCCL's error has a class of its own, Gloo's only texts.
        text = str(error).strip()
        from_gloo = any(words in text for words in ("gloo", "caused pair closure"))
        if world() == 1 or not (from_gloo or isinstance(error, distributed.DistError)):
            raise
        gone = "another process has ended or cannot be reached: see its own last lines, or its torchrun's"
        goes_on = "training goes on from the last checkpoint with --resume"
        said = text.splitlines()[-1][:300] if text else type(error).__name__
        raise ConnectionError(f"{gone}; {goes_on} (PyTorch says: {said})") from error


def share(numbers: list[int], batch: int, rank: int, world: int) -> list[int]:
    """What process `rank` of `world` takes of an epoch: one piece out of each step's `batch` samples.

    Pieces are consecutive and equally long, except in the last step: it may hold fewer samples, and
    the last processes then have fewer or none of them.

    >>> [share([8, 3, 5, 1, 7, 2, 4], 4, rank, 2) for rank in (0, 1)]
    [[8, 3, 7, 2], [5, 1, 4]]
    """
    piece = batch // world
    steps = (numbers[start : start + batch] for start in range(0, len(numbers), batch))
    return [number for step in steps for number in step[rank * piece : (rank + 1) * piece]]


def parallel(module: nn.Module) -> nn.Module:
    """The module, such that `backward` averages gradients over all processes.

    Before each step it also gives the first one's BatchNorm statistics to all.
    """
    return module if world() == 1 else DistributedDataParallel(module)


def averaging(module: nn.Module, now: bool) -> AbstractContextManager:
    """Where `backward` averages over all processes `now`, or only adds to this one's gradients."""
    if isinstance(module, DistributedDataParallel) and not now:
        return module.no_sync()
    return nullcontext()


def total(value: torch.Tensor) -> float:
    """The sum of a number over all processes, as each of them gets it."""
    if world() > 1:
        distributed.all_reduce(value)
    return value.item()


def patient() -> distributed.ProcessGroup | None:
    """All processes once more, as a group that waits as long as validation may take; alone None."""
    return distributed.new_group(timeout=VALIDATION) if world() > 1 else None


def dissolve(group: distributed.ProcessGroup | None) -> None:
    """The end of a group of `patient`."""
    if group is not None:
        distributed.destroy_process_group(group)


def from_main(value: Anything, group: distributed.ProcessGroup | None = None) -> Anything:
    """The first process's value, for all; they wait for it here."""
    if world() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0, group=group)
    return values[0]


def wait(group: distributed.ProcessGroup | None = None) -> None:
    """Until all processes are here."""
    if world() > 1:
        distributed.barrier(group=group)


@torch.no_grad()
def same_everywhere(network: nn.Module) -> None:
    """Give every process the first one's parameters and BatchNorm statistics."""
    if world() == 1:
        return
    for tensor in network.state_dict().values():
        sent = tensor.contiguous()  # weights are channels last in memory
        distributed.broadcast(sent, src=0)
        tensor.copy_(sent)
