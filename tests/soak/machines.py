"""Several processes, several machines: one network, one worker killed, and what is left of the job.

Two network namespaces stand for two machines: each has its own addresses and ports, and nothing but a
virtual cable joins them. `python -m soak.machines FOLDER ...` is what torchrun starts in each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import nn

import minipose
from minipose import runs, training
from minipose.data import Puppets
from minipose.scaling import distributed
from soak.figures import PATH, ROOT, Figure, weights_apart

# 9 people in steps of 4: in the last step one process has a crop, and the others none.
PEOPLE, BATCH, EPOCHS, STEPS = 9, 4, 3, 3
FAULT_AT = 4  # the step in whose midst something breaks: in the second epoch
PATIENCE = timedelta(seconds=20)  # how long a process waits here for one that says nothing
ADDRESSES = ("10.213.7.1", "10.213.7.2")
PORT = 29513
GONE = "another process has ended"
# Of `apart`. PyTorch's instruction sets AVX2 and AVX512 give 1e-5 for four processes, DEFAULT 0.11.
LARGEST = 0.25
HANGS = 500  # seconds in which a job here ends, however slow the machine

Machine = tuple[str, ...]  # what precedes a command to run it there
HERE: Machine = ()


def train(
    folder: Path, accumulate: int = 1, epochs: int = EPOCHS, fault: str = ""
) -> minipose.StackedHourglass:
    """One process's part of a training, or all of it.

    fault : in step FAULT_AT the last process is killed ("kill"), or its machine loses its cable ("cut").
    """
    torch.set_num_threads(1)
    net = untrained()
    prepared = training.batches

    def recorded(*arguments):
        for crops in prepared(*arguments):
            with folder.with_suffix(".seen").open("a") as file:
                file.write("".join(f"{number}\n" for number in crops.indices))
            yield crops

    def break_off(step: int, _: float) -> None:
        if fault and step == FAULT_AT and distributed.rank() == distributed.world_size() - 1:
            folder.with_suffix(".broken").touch()
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            subprocess.run(["ip", "link", "set", "cable", "down"], check=True)

    training.batches = recorded
    try:
        # Plain descent: RMSprop would turn the rounding of a gradient near zero into a whole step.
        minipose.train(
            net, Puppets(PEOPLE, seed=3, size=64), epochs=epochs, size=64, batch_size=BATCH,
            accumulate=accumulate, learning_rate=1e-2, optimizer="sgd", schedule="constant", device="cpu",
            progress=False,
            folder=folder, resume=(folder / "checkpoint.pt").exists(), after_step=break_off,
        )  # fmt: skip
    finally:
        training.batches = prepared
    return net


def why_no_machines() -> str:
    """Why no network namespaces can be made here; empty where they can."""
    try:
        with machines():
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces here: {getattr(error, 'stderr', None) or error}".strip()


@contextmanager
def machines() -> Iterator[list[Machine]]:
    """Two network namespaces with a cable between them."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    names = [f"pose{os.getpid()}{end}" for end in "ab"]
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)  # and its end of the cable
        ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "cable", "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield [("ip", "netns", "exec", name) for name in names]


def launch(
    folder: Path, on: list[Machine], processes: int, epochs: int = EPOCHS, fault: str = ""
) -> tuple[list[str], float]:
    """Run a job with so many processes on each machine, to its end.

    Returns what each machine's torchrun printed, and the seconds from the fault, if any, to the job's end on
    the machines that are left: one that lost its cable counts as switched off.
    """
    folder.with_suffix(".seen").unlink(missing_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATH, "CUDA_VISIBLE_DEVICES": ""}
    jobs = []
    for number, machine in enumerate(on):
        where = ["--standalone"]
        if len(on) > 1:
            # The addresses stand in no name service, so that each is told its own, and who is the host.
            where = ["--nnodes", str(len(on)), "--rdzv-backend", "c10d", "--rdzv-id", "soak"]
            where += ["--rdzv-endpoint", f"{ADDRESSES[0]}:{PORT}", "--local-addr", ADDRESSES[number]]
            where += ["--rdzv-conf", f"is_host={int(number == 0)}"]
            environment["GLOO_SOCKET_IFNAME"] = "cable"
        command = [*machine, sys.executable, "-m", "torch.distributed.run", *where]
        command += ["--nproc-per-node", str(processes), "-m", "soak.machines"]
        command += [str(folder), str(epochs), fault]
        output = folder.with_suffix(f".{number}.txt").open("w+")
        job = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=ROOT)
        jobs.append((job, output))
    left = jobs[:-1] if fault == "cut" else jobs
    try:
        for job, _ in left:
            job.wait(HANGS)
    finally:
        ended = time.time()
        for job, _ in jobs:
            job.kill()
            job.wait()
    said = []
    for _, output in jobs:
        output.seek(0)
        said.append(output.read())
        output.close()
    if not fault and any(job.returncode for job, _ in jobs):
        raise RuntimeError("\n".join(said))
    return said, ended - folder.with_suffix(".broken").stat().st_mtime if fault else 0.0


def seen(folder: Path) -> set[int]:
    """How often the processes of the last job together saw a person, as the set of all such counts."""
    numbers = folder.with_suffix(".seen").read_text().split()
    return {numbers.count(str(number)) for number in range(PEOPLE)}


def untrained() -> minipose.StackedHourglass:
    torch.manual_seed(0)
    return minipose.StackedHourglass(joints=16, stacks=2, features=16, depth=2)


def apart(folder: Path, net: nn.Module) -> float:
    """How far a job's checkpoint is from a network, as a share of how far that one has moved in training.

    Not the farthest of all weights: where pixels are equal, pooling takes the largest by its last bit, and
    on some processors that bit depends on the order of a sum. A factor too many would show as 0.5 and more.
    """
    found = torch.load(folder / "checkpoint.pt", weights_only=True)["weights"]
    trained = torch.cat([p.detach().flatten() for p in net.parameters()])
    other = torch.cat([found[name].flatten() for name, _ in net.named_parameters()])
    start = torch.cat([p.detach().flatten() for p in untrained().parameters()])
    return float((trained - other).norm() / (trained - start).norm())


@dataclass
class Outcome:
    """What became of a job that lost a process in its second epoch, and was started again."""

    apart: float  # `apart` of the first epoch's weights, from one process that took all parts
    once: bool  # every person was seen once an epoch
    told: list[bool]  # whether each machine said why it ended
    outlived: float  # seconds from the process's end to the job's
    kept: int  # epochs that it could build on
    other: float  # how far the weights at the end are from those of a job that lost nobody

    def met(self) -> bool:
        whole = self.once and all(self.told) and self.other == 0 and self.kept == 1
        return whole and self.apart <= LARGEST and self.outlived < 60

    def _weights(self) -> str:
        return f"weights {self.other:.0e} off" if self.other else "the same weights"

    def __str__(self) -> str:
        return (
            f"{self.apart:.0e} from one process, everybody {'once' if self.once else 'NOT once'} an epoch;"
            f" over {self.outlived:.1f} s after the kill, {'saying' if all(self.told) else 'NOT saying'} why;"
            f" resumed after {self.kept} of {EPOCHS} epochs to {self._weights()}"
        )


def lose_one(root: Path, on: list[Machine], processes: int) -> Outcome:
    """Kill one process in the middle of an epoch, start the same line again, compare."""
    # Longer, and the rounding of sums in another order would have grown: see book/many-gpus.md.
    net = train(root / "one", accumulate=processes * len(on), epochs=1)
    folder, whole = root / "many", root / "whole"
    said, outlived = launch(folder, on, processes, fault="kill")
    # The dead one's torchrun knows the signal; on another machine the others only miss it.
    told = ["SIGKILL" in said[-1], *(GONE in text for text in said[:-1])]
    distance, kept = apart(folder, net), len(runs.read_history(folder / "history.csv"))
    launch(folder, on, processes)
    rest = seen(folder)
    launch(whole, on, processes)
    once = seen(root / "one") == {1} and rest == {EPOCHS - kept} and seen(whole) == {EPOCHS}
    return Outcome(distance, once, told, outlived, kept, weights_apart(folder, whole))


def lose_machine(root: Path, on: list[Machine]) -> tuple[bool, float, float]:
    """Switch one machine off in the middle of an epoch, start the same line again with it, compare.

    Returns whether the other said why it ended, the seconds until then, and how far the weights at the end
    are from those of a job that lost nothing.
    """
    folder, whole = root / "off", root / "whole"
    said, outlived = launch(folder, on, 1, fault="cut")
    subprocess.run([*on[-1], "ip", "link", "set", "cable", "up"], check=True)
    launch(folder, on, 1)
    launch(whole, on, 1)
    return all(GONE in text for text in said[:-1]), outlived, weights_apart(folder, whole)


def figures() -> Iterator[Figure]:
    asked = f"within {LARGEST} of one process's way; over within 60 s; the same weights as never killed"
    for processes in (2, 4):
        with tempfile.TemporaryDirectory() as name:
            outcome = lose_one(Path(name), [HERE], processes)
        yield Figure(f"{processes} processes, one killed in mid-epoch", str(outcome), asked, outcome.met())
    if why := why_no_machines():
        yield Figure("two machines", why, asked, True)
        return
    with machines() as on, tempfile.TemporaryDirectory() as name:
        told, outlived, other = lose_machine(Path(name), on)
    what = f"two network namespaces, one off in mid-epoch, patience of {PATIENCE.seconds} s for a step"
    found = f"over after {outlived:.1f} s, {'saying' if told else 'NOT saying'} why"
    found += f"; resumed, weights {other:.0e} off"
    met = told and outlived < PATIENCE.seconds + 60 and other == 0
    yield Figure(what, found, "over within a minute more, and then the same weights as never off", met)
    with machines() as on, tempfile.TemporaryDirectory() as name:
        outcome = lose_one(Path(name), on, 2)
    what = "two network namespaces of 2 processes, one killed in mid-epoch"
    yield Figure(what, str(outcome), asked, outcome.met())


def process(folder: str, epochs: str, fault: str) -> None:
    """What torchrun starts."""
    if fault == "cut":  # elsewhere a busy machine may take its time
        distributed.PATIENCE = PATIENCE
    try:
        train(Path(folder), epochs=int(epochs), fault=fault)
    except ConnectionError as error:
        sys.exit(f"minipose: {error}")
    distributed.finish()


if __name__ == "__main__":
    process(*sys.argv[1:])
