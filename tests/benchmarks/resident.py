"""python -m benchmarks.resident: crops from the device beside the loader, and their share of a step."""

from __future__ import annotations

import os
import platform
import time
from importlib.util import find_spec

import torch

import minipose
from benchmarks.__main__ import best, row
from minipose.data import InMemory, Puppets
from minipose.inference import choose_device, to_channels_last, to_float
from minipose.pipeline import batches
from minipose.scaling.gpu_crops import GPUCropCache

SIZE, BATCH, PEOPLE = 256, 16, 128


def _finish(device: torch.device) -> None:
    """A GPU works behind Python's back: wait for it before looking at the clock."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rates(device: torch.device) -> None:
    """Crops of 256 px a second. The photos are decoded already: a real loader also pays for that."""
    dataset = InMemory(Puppets(PEOPLE, 6, SIZE))
    numbers = list(range(PEOPLE))
    started = time.perf_counter()
    resident = GPUCropCache(dataset, SIZE, device, progress=False)  # fills InMemory as well
    building = time.perf_counter() - started

    def load():
        for crops in batches(dataset, numbers, SIZE, BATCH, "code"):
            crops.to(device)
        _finish(device)

    def sample():
        for _ in resident.batches(numbers, BATCH, "code"):
            pass
        _finish(device)

    sample()
    loaded, ours = PEOPLE / best(load, 4), PEOPLE / best(sample, 4)
    row(
        f"resident crops of {SIZE} px, recipe 'code', batch {BATCH}, {device.type}",
        f"{ours:.0f} /s = {ours / loaded:.1f}x",
        f"loader without decoding, one process, {loaded:.0f} /s; building {PEOPLE / building:.0f} people/s",
        "-",
    )


def share(device: torch.device) -> None:
    """Training steps as `training.train` does them, with crops made for each and with one batch again."""
    # On a CPU a step takes seconds: few of them, and small ones.
    steps, rounds, batch = (16, 8, BATCH) if device.type == "cuda" else (2, 2, 4)
    numbers = list(range(steps * batch))
    resident = GPUCropCache(Puppets(len(numbers), 6, SIZE), SIZE, device, progress=False)
    network = minipose.StackedHourglass(stacks=2)
    to_channels_last(network, device)
    optimizer = torch.optim.RMSprop(network.parameters(), 1e-6, alpha=0.99)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cuda" and find_spec("triton"):
        network.compile()

    def step(crops):
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            stages = network(to_float(crops.images, device))
        loss = network.loss(stages, crops.keypoints, crops.visibility, crops.others)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    again = resident.batch(numbers[:batch], "code")

    def fresh():
        for crops in resident.batches(numbers, batch, "code"):
            step(crops)

    def repeated():
        for _ in range(steps):
            step(again)

    def alone():
        for start in range(0, len(numbers), batch):
            resident.batch(numbers[start : start + batch], "code")
        _finish(device)

    for _ in range(3 if device.type == "cuda" else 1):
        step(again)  # compiles, and chooses convolutions
    # In turns, so that whatever else the machine does befalls all three.
    times = [[best(work, 0) / steps for work in (fresh, repeated, alone)] for _ in range(rounds)]
    with_crops, without, crops = (min(column) for column in zip(*times, strict=True))
    row(
        f"resident crops, share of a 2-stack step, {SIZE} px, batch {batch}, {device.type}",
        f"{with_crops / without - 1:+.1%} with them; {crops / without:.1%} if nothing overlapped",
        f"step on one batch again {without * 1e3:.1f} ms; crops alone {crops * 1e3:.2f} ms",
        "<= 5 % on a GPU",
    )


def main() -> None:
    device = choose_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| work | ours | baseline in the same run | aim |\n|---|---|---|---|", flush=True)
    rates(device)
    share(device)


if __name__ == "__main__":
    main()
