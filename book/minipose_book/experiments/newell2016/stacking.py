"""Section 4.2 and Figures 8 and 9: is it the stacking, the supervision, or only the size?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minipose.models.network import PoseNetwork
from minipose_book.experiments.bench import (
    MEDIUM,
    SMALL,
    Bench,
    Findings,
    Plan,
    Run,
    experiment,
    weights,
)
from minipose_book.experiments.measures import accuracy, curve, openings, scores, settings, spread
from minipose_book.experiments.variants import EarlyHourglass

# Figure 9, PCKh@0.5 on the paper's validation set, read from section 4.2's text.
FIGURE_9 = {"final": {"2": 0.874, "4": 0.878, "8": 0.881}, "halfway": {"2": 0.846, "4": 0.865, "8": 0.871}}


@experiment(
    "1, 2, 4, 8 stacks of one capacity, and each one's intermediate predictions", "Figure 9", cpu=40, gpu=60
)
def stages(bench: Bench) -> Findings:
    """1, 2, 4, 8 stacks of one capacity: residuals x stacks is constant."""
    plan = bench.plan(replace(SMALL, features=24))
    capacity, seeds = 8, [0, 1, 2] if bench.scale == "cpu" else [0]
    runs: dict[int, list[Run]] = {}
    for seed in seeds:
        for stacks in (1, 2, 4, 8):
            runs.setdefault(stacks, []).append(
                _stacked(bench, "stages", plan, stacks, capacity // stacks, seed)
            )
    final, halfway, every = {}, {}, {}
    shipped: dict[str, Any] = {}
    for stacks, several in runs.items():
        by_stage = [[accuracy(run.unseen, plan, k) for k in range(stacks)] for run in several]
        final[str(stacks)] = spread(row[-1] for row in by_stage)
        every[str(stacks)] = [spread(column) for column in zip(*by_stage, strict=True)]
        if stacks > 1:
            halfway[str(stacks)] = spread(row[stacks // 2 - 1] for row in by_stage)
        if bench.scale == "cpu":
            shipped |= _ship(bench, plan, several[0], f"stages-{stacks}x{capacity // stacks}")
    rising = all(final[a]["mean"] <= final[b]["mean"] for a, b in (("2", "4"), ("4", "8")))
    half = all(halfway[a]["mean"] <= halfway[b]["mean"] for a, b in (("2", "4"), ("4", "8")))
    shown = ", ".join(f"{n} {final[n]['mean']:.3f}" for n in final)
    verdict = (
        f"Final accuracy by stacks: {shown}; in the paper it rises from 2 to 4 to 8, here it "
        f"{'does' if rising else 'does not'}. Halfway: {halfway['2']['mean']:.3f}, "
        f"{halfway['4']['mean']:.3f}, {halfway['8']['mean']:.3f}; in the paper that rises too, here it "
        f"{'does' if half else 'does not'}."
    )
    return Findings(
        settings(plan, capacity=capacity, joints="wrists, elbows, knees, ankles", flip=False),
        {
            "final": final, "halfway": halfway, "by_stage": every, "parameters": _parameters(runs),
            "shipped": shipped,
        },
        verdict, _curves(bench, plan, runs) | openings(r for several in runs.values() for r in several),
        {"figure": "Figure 9, section 4.2", "pckh@0.5": FIGURE_9}, seeds,
    )  # fmt: skip


@experiment(
    "one hourglass or two, with and without intermediate supervision", "Figure 8, section 4.2", cpu=65, gpu=60
)
def stacking(bench: Bench) -> Findings:
    """Figure 8: one hourglass or two, with and without intermediate supervision, of one capacity."""
    plan = bench.plan(replace(MEDIUM, epochs=6))
    capacity = 4 if bench.scale == "cpu" else 8
    seeds = [0, 1, 2] if bench.scale == "cpu" else [0]
    placements = _placements(bench, plan, capacity) if bench.scale == "cpu" else {}
    best = max(placements, key=lambda name: placements[name], default="")
    networks: dict[str, Callable[[], PoseNetwork]] = {
        "HG": lambda: bench.hourglass(plan, 1, capacity, supervision="last"),
        "HG-Int": lambda: bench.hourglass(plan, 1, capacity, supervision="upsampling"),
        "HG-Stacked": lambda: bench.hourglass(plan, 2, capacity // 2, supervision="last"),
        "HG-Stacked-Int": lambda: bench.hourglass(plan, 2, capacity // 2),
    }
    runs: dict[str, list[Run]] = {}
    for seed in seeds:
        for name, make in networks.items():
            runs.setdefault(name, []).append(bench.train(f"stacking-{name}", make, plan, seed))
    final = {name: spread(accuracy(run.unseen, plan) for run in several) for name, several in runs.items()}
    shipped: dict[str, Any] = {}
    if bench.scale == "cpu":
        for name, several in runs.items():
            shipped |= _ship(bench, plan, several[0], f"stacking-{name.lower()}")
    order = sorted(final, key=lambda name: final[name]["mean"])
    paper = ["HG", "HG-Int", "HG-Stacked", "HG-Stacked-Int"]
    shown = ", ".join(f"{name} {final[name]['mean']:.3f}" for name in order)
    verdict = f"From lowest to highest: {shown}. That is {'' if order == paper else 'not '}the paper's order."
    if placements:
        ahead = "ahead of" if final["HG-Int"]["mean"] > final["HG"]["mean"] else "behind"
        verdict += (
            f" Best place for the supervision of a single hourglass after a third of the training: {best}; "
            f"at the end HG-Int is {ahead} HG."
        )
    return Findings(
        settings(plan, capacity=capacity, joints="wrists, elbows, knees, ankles", flip=False),
        {
            "final": final, "placements": placements, "parameters": _parameters(runs), "shipped": shipped,
        },
        verdict, _curves(bench, plan, runs) | openings(r for several in runs.values() for r in several),
        {"figure": "Figure 8, section 4.2", "order": paper}, seeds,
    )  # fmt: skip


def _placements(bench: Bench, plan: Plan, capacity: int) -> dict[str, float]:
    """Accuracy on the watched people, seed 0, a third of the epochs: where to supervise one hourglass.

    After upsampling, at stride 16, 8 or both, or early, before any pooling. The final loss is always there.
    """
    short = replace(plan, epochs=max(1, plan.epochs // 3))

    def upsampling(*places: int) -> PoseNetwork:
        network = bench.hourglass(plan, 1, capacity, supervision="upsampling")
        network.supervised = [*places, 2]
        return network

    def early() -> PoseNetwork:
        arguments = bench.hourglass(plan, 1, capacity).arguments
        return EarlyHourglass(**{k: v for k, v in arguments.items() if k not in ("stacks", "supervision")})

    candidates: dict[str, Callable[[], PoseNetwork]] = {
        "upsampled 16 and 8": lambda: upsampling(0, 1),
        "upsampled 8": lambda: upsampling(1),
        "upsampled 16": lambda: upsampling(0),
        "before pooling": early,
        "nowhere": lambda: upsampling(),
    }
    found = {}
    for name, make in candidates.items():
        run = bench.train(f"placement-{name.replace(' ', '-')}", make, short)
        found[name] = round(run.history[-1]["pck"], 4)
    return found


def _ship(bench: Bench, plan: Plan, run: Run, name: str) -> dict[str, Any]:
    """Write a run's network where shipped ones are, and say what its card has to."""
    weights(run, name)
    return {name: scores(run.unseen, plan, "without the flip test, by the quarter offset")}


def _stacked(bench: Bench, name: str, plan: Plan, stacks: int, residuals: int, seed: int) -> Run:
    return bench.train(
        f"{name}-{stacks}x{residuals}", lambda: bench.hourglass(plan, stacks, residuals), plan, seed
    )


def _curves(bench: Bench, plan: Plan, runs: dict[Any, list[Run]]) -> dict[str, dict[str, list]]:
    people = len(bench.people(plan, "train"))
    return {f"{name} seed {r.seed}": curve(r.history, plan, people) for name, rs in runs.items() for r in rs}


def _parameters(runs: dict[Any, list[Run]]) -> dict[str, int]:
    return {str(name): several[0].parameters for name, several in runs.items()}
