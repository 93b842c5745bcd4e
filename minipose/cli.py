"""The command line: minipose predict | train | evaluate | data."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

import minipose
from minipose import augmentation, pretrained, training
from minipose.crops import Crop
from minipose.data import LSP, LSPET, InMemory, PoseDataset, Puppets
from minipose.data.files import GUIDES
from minipose.data.lsp import SPLITS, check_folder
from minipose.errors import InputError
from minipose.heatmaps import REFINEMENTS

PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
# Every run on puppets is measured on the same unseen scenes.
UNSEEN_SEED = 1_000_000
# Of LSPET's 8,000 people to train on, so many are watched instead.
LSPET_WATCHED = 500

# What `minipose train --data NAME` does when nothing else is said: minutes on a CPU.
RECIPES: dict[str, dict[str, Any]] = {
    # Fresh scenes need no augmentation: there are always more of them.
    "puppets": dict(
        size=96, stacks=2, features=48, count=7000, epochs=6, batch=16, learning_rate=2.5e-3, augment="none"
    ),
    "lspet": dict(
        size=128, stacks=2, features=64, count=None, epochs=45, batch=16, learning_rate=2e-3, augment="code"
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        print(f"minipose: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"minipose: {error}; the last checkpoint is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minipose: interrupted; train --resume continues from the last checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0  # the reader of our output, `head` say, has seen enough
    return 0


def predict(options: argparse.Namespace) -> None:
    """Find a person's joints in a photo and write a picture with the skeleton."""

    network = minipose.load(options.weights).to(minipose.inference.choose_device(options.device))
    photo = minipose.images.read_photo(options.photo)
    out = Path(options.out or Path(options.photo).stem + "-pose.png")
    if out.resolve() == Path(options.photo).resolve():
        raise InputError(out, "--out", "another file than the photo itself")
    if out.suffix.lower() not in PICTURES:
        raise InputError(
            out, "--out", f"a picture's ending, .png say ({', '.join(PICTURES)})", out.suffix or "none"
        )
    pose = minipose.predict(network, photo, _chosen_crop(options), not options.no_flip, options.refine)
    with minipose.checkpoints.atomic(out) as partial:
        axes = pose.plot(threshold=options.threshold)
        with partial.open("wb") as file:
            axes.figure.savefig(file, format=out.suffix.lstrip(".").lower(), dpi=100)
    for name, (x, y), score in zip(pose.skeleton.joints, pose.keypoints, pose.scores, strict=True):
        print(f"{name:<15} x {x:7.1f}  y {y:7.1f}  score {score:5.2f}")
    print(f"wrote {out}")


def train(options: argparse.Namespace) -> None:
    """Train a stacked hourglass and write checkpoint, history and weights."""
    for name, usual in RECIPES[options.data].items():
        if getattr(options, name) is None:
            setattr(options, name, usual)
    if options.data == "puppets":
        dataset: PoseDataset = InMemory(Puppets(options.count, options.seed, options.size))
        validation: PoseDataset = InMemory(Puppets(500, UNSEEN_SEED, options.size))
    else:
        # The held-out people stay unseen until `minipose evaluate`: what is watched here is taken
        # from the training side, and the learning rate may follow it.
        people = LSPET(options.root, "train")
        validation = people.subset(range(LSPET_WATCHED))
        rest = range(LSPET_WATCHED, len(people))
        dataset = people.subset(rest[: options.count])
    depth = max(1, (options.size // 16).bit_length() - 1)  # down to 4x4 cells, or a little more
    if options.size % (4 * 2**depth):
        raise InputError("command line", "--size", "16 x a power of two, 64, 128 or 256 say", options.size)
    torch.manual_seed(options.seed)  # of the first weights; draws and order have the same seed
    try:
        network = minipose.StackedHourglass(
            joints=len(dataset.skeleton),
            stacks=options.stacks,
            residuals=options.residuals,
            features=options.features,
            depth=depth,
            supervision=options.supervision,
            unlabelled="ignore" if options.data == "lspet" else "zero",
        )
    except ValueError as error:
        raise InputError("command line", "network", "arguments that fit together", str(error)) from error
    folder = Path(options.out or f"runs/{options.data}")
    if (folder / "checkpoint.pt").exists() and not options.resume:
        raise InputError(folder, "--out", "a folder without an earlier run, or --resume to continue that one")
    history = minipose.train(
        network, dataset, validation, epochs=options.epochs, size=options.size, batch=options.batch,
        folder=folder, learning_rate=options.learning_rate, optimizer=options.optimizer,
        schedule=options.schedule, augment=options.augment, seed=options.seed, device=options.device,
        workers=options.workers, resume=options.resume,
    )  # fmt: skip
    found = minipose.evaluate(network, validation, device=options.device)
    result = found.pck(validation.normalizer, validation.threshold).of(list(validation.skeleton.scored))
    metric = f"{'PCKh' if validation.normalizer == 'head' else 'PCK'}@{validation.threshold}"
    print(f"{metric} {result.mean:.3f} on {len(validation)} unseen people (mean over joints, flip test)")
    print(f"{metric} {history[-1]['pck']:.3f} without the flip test")
    print(
        f"training took {sum(row['seconds'] for row in history):.0f} s on {next(network.parameters()).device}"
    )
    print(f"wrote {folder}/weights.safetensors, history.csv and checkpoint.pt")


def evaluate(options: argparse.Namespace) -> None:
    """Measure a network on a data set: PCK by joint, and both means."""
    network = minipose.load(options.weights)
    dataset: PoseDataset
    if options.data == "puppets":
        dataset = Puppets(options.count or 500, UNSEEN_SEED, network.size or 128)
    elif options.data == "lspet":
        dataset = LSPET(options.root, options.split)
    else:
        dataset = LSP(options.root)
    if options.count:
        dataset = dataset.subset(range(min(options.count, len(dataset))))
    found = minipose.evaluate(
        network, dataset, flip=not options.no_flip, refine=options.refine, device=options.device,
        workers=options.workers, progress=True,
    )  # fmt: skip
    report = {
        "weights": options.weights, "data": options.data, "people": len(dataset), "flip": not options.no_flip,
        "results": [found.summary(dataset.normalizer, threshold) for threshold in (0.2, 0.5)],
    }  # fmt: skip
    if options.by_visibility:
        split = found.by_visibility(dataset.normalizer, 0.5)
        report["by_visibility"] = {name: result.weighted_mean for name, result in split.items()}
    print(json.dumps(report, indent=2) if options.json else _table(report))


def data(options: argparse.Namespace) -> None:
    """Say where data sets come from and how their folders look; check a folder."""
    if options.name is None:
        print("\n\n".join(f"{name}\n{guide}" for name, guide in GUIDES.items()))
        print("\nminipose data NAME --root DIR checks a folder of yours.")
    elif options.name == "puppets" or options.root is None:
        print(GUIDES[options.name])
    else:
        print(check_folder({"lsp": LSP, "lspet": LSPET}[options.name](options.root)))


def _chosen_crop(options: argparse.Namespace) -> Crop | None:
    if options.center and options.scale is None:
        raise InputError("command line", "--scale", "the person's height / 200 px, together with --center")
    try:
        if options.box:
            return Crop.around_box(options.box)
        return Crop.at_scale(options.center, options.scale) if options.center else None
    except ValueError as error:
        raise InputError("command line", "--box or --center", "a square with an area", str(error)) from error


def _table(report: dict) -> str:
    """The report for eyes: a line a joint, a column a threshold, then the means by name."""
    results = report["results"]
    lines = [f"{report['weights']} on {report['data']}, {report['people']} people, flip {report['flip']}"]
    lines.append(" " * 24 + "".join(f"{r['metric'] + ' (' + r['normalizer'] + ')':>18}" for r in results))

    def line(name, values):
        cells = (f"{'-':>18}" if v is None else f"{v:>18.3f}" for v in values)
        return f"{name:<24}" + "".join(cells)

    lines += [line(joint, [r["per_joint"][joint] for r in results]) for joint in results[0]["per_joint"]]
    for mean in ("mean_over_joints", "mean_over_labels", "mean_over_limb_joints"):
        lines.append(line(mean.replace("_", " "), [r[mean] for r in results]))
    for name, value in report.get("by_visibility", {}).items():
        lines.append(f"{name + ' joints at 0.5, over labels':<42}{value:>18.3f}")
    lines.append(
        f"{results[0]['left_out']} people left out: their {results[0]['normalizer']} is not labelled"
    )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minipose", description="Stacked hourglass networks for human pose."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shipped = ", ".join(pretrained.names()) or "none yet"

    def command(run, name: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        return added

    def running(added: argparse.ArgumentParser) -> None:
        added.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu or cuda")

    def decoding(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--refine", choices=REFINEMENTS, default="quarter", help="where in a cell the joint is"
        )
        added.add_argument("--no-flip", action="store_true", help="do not average with the mirrored picture")

    def usual(name: str) -> str:
        return "default: " + ", ".join(
            f"{recipe[name] or 'all'} for {data}" for data, recipe in RECIPES.items()
        )

    def count(text: str) -> int:
        if not text.isdigit() or int(text) == 0:
            raise argparse.ArgumentTypeError(f"expected a whole number >= 1, found {text!r}")
        return int(text)

    predicting = command(predict, "predict")
    predicting.add_argument("photo", help="a picture file with one person to find")
    predicting.add_argument("--weights", default="lspet", help=f"a .safetensors file, or one of: {shipped}")
    where = predicting.add_mutually_exclusive_group()
    where.add_argument(
        "--box", nargs=4, type=float, metavar=("X", "Y", "W", "H"), help="the person's box in px"
    )
    where.add_argument(
        "--center", nargs=2, type=float, metavar=("X", "Y"), help="MPII's centre, with --scale"
    )
    predicting.add_argument("--scale", type=float, help="MPII's scale: the person's height / 200 px")
    predicting.add_argument("--out", help="picture to write (default: NAME-pose.png here)")
    predicting.add_argument("--threshold", type=float, default=0.1, help="leave out joints that score less")
    decoding(predicting)
    running(predicting)

    learning = command(train, "train")
    learning.add_argument("--data", choices=list(RECIPES), default="puppets", help="what to learn from")
    learning.add_argument("--root", help="the data set's folder (default: inside MINIPOSE_DATA)")
    learning.add_argument("--out", help="folder for the results (default: runs/DATA)")
    learning.add_argument("--resume", action="store_true", help="continue the run in that folder")
    for name, what in (
        ("count", "use only so many people"),
        ("epochs", "passes over the data"),
        ("batch", "crops in one step"),
        ("size", "side of the crops in px"),
        ("stacks", "hourglasses"),
        ("features", "width of the hourglasses"),
    ):
        learning.add_argument(f"--{name}", type=count, help=f"{what} ({usual(name)})")
    learning.add_argument(
        "--residuals", type=count, default=1, help="residual modules at each box of Figure 3"
    )
    learning.add_argument("--supervision", choices=("all", "last", "upsampling"), default="all")
    learning.add_argument(
        "--learning-rate", type=float, help=f"the paper's is 2.5e-4 ({usual('learning_rate')})"
    )
    learning.add_argument("--optimizer", choices=list(training.OPTIMIZERS), default="rmsprop")
    learning.add_argument("--schedule", choices=training.SCHEDULES, default="cosine")
    learning.add_argument(
        "--augment", choices=augmentation.RECIPES, help=f"random crops and colours ({usual('augment')})"
    )
    learning.add_argument("--seed", type=int, default=0)
    learning.add_argument("--workers", type=int, default=0, help="processes that prepare crops")
    running(learning)

    measuring = command(evaluate, "evaluate")
    measuring.add_argument("--weights", required=True, help=f"a .safetensors file, or one of: {shipped}")
    measuring.add_argument("--data", choices=("puppets", "lspet", "lsp"), default="puppets")
    measuring.add_argument("--root", help="the data set's folder (default: inside MINIPOSE_DATA)")
    measuring.add_argument("--split", choices=SPLITS, default="all", help="which people of LSPET")
    measuring.add_argument("--count", type=count, help="only so many people")
    measuring.add_argument("--workers", type=int, default=0, help="processes that prepare crops")
    measuring.add_argument(
        "--by-visibility",
        action="store_true",
        help="visible and occluded joints apart, where labels tell them",
    )
    measuring.add_argument("--json", action="store_true", help="print JSON instead of a table")
    decoding(measuring)
    running(measuring)

    explaining = command(data, "data")
    explaining.add_argument("name", nargs="?", choices=list(GUIDES), help="one data set; all without it")
    explaining.add_argument("--root", help="a folder to check")
    return parser
