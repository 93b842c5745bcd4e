"""The book's command line: minipose-book experiment | check | claims | student-report."""

from __future__ import annotations

import argparse
import json

import minipose
from minipose.cli.status import exit_status
from minipose.data import COCO


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line and exit status 2."""
    options = _parser().parse_args(arguments)
    return exit_status("minipose-book", lambda: options.run(options))


def experiment(options: argparse.Namespace) -> None:
    """Measure one of the papers' figures or tables again, and record it."""
    from minipose_book.experiments import catalogue  # half a second of imports

    if options.list or options.name is None:
        print(catalogue.table(options.results))
        return
    print(catalogue.carry_out(options))


def check(options: argparse.Namespace) -> None:
    """List the exercises: chapter, level and name of each."""
    from minipose_book.checks import EXERCISES

    for exercise in EXERCISES.values():
        print(f"{exercise.chapter:<22}{exercise.level:<11}{exercise.name}", flush=True)


def claims(options: argparse.Namespace) -> None:
    """List the papers' claims with the verdict that our records give."""
    from minipose_book.papers import PAPERS, judge

    for paper in PAPERS.values():
        for claim in paper.claims:
            print(f"{paper.key} {claim.where}: {judge(claim).verdict}: {claim.says}", flush=True)


def student_report(options: argparse.Namespace) -> None:
    """Measure a network on COCO by the student report's PCK, as its text says and as its code counts."""
    from minipose_book.experiments.lee2020 import pck
    from minipose_book.pretrained import load

    people = COCO(options.annotations, options.images, options.min_keypoints, options.count)
    found = minipose.evaluate(load(options.weights), people, device=options.device, progress=True)
    print(json.dumps(pck.both(found, people), indent=2, allow_nan=False))


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="minipose-book", description="What the book measures and asks.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name, run):
        added = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        return added

    added = add("experiment", experiment)
    added.add_argument("name", nargs="?", help="one of those that --list names")
    added.add_argument("--list", action="store_true", help="all experiments, and what is recorded of each")
    added.add_argument(
        "--scale", choices=("cpu", "gpu"), default="cpu",
        help="cpu (default): puppets at 64 or 128 px; gpu: LSPET at 256 px, the paper's widths",
    )  # fmt: skip
    added.add_argument("--resume", action="store_true", help="continue where an earlier call ended")
    added.add_argument("--minutes", type=_positive, help="end this piece after so long; --resume goes on")
    added.add_argument("--root", help="the data's folder (default: lspet/ or mpii/ inside MINIPOSE_DATA)")
    added.add_argument(
        "--runs", default="runs/experiments", help="folder for checkpoints (default: runs/experiments)"
    )
    added.add_argument("--results", help="folder of the records (default: book/results)")
    _device(added)
    add("check", check)
    add("claims", claims)
    added = add("student-report", student_report)
    added.add_argument("--weights", required=True, help="a .safetensors file, or a network's name")
    added.add_argument("--annotations", required=True, help="a JSON file in COCO's format")
    added.add_argument("--images", required=True, help="the folder of its photos")
    added.add_argument(
        "--min-keypoints", type=int, default=1, metavar="N",
        help="leave out people with fewer labelled joints (1; the student report has 5)",
    )  # fmt: skip
    added.add_argument("--count", type=int, help="only this many people")
    _device(added)
    return top


def _device(added: argparse.ArgumentParser) -> None:
    added.add_argument("--device", default="auto", help="auto (default: a GPU if there is one), cpu or cuda")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number > 0, found {text!r}")
    return value
