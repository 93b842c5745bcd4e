"""A disk that fills up, and one that cannot be written, while a network is trained on it.

`python -m soak.disk FOLDER` is run in a namespace of its own, where it may mount a small disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import minipose
from minipose.data import Puppets
from soak.figures import PATH, Figure, same_weights

ALONE = ("unshare", "--mount", "--map-root-user")
EPOCHS, STEPS = 3, 2
MEGABYTES = 1  # several checkpoints of the network below


def train(folder: Path, in_epoch_2: Callable[[], object] = lambda: None) -> str:
    """Train to the end, going on where there is a checkpoint; what was said where it could not be."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    try:
        minipose.train(
            minipose.StackedHourglass(joints=16, stacks=1, features=8, depth=1),
            Puppets(4 * STEPS, seed=3, size=32),
            epochs=EPOCHS, size=32, batch_size=4, device="cpu", progress=False, folder=folder,
            resume=(folder / "checkpoint.pt").exists(),
            after_step=lambda step, _: in_epoch_2() if step == STEPS else None,
        )  # fmt: skip
    except minipose.InputError as error:
        return str(error)
    return ""


def fill(disk: Path) -> None:
    """Leave no room at all."""
    try:
        with (disk / "others").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
    except OSError:
        pass


def mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)


def try_all(disk: Path) -> list[Figure]:
    """All that happens on the small disk."""
    mount(disk, f"size={MEGABYTES}m")
    whole, found = disk.parent / "whole", []
    train(whole)

    def judge(what: str, said: str, asked: str, folder: Path, kept: list[str]) -> None:
        names = sorted(path.name for path in folder.glob("*")) + [p.name for p in folder.glob(".*.partial")]
        left = " and ".join(names) or "nothing"
        again = train(folder)
        same = not again and same_weights(folder, whole)
        end = "resumed, weights bit for bit" if same else f"NOT resumed to the same weights: {again}"
        met = asked in said and "\n" not in said and names == kept and same
        found.append(Figure(what, f"“{said.replace(str(disk), 'DISK')}”; {left} kept; {end}", asked, met))

    folder, both = disk / "full", ["checkpoint.pt", "history.csv"]
    said = train(folder, lambda: fill(disk))
    (disk / "others").unlink()
    judge("disk full in the second epoch", said, "No space left on device", folder, both)

    folder = disk / "unwritable"
    said = train(folder, lambda: mount(disk, "remount,ro"))
    mount(disk, "remount,rw")
    judge("disk read-only from the second epoch", said, "Read-only file system", folder, both)

    folder = disk / "new"
    mount(disk, "remount,ro")
    said = train(folder)
    mount(disk, "remount,rw")
    judge("folder on a read-only disk", said, "Read-only file system", folder, [])
    return found


def why_no_disk() -> str:
    """Why no disk can be mounted here; empty where one can."""
    try:
        subprocess.run(
            [*ALONE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no disk can be mounted here: {getattr(error, 'stderr', None) or error}".strip()
    return ""


def figures() -> Iterator[Figure]:
    if why := why_no_disk():
        yield Figure("small disks", why, "", True)
        return
    with tempfile.TemporaryDirectory() as name:
        (disk := Path(name) / "disk").mkdir()
        command = [*ALONE, sys.executable, "-m", "soak.disk", str(disk)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": PATH}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    for figure in json.loads(done.stdout):
        yield Figure(*figure)


if __name__ == "__main__":
    print(json.dumps(try_all(Path(sys.argv[1]))))
