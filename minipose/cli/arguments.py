"""What the command line understands, and what it says about itself under --help."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import minipose
from minipose import augmentation, optimization, pretrained
from minipose.data.downloads import ARCHIVES
from minipose.data.flic import SPLITS as FLIC_SPLITS
from minipose.data.formats.files import GUIDES
from minipose.data.lsp import SPLITS as LSPET_SPLITS
from minipose.data.mpii import SPLITS as MPII_SPLITS
from minipose.data.puppets import UNSEEN_SEED
from minipose.heatmaps import REFINEMENTS
from minipose.models.hourglass import SUPERVISIONS

# The splits of each data set that has any.
SPLITS: dict[str, tuple[str, ...]] = {"lspet": LSPET_SPLITS, "flic": FLIC_SPLITS, "mpii": MPII_SPLITS}

# Which of the options that say where people come from a data set reads; any other is refused.
READS: dict[str, tuple[str, ...]] = {
    "puppets": (),
    "lspet": ("root", "split"),
    "lsp": ("root",),
    "flic": ("root", "split"),
    "mpii": ("annotations", "images", "split"),
    "coco": ("annotations", "images", "results", "min_keypoints", "ids", "category", "rescale"),
}

# What `minipose train --data NAME` does when nothing else is said: made for a CPU.
RECIPES: dict[str, dict[str, Any]] = {
    # Scenes need no augmentation where one can always draw more of them.
    "puppets": dict(
        size=96,
        stacks=2,
        features=48,
        count=7000,
        epochs=7,
        batch_size=16,
        learning_rate=2.5e-3,
        augment="none",
    ),
    "lspet": dict(
        size=128,
        stacks=2,
        features=64,
        count=None,
        epochs=45,
        batch_size=16,
        learning_rate=2e-3,
        augment="code",
    ),
}


class _Parser(argparse.ArgumentParser):
    """One line for a wrong call; the usage is what --help is for."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser(commands: Mapping[str, Callable[[argparse.Namespace], None]]) -> argparse.ArgumentParser:
    """The parser of `minipose COMMAND ...`; its result's `run` is the function of that command."""
    top = _Parser(prog="minipose", description="Stacked hourglass networks for human pose.")
    top.add_argument("--version", action="version", version=f"minipose {minipose.__version__}")
    places = top.add_subparsers(required=True, metavar="COMMAND")
    describe = {
        "predict": _predict, "train": _train, "evaluate": _evaluate, "data": _data, "export": _export,
    }  # fmt: skip
    for name, run in commands.items():
        added = places.add_parser(name, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        describe[name](added)
    return top


def _predict(added: argparse.ArgumentParser) -> None:
    added.add_argument("photo", help="a picture file with one person to find")
    _weights(added, default="hg2-lspet-small")
    where = added.add_mutually_exclusive_group()
    box, center = ("X", "Y", "W", "H"), ("X", "Y")
    where.add_argument(
        "--box", nargs=4, type=float, metavar=box, help="the person's box: corner and size in px"
    )
    where.add_argument("--center", nargs=2, type=float, metavar=center, help="MPII's centre, with --scale")
    added.add_argument("--scale", type=float, help="MPII's scale: the person's height / 200 px")
    added.add_argument("--out", help="picture to write (default: NAME-pose.png here)")
    added.add_argument(
        "--threshold", type=_number, default=0.1, help="leave out joints that score less (0.1)"
    )
    _decoding(added)
    _device(added)


def _train(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--data", choices=list(RECIPES), default="puppets", help="what to learn from (default: puppets)"
    )
    added.add_argument("--root", help="LSPET's folder (default: lspet/ inside MINIPOSE_DATA)")
    added.add_argument("--out", help="folder for the results (default: runs/DATA)")
    added.add_argument("--resume", action="store_true", help="continue the run in that folder")
    for name, what in (
        ("count", "use so many people; puppets take about 60 KB of memory each"),
        ("epochs", "passes over the data"),
        ("batch_size", "crops in one step, over all processes"),
        ("size", "side of the crops in px"),
        ("stacks", "hourglasses, one behind the other"),
        ("features", "width of the hourglasses; the paper's is 256"),
    ):
        added.add_argument("--" + name.replace("_", "-"), type=_count, help=f"{what} ({_usual(name)})")
    added.add_argument(
        "--residuals", type=_count, default=1, help="residual modules at each box of Figure 3 (1)"
    )
    added.add_argument(
        "--supervision",
        choices=SUPERVISIONS,
        default="all",
        help="loss after all hourglasses (default), the last one, or inside a single one of 128 px or more",
    )
    rate = f"step size; the paper's is 2.5e-4 for batches of 6 ({_usual('learning_rate')})"
    added.add_argument("--learning-rate", type=_positive, help=rate)
    added.add_argument(
        "--optimizer",
        choices=list(optimization.OPTIMIZERS),
        default="rmsprop",
        help="the paper's is rmsprop (default)",
    )
    added.add_argument(
        "--schedule",
        choices=optimization.SCHEDULES,
        default="cosine",
        help="of the learning rate: a cosine to zero (default, best for short runs), the paper's one drop "
        "by 5 on a plateau, constant, or the student report's one drop by 10 (with adam from 5e-3)",
    )
    augment = (
        "random crops and colours: as the paper says, as its authors' code does, or as Convolutional Pose "
        f"Machines ({_usual('augment')})"
    )
    added.add_argument("--augment", choices=augmentation.RECIPES, help=augment)
    added.add_argument("--seed", type=_seed, default=0, help="of weights, order, draws and puppets (0)")
    accumulate = "micro-batches in which each process takes its part of a step (1)"
    added.add_argument("--accumulate", type=_count, default=1, help=accumulate)
    added.add_argument(
        "--gpu-crops", action="store_true", help="cut crops on the device: for a GPU, far faster there"
    )
    _workers(added)
    _device(added)


def _evaluate(added: argparse.ArgumentParser) -> None:
    _weights(added, required=True)
    added.add_argument(
        "--data", choices=list(READS), default="puppets", help="what to measure on (default: puppets)"
    )
    added.add_argument("--root", help="LSPET's, LSP's or FLIC's folder (default: inside MINIPOSE_DATA)")
    added.add_argument("--annotations", help="MPII's .mat or JSON list, or a JSON file in COCO's format")
    added.add_argument("--images", help="the folder of MPII's or COCO's photos")
    splits = ("all", *dict.fromkeys(split for each in SPLITS.values() for split in each if split != "all"))
    added.add_argument("--split", choices=splits, help="people of LSPET, FLIC or MPII (default: all)")
    added.add_argument("--results", help="COCO: write the predictions to this file, in COCO's format")
    fewer = "COCO: leave out people with fewer labelled joints (1; the student report has 5)"
    added.add_argument("--min-keypoints", type=_count, metavar="N", help=fewer)
    added.add_argument("--ids", nargs="+", metavar="ID", help="COCO: only these annotations")
    added.add_argument("--category", help="COCO: name or id of the category to read, where several fit")
    resized = "COCO: bring photos that were made smaller or larger back to the size they were labelled at"
    added.add_argument("--rescale", action="store_true", default=None, help=resized)
    added.add_argument("--count", type=_count, help="only so many people")
    added.add_argument("--by-visibility", action="store_true", help="add visible and occluded joints apart")
    added.add_argument("--json", action="store_true", help="print JSON instead of a table")
    scales = "multi-scale test: average over crops whose sides are so many times the usual (1)"
    added.add_argument("--scales", nargs="+", type=_positive, default=[1.0], metavar="SCALE", help=scales)
    _decoding(added)
    _workers(added)
    _device(added)


def _data(added: argparse.ArgumentParser) -> None:
    added.add_argument("name", nargs="?", choices=list(GUIDES), help="one data set; all without it")
    added.add_argument("--root", help="your folder of lsp or lspet to check, photo by photo")
    added.add_argument(
        "--download",
        metavar="FOLDER",
        help=f"fetch the data set into this folder ({', '.join(ARCHIVES)} only)",
    )


def _export(added: argparse.ArgumentParser) -> None:
    _weights(added, required=True)
    added.add_argument("--out", help="file to write (default: NAME.onnx here)")


def _weights(added: argparse.ArgumentParser, **how: Any) -> None:
    text = f"a .safetensors file, or one of: {', '.join(pretrained.names())}"
    added.add_argument(
        "--weights", help=f"{text} (default: {how['default']})" if "default" in how else text, **how
    )


def _decoding(added: argparse.ArgumentParser) -> None:
    refine = "where in a cell of the heatmap the joint is (default: quarter, as in the paper)"
    added.add_argument("--refine", choices=REFINEMENTS, default="quarter", help=refine)
    added.add_argument("--no-flip", action="store_true", help="do not average with the mirrored picture")


def _workers(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--workers", type=_whole, default=0, help="processes that prepare crops (default: 0, this one does)"
    )


def _device(added: argparse.ArgumentParser) -> None:
    added.add_argument("--device", default="auto", help="auto (default: a GPU if there is one), cpu or cuda")


def _usual(name: str) -> str:
    return "default: " + ", ".join(f"{recipe[name] or 'all'} for {data}" for data, recipe in RECIPES.items())


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number >= 0, found {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, found {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if _whole(text) >= UNSEEN_SEED:
        raise argparse.ArgumentTypeError(
            f"expected a seed below {UNSEEN_SEED}, whose puppets are for measuring"
        )
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, found {text!r}")
    return value


def _positive(text: str) -> float:
    if not _number(text) > 0:
        raise argparse.ArgumentTypeError(f"expected a number > 0, found {text!r}")
    return float(text)
