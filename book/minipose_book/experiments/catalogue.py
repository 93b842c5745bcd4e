"""The paper's figures and tables, measured again: `minipose-book experiment NAME`."""

from __future__ import annotations

import argparse
import pkgutil
from importlib import import_module

from minipose.inference import keep_freed_memory
from minipose.io.errors import InputError
from minipose_book import experiments
from minipose_book.experiments import records
from minipose_book.experiments.bench import EXPERIMENTS, Bench, Experiment, Findings, Paused, experiment

__all__ = ["EXPERIMENTS", "Bench", "Experiment", "Findings", "Paused", "carry_out", "experiment", "table"]


for _module in pkgutil.walk_packages(experiments.__path__, f"{experiments.__name__}."):
    import_module(_module.name)  # each lists its experiments in EXPERIMENTS


def carry_out(options: argparse.Namespace) -> str:
    """Run the experiment that the command line names, write its record, and say what came out."""
    if options.name not in EXPERIMENTS:
        raise InputError("command line", "NAME", f"one of {', '.join(EXPERIMENTS)}", options.name)
    keep_freed_memory()
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
    for name, listed in EXPERIMENTS.items():
        found = {scale: _recorded(name, scale, where) for scale in records.SCALES}
        minutes = {
            scale: record.seconds / 60 if (record := found[scale]) else listed.minutes[scale]
            for scale in records.SCALES
        }
        record = found["gpu"] or found["cpu"]
        state = record.where if record else "no record"
        if not found["gpu"]:
            state += ", still at CPU scale" if record else ""
        lines.append(
            f"{name:<13}{listed.shows} ({listed.reference})\n{'':13}"
            f"{minutes['cpu']:.0f} min on a CPU, {minutes['gpu']:.0f} min on a GPU; {state}"
        )
    return "\n".join(lines)


def _recorded(name: str, scale: str, where: str | None) -> records.Record | None:
    path = records.path(name, scale, where)
    return records.read(name, scale, where) if path.is_file() else None
