"""What all experiments share: plans, data, and one way to train a network and look at the result.

An experiment compares networks under one `Plan`: the same people, order, draws, steps and schedule. A
`Bench` carries it out at one scale, in pieces where a piece may not last longer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from minipose import training
from minipose.data import LSPET, InMemory, PoseDataset, Puppets
from minipose.data.lsp import train_and_validation
from minipose.data.puppets import UNSEEN_SEED
from minipose.evaluation import Evaluation, evaluate
from minipose.inference import choose_device
from minipose.io import checkpoints
from minipose.io.errors import InputError
from minipose.models.hourglass import StackedHourglass, depth_for
from minipose.models.network import PoseNetwork
from minipose.scaling import distributed
from minipose_book.experiments import records
from minipose_book.experiments.measures import limbs

# A record keeps the losses of so many first steps: repeated, they must come out bit for bit.
OPENING = 50


class Paused(Exception):
    """A piece of an experiment is over; the same command with --resume takes the next one."""


@dataclass(frozen=True)
class Plan:
    """What is held fixed in a comparison.

    data : "puppets" or "lspet". people : to train on; None takes all. unseen : to measure on at the end.
    watched : to measure on after each epoch. The rest is as in `minipose.train` and `StackedHourglass`.
    """

    data: str
    size: int
    features: int
    epochs: int
    batch_size: int
    learning_rate: float
    people: int | None = None
    watched: int = 300
    unseen: int = 1000
    augment: str = "none"
    skeleton: str = "mpii"
    optimizer: str = "rmsprop"
    schedule: str = "cosine"

    @property
    def depth(self) -> int:
        """Of the hourglasses, for images of this size."""
        return depth_for(self.size)

    @property
    def measure(self) -> tuple[str, float]:
        """Normalizer and threshold: PCKh@0.5, and PCK@0.2 of the torso where LSPET has no head."""
        return ("torso", 0.2) if self.data == "lspet" else ("head", 0.5)


# At 64 px a run of 2,000 steps takes two to four minutes of one core.
SMALL = Plan("puppets", size=64, features=32, epochs=8, batch_size=16, learning_rate=2.5e-3, people=4000)
MEDIUM = replace(SMALL, size=128)
LARGE = Plan(
    "lspet", size=256, features=256, epochs=30, batch_size=32, learning_rate=2.5e-4, augment="code",
    skeleton="lsp", watched=250,
)  # fmt: skip


Watch = Callable[[PoseNetwork], dict[str, float]]


@dataclass
class Run:
    """One trained network and what it reaches on people that nobody trained on.

    opening : losses of the first steps. watched : what was looked at after each epoch.
    """

    label: str
    seed: int
    network: PoseNetwork
    history: list[dict[str, float]]
    opening: list[float]
    unseen: Evaluation
    watched: list[dict[str, float]] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())


@dataclass
class Findings:
    """What an experiment returns; `Bench.record` adds who, where and when. See `records.Record`."""

    settings: dict[str, Any]
    results: dict[str, Any]
    verdict: str
    curves: dict[str, dict[str, list]] = field(default_factory=dict)
    paper: dict[str, Any] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])


@dataclass(frozen=True)
class Experiment:
    """run : what to do on a `Bench`. shows, reference : in words. minutes : expected at "cpu" and "gpu"."""

    run: Callable[[Bench], Findings]
    shows: str
    reference: str
    minutes: dict[str, float]


EXPERIMENTS: dict[str, Experiment] = {}


def experiment(shows: str, reference: str, cpu: float, gpu: float):
    """List a function as an experiment, under its name with hyphens.

    shows, reference : in words. cpu, gpu : minutes expected at these scales.
    """

    def wrap(run: Callable[[Bench], Findings]) -> Callable[[Bench], Findings]:
        name = run.__name__.replace("_", "-")
        if name in EXPERIMENTS:
            raise ValueError(f"two experiments are called {name}")
        EXPERIMENTS[name] = Experiment(run, shows, reference, {"cpu": cpu, "gpu": gpu})
        return run

    return wrap


class Bench:
    """Carries experiments out at one scale.

    Parameters
    ----------
    scale : "cpu" or "gpu". folder : of the runs, a folder each. resume : finished runs there are read,
    begun ones continued. minutes : raise `Paused` once so many have passed, at the next step after a
    checkpoint. root : LSPET's folder; None looks in MINIPOSE_DATA.
    """

    def __init__(
        self,
        scale: str,
        folder: str | Path = "runs/experiments",
        resume: bool = False,
        minutes: float | None = None,
        root: str | Path | None = None,
        device: str | torch.device = "auto",
        progress: bool = False,
    ):
        self.scale, self.folder, self.resume, self.root = scale, Path(folder) / scale, resume, root
        self.device, self.progress = choose_device(device), progress
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.seconds = 0.0  # of training and of measuring, the earlier pieces' included
        self.code = records.code()

    def plan(self, cpu: Plan, gpu: Plan = LARGE) -> Plan:
        """The plan for this scale."""
        return cpu if self.scale == "cpu" else gpu

    def people(self, plan: Plan, part: str) -> PoseDataset:
        """The people of a plan: part "train", "watched" or "unseen"; nobody is in two of them."""
        return _people(plan, part, None if self.root is None else str(self.root))

    def hourglass(
        self,
        plan: Plan,
        stacks: int,
        residuals: int = 1,
        kind: type[StackedHourglass] = StackedHourglass,
        **more: Any,
    ) -> StackedHourglass:
        """A stacked hourglass, or a relative of it, that fits the plan and its people."""
        people = self.people(plan, "watched")
        usual: dict[str, Any] = {
            "joints": len(people.skeleton), "stacks": stacks, "residuals": residuals,
            "features": plan.features, "depth": plan.depth, "unlabelled": people.unlabelled,
        }  # fmt: skip
        return kind(**usual | more)

    def train(
        self,
        label: str,
        make: Callable[[], PoseNetwork],
        plan: Plan,
        seed: int = 0,
        watch: Watch | None = None,
    ) -> Run:
        """Train the network that `make` returns. `label` names its folder, with the seed.

        watch : a look at the network after each epoch, beside the usual accuracy.

        Runs with one label must have the same network and plan: a second experiment finds the first
        one's run there and takes it.
        """
        folder = self.folder / f"{label}-seed{seed}"
        begun = (folder / "checkpoint.pt").exists()
        if begun and not self.resume:
            raise InputError(folder, "run", "none of that name yet, or --resume to go on")
        people = self.people(plan, "train")
        an_epoch = -(-len(people) // plan.batch_size)
        torch.manual_seed(seed)
        network = make()
        opening = _read(folder / "opening.json") if begun else []
        watched = _read(folder / "watched.json") if begun else []

        def after_step(step: int, loss: float) -> None:
            if step < OPENING:
                del opening[step:]
                opening.append(loss)
                _write(folder / "opening.json", opening)
            if watch is not None and (step + 1) % an_epoch == 0:
                del watched[step // an_epoch :]
                watched.append(watch(network))
                _write(folder / "watched.json", watched)
            if step % an_epoch == 0 and (folder / "checkpoint.pt").exists():
                self.pause(f"{label}, seed {seed}, after {step // an_epoch} of {plan.epochs} epochs")

        self.pause(f"before {label}, seed {seed}")
        history = training.train(
            network, people, self.people(plan, "watched"), epochs=plan.epochs, size=plan.size,
            batch_size=plan.batch_size, learning_rate=plan.learning_rate, augment=plan.augment,
            optimizer=plan.optimizer, schedule=plan.schedule, seed=seed, device=self.device,
            gpu_crops=self.device.type == "cuda", folder=folder, resume=begun, progress=self.progress,
            after_step=after_step,
        )  # fmt: skip
        self.seconds += sum(row["seconds"] for row in history)
        return Run(label, seed, network, history, opening, self.measure(network, plan), watched)

    def pause(self, where: str) -> None:
        """Raise `Paused` if this piece's time is over."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Paused(where)

    def measure(self, network: PoseNetwork, plan: Plan, flip: bool = False, **how: Any) -> Evaluation:
        """What a network finds on the unseen people."""
        started = time.perf_counter()
        size = network.size or plan.size
        found = evaluate(
            network, self.people(plan, "unseen"), size, flip, batch_size=32, device=self.device, **how
        )
        self.seconds += time.perf_counter() - started
        return found

    def record(self, name: str, findings: Findings) -> records.Record:
        """Findings with who, where and when."""
        return records.Record(
            name, self.scale, findings.settings, findings.seeds, self.code, records.describe(self.device),
            records.versions(), time.strftime("%Y-%m-%d", time.gmtime()), round(self.seconds, 1),
            findings.curves, findings.results, findings.paper, findings.verdict,
        )  # fmt: skip


@cache
def _people(plan: Plan, part: str, root: str | None) -> PoseDataset:
    """Cached, since all networks of a comparison read the same people, and puppets are painted once."""
    people = _lspet(plan, part, root) if plan.data == "lspet" else _puppets(plan, part)
    if part == "watched":  # accuracy against training is the 8 joints', as in Figure 8
        people.skeleton = replace(people.skeleton, scored=tuple(limbs(people.skeleton)))
    return people


def _lspet(plan: Plan, part: str, root: str | None) -> PoseDataset:
    if part == "unseen":
        people: PoseDataset = LSPET(root, "held-out")
    else:
        people = train_and_validation(root)[part == "watched"]
    count = {"train": plan.people, "watched": plan.watched, "unseen": plan.unseen}[part]
    chosen = people.subset(range(len(people))[:count])
    # Looked at after each epoch: to decode these photos again would take longer than to learn on a GPU.
    return InMemory(chosen) if part == "watched" else chosen


def _puppets(plan: Plan, part: str) -> PoseDataset:
    # The unseen scenes are numbered on from the watched ones, so that no scene is in both.
    if part == "train":
        return InMemory(Puppets(plan.people or 8000, 0, plan.size, plan.skeleton))
    every = Puppets(plan.watched + plan.unseen, UNSEEN_SEED, plan.size, plan.skeleton)
    numbers = {"watched": range(plan.watched), "unseen": range(plan.watched, len(every))}[part]
    return InMemory(every.subset(numbers))


def weights(run: Run, name: str) -> Path | None:
    """Where a run's network is shipped, in half precision; only the first process writes."""
    path = records.PACKAGE / "weights" / f"{name}.safetensors"
    if distributed.is_main():
        checkpoints.save_weights(run.network, path, half=True)
    return path


def _write(path: Path, rows: list) -> None:
    with checkpoints.atomic(path) as partial:
        partial.write_text(json.dumps(rows))


def _read(path: Path) -> list:
    return json.loads(path.read_text()) if path.exists() else []
