"""The student report's choices (its sections 4.2 to 4.7), each tried beside the others under one plan.

The plan is its own, made small: COCO's 17 joints, Adam, and one drop of the rate from 5e-3 to 5e-4. OKS is
COCO's AR where each person has one answer: see `flipping.Answers.oks`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from minipose import heatmaps as codec
from minipose.data.sample import PoseDataset
from minipose.evaluation import evaluate
from minipose.inference import evaluating, to_float, to_photo
from minipose.models.network import PoseNetwork
from minipose.pipeline import batches
from minipose_book.experiments.bench import LARGE, SMALL, Bench, Findings, Plan, Run, experiment
from minipose_book.experiments.lee2020.augmentation import LEVELS
from minipose_book.experiments.measures import accuracy, curve, of_people, openings, settings, spread
from minipose_book.experiments.newell2016.flip_test import Answers
from minipose_book.experiments.trained_networks import timed
from minipose_book.experiments.variants import ACTIVATIONS, ActivatedHourglass

SMALL_REPORT = replace(
    SMALL, people=2000, watched=200, epochs=16, skeleton="coco", optimizer="adam", learning_rate=5e-3,
    schedule="step",
)  # fmt: skip
LARGE_REPORT = replace(
    LARGE, data="puppets", skeleton="coco", people=8000, watched=300, epochs=12, augment="none",
    optimizer="adam", learning_rate=1e-3, schedule="step",
)  # fmt: skip
# So few people, and as many more epochs, for what is to keep a network from learning them by heart.
FEW = 500
LIMBS = "wrists, elbows, knees, ankles"
# An output below this for every person says that a joint's heatmap is silent.
SILENT = 1e-3


@experiment(
    "heatmaps as they come, through a sigmoid, through a ReLU", "student report, section 4.4", cpu=10, gpu=30
)
def activations(bench: Bench) -> Findings:
    """Section 4.4: heatmaps as they come, through a sigmoid, through a ReLU."""
    plan, seeds = bench.plan(SMALL_REPORT, LARGE_REPORT), seeds_of(bench)
    runs = {
        name: [plain(bench, plan, seed) if name == "linear" else variant(
            bench, f"report-{name}",
            partial(bench.hourglass, plan, 2, kind=ActivatedHourglass, activation=name), plan, seed,
        ) for seed in seeds]
        for name in ("linear", *ACTIVATIONS)
    }  # fmt: skip
    results = {name: outcome(bench, plan, several) for name, several in runs.items()}
    for name, several in runs.items():
        silent = [(run.unseen.scores.amax(dim=0) < SILENT).sum().item() for run in several]
        results[name]["silent_joints"] = silent
    pck = {name: row["pck"]["mean"] for name, row in results.items()}
    ahead = results["sigmoid"]["pck"]["range"][0] > results["linear"]["pck"]["range"][1]
    behind = results["sigmoid"]["pck"]["range"][1] < results["linear"]["pck"]["range"][0]
    told = "ahead of" if ahead else "behind" if behind else "not to be told from"
    verdict = (
        f"{_shown(results)}. In the report the sigmoid is narrowly ahead and ReLU was given up; here the "
        f"sigmoid is {told} linear ({100 * (pck['sigmoid'] - pck['linear']):+.1f} points), and ReLU is "
        f"{100 * (pck['relu'] - pck['linear']):+.1f} points from linear, with "
        f"{' and '.join(map(str, results['relu']['silent_joints']))} of 17 heatmaps silent for everybody."
    )
    return Findings(
        settings(plan, stacks=2, joints=LIMBS, flip=False), results, verdict,
        curves(bench, plan, (run for several in runs.values() for run in several)),
        {"student report, section 4.4": "Relu performed poorly from the start [...] Sigmoid narrowly out "
         "performing Linear"},
        seeds,
    )  # fmt: skip


@experiment("Adam against RMSprop, at two rates", "student report, section 4.7", cpu=6, gpu=30)
def optimizers(bench: Bench) -> Findings:
    """Section 4.7: Adam against RMSprop, at the report's rate, where it took both, and at a quarter of it."""
    plan = bench.plan(SMALL_REPORT, LARGE_REPORT)
    runs, plans = {}, {}
    for share in (1, 0.25):
        for name in ("adam", "rmsprop"):
            own = replace(plan, optimizer=name, learning_rate=plan.learning_rate * share)
            label = f"{name} {own.learning_rate:g}"
            plans[label] = own
            make = partial(bench.hourglass, plan, 2)
            usual = own == plan
            runs[label] = (
                plain(bench, plan)
                if usual
                else variant(bench, f"report-{label.replace(' ', '-')}", make, own)
            )
    results = {name: outcome(bench, plan, [run]) for name, run in runs.items()}
    for name, run in runs.items():
        # Before the rate drops: afterwards every curve is calm.
        early = [row["loss"] for row in run.watched[: max(2, round(len(run.watched) * 2 / 3))]]
        results[name]["roughness"] = round(roughness(early), 4)
        results[name]["lowest_loss"] = float(f"{min(row['loss'] for row in run.watched):.4g}")
    by_rate = [(results[a], results[b]) for a, b in zip(list(runs)[::2], list(runs)[1::2], strict=True)]
    calmer = [adam["roughness"] < rmsprop["roughness"] for adam, rmsprop in by_rate]
    rough = ", ".join(f"{name} {row['roughness']:.3f}" for name, row in results.items())
    verdict = (
        f"{_shown(results)}. How far the watched loss climbs back from epoch to epoch, of its mean: {rough}. "
        f"In the report Adam is more stable, with one rate for both; here it is "
        f"{'at both rates' if all(calmer) else 'at one rate of two' if any(calmer) else 'at neither rate'}."
    )
    return Findings(
        settings(plan, stacks=2, joints=LIMBS, flip=False,
                 rates={name: own.learning_rate for name, own in plans.items()},
                 roughness="mean rise of the watched loss from one epoch to the next, falls counted as 0, "
                           "until the rate drops; over the mean loss of these epochs"),
        results, verdict, curves(bench, plan, runs.values(), runs),
        {"student report, section 4.7": "Adam optimizer resulted in a more stable training and validation "
         "loss curve"},
    )  # fmt: skip


@experiment(
    "four stacks against eight, epoch by epoch, with and without the flip test",
    "student report, section 4.2",
    cpu=10,
    gpu=50,
)
def depth(bench: Bench) -> Findings:
    """Section 4.2 and Figures 8 to 10: four stacks against eight, after each epoch, with and without flip."""
    plan = bench.plan(SMALL_REPORT, LARGE_REPORT)
    runs = {
        f"{stacks} stacks": variant(bench, f"report-{stacks}", partial(bench.hourglass, plan, stacks), plan)
        for stacks in (4, 8)
    }
    results = {name: outcome(bench, plan, [run]) for name, run in runs.items()}
    people = bench.people(plan, "unseen")
    crowded = np.array([len(people[n].others) > 0 for n in range(len(people))])
    for name, run in runs.items():
        results[name] |= {
            "parameters": run.parameters,
            "seconds": round(sum(row["seconds"] for row in run.history), 1),
            "by_stage": [accuracy(run.unseen, plan, k) for k in range(len(run.network.strides))],
            "alone": accuracy(of_people(run.unseen, ~crowded), plan),
            "beside somebody": accuracy(of_people(run.unseen, crowded), plan),
        }  # fmt: skip
    four, eight = runs.values()
    best = max(row["oks"] for row in four.watched)
    reached = [epoch for epoch, row in enumerate(eight.watched, 1) if row["oks"] >= best]
    quarter = max(1, plan.epochs // 4) - 1
    early = 100 * (eight.watched[quarter]["oks"] - four.watched[quarter]["oks"])
    gains = {
        name: 100 * statistics.mean(row["oks_flip"] - row["oks"] for row in run.watched[-3:])
        for name, run in runs.items()
    }
    a, b = results.values()
    beside = 100 * (b["beside somebody"] - a["beside somebody"])
    verdict = (
        f"{_shown(results)}. After a quarter of the epochs eight stacks are {early:+.1f} points of OKS from "
        "four; "
        + (f"they reach the best of four ({best:.3f}) in epoch {reached[0]} of {plan.epochs}" if reached
           else f"they do not reach the best of four ({best:.3f})")
        + f". Beside a second person the eight are {beside:+.1f} "
        f"points of PCKh from the four, alone {100 * (b['alone'] - a['alone']):+.1f}; they train "
        f"{b['seconds'] / a['seconds']:.1f} times as long. Averaging with the mirrored picture is worth "
        f"{' and '.join(f'{gain:+.1f}' for gain in gains.values())} points of OKS over the last three epochs."
    )  # fmt: skip
    return Findings(
        settings(plan, joints=LIMBS, flip=False, beside_somebody=int(crowded.sum())),
        results | {"reached_best_of_four": reached[0] if reached else None}, verdict,
        curves(bench, plan, runs.values(), runs),
        {"student report, section 4.2": "it took more time to train in the beginning with the hourglass 8 "
         "model, but the OKS score had already reached hourglass 4's best performance around epoch 70",
         "Figures 8 and 9": "a significant improvement of the OKS matrix score with the left-right-flip "
         "trick"},
    )  # fmt: skip


@experiment(
    "light, medium and heavy augmentation against none, on few people",
    "student report, section 4.3",
    cpu=16,
    gpu=40,
)
def augmentation_levels(bench: Bench) -> Findings:
    """Section 4.3: the levels of the report's Table 1 against nothing varied, on few people."""
    usual = bench.plan(SMALL_REPORT, LARGE_REPORT)
    times = (usual.people or FEW) // FEW
    plan = replace(usual, people=FEW, epochs=max(1, times * usual.epochs), watched=min(50, usual.watched))
    seeds = seeds_of(bench)
    results: dict[str, Any] = {}
    every: dict[str, Run] = {}
    for name in ("none", *LEVELS):
        varied = replace(plan, augment=name)
        runs = [
            bench.train(f"report-level-{name}", lambda: bench.hourglass(plan, 2), varied, seed)
            for seed in seeds
        ]
        known = []
        for run in runs:
            with timed(bench):
                people = bench.people(varied, "train")
                seen = evaluate(run.network, people, flip=False, batch_size=32, device=bench.device)
            known.append(accuracy(seen, plan))
            every[f"{name} seed {run.seed}"] = run
        results[name] = outcome(bench, plan, runs) | {"trained_on": spread(known)}
    gains = {
        name: (100 * (results[name]["oks"]["mean"] - results["none"]["oks"]["mean"]),
               100 * (results[name]["pck"]["mean"] - results["none"]["pck"]["mean"]))
        for name in LEVELS
    }  # fmt: skip
    best = max(LEVELS, key=lambda name: gains[name][0])
    verdict = (
        "Over nothing varied: "
        + ", ".join(f"{name} {a:+.1f} points of OKS, {b:+.1f} of PCKh" for name, (a, b) in gains.items())
        + f". The report found about 5 and kept medium; here the best is {best}. The people trained on are "
        f"found to {results['none']['trained_on']['mean']:.3f} without and "
        f"{results['heavy']['trained_on']['mean']:.3f} with the heavy level."
    )  # fmt: skip
    return Findings(
        settings(plan, stacks=2, joints=LIMBS, flip=False, augment=["none", *LEVELS]), results, verdict,
        {name: curve(run.history, plan, plan.people or FEW) for name, run in every.items()}
        | openings(every.values()),
        {"student report, section 4.3": "data augmentation improved results by 5%", "kept": "medium"}, seeds,
    )  # fmt: skip


def plain(bench: Bench, plan: Plan, seed: int = 0) -> Run:
    """Two stacks under the report's plan, nothing varied; several experiments compare with this one."""
    return variant(bench, "report", partial(bench.hourglass, plan, 2), plan, seed)


def variant(bench: Bench, label: str, make: Callable[[], PoseNetwork], plan: Plan, seed: int = 0) -> Run:
    return bench.train(label, make, plan, seed, watch=lambda network: look(bench, network, plan))


def look(bench: Bench, network: PoseNetwork, plan: Plan) -> dict[str, float]:
    """Loss on the watched people, and OKS without and with the mirrored picture."""
    people = bench.people(plan, "watched")
    total, found = 0.0, {"oks": [], "oks_flip": []}  # type: ignore[var-annotated]
    with torch.no_grad(), evaluating(network):
        for crops in batches(people, list(range(len(people))), plan.size, 32):
            crops = crops.to(bench.device)
            images = to_float(crops.images, bench.device)
            stages = network(images)
            loss = network.loss(stages, crops.keypoints, crops.visibility, crops.others)
            total += float(loss) * len(crops.indices)
            maps = network.heatmaps(stages)[-1]
            mirrored = codec.mirror(network.heatmaps(network(images.flip(-1)))[-1], people.skeleton)
            for name, each in (("oks", maps), ("oks_flip", (maps + mirrored) / 2)):
                points = codec.to_crop(codec.decode_heatmaps(each.cpu(), "quarter")[0], network.strides[-1])
                found[name].append(to_photo(points, crops.matrices, people.skeleton))
    answers = compared(people, plan)
    return {"loss": float(f"{total / len(people):.5g}")} | {
        name: answers.oks(torch.cat(parts)) or 0.0 for name, parts in found.items()
    }


def outcome(bench: Bench, plan: Plan, runs: list[Run]) -> dict[str, Any]:
    """PCKh over limbs, OKS and its loose form (at 0.5 alone) on the unseen people, over the seeds."""
    answers = compared(bench.people(plan, "unseen"), plan)
    return {
        "pck": spread(accuracy(run.unseen, plan) for run in runs),
        "oks": spread(answers.oks(run.unseen.predicted) or 0.0 for run in runs),
        "oks50": spread(answers.oks(run.unseen.predicted, [0.5]) or 0.0 for run in runs),
    }


def compared(people: PoseDataset, plan: Plan) -> Answers:
    return Answers([people[n] for n in range(len(people))], *plan.measure, people.skeleton)


def curves(
    bench: Bench, plan: Plan, runs: Iterable[Run], names: Iterable[str] | None = None
) -> dict[str, dict[str, list]]:
    """Each run's accuracy and what was watched, by its name or else by label and seed."""
    runs, people = list(runs), len(bench.people(plan, "train"))
    named = list(names) if names is not None else [f"{run.label} seed {run.seed}" for run in runs]
    found = {}
    for name, run in zip(named, runs, strict=True):
        more = {f"watched_{key}": [row[key] for row in run.watched] for key in run.watched[0]}
        found[name] = curve(run.history, plan, people) | more
    return found | openings(runs)


def roughness(losses: list[float]) -> float:
    """Mean rise from one to the next, falls counted as 0, over the mean: 0 for what only falls.

    >>> roughness([4.0, 2.0, 3.0, 1.0])  # one rise of 1 in three steps, mean 2.5
    0.13333333333333333
    """
    return statistics.mean(max(0.0, b - a) for a, b in pairwise(losses)) / statistics.mean(losses)


def seeds_of(bench: Bench) -> list[int]:
    return [0, 1] if bench.scale == "cpu" else [0]


def _shown(results: dict[str, Any]) -> str:
    each = (f"{name} {row['pck']['mean']:.3f} ({row['oks']['mean']:.3f})" for name, row in results.items())
    return f"PCKh@0.5 of limbs (and OKS): {', '.join(each)}"
