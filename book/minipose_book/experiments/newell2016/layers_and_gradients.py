"""What hourglasses are made of, and what reaches their first layers: section 3.2, and CPM's Figure 5."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minipose.inference import to_channels_last, to_float
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose.models.hourglass import StackedHourglass
from minipose.models.network import PoseNetwork
from minipose.pipeline import Batch, batches
from minipose_book.experiments.bench import (
    LARGE,
    SMALL,
    Bench,
    Findings,
    Plan,
    Run,
    experiment,
)
from minipose_book.experiments.measures import accuracy, curve, openings, settings, spread
from minipose_book.experiments.speed import Variant, seconds, training_step
from minipose_book.experiments.variants import LAYERS, with_layers, without_normalization

MACHINE = "pose machine"
# A gradient is looked at over so many batches.
LOOKS = 4
# Limits of the columns of a histogram of sizes, as powers of ten.
EXPONENTS = [-10 + 0.5 * k for k in range(31)]


@experiment(
    "plain, bottleneck and Inception layers in place of the residual module", "section 3.2", cpu=10, gpu=12
)
def layers(bench: Bench) -> Findings:
    """Section 3.2's other layers in place of the residual modules: two stacks, nothing else changed."""
    plan = bench.plan(replace(SMALL, epochs=3), replace(LARGE, epochs=10))
    seeds = [0, 1] if bench.scale == "cpu" else [0]

    def replaced(kind: str) -> StackedHourglass:
        return with_layers(bench.hourglass(plan, 2), kind)

    networks: dict[str, Callable[[], StackedHourglass]] = {"residual": partial(bench.hourglass, plan, 2)}
    networks |= {kind: partial(replaced, kind) for kind in LAYERS}
    runs: dict[str, list[Run]] = {
        kind: [bench.train(f"layers-{kind.replace(' ', '-')}", make, plan, seed) for seed in seeds]
        for kind, make in networks.items()
    }
    final = {kind: spread(accuracy(run.unseen, plan) for run in several) for kind, several in runs.items()}
    cost = {kind: _cost(bench, plan, make) for kind, make in networks.items()}
    # Of two layers one is ahead only where even its worst seed beats the other's best.
    low, high = final["plain 5x5"]["range"]
    newer = {
        kind: "ahead of" if final[kind]["range"][0] > high
        else "behind" if final[kind]["range"][1] < low else "not to be told from"
        for kind in ("residual", "Inception")
    }  # fmt: skip
    shown = ", ".join(
        f"{kind} {final[kind]['mean']:.3f} ({cost[kind]['parameters'] / 1e6:.2f} M parameters, "
        f"{cost[kind]['multiply-adds'] / 1e9:.2f} G multiply-adds)"
        for kind in sorted(final, key=lambda kind: -final[kind]["mean"])
    )
    verdict = (
        f"From highest to lowest: {shown}. The paper gained by moving from large filters without reduction "
        f"to residual and Inception modules; over {len(seeds)} seeds "
        f"{' and '.join(f'{kind} is {place} plain 5x5' for kind, place in newer.items())}."
    )
    return Findings(
        settings(plan, stacks=2, joints="wrists, elbows, knees, ankles", flip=False),
        {"final": final, "cost": cost}, verdict,
        _training(bench, plan, runs) | openings(run for several in runs.values() for run in several),
        {"section": "3.2", "quote": "an increase in network performance after switching from standard "
         "convolutional layers with large filters and no reduction steps to newer methods"}, seeds,
    )  # fmt: skip


def _cost(bench: Bench, plan: Plan, make: Callable[[], StackedHourglass]) -> dict[str, Any]:
    """Parameters, multiply-adds of one image, and seconds of a step in eager float32."""
    network, plain = make(), Variant("float32", channels_last=True)
    count = sum(p.numel() for p in network.parameters())
    operations = multiply_adds(network, plan.size)
    to_channels_last(network, bench.device)
    crops = next(_crops(bench, plan)).to(bench.device)
    step = training_step(network.train(), bench.device, plain)
    took = seconds(lambda: step(crops), bench.device, 10)
    return {"parameters": count, "multiply-adds": operations, "seconds a step": float(f"{took:.3g}")}


def multiply_adds(network: PoseNetwork, size: int) -> int:
    """Of all convolutions for one image, as torch counts them."""
    before = network.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 3, size, size))
    network.train(before)
    return counter.get_total_flops() // 2  # it counts additions and multiplications


@experiment(
    "gradient sizes from input to output, with and without intermediate supervision",
    "Figure 5 of CPM",
    cpu=6,
    gpu=10,
)
def gradients(bench: Bench) -> Findings:
    """Eight stacks with and without intermediate supervision: how much gradient reaches each place."""
    plan = bench.plan(
        replace(SMALL, people=1500, epochs=6, schedule="constant"),
        replace(LARGE, epochs=4, schedule="constant"),
    )
    kinds: dict[str, Callable[[StackedHourglass], StackedHourglass]] = {
        "as it is": lambda network: network,
        "without additions": lambda network: with_layers(network, "bottleneck"),
        "without BatchNorm": without_normalization,
        "without both": lambda network: without_normalization(with_layers(network, "bottleneck")),
    }
    runs: dict[str, list[Run]] = {}
    seen: dict[str, dict[str, list]] = {}
    for kind, change in kinds.items():
        for supervision in ("all", "last"):
            name = f"{kind}, {supervision}"

            def make(change=change, supervision=supervision) -> StackedHourglass:
                return change(bench.hourglass(plan, 8, supervision=supervision))

            torch.manual_seed(0)
            seen[f"{name}, 0 epochs"] = _look(bench, make(), plan)
            if kind != "as it is":
                continue  # how gradients arrive is asked of these, not how they train
            # At a constant rate a shorter run is the beginning of a longer one, step by step.
            for epochs in sorted({1, plan.epochs}):
                run = bench.train(f"gradients-{supervision}-{epochs}", make, replace(plan, epochs=epochs))
                trained = make()
                trained.load_state_dict(run.network.state_dict())
                seen[f"{name}, {epochs} epochs"] = _look(bench, trained, plan)
                runs.setdefault(name, []).append(run)
    machines = _machines(bench, plan, seen, runs)
    names = list(places(bench.hourglass(plan, 8)))
    # Places of one kind, so that sizes compare: what the first head gets, and what the last one gets.
    ends = [names.index("head 1"), names.index("head 8")]
    first = {
        name: float(f"{look['mean'][ends[0]] / look['mean'][ends[1]]:.4g}")
        for name, look in seen.items() if not name.startswith(MACHINE)
    }  # fmt: skip
    start = {kind: [first[f"{kind}, {which}, 0 epochs"] for which in ("last", "all")] for kind in kinds}
    late = [first[f"as it is, {which}, {plan.epochs} epochs"] for which in ("last", "all")]
    bare, usual = start["without both"], start["as it is"]
    chain = seen["without both, last, 0 epochs"]["mean"]
    seventh = chain[names.index("head 7")] / chain[ends[1]]
    verdict = (
        f"Without BatchNorm and additions the first head's mean gradient is {bare[0]:.2g} of the last one's "
        f"when only the end is supervised, the seventh's {seventh:.2g}; with intermediate supervision the "
        f"first's is {bare[1]:.2g}: CPM's gradients around zero "
        f"{'are' if bare[0] < 0.1 * bare[1] else 'are not'} seen"
        f"{', and they fall at once, in the last stack' if seventh < 2 * bare[0] else ''}. The hourglass as "
        f"it is has {usual[0]:.2g} and {usual[1]:.2g} before training, {late[0]:.2g} and {late[1]:.2g} "
        f"after {plan.epochs} epochs: there they {'vanish too' if usual[0] < 0.1 else 'do not vanish'}. "
        f"In a pose machine of six stages stage 1 gets {machines['last, 0 epochs']:.2g} of the last one's "
        f"gradient with the last loss only and {machines['all, 0 epochs']:.2g} with all, after "
        f"{plan.epochs} epochs {machines[f'last, {plan.epochs} epochs']:.2g} and "
        f"{machines[f'all, {plan.epochs} epochs']:.2g}."
    )
    return Findings(
        settings(plan, stacks=8, batches=LOOKS, exponents=EXPONENTS, supervision="all or last",
                 gradient="of one batch's loss, over all convolution weights of a place"),
        {"places": names, "first to last head": first, "machine places": list(places(_machine(bench, plan))),
         "machine's first to last stage": machines,
         "final": {name: accuracy(several[-1].unseen, plan) for name, several in runs.items()},
         "histograms": {name: look.pop("histogram") for name, look in seen.items()}},
        verdict,
        seen | _training(bench, plan, {name: several[-1:] for name, several in runs.items()})
        | openings(several[-1] for several in runs.values()),
        {"figure": "Figure 5 of Convolutional Pose Machines", "quote": "In early epochs, as we move from the "
         "output layer to the input layer, we observe on the model without intermediate supervision, the "
         "gradient distribution is tightly peaked around zero because of vanishing gradients."},
    )  # fmt: skip


def _machine(bench: Bench, plan: Plan) -> ConvolutionalPoseMachine:
    """Six stages without BatchNorm, as CPM's Figure 5 looks at."""
    joints = len(bench.people(plan, "watched").skeleton)
    return ConvolutionalPoseMachine.small(joints, 6, features=plan.features, normalized=False)


def _machines(bench: Bench, plan: Plan, seen: dict, runs: dict[str, list[Run]]) -> dict[str, float]:
    """The same looks at a pose machine, added to `seen`; stage 1's mean gradient over the last one's."""
    ratios = {}
    for supervision in ("all", "last"):

        def make(supervision=supervision) -> PoseNetwork:
            network = _machine(bench, plan)
            network.supervised = list(range(6)) if supervision == "all" else [5]
            return network

        torch.manual_seed(0)
        fresh = make()
        looks = {0: _look(bench, fresh, plan)}
        adam = replace(plan, optimizer="adam", learning_rate=plan.learning_rate / 5)
        run = bench.train(f"gradients-machine-{supervision}", make, adam)
        fresh.load_state_dict(run.network.state_dict())
        looks[plan.epochs] = _look(bench, fresh, plan)
        runs[f"{MACHINE}, {supervision}"] = [run]
        for epochs, look in looks.items():
            seen[f"{MACHINE}, {supervision}, {epochs} epochs"] = look
            stages = [look["mean"][list(places(fresh)).index(f"stage {k}")] for k in (1, 6)]
            ratios[f"{supervision}, {epochs} epochs"] = float(f"{stages[0] / stages[1]:.4g}")
    return ratios


def places(network: PoseNetwork) -> dict[str, nn.Module]:
    """What all that is learned passes through, from input to output."""
    if isinstance(network, ConvolutionalPoseMachine):
        later = {f"stage {number}": stage for number, stage in enumerate(network.later, start=2)}
        return {"image features": network.features, "stage 1": network.first} | later
    assert isinstance(network, StackedHourglass)
    stem = {"stem": network.stem[0]} | {f"stem {k - 2}": network.stem[k] for k in (3, 5, 6)}
    stacks: dict[str, nn.Module] = {}
    for number, (hourglass, head) in enumerate(
        zip(network.hourglasses, network.predictions, strict=True), start=1
    ):
        assert isinstance(head.features, nn.Module)
        stacks |= {f"hourglass {number}": hourglass, f"head {number}": head.features}
    return stem | stacks


def gradient_at(network: PoseNetwork, crops: Batch, device: torch.device) -> dict[str, torch.Tensor]:
    """Gradients of one batch's loss for all convolution weights of each of `places`, flat."""
    network.train()  # as in a step: BatchNorm by the batch's own statistics
    network.zero_grad()
    crops = crops.to(device)
    stages = network(to_float(crops.images, device))
    network.loss(stages, crops.keypoints, crops.visibility, crops.others).backward()
    return {
        name: torch.cat([
            m.weight.grad.flatten() for m in module.modules()
            if isinstance(m, nn.Conv2d) and m.weight.grad is not None
        ])
        for name, module in places(network).items()
    }  # fmt: skip


def _look(bench: Bench, network: PoseNetwork, plan: Plan) -> dict[str, list]:
    """By place: mean size and standard deviation of the gradients, and shares by powers of ten."""
    started = time.perf_counter()
    to_channels_last(network, bench.device)
    found = [gradient_at(network, crops, bench.device) for crops in islice(_crops(bench, plan), LOOKS)]
    axes: dict[str, list] = {"mean": [], "deviation": [], "histogram": []}
    for name in found[0]:
        every = torch.cat([each[name] for each in found])
        axes["mean"].append(float(f"{float(every.abs().mean()):.4g}"))
        axes["deviation"].append(float(f"{float(every.std()):.4g}"))
        # What lies beyond the columns is counted with the outermost.
        size = every.abs().clamp(10 ** EXPONENTS[0], 10 ** EXPONENTS[-1]).log10().cpu()
        counts = torch.histc(size, len(EXPONENTS) - 1, EXPONENTS[0], EXPONENTS[-1])
        axes["histogram"].append([round(v, 3) for v in (counts / len(size)).tolist()])
    bench.seconds += time.perf_counter() - started
    return axes


def _crops(bench: Bench, plan: Plan) -> Iterator[Batch]:
    people = bench.people(plan, "train")
    return batches(people, list(range(min(len(people), LOOKS * plan.batch_size))), plan.size, plan.batch_size)


def _training(bench: Bench, plan: Plan, runs: dict[str, list[Run]]) -> dict[str, dict[str, list]]:
    people = len(bench.people(plan, "train"))
    return {
        f"training {name} seed {run.seed}": curve(run.history, plan, people)
        for name, several in runs.items()
        for run in several
    }
