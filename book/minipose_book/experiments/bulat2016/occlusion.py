"""One part heatmap regression, trained for longer and shipped, and what its halves say of hidden parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from minipose.data.sample import OCCLUDED, VISIBLE, PoseDataset
from minipose.evaluation import Evaluation
from minipose.heatmaps import to_map
from minipose.inference import evaluating, to_float
from minipose.metrics import by_visibility
from minipose.models.network import PoseNetwork
from minipose.pipeline import batches
from minipose_book.experiments.bench import Bench, Findings, Plan, Run, experiment, weights
from minipose_book.experiments.bulat2016.training import (
    LARGE_PARTS,
    LIMBS,
    SMALL_PARTS,
    cascade,
    curves,
    taken,
)
from minipose_book.experiments.measures import limbs, scores, settings
from minipose_book.experiments.trained_networks import both_sides, number, timed

SHIPPED = "phr-puppets"
KINDS = {"visible": VISIBLE, "occluded": OCCLUDED}
SMALL_SHIPPED = replace(SMALL_PARTS, people=8000)
LARGE_SHIPPED = replace(LARGE_PARTS, epochs=20)
# Confidences are cut into so many ranges from 0 to 1.
RANGES = 10


@experiment("trains the part heatmap regression that the package ships", "section 3 of PHR", cpu=7, gpu=10)
def part_reference(bench: Bench) -> Findings:
    """The network that is shipped, trained for ten minutes of a CPU; `part-occlusion` asks it."""
    run, plan = _shipped(bench)
    weights(run, SHIPPED)
    shipped = {SHIPPED: scores(run.unseen, plan, "without the flip test, by the quarter offset")}
    took = taken(run)
    means, metric = shipped[SHIPPED]["means"], f"PCKh@{plan.measure[1]}"
    verdict = (
        f"Detection and regression reach {metric} {means[metric]:.3f} over the 12 limb joints of "
        f"{plan.unseen} unseen puppets after {took / 60:.1f} minutes of training."
    )
    return Findings(
        settings(plan, flip=False),
        {"shipped": shipped, "parameters": run.parameters, "seconds": took},
        verdict, curves(bench, plan, {SHIPPED: run}),
    )  # fmt: skip


@experiment("what both halves say of visible and of occluded parts", "Figure 2 of PHR", cpu=1, gpu=1)
def part_occlusion(bench: Bench) -> Findings:
    """Figure 2: detections of hidden parts are weak, and the regression finds the parts all the same."""
    run, plan = _shipped(bench)
    found, chosen = run.unseen, limbs(run.unseen.skeleton)
    with timed(bench):
        every = confidences(bench, run.network, bench.people(plan, "unseen"), plan.size)
    stages = {"detection": 0, "regression": 1}
    confidence: dict[str, Any] = {}
    lines: dict[str, dict[str, list]] = {}
    for name, k in stages.items():
        highest, at_part, mean = (values[:, chosen] for values in every[k])
        confidence[name] = {"everywhere": number(float(mean.mean()))}
        for kind, flag in KINDS.items():
            these = found.visibility[:, chosen] == flag
            confidence[name][kind] = {
                "highest": number(float(highest[these].mean())),
                "at the part": number(float(at_part[these].mean())),
            }
            lines[f"{name}, {kind}"] = shares(at_part[these])
    hit = {name: hits(found, k)[:, chosen] for name, k in stages.items()}
    accuracy = {name: split(found, plan, k) for name, k in stages.items()}
    recovered = {
        kind: recovery(hit["detection"], hit["regression"], found.visibility[:, chosen] == flag)
        for kind, flag in KINDS.items()
    }
    seen, hidden = (confidence["detection"][kind]["at the part"] for kind in KINDS)
    limb = {name: each["limbs"] for name, each in accuracy.items()}
    verdict = (
        f"At the place of a part the detection gives {seen:.2f} where it is visible and {hidden:.2f} where "
        f"it is occluded, {confidence['detection']['everywhere']:.3f} on average over a map. It finds "
        f"{limb['detection']['visible']:.3f} of the visible and {limb['detection']['occluded']:.3f} of the "
        f"occluded ones; the regression {limb['regression']['visible']:.3f} and "
        f"{limb['regression']['occluded']:.3f}. Of {recovered['occluded']['missed']} occluded ones that the "
        f"detection misses it finds {recovered['occluded']['found']}."
    )
    return Findings(
        settings(plan, network=SHIPPED, joints=LIMBS, flip=False),
        {"confidence": confidence, "pckh@0.5": accuracy, "recovered": recovered},
        verdict,
        lines | {
            f"found at a confidence, {kind}": by_confidence(
                every[0][0][:, chosen], hit, found.visibility[:, chosen] == flag
            ) for kind, flag in KINDS.items()
        },
        {"figure": "Figure 2 of part heatmap regression", "says": "detections of occluded parts are much "
         "weaker, and the regression is sure of them"},
    )  # fmt: skip


@torch.no_grad()
def confidences(bench: Bench, network: PoseNetwork, people: PoseDataset, size: int) -> list[Any]:
    """Of each stage's maps of N people: highest value, value at the label's cell, mean; (N, J) each.

    At a joint without label the value is that of the first cell, which means nothing.
    """
    rows: list[list[tuple]] = [[] for _ in network.strides]
    with evaluating(network):
        for crops in batches(people, list(range(len(people))), size, 32):
            stages = network.heatmaps(network(to_float(crops.images, bench.device)))
            for k, maps in enumerate(maps.cpu() for maps in stages):
                height, width = maps.shape[-2:]
                x, y = to_map(crops.keypoints, network.strides[k]).nan_to_num().round().long().unbind(-1)
                cell = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)  # (B, J)
                flat = maps.flatten(-2)
                rows[k].append((flat.amax(-1), flat.gather(-1, cell[..., None])[..., 0], flat.mean(-1)))
    return [tuple(torch.cat(column) for column in zip(*each, strict=True)) for each in rows]


def hits(found: Evaluation, stage: int) -> torch.Tensor:
    """(N, J) bool: within half a head of the label. False where there is no label or no head."""
    distance = (found.stages[stage] - found.target).norm(dim=-1)
    return distance <= 0.5 * found.sizes["head"][:, None]


def split(found: Evaluation, plan: Plan, stage: int) -> dict[str, dict[str, Any]]:
    """PCKh of all, visible and occluded limb joints and of each kind of them, as means over labels."""
    normalizer, threshold = plan.measure
    results = by_visibility(
        found.stages[stage], found.target, found.sizes[normalizer], found.visibility, threshold
    )
    groups = {"limbs": limbs(found.skeleton)}
    groups |= {joint: both_sides(found.skeleton, joint) for joint in ("wrist", "elbow", "knee", "ankle")}
    return {
        name: {kind: number(result.of(joints).weighted_mean) for kind, result in results.items()}
        for name, joints in groups.items()
    }


def recovery(before: torch.Tensor, after: torch.Tensor, these: torch.Tensor) -> dict[str, int]:
    """Of `these` labels: how many stage 1 misses, how many of those stage 2 finds, and how many it loses."""
    missed, kept = these & ~before, these & before
    return {
        "labels": int(these.sum()),
        "missed": int(missed.sum()),
        "found": int((missed & after).sum()),
        "lost": int((kept & ~after).sum()),
    }


def shares(values: torch.Tensor) -> dict[str, list[float]]:
    """Share of the values at or below 0, 1/20, ... 1: a cumulative distribution."""
    marks = [round(k / 20, 2) for k in range(21)]
    return {"score": marks, "share": [round(float((values <= mark).double().mean()), 4) for mark in marks]}


def by_confidence(
    confidence: torch.Tensor, hit: dict[str, torch.Tensor], these: torch.Tensor
) -> dict[str, list]:
    """Share found by each stage, in ranges of the detection's highest value; None where a range is empty."""
    ranges = (confidence * RANGES).long().clamp(0, RANGES - 1)
    rows: dict[str, list] = {"from": [], "labels": []} | {name: [] for name in hit}
    for n in range(RANGES):
        inside = these & (ranges == n)
        rows["from"].append(n / RANGES)
        rows["labels"].append(int(inside.sum()))
        for name, each in hit.items():
            rows[name].append(number(float(each[inside].double().mean())))
    return rows


def _shipped(bench: Bench) -> tuple[Run, Plan]:
    plan = bench.plan(SMALL_SHIPPED, LARGE_SHIPPED)
    return bench.train("part-shipped", lambda: cascade(bench, plan), plan), plan
