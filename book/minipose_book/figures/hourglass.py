"""More figures that move, one question each; they need no kernel. `minipose_book.figures.moving` shows them.

What they show is computed here when the cell runs, by the shipped networks on puppets that none of them
has seen, or read from the records of the experiments.
"""

from __future__ import annotations

from typing import Any

import torch

from minipose import heatmaps as codec
from minipose.data.puppets.dataset import Puppets
from minipose.data.sample import Sample
from minipose.evaluation import evaluate
from minipose.inference import evaluating, stage_heatmaps, to_float
from minipose.models.convolutional_pose_machine import NORMAL_SIZE, ConvolutionalPoseMachine
from minipose.models.hourglass import Hourglass, StackedHourglass, SupervisedHourglass
from minipose.models.network import PoseNetwork
from minipose_book.experiments import records
from minipose_book.figures.moving import SCENES, UNSEEN, Moving, pack, picture, rounded
from minipose_book.pretrained import load

READER = "stages-2x4"  # small, and not so good that there is nothing to see
# Measured here on so many puppets, in a few seconds; the records measure on thousands.
PEOPLE = 120


def sigma() -> Moving:
    """A target's sigma and sub-pixel place against the point that three rules decode from it."""
    return Moving("sigma", {})


def crop(scene: int = 48, size: int = 64) -> Moving:
    """A crop of a puppet's picture moved, turned, zoomed and mirrored, and a point carried back."""
    sample = Puppets(SCENES, UNSEEN, 256)[scene]
    image = sample.image
    return Moving(
        "crop",
        {
            "image": picture(image), "photo": len(image), "size": size,
            "center": rounded(sample.crop.center, 0), "side": round(sample.crop.side),
            "point": [size / 2, size / 4],
        },
    )  # fmt: skip


def threshold(scene: int = 48) -> Moving:
    """PCKh against its threshold, with the circles in which a joint of one puppet counts as found."""
    network = load(READER)
    puppets = Puppets(SCENES, UNSEEN, network.size or 0)
    found = evaluate(network, puppets.subset(range(PEOPLE)), flip=False, device="cpu")
    heads = (found.predicted - found.target).norm(dim=-1) / found.sizes["head"][:, None]
    groups = {"all limb joints": list(found.skeleton.limb_joints)}
    for joint in ("wrist", "elbow", "shoulder", "hip", "knee", "ankle"):
        groups[joint + "s"] = [j for j, name in enumerate(found.skeleton.joints) if name.endswith(joint)]
    counted = (found.visibility > 0) & (found.sizes["head"] > 0)[:, None]
    distances = {name: rounded(heads[:, js][counted[:, js]], 4) for name, js in groups.items()}
    sample = puppets[scene]
    pixels, stages = _asked(network, sample)
    points = codec.to_crop(codec.decode_heatmaps(stages[-1])[0], network.strides[-1])
    truth, size = sample.crop.forward(sample.keypoints, len(pixels)), len(pixels)
    joints = [
        {"truth": rounded(truth[j]), "found": rounded(points[j])}
        for j in found.skeleton.limb_joints
        if sample.visibility[j] > 0
    ]
    return Moving(
        "threshold",
        {
            "distances": distances, "image": picture(pixels), "size": size, "joints": joints,
            "head": round(sample.sizes["head"] * size / sample.crop.side, 3),
            "source": f"{READER} on {PEOPLE} unseen puppets, without the flip test. In the picture a "
            "circle is the threshold around the truth: white with a dot found, yellow with a cross missed.",
        },
    )  # fmt: skip


def presence() -> Moving:
    """Is the joint in the picture at all? A threshold on its heatmap against precision and recall."""
    network = load(READER)
    puppets = Puppets(SCENES, UNSEEN, network.size or 0)
    chosen: dict[bool, list[int]] = {True: [], False: []}  # cut by the border, and whole
    number = 0
    while min(map(len, chosen.values())) < PEOPLE // 2:
        chosen[bool((puppets[number].visibility == 0).any())].append(number)
        number += 1
    people = puppets.subset(chosen[True][: PEOPLE // 2] + chosen[False][: PEOPLE // 2])
    found = evaluate(network, people, flip=False, device="cpu")
    joints = {}
    for joint in ("ankle", "knee", "wrist"):
        sides = [j for j, name in enumerate(found.skeleton.joints) if name.endswith(joint)]
        activations = {
            kind: rounded(values[:, sides].flatten(), 5)
            for kind, values in (("max", found.scores), ("mean", found.means))
        }
        joints[joint] = activations | {"labelled": (found.visibility[:, sides] > 0).flatten().int().tolist()}
    source = (
        f"{READER} on {len(people)} unseen puppets, half of them cut by the border, without the flip test. "
        "The curve is every threshold, the mark the chosen one."
    )
    return Moving("presence", {"joints": joints, "source": source})


def training(seed: int = 0) -> Moving:
    """The accuracy of every stage as training goes on, with the loss, for 1, 2, 4 and 8 stacks."""
    record = records.read("stages", "cpu")
    runs = []
    for stacks in (1, 2, 4, 8):
        curve = record.curves[f"{stacks} seed {seed}"]
        stages = [curve[f"pck_stage_{stage + 1}"] for stage in range(stacks)]
        name = f"{stacks} {'stack' if stacks == 1 else 'stacks'}"
        runs.append({"name": name, "step": curve["step"], "loss": curve["loss"], "stages": stages})
    source = (
        f'Record "stages", seed {seed}, {record.where}: wrists, elbows, knees and ankles found within half '
        f"a head, on {record.settings['watched']} puppets watched during training."
    )
    return Moving("training", {"runs": runs, "source": source})


def flip(scene: int = 48, network: str = "stages-2x4") -> Moving:
    """The heatmaps of a picture and of its mirror image, averaged, with a shift that should be 0."""
    chosen = load(network)
    sample = Puppets(SCENES, UNSEEN, chosen.size or 0)[scene]
    skeleton = _skeleton(chosen)
    pixels, stages = _asked(chosen, sample)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    with evaluating(chosen):
        turned = stage_heatmaps(chosen, to_float(images.flip(-1), torch.device("cpu")), skeleton, flip=False)
    mirrored = codec.mirror(turned[-1], skeleton)[0]
    truth = sample.crop.forward(sample.keypoints, len(pixels))
    joints: list[dict[str, Any]] = [
        {
            "name": skeleton.joints[j], "truth": rounded(truth[j]),
            "plain": rounded(stages[-1][j].flatten(), 5), "mirrored": rounded(mirrored[j].flatten(), 5),
        }
        for j in skeleton.limb_joints if sample.visibility[j] > 0
    ]  # fmt: skip
    width, stride = mirrored.shape[-1], chosen.strides[-1]
    data = {"image": picture(pixels), "size": len(pixels), "width": width, "stride": stride, "joints": joints}
    return Moving("flip", data)


def features(scene: int = 48, network: str = "stacking-hg", channels: int = 6) -> Moving:
    """What an hourglass holds at each resolution: its liveliest channels, on the way down and up."""
    chosen = load(network)
    sample = Puppets(SCENES, UNSEEN, chosen.size or 0)[scene]
    pixels = sample.crop.image(sample.image, chosen.size or 0)
    levels = []
    with torch.no_grad():
        for name, values in _levels(chosen, _tensor(pixels)).items():
            edge = values.shape[-1] // 8  # padding makes borders lively, whatever the picture shows
            inner = values[0, :, edge : values.shape[-2] - edge, edge : values.shape[-1] - edge]
            maps = values[0, inner.flatten(1).std(dim=1).topk(channels).indices]
            # From each channel's lowest cell to its highest: features have no scale of their own.
            maps = maps - maps.amin(dim=(-2, -1), keepdim=True)
            cells = maps.shape[-1]
            text = f"{cells} x {cells} cells, {len(pixels) // cells} px a cell."
            levels.append({"name": name, "cells": cells, "maps": pack(maps), "text": text})
    source = (
        f"{network}, first hourglass: at each level the {channels} channels that vary most away from the "
        "border. Dark is a channel's lowest value, bright its highest."
    )
    return _through("An hourglass's features by resolution", pixels, levels, channels, source)


def receptive(scene: int = 48, network: str = "stacking-hg") -> Moving:
    """Which pixels a cell in the middle can see, at each level of an hourglass: gradients."""
    chosen = load(network)
    sample = Puppets(SCENES, UNSEEN, chosen.size or 0)[scene]
    pixels = sample.crop.image(sample.image, chosen.size or 0)
    images = _tensor(pixels).requires_grad_()
    levels = []
    for name, values in _levels(chosen, images).items():
        middle = values.shape[-1] // 2
        # The squared length of the cell's features: what no pixel can change has no gradient.
        (slope,) = torch.autograd.grad(values[0, :, middle, middle].square().sum(), images, retain_graph=True)
        weight = slope[0].abs().amax(dim=0)
        rows, columns = (weight > 0).any(dim=1).nonzero(), (weight > 0).any(dim=0).nonzero()
        left, right, top, bottom = (int(v) for v in (columns[0], columns[-1], rows[0], rows[-1]))
        square = [[left, top], [right, top], [right, bottom], [left, bottom]]
        text = f"The cell sees {right - left + 1} x {bottom - top + 1} of {len(pixels)} x {len(pixels)} px."
        # The square root shows the faint ones, which are most.
        maps = pack(weight.sqrt()[None])
        levels.append({"name": name, "cells": len(pixels), "maps": maps, "text": text, "square": square})
    source = (
        f"{network}: brighter pixels change the cell in the middle of that level more (square root of the "
        "gradient's size). The square holds every pixel that changes it at all."
    )
    return _through("The receptive field by level", pixels, levels, 1, source)


# Whose peak is moved, and whom that may tell something.
PAIRS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"))


def beliefs(scene: int = 48, network: str = "cpm3-puppets", side: str = "right", step: int = 2) -> Moving:
    """A part's peak moved or erased where it enters a stage of a pose machine: what a neighbour's becomes."""
    machine = load(network)
    assert isinstance(machine, ConvolutionalPoseMachine), "only pose machines hand beliefs on"
    skeleton, size, stride = _skeleton(machine), machine.size or 0, machine.multiple
    sample = Puppets(SCENES, UNSEEN, size)[scene]
    pixels = sample.crop.image(sample.image, size)
    points = sample.crop.forward(sample.keypoints, size)
    truth = [rounded(at) if seen else None for at, seen in zip(points, sample.visibility, strict=True)]
    cells = size // stride
    grid = list(range(step // 2, cells, step))
    places = codec.to_crop(torch.tensor([[[x, y]] for y in grid for x in grid]).float(), stride)
    peaks = machine.peaks(places, torch.ones(len(places), 1), (size, size))[:, 0]
    images = _tensor(pixels)
    pairs: list[dict[str, Any]] = []
    with evaluating(machine), torch.no_grad():
        given = machine(images)[:-1]
        features, center = machine.features(images - 0.5), machine.center(images)
        for part, to in [(f"{side}_{a}", f"{side}_{b}") for a, b in PAIRS]:
            p, q = skeleton.index(part), skeleton.index(to)
            stages = []
            for stage, before in zip(machine.later, given, strict=True):
                # As it was, erased, and with one peak at each place; all other beliefs stay.
                edited = before.repeat(2 + len(peaks), 1, 1, 1)
                edited[1, p], edited[2:, p] = 0, peaks
                every = [each.expand(len(edited), -1, -1, -1) for each in (features, center)]
                maps = stage(every[0], edited, every[1])[:, q]
                stages.append({
                    "before": pack(before[0, p]), "height": round(float(before[0, p].max()), 4),
                    "maps": pack(maps), "heights": rounded(maps.amax(dim=(-2, -1)), 4),
                })  # fmt: skip
            pairs.append({"part": part, "to": to, "truths": [truth[p], truth[q]], "stages": stages})
    source = (
        f"{network} on an unseen puppet. Left: the belief of one part, as a stage gets it; all others stay "
        "as they were. Right: what the stage makes of another part. The cross is the truth, the ring what "
        "is decoded."
    )
    data = {"cells": cells, "grid": grid, "size": size, "stride": stride, "pairs": pairs, "source": source}
    sigma = machine.config.sigma * size / NORMAL_SIZE / stride
    return Moving("beliefs", data | {"image": picture(pixels), "sigma": sigma})


def _through(title, pixels, levels, maps, source) -> Moving:
    data = {"title": title, "image": picture(pixels), "size": len(pixels), "levels": levels, "maps": maps}
    return Moving("levels", data | {"source": source})


def _tensor(pixels) -> torch.Tensor:
    """Pixels (S, S, 3) uint8 -> (1, 3, S, S) in [0, 1]."""
    return to_float(torch.from_numpy(pixels).permute(2, 0, 1)[None], torch.device("cpu"))


def _skeleton(network: PoseNetwork):
    """The joints of a network that was loaded."""
    assert network.skeleton is not None, "a loaded network knows its joints"
    return network.skeleton


def _asked(network: PoseNetwork, sample: Sample):
    """Pixels (S, S, 3) of a sample's crop and each stage's heatmaps (J, h, w)."""
    pixels = sample.crop.image(sample.image, network.size or 0)
    with evaluating(network):
        stages = stage_heatmaps(network, _tensor(pixels), _skeleton(network), flip=False)
    return pixels, [stage[0] for stage in stages]


def _levels(network: PoseNetwork, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the first hourglass computes from level to level, (1, F, h, w) each, in its order."""
    assert isinstance(network, StackedHourglass), "only hourglasses have these levels"
    found: dict[str, torch.Tensor] = {}
    hooks = []

    def watch(module: torch.nn.Module, name: str) -> None:
        def keep(_, __, values) -> None:
            found[name] = values[0] if isinstance(values, tuple) else values  # HG-Int's has stages as well

        hooks.append(module.register_forward_hook(keep))

    watch(network.stem, "before the hourglass")
    hourglass, depth = network.hourglasses[0], 1
    ascent = [(hourglass, "the hourglass's result")]
    while isinstance(hourglass, Hourglass | SupervisedHourglass):
        watch(hourglass.down, f"down, halved {depth} x")
        if isinstance(hourglass.inner, Hourglass | SupervisedHourglass):
            ascent.append((hourglass.inner, f"up, halved {depth} x"))
        else:
            watch(hourglass.inner, "the bottom")
        hourglass, depth = hourglass.inner, depth + 1
    for module, name in ascent:
        watch(module, name)
    try:
        with evaluating(network):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found
