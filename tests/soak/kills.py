"""A training that is killed at random moments, also while it writes, and goes on each time."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo  # every optimizer imports it at its first step, and that takes seconds
from tqdm import tqdm

import minipose
from minipose.data import Puppets
from minipose.runs import read_history
from soak.figures import Figure, same_weights

EPOCHS, PEOPLE, BATCH = 12, 10, 4
STEPS = 3  # in an epoch: two of 4 and one of 2
WRITING = 14  # pauses from the first byte of a checkpoint until its history is in place, and a little more
# Forks of a process that has imported everything: a kill costs no fresh interpreter.
FORKS = multiprocessing.get_context("forkserver")


@dataclass
class Kills:
    """How often a training was killed, and where that hit it."""

    count: int = 0
    writing: int = 0  # a file was half written
    between: int = 0  # the checkpoint was newer than history.csv
    first_epoch: int = 0  # there was no checkpoint yet
    runs: int = 0  # trainings that came to their end
    redone: int = 0  # most steps that one kill cost

    def __str__(self) -> str:
        return (
            f"{self.count} kills in {self.runs} runs: {self.writing} while writing, {self.between} between"
            f" two files, {self.first_epoch} before a checkpoint; at most {self.redone} steps lost"
        )


def network() -> minipose.StackedHourglass:
    torch.manual_seed(0)
    return minipose.StackedHourglass(joints=16, stacks=1, features=8, depth=1)


def train(folder: Path, pause: float = 0.0) -> None:
    """One attempt to train to the end. `pause`: seconds a slow disk takes for a piece of a file."""
    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())  # its usual one is shared by processes, and a kill would leave it over
    slow_down(pause)
    # One write a line: what is in it when the process is killed has been done.
    log = os.open(folder.with_suffix(".steps"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    minipose.train(
        network(), Puppets(PEOPLE, seed=3, size=32), epochs=EPOCHS, size=32, batch_size=BATCH, seed=1,
        folder=folder, resume=(folder / "checkpoint.pt").exists(), device="cpu", progress=False,
        after_step=lambda step, _: os.write(log, b"%d\n" % step),
    )  # fmt: skip


def slow_down(pause: float) -> None:
    """Writing files takes long enough to be hit: in eight pieces, and before and after renaming."""

    def write_bytes(path: Path, data) -> None:
        with path.open("wb") as file:
            for start in range(0, len(data), len(data) // 7):
                time.sleep(pause)
                file.write(data[start : start + len(data) // 7])
                file.flush()

    def renamed(source, target, replace=os.replace) -> None:
        time.sleep(pause)
        replace(source, target)
        time.sleep(pause)

    if pause:
        Path.write_bytes, os.replace = write_bytes, renamed  # type: ignore[assignment]


def attempt(folder: Path, pause: float, seconds: float | None, writing: bool = False) -> bool:
    """Train in a process of its own, and kill it that many seconds after its first sign of life.

    writing : instead after it has begun to write a checkpoint. Returns whether it was killed before it
    had come to its end.
    """
    log = folder.with_suffix(".steps")
    log.unlink(missing_ok=True)
    process = FORKS.Process(target=train, args=(folder, pause))
    process.start()
    if seconds is not None:
        sign = folder / f".checkpoint.pt.{process.pid}.partial" if writing else log
        while not sign.exists() and process.is_alive():
            time.sleep(0.001)
        process.join(seconds)
        process.kill()
    process.join()
    if process.exitcode not in (0, -9):
        raise RuntimeError(f"an attempt to resume ended with exit code {process.exitcode}")
    return process.exitcode == -9


def look(folder: Path, kills: Kills) -> int:
    """Count where a kill hit; the epochs of the checkpoint, which must be all that were completed."""
    done = [int(line) for line in folder.with_suffix(".steps").read_text().split()]
    whole = folder / "checkpoint.pt"
    epochs = 0
    if whole.exists():
        epochs = len(torch.load(whole, weights_only=True)["history"])
    written = 0
    if (folder / "history.csv").exists():
        written = len(read_history(folder / "history.csv"))
    # A step is begun when the epoch before it has been saved.
    if (done and epochs < done[-1] // STEPS) or written > epochs:
        raise RuntimeError(f"step {done[-1]} was done, but the checkpoint has {epochs} epochs")
    kills.count += 1
    kills.writing += any(folder.glob(".*.partial"))
    kills.between += written < epochs
    kills.first_epoch += epochs == 0
    kills.redone = max(kills.redone, done[-1] + 1 - epochs * STEPS if done else 0)
    return epochs


def kill(count: int, seed: int = 0, pause: float = 0.01) -> Kills:
    """Kill trainings `count` times and compare each that ends with one that was never touched."""
    kills, draw = Kills(), random.Random(seed)
    FORKS.set_forkserver_preload(["soak.kills"])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "whole").mkdir()
        attempt(root / "whole", 0, None)
        started = time.perf_counter()
        (root / "slow").mkdir()
        attempt(root / "slow", pause, None)
        epoch = (time.perf_counter() - started) / EPOCHS
        for run in itertools.count():
            folder = root / f"run{run}"
            folder.mkdir()
            epochs, ended = 0, False
            while not ended:
                left = kills.count < count
                writing = draw.random() < 0.5
                seconds = draw.uniform(0, WRITING * pause if writing else 2.5 * epoch)
                ended = not attempt(folder, pause, seconds if left else None, writing)
                log = folder.with_suffix(".steps").read_text().split()
                if log and int(log[0]) != epochs * STEPS:
                    raise RuntimeError(f"resumed in step {log[0]} and not after {epochs} epochs")
                if not ended:
                    epochs = look(folder, kills)
            kills.runs += 1
            compare(folder, root / "whole")
            if not left:
                return kills
    raise AssertionError("never here")


def compare(folder: Path, whole: Path) -> None:
    """A killed run's files are those of the whole one: the same weights, and nothing left behind."""
    names = sorted(path.name for path in folder.iterdir())
    if names != ["checkpoint.pt", "history.csv", "weights.safetensors"]:
        raise RuntimeError(f"the folder holds {', '.join(names)}")
    if not same_weights(folder, whole):
        raise RuntimeError("the weights are not those of a run that was never killed")
    rows = [[list(row.values())[:-1] for row in read_history(run / "history.csv")] for run in (folder, whole)]
    if rows[0] != rows[1] or len(rows[0]) != EPOCHS:
        raise RuntimeError("the history is not that of a run that was never killed")


def figures(count: int = 50) -> Iterator[Figure]:
    kills = kill(count)
    asked = f"{count} kills, weights bit for bit, at most an epoch of {STEPS} steps lost"
    yield Figure("SIGKILL at random moments", str(kills), asked, kills.redone <= STEPS)
