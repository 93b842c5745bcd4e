"""The paper's figures and tables, measured again: `minipose experiment NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from minipose.errors import InputError
from minipose.experiments import hourglass, records
from minipose.experiments.bench import Bench, Findings, Paused


@dataclass(frozen=True)
class Experiment:
    """run : what to do on a `Bench`. shows, reference : in words. minutes : expected at "cpu" and "gpu"."""

    run: Callable[[Bench], Findings]
    shows: str
    reference: str
    minutes: dict[str, float]


EXPERIMENTS = {
    "stacking": Experiment(
        hourglass.stacking,
        "one hourglass or two, with and without intermediate supervision",
        "Figure 8, section 4.2",
        {"cpu": 65, "gpu": 60},
    ),
    "stages": Experiment(
        hourglass.stages,
        "1, 2, 4, 8 stacks of one capacity, and each one's intermediate predictions",
        "Figure 9",
        {"cpu": 40, "gpu": 60},
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
