"""Several processes that train one network: which rank is this, which samples are its own, what is shared.

`torchrun` starts the processes and tells each its rank in environment variables. Without it every
function here answers for a single process and costs nothing, so that training needs no second form.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from minipose.inference import choose_device
from minipose.io.errors import InputError

T = TypeVar("T")

# How long a process waits for the others' part of a step. One that dies is noticed at once; a machine
# that loses its power or its cable says nothing.
PATIENCE = timedelta(minutes=10)
# The others wait while rank 0 validates, and that may take longer.
VALIDATION_TIMEOUT = timedelta(hours=3)


def setup(device: str | torch.device = "auto") -> torch.device:
    """Join the other processes, if torchrun started any, and return this one's device.

    On GPUs each process uses the one of its local rank and they talk by NCCL, on CPUs by Gloo. The
    process group stays for later calls.
    """
    if not distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return choose_device(device)
    local_rank, gpus = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
    if local_rank is not None and int(local_rank) < gpus:
        torch.cuda.set_device(int(local_rank))  # first, or every process opens GPU 0
    device = choose_device(device)
    if device.type == "cuda" and local_rank is not None:
        if int(local_rank) >= gpus:
            raise InputError("torchrun", "--nproc-per-node", f"at most {gpus}, a process for each GPU")
        device = torch.device("cuda", int(local_rank))
    elif device.type == "cuda" and device.index is None:  # a program that joined by itself chose its GPU
        device = torch.device("cuda", torch.cuda.current_device())
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return device


def finish() -> None:
    """Leave the process group; for the end of a program that went well."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def world_size() -> int:
    """Number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This process's number among all, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main() -> bool:
    """Whether this is rank 0, the process that writes, prints and validates."""
    return rank() == 0


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this program, which it may start again after a process has died."""
    return distributed.is_torchelastic_launched()


@contextmanager
def reraise_peer_failure() -> Iterator[None]:
    """Raise a one-line `ConnectionError` where PyTorch reports that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        # NCCL's error has its own class, Gloo's can only be told by its text.
        text = str(error).strip()
        from_gloo = any(words in text for words in ("gloo", "caused pair closure"))
        if world_size() == 1 or not (from_gloo or isinstance(error, distributed.DistError)):
            raise
        gone = "another process has ended or cannot be reached: see its own last lines, or its torchrun's"
        goes_on = "training goes on from the last checkpoint with --resume"
        said = text.splitlines()[-1][:300] if text else type(error).__name__
        raise ConnectionError(f"{gone}; {goes_on} (PyTorch says: {said})") from error


def shard_indices(indices: list[int], batch_size: int, rank: int, world_size: int) -> list[int]:
    """The samples of an epoch that process `rank` takes: one shard of each step's `batch_size` samples.

    Shards are consecutive and equally long, except in the last step: it may hold fewer samples, and
    the last processes then get fewer or none.

    >>> [shard_indices([8, 3, 5, 1, 7, 2, 4], 4, rank, 2) for rank in (0, 1)]
    [[8, 3, 7, 2], [5, 1, 4]]
    """
    length = batch_size // world_size
    steps = (indices[start : start + batch_size] for start in range(0, len(indices), batch_size))
    return [index for step in steps for index in step[rank * length : (rank + 1) * length]]


def data_parallel(module: nn.Module, accumulate: int = 1) -> nn.Module:
    """The module, prepared for several processes if there are any: see `DataParallelLoss`."""
    return module if world_size() == 1 else DataParallelLoss(module, accumulate)


class DataParallelLoss(nn.Module):
    """A module that returns its process's part of a loss, as one that returns the sum over all processes.

    `backward` leaves the gradient of that sum in every process. Gradients are exchanged once in
    `accumulate` calls, with the last micro-batch of a step; until then each process adds up its own
    (`DistributedDataParallel.no_sync`). Before each step all get rank 0's BatchNorm statistics.
    """

    def __init__(self, module: nn.Module, accumulate: int = 1):
        super().__init__()
        self.ddp = DistributedDataParallel(module)
        self.accumulate, self.calls = accumulate, 0

    def forward(self, *inputs) -> torch.Tensor:
        self.calls += 1
        last = self.calls % self.accumulate == 0
        with nullcontext() if last else self.ddp.no_sync():
            part = self.ddp(*inputs)
        return _SumOfParts.apply(part)


class _SumOfParts(torch.autograd.Function):
    """The sum over processes, whose gradient makes up for the mean that DistributedDataParallel takes."""

    @staticmethod
    def forward(ctx, part: torch.Tensor) -> torch.Tensor:
        return all_reduce_sum(part.clone())

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * world_size()


def all_reduce_sum(value: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all processes, in place and in each of them."""
    if world_size() > 1:
        distributed.all_reduce(value)
    return value


def validation_group() -> distributed.ProcessGroup | None:
    """All processes as a group with a long timeout; None when there is only one process."""
    return distributed.new_group(timeout=VALIDATION_TIMEOUT) if world_size() > 1 else None


def destroy_process_group(group: distributed.ProcessGroup | None) -> None:
    """End a `validation_group`; None is accepted and ignored."""
    if group is not None:
        distributed.destroy_process_group(group)


def broadcast_object(value: T, group: distributed.ProcessGroup | None = None) -> T:
    """Rank 0's value, in all processes; they wait for it here."""
    if world_size() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0, group=group)
    return values[0]


def barrier(group: distributed.ProcessGroup | None = None) -> None:
    """Wait until all processes are here."""
    if world_size() > 1:
        distributed.barrier(group=group)


@torch.no_grad()
def broadcast_parameters(network: nn.Module) -> None:
    """Give every process rank 0's parameters and BatchNorm statistics."""
    if world_size() == 1:
        return
    for tensor in network.state_dict().values():
        sent = tensor.contiguous()  # weights are channels last in memory
        distributed.broadcast(sent, src=0)
        tensor.copy_(sent)
