"""What each command does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import minipose
from minipose import training
from minipose.cli.arguments import READS, RECIPES, SPLITS, parser
from minipose.cli.status import exit_status
from minipose.crops import Crop
from minipose.data import COCO, FLIC, LSP, LSPET, MPII, InMemory, PoseDataset, Puppets, oks
from minipose.data.downloads import ARCHIVES, fetch
from minipose.data.formats.files import GUIDES
from minipose.data.lsp import check_folder, train_and_validation
from minipose.data.oks import average_precision, coco_results
from minipose.data.puppets import UNSEEN_SEED
from minipose.evaluation import number
from minipose.inference import choose_device, keep_freed_memory
from minipose.io.checkpoints import atomic
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.models.hourglass import depth_for
from minipose.scaling import distributed
from minipose.skeletons import COCO as SKELETON

Command = Callable[[argparse.Namespace], None]
PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line and exit status 2."""
    commands: dict[str, Command] = {
        "predict": predict, "train": train, "evaluate": evaluate, "data": data, "export": export,
    }  # fmt: skip
    options = parser(commands).parse_args(arguments)

    def goes_on() -> str:
        begun = options.run is train and (_run_folder(options) / "checkpoint.pt").exists()
        return "; the same command and --resume go on from the last whole epoch" if begun else ""

    return exit_status("minipose", lambda: options.run(options), goes_on)


def predict(options: argparse.Namespace) -> None:
    """Find a person's joints in a photo and write a picture with the skeleton."""
    network = minipose.load(options.weights).to(choose_device(options.device))
    photo = read_photo(options.photo)
    out = Path(options.out or Path(options.photo).stem + "-pose.png")
    if out.resolve() == Path(options.photo).resolve():
        raise InputError(out, "--out", "another file than the photo itself")
    if out.suffix.lower() not in PICTURES:
        raise InputError(out, "--out", f"a picture's ending, .png say ({', '.join(PICTURES)})", out.suffix)
    pose = minipose.predict(network, photo, _chosen_crop(options), not options.no_flip, options.refine)
    figure = pose.plot(threshold=options.threshold).figure
    with atomic(out) as partial, partial.open("wb") as file:
        figure.savefig(file, format=out.suffix.lstrip(".").lower(), dpi=figure.dpi)
    for name, (x, y), score in zip(pose.skeleton.joints, pose.keypoints, pose.scores, strict=True):
        print(f"{name:<15} x {x:7.1f}  y {y:7.1f}  score {score:5.2f}")
    if pose.crop == Crop.whole(photo):
        print("looked at the whole photo; --box X Y W H says where the person is", file=sys.stderr)
    print(f"wrote {out}")


def train(options: argparse.Namespace) -> None:
    """Train a stacked hourglass and write checkpoint, history and weights."""
    keep_freed_memory()
    _refuse_unread(options)
    for name, usual in RECIPES[options.data].items():
        if getattr(options, name) is None:
            setattr(options, name, usual)
    depth = depth_for(options.size)
    if options.size < 32 or options.size % (4 * 2**depth):
        raise InputError("command line", "--size", "64, 96, 128, 256 or the like", options.size)
    if options.supervision == "upsampling" and (options.stacks != 1 or depth < 3):
        raise InputError("command line", "--supervision upsampling", "--stacks 1 and a --size of 128 or more")
    if options.data == "puppets":
        dataset: PoseDataset = InMemory(Puppets(options.count, options.seed, options.size))
        validation: PoseDataset = InMemory(Puppets(500, UNSEEN_SEED, options.size))
    else:
        # The held-out people stay unseen until `minipose evaluate`: what is watched here is taken
        # from the training side, and the learning rate may follow it.
        dataset, validation = train_and_validation(options.root)
        dataset = dataset.subset(range(len(dataset))[: options.count])
    torch.manual_seed(options.seed)  # of the first weights; draws and order have the same seed
    try:
        network = minipose.StackedHourglass(
            joints=len(dataset.skeleton),
            stacks=options.stacks,
            residuals=options.residuals,
            features=options.features,
            depth=depth,
            supervision=options.supervision,
            unlabelled=dataset.unlabelled,
        )
    except ValueError as error:
        raise InputError("command line", "network", "arguments that fit together", str(error)) from error
    folder = _run_folder(options)
    if distributed.is_torchelastic_launched():
        # It repeats a command after a failure: the same line has to begin a run and to continue it.
        options.resume &= (folder / "checkpoint.pt").exists()
    history = minipose.train(
        network, dataset, validation, epochs=options.epochs, size=options.size, batch_size=options.batch_size,
        folder=folder, learning_rate=options.learning_rate, optimizer=options.optimizer,
        schedule=options.schedule, augment=options.augment, seed=options.seed, device=options.device,
        workers=options.workers, resume=options.resume, accumulate=options.accumulate,
        gpu_crops=options.gpu_crops,
    )  # fmt: skip
    if not distributed.is_main():
        return distributed.finish()
    found = minipose.evaluate(network, validation, device=options.device, workers=options.workers)
    result = found.pck(validation.normalizer, validation.threshold).of(list(validation.skeleton.scored))
    metric, seconds = training.metric_name(validation), sum(row["seconds"] for row in history)
    print(f"{metric} {result.mean:.3f} on {len(validation)} unseen people (mean over joints, flip test)")
    print(f"{metric} {history[-1]['pck']:.3f} without the flip test")
    print(f"training took {seconds:.0f} s on {next(network.parameters()).device}")
    print(f"wrote {folder}/weights.safetensors, history.csv and checkpoint.pt")
    distributed.finish()


def evaluate(options: argparse.Namespace) -> None:
    """Measure a network on a data set: PCK by joint, and both means."""
    _refuse_unread(options)
    network = minipose.load(options.weights)
    dataset = _measured(options, network.size or 128)
    if options.results:
        _check_results(Path(options.results), Path(options.annotations))
    if options.by_visibility and not dataset.has_occlusion:
        raise InputError(options.data, "--by-visibility", "labels that tell occluded from visible joints")
    found = minipose.evaluate(
        network, dataset, flip=not options.no_flip, refine=options.refine, device=options.device,
        workers=options.workers, progress=True, scales=options.scales,
    )  # fmt: skip
    report: dict[str, Any] = {
        "weights": options.weights, "data": options.data, "people": len(dataset), "flip": not options.no_flip,
        "scales": options.scales,
        "results": [found.summary(dataset.normalizer, threshold) for threshold in (0.2, 0.5)],
    }  # fmt: skip
    if options.by_visibility:
        split = found.by_visibility(dataset.normalizer, 0.5)
        means = {name: number(result.weighted_mean) for name, result in split.items()}
        metric = report["results"][1]["metric"]
        report["by_visibility"] = {
            "metric": metric, "normalizer": dataset.normalizer,
            "ruler": dataset.rulers.get(dataset.normalizer), "mean_over_labels": means,
        }  # fmt: skip
    results = None
    if isinstance(dataset, COCO):
        results = coco_results(dataset, found.predicted, found.scores)
        if dataset.skeleton is SKELETON:
            report["official"] = average_precision(dataset, results)
            report["official_ruler"] = oks.ruler(dataset)
    if options.data == "lspet" and options.split != "held-out":
        print(
            "note: the shipped network was trained on people of LSPET; --split held-out are not",
            file=sys.stderr,
        )
    print(json.dumps(report, indent=2, allow_nan=False) if options.json else _table(report))
    if options.results:
        with atomic(options.results) as partial:
            partial.write_text(json.dumps(results))


def _check_results(results: Path, annotations: Path) -> None:
    """Before anything is measured: a place for a new file, and not the one that is read."""
    if results.resolve() == annotations.resolve():
        raise InputError(results, "--results", "another file than the annotations")
    if results.is_dir() or not results.name or not results.resolve().parent.is_dir():
        raise InputError(results, "--results", "a file in a folder that is there")


def _run_folder(options: argparse.Namespace) -> Path:
    return Path(options.out or f"runs/{options.data}")


def data(options: argparse.Namespace) -> None:
    """Say where data sets come from and how their folders look; fetch one, or check a folder."""
    if options.name is None:
        if options.root or options.download:
            raise InputError("command line", "NAME", "the data set that the folder should hold")
        print("\n\n".join(f"{name}\n{guide}" for name, guide in GUIDES.items()))
        print("\nminipose data lsp --root DIR, or lspet, checks a folder of yours.")
    elif options.download:
        if options.root:
            raise InputError("command line", "--download", "no --root beside it")
        if options.name not in ARCHIVES:
            expected = f"{' or '.join(ARCHIVES)}: licence and a published checksum allow it; `minipose data"
            expected += f" {options.name}` says where to get this one"
            raise InputError(options.name, "--download", expected)
        print("\n".join(f"{path} is there" for path in fetch(options.name, options.download)))
    elif options.name in ("lsp", "lspet") and options.root is not None:
        print(check_folder({"lsp": LSP, "lspet": LSPET}[options.name](options.root)))
    elif options.root is not None:
        raise InputError("command line", "--root", "lsp or lspet, whose folders can be checked", options.name)
    else:
        print(GUIDES[options.name])


def export(options: argparse.Namespace) -> None:
    """Write a trained network as ONNX, and check it against PyTorch."""
    from minipose.export import export_onnx  # packages that no other command needs

    network = minipose.load(options.weights)
    out = Path(options.out or f"{Path(options.weights).stem}.onnx")
    if out.suffix != ".onnx":
        raise InputError(out, "--out", "a name that ends in .onnx", out.suffix or "no ending")
    worst = export_onnx(network, out)
    print(f"wrote {out}, {out.stat().st_size / 1e6:.2f} MB; ONNX Runtime and PyTorch differ by {worst:.1g}")


def _refuse_unread(options: argparse.Namespace) -> None:
    """Say in one line that an option means nothing to the chosen data set, rather than ignore it."""
    for name in dict.fromkeys(option for read in READS.values() for option in read):
        if getattr(options, name, None) is not None and name not in READS[options.data]:
            readers = ", ".join(data for data, read in READS.items() if name in read)
            option = f"--{name.replace('_', '-')}"
            raise InputError(options.data, option, f"nothing; it is for {readers}")
    if getattr(options, "split", None) not in (None, *SPLITS.get(options.data, ())):
        raise InputError(options.data, "--split", f"one of {', '.join(SPLITS[options.data])}", options.split)


def _measured(options: argparse.Namespace, size: int) -> PoseDataset:
    """The people to measure on."""
    split = options.split or "all"
    if options.data == "puppets":
        return InMemory(Puppets(options.count or 500, UNSEEN_SEED, size))
    dataset: PoseDataset
    if options.data in ("mpii", "coco"):
        if not (options.annotations and options.images):
            raise InputError(options.data, "--annotations and --images", "both, a file and a folder")
        if options.data == "coco":
            return COCO(
                options.annotations, options.images, options.min_keypoints or 1, options.count, options.ids,
                options.category, bool(options.rescale),
            )  # fmt: skip
        dataset = MPII(options.annotations, options.images, split)
    elif options.data == "lspet":
        dataset = LSPET(options.root, split)
    else:
        dataset = LSP(options.root) if options.data == "lsp" else FLIC(options.root, split)
    return dataset.subset(range(len(dataset))[: options.count]) if options.count else dataset


def _chosen_crop(options: argparse.Namespace) -> Crop | None:
    if (options.center is None) != (options.scale is None):
        raise InputError("command line", "--center and --scale", "both or neither")
    if options.box:
        return Crop.around_box(options.box)
    return Crop.at_scale(options.center, options.scale) if options.center else None


def _table(report: dict) -> str:
    """The report for eyes: a line a joint, a column a threshold, then the means by name."""
    results = report["results"]
    flip = "with" if report["flip"] else "without"
    lines = [f"{report['weights']} on {report['data']}, {report['people']} people, {flip} flip test"]
    if report["scales"] != [1]:
        scales = ", ".join(f"{scale:g}" for scale in report["scales"])
        lines[0] += f", averaged over crops {scales} times as large"
    if ruler := results[0]["ruler"]:
        lines.append(f"{results[0]['normalizer']}: {ruler}")
    lines.append(" " * 24 + "".join(f"{r['metric'] + ' (' + r['normalizer'] + ')':>18}" for r in results))

    def line(name, values, width=24):
        cells = (f"{'-':>18}" if v is None else f"{v:>18.3f}" for v in values)
        return f"{name:<{width}}" + "".join(cells)

    lines += [line(joint, [r["per_joint"][joint] for r in results]) for joint in results[0]["per_joint"]]
    for mean in ("mean_over_labels", "mean_over_limb_joints", "mean_over_joints"):
        lines.append(line(mean.replace("_", " "), [r[mean] for r in results]))
    for k in range(len(results[0]["mean_over_joints_by_stage"])):
        values = [r["mean_over_joints_by_stage"][k] for r in results]
        lines.append(line(f"  the same, stage {k + 1}", values))
    if split := report.get("by_visibility"):
        for name, value in split["mean_over_labels"].items():
            lines.append(line(f"{name} joints, {split['metric']}, mean over labels", [value], 42))
    lines += [f"official {name:<15}{value:>18.3f}" for name, value in report.get("official", {}).items()]
    if "official" in report:
        lines.append(f"official area: {report['official_ruler']}")
    lines.append(
        f"{results[0]['left_out']} people left out: their {results[0]['normalizer']} is not labelled"
    )
    return "\n".join(lines)
