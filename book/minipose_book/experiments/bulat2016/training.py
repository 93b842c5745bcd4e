"""Part heatmap regression: what its paper measures in Table 5, and what it says of phases and inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from minipose.metrics import by_visibility
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose_book.experiments.bench import LARGE, Bench, Findings, Plan, Run, experiment
from minipose_book.experiments.bulat2016.phases import PHASES, set_phase
from minipose_book.experiments.measures import accuracy, curve, limbs, openings, settings, spread

# Puppets at both scales: LSPET does not say which joints are occluded, and only visible ones are detected.
SMALL_PARTS = Plan(
    "puppets",
    size=96,
    features=48,
    epochs=3,
    batch_size=16,
    learning_rate=4e-3,
    people=4000,
    optimizer="adam",
)
LARGE_PARTS = replace(
    LARGE, data="puppets", skeleton="mpii", people=8000, epochs=12, batch_size=16, learning_rate=5e-4,
    augment="cpm", optimizer="adam",
)  # fmt: skip
LIMBS = "wrists, elbows, knees, ankles"
# The two published instances and their small forms.
FORMS = {"residual": ("resnet152", "small"), "VGG": ("vgg16", "small-vgg")}
# VGG-16 has no BatchNorm and bears no large steps.
VGG_RATE = 1e-4
# Table 5: what the first network is asked for, and what is trained: it alone ("detector") or both.
ROWS = {
    "detection only": ("detection", "detector"),
    "regression only": ("regression", "detector"),
    "regression + regression": ("regression", "both"),
    "detection + regression": ("detection", "both"),
}
OVERALL = "detection + regression"
TABLE_5 = {
    "residual": {"detection only": 0.826, "regression only": 0.842, "regression + regression": 0.857,
                 "detection + regression": 0.882},
    "VGG": {"regression + regression": 0.767, "detection + regression": 0.832},
}  # fmt: skip
# Its columns; each is the mean of left and right.
PARTS = {"head": ("head_top", "neck")} | {
    part: (f"left_{part}", f"right_{part}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}


@experiment("detection, regression, and one behind the other", "Table 5 of PHR", cpu=27, gpu=40)
def part_heatmaps(bench: Bench) -> Findings:
    """Table 5: each half alone, and both in a row with two kinds of maps between them."""
    plan = bench.plan(SMALL_PARTS, LARGE_PARTS)
    runs = {
        form: {row: [trained(bench, plan, form, row, seed) for seed in seeds(bench)] for row in ROWS}
        for form in FORMS
    }
    final = {form: {row: reached(each, plan) for row, each in rows.items()} for form, rows in runs.items()}
    table = {form: {row: columns(each, plan) for row, each in rows.items()} for form, rows in runs.items()}
    seen = {form: {row: visible(each, plan) for row, each in rows.items()} for form, rows in runs.items()}
    means = {form: {row: value["mean"] for row, value in rows.items()} for form, rows in final.items()}
    gains = {form: 100 * (rows[OVERALL] - rows["regression + regression"]) for form, rows in means.items()}
    shown = "; ".join(
        f"{form} {', '.join(f'{row} {value:.3f}' for row, value in rows.items())}"
        for form, rows in means.items()
    )
    verdict = (
        f"{shown}. Detection maps in place of regressed ones are worth {gains['residual']:+.1f} points with "
        f"the residual networks and {gains['VGG']:+.1f} with VGG, +2.5 and +6.5 in the paper."
    )
    flat = {f"{form} {row}": each[0] for form, rows in runs.items() for row, each in rows.items()}
    return Findings(
        settings(plan, joints=LIMBS, flip=False),
        {"final": final, "table": table, "by_visibility": seen,
         "parameters": {form: {row: parameters(each[0]) for row, each in rows.items()}
                        for form, rows in runs.items()},
         "seconds": {form: {row: [taken(run) for run in each] for row, each in rows.items()}
                     for form, rows in runs.items()}},
        verdict, curves(bench, plan, flat),
        {"table": "Table 5 of part heatmap regression", "pckh@0.5, mean over all parts": TABLE_5},
        seeds(bench),
    )  # fmt: skip


@experiment(
    "detector, then regressor, then both, against both from the beginning", "section 3 of PHR", cpu=4, gpu=6
)
def part_phases(bench: Bench) -> Findings:
    """Detector; regressor with the detector frozen; both: against both from the beginning, as many steps."""
    plan = bench.plan(SMALL_PARTS, LARGE_PARTS)
    third = replace(plan, epochs=max(1, plan.epochs // 3))
    joint = [trained(bench, plan, "residual", OVERALL, seed) for seed in seeds(bench)]
    phases: dict[str, list[Run]] = {}
    for seed in seeds(bench):
        make: Callable[[], PartHeatmapRegression] = partial(cascade, bench, plan)
        for name in PHASES:
            run = bench.train(f"part-phase-{name}", partial(_in_phase, make, name), third, seed)
            phases.setdefault(name, []).append(run)
            make = partial(_copy, run)
    runs = {"joint": joint} | phases
    by_stage = {
        name: [spread(accuracy(run.unseen, plan, k) for run in each) for k in range(2)]
        for name, each in runs.items()
    }
    final = {"joint": by_stage["joint"][1], "three phases": by_stage["both"][1]}
    took = {
        "joint": [taken(run) for run in joint],
        "three phases": [sum(map(taken, chain)) for chain in zip(*phases.values(), strict=True)],
    }
    gap = 100 * (final["three phases"]["mean"] - final["joint"]["mean"])
    verdict = (
        f"Jointly {final['joint']['mean']:.3f}, in three phases of a third of the steps each "
        f"{final['three phases']['mean']:.3f} ({by_stage['regressor'][1]['mean']:.3f} before the last of "
        f"them): {gap:+.1f} points for the phases after as many steps. The paper says that both ways work "
        "and that the phases train faster, without a figure."
    )
    return Findings(
        settings(plan, joints=LIMBS, flip=False, phase_epochs=third.epochs),
        {"final": final, "by_stage": by_stage, "seconds": took},
        verdict, curves(bench, plan, {name: each[0] for name, each in runs.items()}),
        {"section": "3.1 and 3.2 of part heatmap regression",
         "quote": "one can train both the part detection network and the regression subnetwork jointly, "
         "right from the beginning, however, the aforementioned approach results in faster training",
         "epochs": {"detector": 50, "regressor": 40, "both": 50}},
        seeds(bench),
    )  # fmt: skip


@experiment(
    "the second network with the image beside the heatmaps, and without", "section 1.1 of PHR", cpu=6, gpu=8
)
def part_inputs(bench: Bench) -> Findings:
    """Section 3: does the second network need the image beside the heatmaps?"""
    plan = bench.plan(SMALL_PARTS, LARGE_PARTS)
    blind = partial(cascade, bench, plan, image=False)
    runs = {
        "heatmaps + image": [trained(bench, plan, "residual", OVERALL, seed) for seed in seeds(bench)],
        "heatmaps only": [bench.train("part-no-image", blind, plan, seed) for seed in seeds(bench)],
    }
    final = {name: reached(each, plan) for name, each in runs.items()}
    gap = 100 * (final["heatmaps + image"]["mean"] - final["heatmaps only"]["mean"])
    verdict = (
        f"With the image beside the heatmaps {final['heatmaps + image']['mean']:.3f}, with the heatmaps only "
        f"{final['heatmaps only']['mean']:.3f}: the image is worth {gap:+.1f} points. The paper stacks both "
        "and gives no figure for one alone."
    )
    return Findings(
        settings(plan, joints=LIMBS, flip=False),
        {"final": final,
         "by_stage": {name: [spread(accuracy(run.unseen, plan, k) for run in each) for k in range(2)]
                      for name, each in runs.items()},
         "by_visibility": {name: visible(each, plan) for name, each in runs.items()}},
        verdict, curves(bench, plan, {name: each[0] for name, each in runs.items()}),
        {"section": "1.1 and 3 of part heatmap regression"}, seeds(bench),
    )  # fmt: skip


def cascade(bench: Bench, plan: Plan, form: str = "residual", **more: Any) -> PartHeatmapRegression:
    large, small = FORMS[form]
    joints = len(bench.people(plan, "watched").skeleton)
    return PartHeatmapRegression(joints, small if bench.scale == "cpu" else large, **more)


def trained(bench: Bench, plan: Plan, form: str, row: str, seed: int = 0) -> Run:
    """A row of Table 5. Several experiments look at the residual "detection + regression"."""
    if form == "VGG" and bench.scale == "gpu":
        plan = replace(plan, learning_rate=VGG_RATE)
    first, phase = ROWS[row]
    make = partial(_in_phase, partial(cascade, bench, plan, form, first=first), phase)
    return bench.train(f"part-{form.lower()}-{'-'.join(row.replace('+', '').split())}", make, plan, seed)


def _in_phase(make: Callable[[], PartHeatmapRegression], phase: str) -> PartHeatmapRegression:
    network = make()
    set_phase(network, phase)
    return network


def _copy(run: Run) -> PartHeatmapRegression:
    assert isinstance(run.network, PartHeatmapRegression)
    return copy.deepcopy(run.network)


def seeds(bench: Bench) -> list[int]:
    return [0, 1] if bench.scale == "cpu" else [0]


def asked(run: Run) -> int:
    """The last stage that has learned something."""
    return run.network.supervised[-1]


def reached(runs: list[Run], plan: Plan) -> dict[str, Any]:
    return spread(accuracy(run.unseen, plan, asked(run)) for run in runs)


def columns(runs: list[Run], plan: Plan) -> dict[str, float]:
    """A row of Table 5, means over the seeds; "total" is the mean over the joints that MPII scores."""
    skeleton = runs[0].unseen.skeleton
    joints = {part: [skeleton.index(name) for name in names] for part, names in PARTS.items()}
    joints["total"] = list(skeleton.scored)
    return {
        part: round(sum(accuracy(run.unseen, plan, asked(run), these) for run in runs) / len(runs), 4)
        for part, these in joints.items()
    }


def visible(runs: list[Run], plan: Plan) -> dict[str, Any]:
    """PCKh of visible and of occluded limb joints, as means over their labels."""
    normalizer, threshold = plan.measure
    kinds: dict[str, list[float]] = {"visible": [], "occluded": []}
    for run in runs:
        found = run.unseen
        predicted = found.stages[asked(run)]
        results = by_visibility(predicted, found.target, found.sizes[normalizer], found.visibility, threshold)
        for kind, values in kinds.items():
            values.append(results[kind].of(limbs(found.skeleton)).weighted_mean)
    return {kind: spread(values) for kind, values in kinds.items()}


def parameters(run: Run) -> int:
    """Of the half that was asked for, or of both."""
    assert isinstance(run.network, PartHeatmapRegression)
    return sum(p.numel() for p in (run.network if asked(run) else run.network.detector).parameters())


def taken(run: Run) -> float:
    return round(sum(row["seconds"] for row in run.history), 1)


def curves(bench: Bench, plan: Plan, runs: dict[str, Run]) -> dict[str, dict[str, list]]:
    """Accuracy against training; a second network that has learned nothing yet is left out."""
    people = len(bench.people(plan, "train"))
    found = {}
    for name, run in runs.items():
        found[name] = curve(run.history, plan, people)
        if asked(run) == 0:
            found[name]["pck"] = found[name]["pck_stage_1"]
            del found[name]["pck_stage_2"]
    return found | openings(runs.values())
