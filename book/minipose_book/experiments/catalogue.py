"""The paper's figures and tables, measured again: `minipose-book experiment NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from minipose.io.errors import InputError
from minipose_book.experiments import records, reference, speed, trained_networks
from minipose_book.experiments.bench import Bench, Findings, Paused
from minipose_book.experiments.bulat2016 import occlusion
from minipose_book.experiments.bulat2016 import training as bulat_training
from minipose_book.experiments.lee2020 import robustness
from minipose_book.experiments.lee2020 import training as lee_training
from minipose_book.experiments.newell2016 import (
    crops,
    decoding,
    flip_test,
    layers_and_gradients,
    mpii_labels,
    stacking,
    targets,
)
from minipose_book.experiments.wei2016 import evaluation, stages


@dataclass(frozen=True)
class Experiment:
    """run : what to do on a `Bench`. shows, reference : in words. minutes : expected at "cpu" and "gpu"."""

    run: Callable[[Bench], Findings]
    shows: str
    reference: str
    minutes: dict[str, float]


EXPERIMENTS = {
    "reference": Experiment(
        reference.reference,
        "trains the networks that the package ships",
        "section 3.4",
        {"cpu": 90, "gpu": 20},
    ),
    "speed": Experiment(
        speed.speed,
        "samples a second and memory, beside the floors of the device",
        "section 3.4",
        {"cpu": 5, "gpu": 8},
    ),
    "stacking": Experiment(
        stacking.stacking,
        "one hourglass or two, with and without intermediate supervision",
        "Figure 8, section 4.2",
        {"cpu": 65, "gpu": 60},
    ),
    "stages": Experiment(
        stacking.stages,
        "1, 2, 4, 8 stacks of one capacity, and each one's intermediate predictions",
        "Figure 9",
        {"cpu": 40, "gpu": 60},
    ),
    "systems": Experiment(
        reference.systems,
        "all networks of the package on the same people, for the same number of steps",
        "their papers",
        {"cpu": 3, "gpu": 10},
    ),
    "layers": Experiment(
        layers_and_gradients.layers,
        "plain, bottleneck and Inception layers in place of the residual module",
        "section 3.2",
        {"cpu": 10, "gpu": 12},
    ),
    "gradients": Experiment(
        layers_and_gradients.gradients,
        "gradient sizes from input to output, with and without intermediate supervision",
        "Figure 5 of CPM",
        {"cpu": 6, "gpu": 10},
    ),
    "regression": Experiment(
        targets.regression,
        "coordinates answered directly, against heatmaps",
        "section 2",
        {"cpu": 8, "gpu": 20},
    ),
    "decoding": Experiment(
        decoding.decoding,
        "what codecs lose by themselves, and four ways to read a heatmap",
        "section 3.4",
        {"cpu": 2, "gpu": 2},
    ),
    "sigma": Experiment(
        targets.sigma,
        "targets from narrow to wide, and why too narrow ones disappear",
        "section 3.4; student report, section 4.5",
        {"cpu": 10, "gpu": 25},
    ),
    "flip": Experiment(
        flip_test.flip,
        "averaging with the mirrored picture: heatmaps, locations, and the shift by a cell",
        "section 3.4",
        {"cpu": 3, "gpu": 2},
    ),
    "augmentation": Experiment(
        crops.augmentation,
        "nothing varied, the paper's recipe and its code's, on few people",
        "section 3.4",
        {"cpu": 15, "gpu": 10},
    ),
    "occlusion": Experiment(
        trained_networks.occlusion,
        "PCKh of visible and of occluded joints",
        "Figure 11 left, section 5.2",
        {"cpu": 2, "gpu": 8},
    ),
    "presence": Experiment(
        trained_networks.presence,
        "does a heatmap tell whether its joint has a label",
        "Figure 11 right, section 5.2",
        {"cpu": 1, "gpu": 8},
    ),
    "labels": Experiment(
        mpii_labels.labels,
        "counts MPII's labels: people, joints without one, joints that are visible",
        "sections 3.4 and 5.2",
        {"cpu": 1, "gpu": 1},
    ),
    "two-people": Experiment(
        crops.two_people,
        "who gets the joints as the crop moves from one person to another",
        "Figure 10, section 5.1",
        {"cpu": 4, "gpu": 8},
    ),
    "cpm-reference": Experiment(
        evaluation.cpm_reference,
        "trains the pose machine that the package ships",
        "section 3 of CPM",
        {"cpu": 10, "gpu": 15},
    ),
    "cpm-stages": Experiment(
        stages.cpm_stages,
        "pose machines of 1 to 6 stages, each trained from nothing",
        "Figure 6c of CPM",
        {"cpu": 40, "gpu": 60},
    ),
    "cpm-training": Experiment(
        stages.cpm_training,
        "a pose machine trained jointly, stage by stage, both ways, and without losses in between",
        "Figure 6b of CPM",
        {"cpu": 25, "gpu": 40},
    ),
    "cpm-receptive-field": Experiment(
        stages.cpm_receptive_field,
        "how much of the beliefs the second stage sees",
        "Figure 4 of CPM",
        {"cpu": 15, "gpu": 30},
    ),
    "cpm-stride": Experiment(
        stages.cpm_stride,
        "cells of 8 px against cells of 4",
        "section 3.2.2 of CPM",
        {"cpu": 10, "gpu": 20},
    ),
    "multi-scale": Experiment(
        evaluation.multi_scale,
        "beliefs merged over scales, of people whose scale is known or misjudged",
        "section 4.2 of CPM",
        {"cpu": 3, "gpu": 3},
    ),
    "viewpoints": Experiment(
        evaluation.viewpoints,
        "accuracy by where the person is turned",
        "Figure 11 of CPM",
        {"cpu": 8, "gpu": 15},
    ),
    "part-reference": Experiment(
        occlusion.part_reference,
        "trains the part heatmap regression that the package ships",
        "section 3 of PHR",
        {"cpu": 7, "gpu": 10},
    ),
    "part-heatmaps": Experiment(
        bulat_training.part_heatmaps,
        "detection, regression, and one behind the other",
        "Table 5 of PHR",
        {"cpu": 27, "gpu": 40},
    ),
    "part-occlusion": Experiment(
        occlusion.part_occlusion,
        "what both halves say of visible and of occluded parts",
        "Figure 2 of PHR",
        {"cpu": 1, "gpu": 1},
    ),
    "part-phases": Experiment(
        bulat_training.part_phases,
        "detector, then regressor, then both, against both from the beginning",
        "section 3 of PHR",
        {"cpu": 4, "gpu": 6},
    ),
    "part-inputs": Experiment(
        bulat_training.part_inputs,
        "the second network with the image beside the heatmaps, and without",
        "section 1.1 of PHR",
        {"cpu": 6, "gpu": 8},
    ),
    "activations": Experiment(
        lee_training.activations,
        "heatmaps as they come, through a sigmoid, through a ReLU",
        "student report, section 4.4",
        {"cpu": 10, "gpu": 30},
    ),
    "optimizers": Experiment(
        lee_training.optimizers,
        "Adam against RMSprop, at two rates",
        "student report, section 4.7",
        {"cpu": 6, "gpu": 30},
    ),
    "depth": Experiment(
        lee_training.depth,
        "four stacks against eight, epoch by epoch, with and without the flip test",
        "student report, section 4.2",
        {"cpu": 10, "gpu": 50},
    ),
    "augmentation-levels": Experiment(
        lee_training.augmentation_levels,
        "light, medium and heavy augmentation against none, on few people",
        "student report, section 4.3",
        {"cpu": 16, "gpu": 40},
    ),
    "block-occlusion": Experiment(
        robustness.block_occlusion,
        "large blocks taken out of the pictures to learn from",
        "student report, section 7",
        {"cpu": 4, "gpu": 10},
    ),
    "non-human": Experiment(
        robustness.non_human,
        "cartoons, apes, four legs, four arms: figures that nobody learned",
        "student report, section 4.6",
        {"cpu": 2, "gpu": 3},
    ),
}


def carry_out(options: argparse.Namespace) -> str:
    """Run the experiment that the command line names, write its record, and say what came out."""
    if options.name not in EXPERIMENTS:
        raise InputError("command line", "NAME", f"one of {', '.join(EXPERIMENTS)}", options.name)
    bench = Bench(
        options.scale,
        options.runs,
        options.resume,
        options.minutes,
        options.root,
        options.device,
        progress=True,
    )
    try:
        record = bench.record(options.name, EXPERIMENTS[options.name].run(bench))
    except Paused as here:
        return f"paused {here}; the same command with --resume goes on"
    return f"{record.verdict}\nwrote {records.write(record, options.results)}"


def table(where: str | None = None) -> str:
    """All experiments: what each shows, its minutes at both scales, and what is recorded."""
    lines = []
    for name, experiment in EXPERIMENTS.items():
        found = {scale: _recorded(name, scale, where) for scale in records.SCALES}
        minutes = {
            scale: record.seconds / 60 if (record := found[scale]) else experiment.minutes[scale]
            for scale in records.SCALES
        }
        record = found["gpu"] or found["cpu"]
        state = record.where if record else "no record"
        if not found["gpu"]:
            state += ", still at CPU scale" if record else ""
        lines.append(
            f"{name:<13}{experiment.shows} ({experiment.reference})\n{'':13}"
            f"{minutes['cpu']:.0f} min on a CPU, {minutes['gpu']:.0f} min on a GPU; {state}"
        )
    return "\n".join(lines)


def _recorded(name: str, scale: str, where: str | None) -> records.Record | None:
    path = records.path(name, scale, where)
    return records.read(name, scale, where) if path.is_file() else None
