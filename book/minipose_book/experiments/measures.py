"""Numbers of runs and evaluations as records hold them: plain, rounded, and each by its name."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from minipose.evaluation import Evaluation
from minipose.skeletons import Skeleton

if TYPE_CHECKING:
    from minipose_book.experiments.bench import Plan, Run


def limbs(skeleton: Skeleton) -> list[int]:
    """The paper's 8 joints (section 4.2), "all joints excluding those associated with the head and torso"."""
    names = ("wrist", "elbow", "knee", "ankle")
    return [j for j, name in enumerate(skeleton.joints) if name.split("_")[-1] in names]


def accuracy(found: Evaluation, plan: Plan, stage: int = -1, joints: list[int] | None = None) -> float:
    """Mean PCK of a stage over `joints` (the 8 limb joints), by the plan's measure."""
    chosen = limbs(found.skeleton) if joints is None else joints
    return round(found.pck(*plan.measure, stage).of(chosen).mean, 4)


def spread(values: Iterable[float]) -> dict[str, Any]:
    """Mean, lowest and highest of the seeds, and each, rounded to what means something."""
    values = [round(float(value), 4) for value in values]
    return {"mean": round(statistics.mean(values), 4), "range": [min(values), max(values)], "each": values}


def curve(history: list[dict[str, float]], plan: Plan, people: int) -> dict[str, list]:
    """Accuracy against training: steps, seconds of this device, loss, and PCK by stage."""
    steps = -(-people // plan.batch_size)
    seconds = 0.0
    axes: dict[str, list] = {"step": [], "seconds": [], "loss": []}
    for row in history:
        seconds += row["seconds"]
        axes["step"].append(int(row["epoch"]) * steps)
        axes["seconds"].append(round(seconds, 1))
        axes["loss"].append(round(row["loss"], 7))
        for name in (name for name in row if name.startswith("pck")):
            axes.setdefault(name, []).append(round(row[name], 4))
    return axes


def settings(plan: Plan, **more: Any) -> dict[str, Any]:
    """A plan as a record states it."""
    return asdict(plan) | {"depth": plan.depth} | more


def openings(runs: Iterable[Run]) -> dict[str, dict[str, list]]:
    """The first steps' losses of each label's first run, for the repetition bit for bit."""
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.label, run)
    return {f"opening {label}": {"loss": run.opening} for label, run in first.items()}


def scores(found: Evaluation, plan: Plan, how: str) -> dict[str, Any]:
    """What a model card says: means over the 12 limb joints, each joint, stages, visible and occluded.

    how : in which way the people were looked at, in words.
    """
    normalizer, usual = plan.measure
    name = "PCKh" if normalizer == "head" else "PCK"
    means = {
        f"{name}@{threshold}": found.summary(normalizer, threshold)["mean_over_limb_joints"]
        for threshold in (0.2, 0.5)
    }
    joints = found.summary(normalizer, usual)["per_joint"]
    result = {
        "people": len(found.target),
        "how": how,
        "means": {metric: round(value, 4) for metric, value in means.items()},
        "per_joint": {joint: None if value is None else round(value, 4) for joint, value in joints.items()},
        "eight_joints_by_stage": [accuracy(found, plan, k) for k in range(len(found.stages))],
    }
    if found.has_occlusion:
        split = found.by_visibility(normalizer, usual)
        result |= {each: round(split[each].weighted_mean, 4) for each in ("visible", "occluded")}
    return result


def of_people(found: Evaluation, people: np.ndarray) -> Evaluation:
    """The evaluation of some of the people, by their numbers or a mask."""
    return replace(
        found, stages=[stage[people] for stage in found.stages], scores=found.scores[people],
        means=found.means[people], target=found.target[people], visibility=found.visibility[people],
        sizes={name: values[people] for name, values in found.sizes.items()},
    )  # fmt: skip
