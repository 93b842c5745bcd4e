"""The networks that the package ships, trained as well as they can be, and all systems side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose.models.network import PoseNetwork
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose_book.experiments.bench import (
    LARGE,
    MEDIUM,
    SMALL,
    Bench,
    Findings,
    Paused,
    Plan,
    Run,
    experiment,
    weights,
)
from minipose_book.experiments.measures import accuracy, curve, openings, scores, settings
from minipose_book.experiments.variants import ActivatedHourglass

# On people of LSPET, mean PCK@0.2 over the 12 limb joints: two published networks of mobile size, one in wide
# use, and two annotators with one another. Handed to us with the project; no command measures them.
OTHERS = {"mobile hourglass": 0.31, "mobile CPM": 0.38, "production network": 0.56, "two annotators": 0.82}

# Puppets need no augmentation, since one can always paint more of them.
PUPPETS = replace(MEDIUM, features=64, people=12000, epochs=5, learning_rate=2e-3)
PHOTOS = Plan(
    "lspet", size=128, features=64, epochs=20, batch_size=16, learning_rate=2e-3, augment="code",
    skeleton="lsp", watched=500,
)  # fmt: skip


@experiment("trains the networks that the package ships", "section 3.4", cpu=90, gpu=20)
def reference(bench: Bench) -> Findings:
    """Train what is shipped: a pair of equal capacity for the live lab on puppets and on people, and,
    on a GPU, the wide one.

    The unseen people are measured on once, at the end; plans were tuned on the watched ones.
    """
    on_gpu = bench.scale == "gpu"
    photos = bench.plan(PHOTOS, replace(PHOTOS, epochs=120, batch_size=32, schedule="warmup"))
    puppets = bench.plan(PUPPETS, PUPPETS)
    networks: dict[str, tuple[Plan, int, int]] = {
        "hg1x4-puppets": (puppets, 1, 4),
        "hg4x1-puppets": (puppets, 4, 1),
        "hg1x4-lspet": (photos, 1, 4),
        "hg4x1-lspet": (photos, 4, 1),
    }
    if on_gpu:
        # First, because it is what a GPU is for.
        large = bench.plan(LARGE, replace(LARGE, epochs=90, schedule="warmup"))
        networks = {"hg2-lspet": (large, 2, 1)} | networks
    runs: dict[str, Run] = {}
    shipped: dict[str, Any] = {}
    for name, (plan, stacks, residuals) in networks.items():
        try:
            run = bench.train(f"reference-{name}", _maker(bench, plan, stacks, residuals), plan)
        except Paused:
            if not runs:
                raise
            break  # what is trained is of use without what is not
        weights(run, name)
        runs[name] = run
        flipped = bench.measure(run.network, plan, flip=True)
        shipped[name] = scores(flipped, plan, "with the flip test and the quarter offset") | {
            "without_flip": scores(run.unseen, plan, "without the flip test")["means"],
            "parameters": run.parameters,
            "training_seconds": round(sum(row["seconds"] for row in run.history), 1),
        }
    curves = {
        name: curve(run.history, networks[name][0], len(bench.people(networks[name][0], "train")))
        for name, run in runs.items()
    }
    shown = ", ".join(
        f"{name} {shipped[name]['means']['PCK@0.2' if networks[name][0].data == 'lspet' else 'PCKh@0.5']:.3f}"
        for name in runs
    )
    verdict = (
        f"On people that nobody trained on, with the flip test, over the 12 limb joints, PCKh@0.5 on puppets "
        f"and PCK@0.2 (torso) on photos: {shown}."
    )
    if missing := [name for name in networks if name not in runs]:
        verdict += f" Not trained yet: {', '.join(missing)}."
    return Findings(
        {name: settings(plan, stacks=s, residuals=r) for name, (plan, s, r) in networks.items()},
        {"shipped": shipped}, verdict, curves | openings(runs.values()),
        {"others_on_lspet_pck@0.2": OTHERS},
    )  # fmt: skip


@experiment(
    "all networks of the package on the same people, for the same number of steps",
    "their papers",
    cpu=3,
    gpu=10,
)
def systems(bench: Bench) -> Findings:
    """Every network of the package on the same people, for the same number of steps."""
    plan = bench.plan(SMALL)
    watched = bench.people(plan, "watched")
    joints, unlabelled = len(watched.skeleton), watched.unlabelled
    on_gpu = bench.scale == "gpu"
    # Each with the optimizer and rate that it learns with; people, order and steps are the same.
    adam = replace(plan, optimizer="adam", learning_rate=2e-4 if on_gpu else 4e-3)
    machine = ConvolutionalPoseMachine if on_gpu else ConvolutionalPoseMachine.small
    halves = "resnet152" if on_gpu else "small"
    networks: dict[str, tuple[Callable[[], PoseNetwork], Plan]] = {
        "stacked hourglass, 2 stacks": (_maker(bench, plan, 2, 1), plan),
        "pose machine, 3 stages": (lambda: machine(joints, 3, unlabelled=unlabelled), adam),
        "part heatmap regression": (
            lambda: PartHeatmapRegression(joints, halves, unlabelled=unlabelled),
            adam,
        ),
        "student report's hourglass, 4 stacks": (
            lambda: bench.hourglass(plan, 4, kind=ActivatedHourglass, activation="sigmoid"),
            replace(adam, learning_rate=1e-3 if on_gpu else 5e-3, schedule="step"),
        ),
    }
    runs = {
        name: bench.train(f"systems-{name.replace(' ', '-')}", make, its)
        for name, (make, its) in networks.items()
    }
    results = {
        name: {
            "accuracy": accuracy(run.unseen, plan),
            "parameters": run.parameters,
            "seconds": round(sum(row["seconds"] for row in run.history), 1),
        }
        for name, run in runs.items()
    }
    best = sorted(results, key=lambda name: -results[name]["accuracy"])
    ranked = ", ".join(f"{name} {results[name]['accuracy']:.3f}" for name in best)
    verdict = f"Under one plan, from the best: {ranked}."
    people = len(bench.people(plan, "train"))
    return Findings(
        settings(plan, joints="wrists, elbows, knees, ankles", flip=False,
                 optimizers={name: its.optimizer for name, (_, its) in networks.items()}), results, verdict,
        {name: curve(run.history, plan, people) for name, run in runs.items()} | openings(runs.values()),
    )  # fmt: skip


def _maker(bench: Bench, plan: Plan, stacks: int, residuals: int) -> Callable[[], PoseNetwork]:
    return lambda: bench.hourglass(plan, stacks, residuals)
