"""Heatmaps to places (section 3.4): what conventions lose by themselves, and ways to read a peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate, max_pool2d

from minipose import metrics
from minipose.crops import Crop
from minipose.data import PoseDataset, Puppets
from minipose.data.puppets import UNSEEN_SEED
from minipose.evaluation import Evaluation
from minipose.heatmaps import REFINEMENTS, decode_heatmaps, encode_heatmaps, to_crop, to_map
from minipose.inference import (
    evaluating,
    stage_heatmaps,
    to_channels_last,
    to_float,
    to_photo,
)
from minipose.models.network import PoseNetwork
from minipose.pipeline import batches
from minipose_book.experiments.bench import (
    MEDIUM,
    Bench,
    Findings,
    Plan,
    experiment,
)
from minipose_book.experiments.newell2016.targets import CURVE, QUOTED, TABLE, at, errors, line, thresholds
from minipose_book.pretrained import load

DECODERS = (*REFINEMENTS, "centre of mass", "student report")
# The report's section 3.4.1 sets what is below to zero before it looks for maxima.
ISLAND = 0.04
# Photos in which a person's crop has about 720 px, as MPII's have.
PHOTO, ROUND_TRIPS = 720, 500


@experiment("what codecs lose by themselves, and four ways to read a heatmap", "section 3.4", cpu=2, gpu=2)
def decoding(bench: Bench) -> Findings:
    """A perfect network through several codecs, and a shipped network's heatmaps read in five ways."""
    started = time.perf_counter()
    people = Puppets(ROUND_TRIPS, UNSEEN_SEED, PHOTO)
    table = {name: round_trip(codec, people) for name, codec in CODECS.items()}
    bench.seconds += time.perf_counter() - started
    name = "hg2-puppets-small" if bench.scale == "cpu" else "hg2-lspet"
    network, plan = load(name), bench.plan(MEDIUM)
    found = read(bench, network, plan)
    scored = list(found["argmax"].skeleton.scored)
    pck = {how: {t: each["mean"] for t, each in at([found[how]], plan, scored).items()} for how in DECODERS}
    fine = str(thresholds(plan, TABLE)[0])
    gain = {how: f"{100 * (pck[how][fine] - pck['argmax'][fine]):+.1f}" for how in DECODERS}
    holds = pck["quarter"][fine] > pck["argmax"][fine]
    verdict = (
        f"Through the authors' codec a perfect network keeps a mean error of "
        f"{table[TORCH]['mean error']:.2f} px of 256, through a sub-pixel target with the parabola "
        f"{table['ours, parabola']['mean error']:.2f}. On {name}'s heatmaps, at {fine} of the "
        f"{plan.measure[0]}, the quarter offset is worth {gain['quarter']} points over argmax, the parabola "
        f"{gain['parabola']}, the centre of mass {gain['centre of mass']}, the student report's enlarged and "
        f"blurred map {gain['student report']}: that the offset helps at high precision, as the paper says, "
        f"{'holds' if holds else 'does not hold'}."
    )
    return Findings(
        {
            "round trip": f"all labelled joints of {ROUND_TRIPS} unseen puppets in square photos of "
            f"{people.side} px, cut by the evaluation crop (some {PHOTO} px), moved by up to half a cell, to "
            "256 px; drawn on 64 x 64 cells with sigma 1; head sizes are the puppets'",
            "network": name, "people": len(found["argmax"].target), "size": network.size, "flip": True,
            "joints": "all that the data set scores", "normalizer": plan.measure[0], "island": ISLAND,
        },
        {"codecs": table, "pck": pck, "error": {how: errors([found[how]], plan, scored) for how in DECODERS}},
        verdict,
        {
            how: {"threshold": thresholds(plan, CURVE), "pck": line([found[how]], plan, CURVE, scored)}
            for how in DECODERS
        },
        QUOTED | {"student report, section 7": "a center of mass of the island of activation which contains "
                  "the most intense activation pixel"},
    )  # fmt: skip


def read(bench: Bench, network: PoseNetwork, plan: Plan) -> dict[str, Evaluation]:
    """What a network finds on the unseen people, its last heatmaps (flip test) read by each of `DECODERS`."""
    found = bench.measure(network, plan, flip=True)
    started = time.perf_counter()
    people, size = bench.people(plan, "unseen"), network.size or plan.size
    maps, matrices = [], []
    to_channels_last(network, bench.device)
    with evaluating(network):
        for crops in batches(people, list(range(len(people))), size, 32):
            maps.append(
                stage_heatmaps(network, to_float(crops.images, bench.device), found.skeleton)[-1].cpu()
            )
            matrices.append(crops.matrices)
    answers = {}
    for how in DECODERS:
        in_crop = to_crop(torch.cat([decode(each, how) for each in maps]), network.strides[-1])
        answers[how] = replace(found, stages=[to_photo(in_crop, torch.cat(matrices), found.skeleton)])
    bench.seconds += time.perf_counter() - started
    return answers


@dataclass(frozen=True)
class Codec:
    """A convention: where a target's centre is drawn, and what is made of the peak.

    centre : a joint's place in map px -> the target's centre. refine : how the peak is read (`DECODERS`).
    back : added to it before it leaves the map. whole : what happens to photo px at the end.
    """

    centre: Callable[[torch.Tensor], torch.Tensor]
    refine: str
    back: float = 0.0
    whole: Callable[[torch.Tensor], torch.Tensor] = lambda points: points


# In map px the left border of cell 0 is -0.5; x/4 of a crop px x is 3/8 more than its map px.
TORCH = "authors' (Torch)"
CODECS = {f"ours, {how}": Codec(lambda x: x, how) for how in DECODERS} | {
    # The cell that holds the joint; its middle, cut to whole photo px. The offset never finds a larger side.
    TORCH: Codec(lambda x: (x + 0.5).floor(), "quarter", 0.0, torch.floor),
    "the same, photo px counted from 1": Codec(
        lambda x: (x + 0.5).floor(), "quarter", 0.0, lambda p: p.floor() + 1
    ),
    "the same, cells from 1 one way only": Codec(
        lambda x: (x + 0.5).floor(), "quarter", -1.0, lambda p: p.floor() + 1
    ),
    "the same, a tie moves by -1/4": Codec(lambda x: (x + 0.5).floor(), "argmax", -0.25, torch.floor),
    "round(x/4), read as 4 cells": Codec(lambda x: (x + 0.375).round(), "quarter", -0.375),
    "floor(x/4), read as 4 cells": Codec(lambda x: (x + 0.375).floor(), "quarter", -0.375),
}


def round_trip(codec: Codec, people: PoseDataset, size: int = 256) -> dict[str, float]:
    """What a network that draws the targets perfectly still gets wrong, in px of the crop.

    bias : mean over x and y. mean error : mean distance. ceiling : PCKh@0.1, mean over scored joints.
    mirror : cells by which the mirrored crop's target lies right of the target's mirror image.
    """
    found, samples, cells = [], [people[n] for n in range(len(people))], size // 4
    points = torch.stack([torch.from_numpy(s.keypoints) for s in samples])  # (N, J, 2) photo px
    labelled = torch.stack([torch.from_numpy(s.visibility) for s in samples]) > 0
    centers, sides = (
        torch.tensor([getattr(s.crop, f) for s in samples], dtype=torch.float64) for f in ("center", "side")
    )
    # A crop around the joints' box puts the outermost always at the same place in a cell; so move it.
    moved = torch.rand(len(samples), 2, generator=torch.Generator().manual_seed(0)) - 0.5
    crops = Crop(centers + moved * 4 * sides[:, None] / size, sides)
    in_map = to_map(crops.forward(points, size), 4)
    centre = codec.centre(in_map)
    for some, seen in zip(centre.split(50), labelled.split(50), strict=True):
        found.append(decode(encode_heatmaps(some.nan_to_num(), seen, (cells, cells)), codec.refine).double())
    answer = codec.whole(crops.inverse(to_crop(torch.cat(found) + codec.back, 4), size))
    error = ((answer - points) * (size / sides)[:, None, None])[labelled]
    heads = torch.tensor([s.sizes["head"] for s in samples])
    ceiling = metrics.pck(answer, points, heads, 0.1, labelled).of(list(people.skeleton.scored)).mean
    mirrored = codec.centre(cells - 1 - in_map) - (cells - 1 - centre)
    return {
        "bias": round(float(error.mean()), 3) + 0.0, "mean error": round(float(error.norm(dim=-1).mean()), 3),
        "ceiling": round(ceiling, 4), "mirror": round(float(mirrored[labelled][:, 0].mean()), 3),
    }  # fmt: skip


def decode(heatmaps: torch.Tensor, how: str) -> torch.Tensor:
    """Heatmaps (..., H, W) -> points (..., 2) map px, in one of the `DECODERS`."""
    if how == "student report":
        return enlarged(heatmaps)
    return centre_of_mass(heatmaps) if how == "centre of mass" else decode_heatmaps(heatmaps, how)[0]


def enlarged(heatmaps: torch.Tensor, times: int = 4, blur: float = 1.0) -> torch.Tensor:
    """The highest pixel of maps enlarged to the crop and blurred, (..., H, W) -> (..., 2) map px.

    The student report's section 3.4.1, with its code's blur of 1 px. NaN, absent, where none is above
    `ISLAND`.
    """
    *others, height, width = heatmaps.shape
    maps = heatmaps.reshape(-1, 1, height, width).float().cpu()
    large = interpolate(maps, scale_factor=times, mode="bilinear", align_corners=False)
    peaks, at = torch.from_numpy(gaussian_filter(large.numpy(), (0, 0, blur, blur))).flatten(1).max(1)
    points = to_map(torch.stack((at % (times * width), at // (times * width)), dim=-1).float(), times)
    return torch.where(peaks[:, None] > ISLAND, points, torch.nan).view(*others, 2).to(heatmaps.device)


def centre_of_mass(heatmaps: torch.Tensor, island: float = ISLAND) -> torch.Tensor:
    """Mean place of the activation in the highest cell's island, (..., H, W) -> (..., 2) map px.

    The island: the cells above `island` that touch one another, corners included, around the highest.
    Where not even that one is above, it is the answer.
    """
    *_, height, width = heatmaps.shape
    maps = heatmaps.reshape(-1, 1, height, width).float()
    highest = maps.flatten(1).argmax(1)
    land = maps > island
    found = torch.zeros_like(maps).flatten(1).scatter_(1, highest[:, None], 1.0).view_as(maps)
    while True:
        grown = torch.where(land, max_pool2d(found, 3, stride=1, padding=1), found)
        if torch.equal(grown, found):
            break
        found = grown
    mass = torch.where(land, maps, 1.0) * found  # a highest cell that is no land counts alone
    total = mass.sum((1, 2, 3))
    x = (mass.sum((1, 2)) * torch.arange(width, device=maps.device)).sum(1) / total
    y = (mass.sum((1, 3)) * torch.arange(height, device=maps.device)).sum(1) / total
    return torch.stack((x, y), dim=-1).view(*heatmaps.shape[:-2], 2)
