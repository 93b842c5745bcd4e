"""Samples a second and memory, step by step from plain float32 to what training does; and the floors.

No version of a step can be faster than its arithmetic at the device's matrix rate, or than its bytes at
the device's bandwidth. Both ceilings are measured in the same run.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from minipose.data import Puppets
from minipose.inference import to_float
from minipose.io import checkpoints
from minipose.models.network import PoseNetwork
from minipose.pipeline import Batch, batches
from minipose.scaling.gpu_crops import GPUCropCache
from minipose_book.experiments.bench import (
    LARGE,
    MEDIUM,
    Bench,
    Findings,
    Plan,
    experiment,
)
from minipose_book.experiments.measures import settings

# Section 3.4: "network forward pass 75 ms" of one image on a 12 GB TitanX.
PAPER = {"section": "3.4", "forward_ms": 75, "training_days": 3, "device": "NVIDIA TitanX, 12 GB"}


@dataclass(frozen=True)
class Variant:
    """One way to compute, each with all that the ones before it have."""

    name: str
    tf32: bool = False
    half: bool = False
    channels_last: bool = False
    compiled: bool = False


GPU = (
    Variant("eager float32"),
    Variant("TF32", tf32=True),
    Variant("bf16", tf32=True, half=True),
    Variant("channels_last", tf32=True, half=True, channels_last=True),
    Variant("compile", tf32=True, half=True, channels_last=True, compiled=True),
)
# A CPU of this kind computes nothing faster in 16 bits.
CPU = (Variant("eager float32"), Variant("channels_last", channels_last=True))


@experiment("samples a second and memory, beside the floors of the device", "section 3.4", cpu=5, gpu=8)
def speed(bench: Bench) -> Findings:
    """Forward passes and training steps by stacks, variant and batch, beside the floors."""
    on_gpu = bench.device.type == "cuda"
    plan = bench.plan(replace(MEDIUM, features=64, batch_size=16), replace(LARGE, batch_size=32))
    variants, sizes = (GPU, (8, 32, 64)) if on_gpu else (CPU, (1, plan.batch_size))
    started, kept = time.perf_counter(), _Kept(bench)
    ceilings = kept.get("ceilings", lambda: measure_ceilings(bench.device))
    profile = kept.get("profile", lambda: _profile(bench, plan, variants[-1])) if on_gpu else {}
    share = kept.get("loader", lambda: _loader(bench, plan, variants[-1]))
    table: dict[str, dict[str, Any]] = {}
    for stacks in (2, 8):

        def row(name: str, at: Plan, variant: Variant, stacks: int = stacks) -> dict[str, Any]:
            return kept.get(f"{stacks} stacks, {name}", lambda: _row(bench, at, stacks, variant))

        rows = {variant.name: row(variant.name, plan, variant) for variant in variants}
        for batch in (batch for batch in sizes if batch != plan.batch_size):
            rows[f"batch {batch}"] = row(f"batch {batch}", replace(plan, batch_size=batch), variants[-1])
        table[f"{stacks} stacks"] = {"floors": _floors(bench, plan, stacks, ceilings)} | rows
    bench.seconds += kept.earlier + time.perf_counter() - started
    rows = table["8 stacks"]
    fast, slow = (rows[v.name]["step"]["samples_per_s"] for v in (variants[-1], variants[0]))
    smallest = rows[f"batch {sizes[0]}"]
    verdict = (
        f"8 stacks train {fast / slow:.1f} times as fast as in eager float32 ({fast:.0f} against {slow:.0f} "
        f"crops a second), at {rows[variants[-1].name]['step']['of_ceiling']:.0%} of the device's measured "
        f"matrix rate. A forward pass takes {smallest['forward']['ms'] / sizes[0]:.0f} ms a crop; the paper "
        "states 75 ms on its device, at 256 px."
    )
    return Findings(
        settings(plan, variants=[v.name for v in variants], repetitions="median of 10 after 3 of warm-up"),
        {"ceilings": ceilings, "table": table, "loader": share, "profile": profile}, verdict, {}, PAPER,
    )  # fmt: skip


class _Kept:
    """Rows that are measured already, in a file of the bench's folder, so that a piece can end anywhere."""

    def __init__(self, bench: Bench):
        self.bench, self.path = bench, bench.folder / "speed.json"
        self.rows: dict[str, Any] = {}
        if bench.resume and self.path.exists():
            self.rows = json.loads(self.path.read_text())
        self.earlier, self.started = self.rows.get("seconds", 0.0), time.perf_counter()

    def get(self, key: str, measure: Callable[[], Any]) -> Any:
        if key not in self.rows:
            self.bench.pause(f"before {key}")
            self.rows[key] = measure()
            self.rows["seconds"] = self.earlier + time.perf_counter() - self.started
            with checkpoints.atomic(self.path) as partial:
                partial.write_text(json.dumps(self.rows))
        return self.rows[key]


def _row(bench: Bench, plan: Plan, stacks: int, variant: Variant) -> dict[str, Any]:
    """Forward pass and training step of one network in one way, on one batch of puppets."""
    device, crops = bench.device, _one_batch(bench, plan)
    with _precision(variant):
        network = _network(bench, plan, stacks, variant)
        images, steps = _as(to_float(crops.images, device), variant), 10
        network.eval()
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=variant.half):
            forward = seconds(lambda: network(images), device, steps)
        network.train()
        step = training_step(network, device, variant)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        took = seconds(lambda: step(crops), device, steps)
        memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    rate = 6 * multiply_adds(network, plan.size) * plan.batch_size / took  # forward, and twice that backward
    ceiling = measure_matrix(device, torch.bfloat16 if variant.half else torch.float32, variant.tf32)
    step_row = _timing(took, plan.batch_size)
    step_row |= {"tflops": round(rate / 1e12, 3), "of_ceiling": round(rate / ceiling, 4)}
    if device.type == "cuda":
        step_row["gib"] = round(memory / 2**30, 2)
    return {"batch": plan.batch_size, "forward": _timing(forward, plan.batch_size), "step": step_row}


def training_step(network: PoseNetwork, device: torch.device, variant: Variant) -> Callable[[Batch], None]:
    """What `training.train` does with a batch of crops, once."""
    optimizer = torch.optim.RMSprop(network.parameters(), 1e-6, alpha=0.99)

    def step(crops: Batch) -> None:
        images = _as(to_float(crops.images, device), variant)
        with torch.autocast(device.type, torch.bfloat16, enabled=variant.half):
            stages = network(images)
        loss = network.loss(stages, crops.keypoints, crops.visibility, crops.others)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def multiply_adds(network: PoseNetwork, size: int) -> int:
    """Of the convolutions for one image, counted by running it."""
    total = 0

    def count(module: nn.Conv2d, _inputs, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    plain = type(network)(**network.arguments)  # on the CPU, and not compiled
    for module in plain.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        plain.eval()(torch.zeros(1, 3, size, size))
    return total


def _floors(bench: Bench, plan: Plan, stacks: int, ceilings: dict[str, float]) -> dict[str, float]:
    """The least time of a training step, in ms, by arithmetic and by bytes.

    Bytes: every convolution's input and output is read or written once forward, and twice backward
    (the gradient of each, and the stored input again), in 16 bits on a GPU and 32 elsewhere.
    """
    network = bench.hourglass(plan, stacks)
    cells = 0

    def count(_module, inputs, output: torch.Tensor) -> None:
        nonlocal cells
        cells += inputs[0][0].numel() + output[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, plan.size, plan.size))
    half = bench.device.type == "cuda"
    matrix = ceilings["bf16" if half else "float32"] * 1e12
    arithmetic = 6 * multiply_adds(network, plan.size) * plan.batch_size / matrix
    moved = 3 * cells * (2 if half else 4) * plan.batch_size / (ceilings["copy"] * 1e9)
    return {"arithmetic_ms": round(1e3 * arithmetic, 3), "bytes_ms": round(1e3 * moved, 3)}


def measure_ceilings(device: torch.device) -> dict[str, float]:
    """Matrix rates in TFLOP/s and copying in GB/s (read and written) of the device, as found."""
    found = {"float32": measure_matrix(device, torch.float32, tf32=False)}
    if device.type == "cuda":
        found["tf32"] = measure_matrix(device, torch.float32, tf32=True)
        found["bf16"] = measure_matrix(device, torch.bfloat16, tf32=True)
    rates = {name: round(rate / 1e12, 3) for name, rate in found.items()}
    source = torch.rand(2**28 if device.type == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)
    took = seconds(lambda: target.copy_(source), device, 10)
    return rates | {"copy": round(2 * 4 * source.numel() / took / 1e9, 1)}


def measure_matrix(device: torch.device, kind: torch.dtype, tf32: bool) -> float:
    """Floating-point operations a second of a large product of random matrices."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    with _precision(Variant("", tf32=tf32)):
        return 2 * side**3 / seconds(lambda: a @ b, device, 10)


def _loader(bench: Bench, plan: Plan, variant: Variant) -> dict[str, float]:
    """What crops cost within a 2-stack training step: with them made for each step, and with one again."""
    device = bench.device
    steps = 16 if device.type == "cuda" else 3
    numbers = list(range(steps * plan.batch_size))
    people = Puppets(len(numbers), 6, plan.size)
    with _precision(variant):
        network = _network(bench, plan, 2, variant).train()
        step = training_step(network, device, variant)
        again = _one_batch(bench, plan)
        if device.type == "cuda":
            stored = GPUCropCache(people, plan.size, device, progress=False)
            make = lambda: stored.batches(numbers, plan.batch_size, "code")  # noqa: E731 (one of two sources)
        else:
            make = lambda: batches(people, numbers, plan.size, plan.batch_size, "code")  # noqa: E731
        fresh = seconds(lambda: [step(crops) for crops in make()], device, 3) / steps
        repeated = seconds(lambda: [step(again) for _ in range(steps)], device, 3) / steps
        alone = seconds(lambda: [None for _ in make()], device, 3) / steps
    return {
        "step_with_ms": round(1e3 * fresh, 3),
        "step_without_ms": round(1e3 * repeated, 3),
        "crops_alone_ms": round(1e3 * alone, 3),
        "share": round(fresh / repeated - 1, 4),
    }


def _profile(bench: Bench, plan: Plan, variant: Variant) -> dict[str, Any]:
    """Where a 2-stack training step's time goes: kernels by time, and how long the GPU works at all."""
    from torch.profiler import ProfilerActivity, profile

    with _precision(variant):
        network = _network(bench, plan, 2, variant).train()
        step, crops = training_step(network, bench.device, variant), _one_batch(bench, plan)
        wall = seconds(lambda: step(crops), bench.device, 10)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            step(crops)
            torch.cuda.synchronize()
    kernels = [e for e in seen.key_averages() if e.device_type == torch.autograd.DeviceType.CUDA]
    kernels.sort(key=lambda event: -event.self_device_time_total)
    busy = sum(event.self_device_time_total for event in kernels) / 1e3
    return {
        "step_ms": round(1e3 * wall, 2),
        "kernels_ms": round(busy, 2),
        "launches": sum(event.count for event in kernels),
        "top": [[e.key[:80], e.count, round(e.self_device_time_total / 1e3, 3)] for e in kernels[:15]],
    }


def seconds(work: Callable[[], Any], device: torch.device, times: int) -> float:
    """Median seconds of `work`, after three times to warm up; a GPU is waited for."""
    took = []
    for turn in range(3 + times):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= 3:
            took.append(time.perf_counter() - started)
    return statistics.median(took)


def _network(bench: Bench, plan: Plan, stacks: int, variant: Variant) -> PoseNetwork:
    network = bench.hourglass(plan, stacks).to(bench.device)
    if variant.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if variant.compiled:
        network.compile()
    return network


def _one_batch(bench: Bench, plan: Plan) -> Batch:
    people = Puppets(plan.batch_size, 6, plan.size, plan.skeleton)
    return next(batches(people, list(range(plan.batch_size)), plan.size, plan.batch_size)).to(bench.device)


def _as(images: torch.Tensor, variant: Variant) -> torch.Tensor:
    return images if variant.channels_last else images.contiguous()


def _timing(took: float, batch: int) -> dict[str, float]:
    return {"ms": round(1e3 * took, 3), "samples_per_s": round(batch / took, 2)}


@contextmanager
def _precision(variant: Variant):
    """TF32 as the variant says, and as it was afterwards."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant.tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
