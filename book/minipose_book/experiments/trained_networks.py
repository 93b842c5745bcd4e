"""What a trained network's heatmaps say of joints that are hidden, and of joints that are not there (5.2)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minipose import metrics
from minipose.crops import Crop
from minipose.data.puppets import UNSEEN_SEED
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, PoseDataset, Sample
from minipose.evaluation import Evaluation, evaluate
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork
from minipose.presence import PrecisionRecall, precision_recall
from minipose.skeletons import Skeleton
from minipose_book.experiments.bench import (
    LARGE,
    MEDIUM,
    Bench,
    Findings,
    Plan,
    experiment,
)
from minipose_book.pretrained import load

PUPPETS = "hg2-puppets-small"
# LSPET has no occlusion flags, no second person, and leaves joints that are seen without a label.
LARGE_PUPPETS = replace(LARGE, data="puppets", skeleton="mpii", people=8000, epochs=10, augment="paper")
# Unseen people to ask about: all of them, and so many cut by the border beside as many whole.
PEOPLE, CUT = 2500, 600
# Scenes among which those people, and pairs of people, are looked for.
POOL = 10_000
# So many points of a precision-recall curve are kept.
POINTS = 100


def reader(bench: Bench, people: int) -> tuple[PoseNetwork, Plan, str]:
    """A network that reads puppets, a plan of `people` unseen ones for it, and its name.

    On a CPU the shipped one of 128 px. For a GPU one of 256 px and the paper's width is trained once, for
    all experiments with the same --runs folder and --resume.
    """
    if bench.scale == "cpu":
        return load(PUPPETS), replace(MEDIUM, unseen=people), PUPPETS
    run = bench.train("puppets-256", lambda: bench.hourglass(LARGE_PUPPETS, 2), LARGE_PUPPETS)
    return run.network, replace(LARGE_PUPPETS, unseen=people), run.label


@contextmanager
def timed(bench: Bench) -> Iterator[None]:
    """Count what happens inside as the experiment's time."""
    started = time.perf_counter()
    yield
    bench.seconds += time.perf_counter() - started


def asked(network: PoseNetwork, plan: Plan, name: str, people: int, **more: Any) -> dict[str, Any]:
    """Settings of an experiment that only asks a network: which one, about whom."""
    seed = {"scenes of seed": UNSEEN_SEED, "first scene": plan.watched} if plan.data == "puppets" else {}
    return {"network": name, "size": network.size, "data": plan.data, "people": people} | seed | more


def cut(samples: Sequence[Sample], crops: Sequence[Crop], size: int) -> torch.Tensor:
    """One crop of each sample's photo, (B, 3, S, S) uint8."""
    pixels = np.stack([crop.image(s.image, size) for s, crop in zip(samples, crops, strict=True)])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def both_sides(skeleton: Skeleton, joint: str) -> list[int]:
    """Numbers of the left and the right "wrist", "knee" ..."""
    return [j for j, name in enumerate(skeleton.joints) if name.endswith(f"_{joint}")]


def number(value: float) -> float | None:
    """Rounded for a record, where None says that nothing was counted."""
    return None if math.isnan(value) else round(float(value), 4)


@experiment("PCKh of visible and of occluded joints", "Figure 11 left, section 5.2", cpu=2, gpu=8)
def occlusion(bench: Bench) -> Findings:
    """Figure 11 left: PCKh of visible and of occluded joints, which the puppets' geometry tells apart."""
    network, plan, name = reader(bench, PEOPLE)
    found = bench.measure(network, plan, flip=True)
    thresholds = [round(0.025 * k, 3) for k in range(21)]
    usual = thresholds.index(0.5)
    joints = ("wrist", "elbow", "knee", "ankle")
    split = {joint: by_visibility(found, joint, thresholds) for joint in joints}
    curves: dict[str, dict[str, list]] = {
        f"{joint} {kind}": {"threshold": thresholds, "pck": values}
        for joint, kinds in split.items() for kind, values in kinds.items()
    }  # fmt: skip
    at_half: dict[str, Any] = {}
    for joint, kinds in split.items():
        flags = found.visibility[:, both_sides(found.skeleton, joint)]
        labels = {"visible": int((flags == VISIBLE).sum()), "occluded": int((flags == OCCLUDED).sum())}
        share = labels["visible"] / max(1, sum(labels.values()))
        at_half[joint] = {kind: values[usual] for kind, values in kinds.items()}
        at_half[joint] |= {"labels": labels, "visible_share": round(share, 4)}

    def figures(joint: str) -> str:
        return " / ".join(
            "none" if at_half[joint][kind] is None else f"{100 * at_half[joint][kind]:.1f}"
            for kind in ("all", "visible", "occluded")
        )

    harder = all(
        (at_half[joint]["occluded"] or 0) < (at_half[joint]["visible"] or 0) for joint in ("wrist", "elbow")
    )
    verdict = (
        f"PCKh@0.5 over all, visible and occluded joints: wrist {figures('wrist')}, elbow "
        f"{figures('elbow')}; in the paper 85.5 / 93.6 / 61.1 and 90.5 / 95.1 / 74.0. Occluded joints are "
        f"{'harder here too' if harder else 'not harder here'}; "
        f"{100 * at_half['wrist']['visible_share']:.0f}% of the wrists and "
        f"{100 * at_half['elbow']['visible_share']:.0f}% of the elbows are visible (about 75% in the paper)."
    )
    return Findings(
        asked(network, plan, name, len(found.target), flip=True, refine="quarter", normalizer="head",
              mean="over labels, left and right together"),
        {"pckh@0.5": at_half}, verdict, curves,
        {"figure": "Figure 11 left, section 5.2", "visible_share": "about 75% of the elbows and wrists",
         "pckh@0.5": {"wrist": {"all": 0.855, "visible": 0.936, "occluded": 0.611},
                      "elbow": {"all": 0.905, "visible": 0.951, "occluded": 0.74}}},
    )  # fmt: skip


def by_visibility(found: Evaluation, joint: str, thresholds: list[float]) -> dict[str, list[float | None]]:
    """PCKh of "all", "visible" and "occluded" labels of a joint, left and right, at each threshold."""
    sides = both_sides(found.skeleton, joint)
    flags = found.visibility[:, sides]
    masks = {"all": flags != UNLABELLED, "visible": flags == VISIBLE, "occluded": flags == OCCLUDED}
    return {
        kind: [
            number(result.weighted_mean)
            for result in metrics.pck_curve(
                found.predicted[:, sides], found.target[:, sides], found.sizes["head"], thresholds, mask
            )
        ]
        for kind, mask in masks.items()
    }


@experiment("does a heatmap tell whether its joint has a label", "Figure 11 right, section 5.2", cpu=1, gpu=8)
def presence(bench: Bench) -> Findings:
    """Figure 11 right: does a heatmap's mean or maximum tell whether the joint has a label?

    Of all puppets too few have knees and ankles outside the picture. So half of those asked about here
    are cut by the border, in any joint; that comes to nearly the paper's shares. A classifier that
    guesses has an area of the share of labelled joints, which is therefore stated beside each area.
    The crop is laid around the labelled joints, so where it lies says something too, as it does in MPII.
    """
    network, plan, name = reader(bench, POOL)
    people = bench.people(plan, "unseen")
    chosen = half_cut(people, CUT)
    with timed(bench):
        found = evaluate(network, people.subset(chosen), flip=True, batch_size=32, device=bench.device)
    outside = (found.visibility == UNLABELLED).any(dim=1)
    groups = {"half cut by the border": torch.ones_like(outside), "all cut by the border": outside}
    results: dict[str, Any] = {}
    curves = {}
    for group, who in groups.items():
        for joint in ("knee", "ankle"):
            sides = both_sides(found.skeleton, joint)
            labelled = found.visibility[who][:, sides] != UNLABELLED
            row: dict[str, Any] = {"unlabelled": number(1 - float(labelled.double().mean()))}
            row["area_by_chance"] = number(float(labelled.double().mean()))
            for by, activation in (("mean", found.means), ("max", found.scores)):
                values = activation[who][:, sides]
                curve = precision_recall(values, labelled)
                # The other way round, "has no label" is the rare thing to find, and harder to score in.
                absent = precision_recall(-values, ~labelled)
                row[by] = {"area": number(curve.area), "area_of_absence": number(absent.area)}
                curves[f"{joint} {by}, {group}"] = thinned(curve)
            results.setdefault(group, {})[joint] = row
    half = results["half cut by the border"]
    shown = "; ".join(
        f"{joint} {100 * row['mean']['area']:.1f} from the mean and {100 * row['max']['area']:.1f} from the "
        f"maximum, where chance gives {100 * row['area_by_chance']:.1f}"
        for joint, row in half.items()
    )
    verdict = (
        f"Area under precision over recall: {shown}. In the paper, from the mean: knee 92.1 (chance 83.9), "
        "ankle 96.0 (chance 71.6). Here only what lies outside the picture has no label, and there a "
        "crop is black; MPII also leaves out what is hidden too well."
    )
    return Findings(
        asked(network, plan, name, len(chosen), flip=True, people_cut_by_the_border=CUT,
              rule="in order of number, as many people with a joint outside the picture as without"),
        results, verdict, curves,
        {"figure": "Figure 11 right, section 5.2", "by": "mean", "people": 2958,
         "area": {"knee": 0.921, "ankle": 0.96}, "unlabelled": {"knee": 0.161, "ankle": 0.284}},
    )  # fmt: skip


def half_cut(people: PoseDataset, count: int) -> list[int]:
    """Numbers of the first `count` people with a joint outside the picture, and the first `count` without."""
    kinds: dict[bool, list[int]] = {True: [], False: []}
    for n in range(len(people)):
        kind = kinds[bool((people[n].visibility == UNLABELLED).any())]
        if len(kind) < count:
            kind.append(n)
        if all(len(each) == count for each in kinds.values()):
            return sorted(kinds[True] + kinds[False])
    raise InputError("scenes", "cut by the border", f"{count}, and as many whole", len(kinds[True]))


def thinned(curve: PrecisionRecall) -> dict[str, list[float]]:
    """About `POINTS` points of a curve, evenly over its points, the first and last among them."""
    chosen = np.unique(np.linspace(0, len(curve.recall) - 1, POINTS).round().astype(int))
    return {
        axis: [round(float(value), 4) for value in getattr(curve, axis)[chosen]]
        for axis in ("recall", "precision")
    }
