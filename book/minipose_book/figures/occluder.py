"""A figure that moves, of part heatmap regression: a box before a puppet, and what both halves make of it.

It is of the kind of those in `figures.hourglass`: computed here when the cell runs, shown without a kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import interpolate, max_pool2d

from minipose import heatmaps as codec
from minipose.data.puppets import Puppets
from minipose.data.puppets.scene import CLOTHES
from minipose.inference import evaluating, to_float
from minipose.models.backbones import MEAN, STD
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose_book.figures.moving import SCENES, UNSEEN, Moving, pack, picture, rounded
from minipose_book.pretrained import load

# What the second network is given, in words; `_given` makes it.
GIVEN = ("all", "all but this part's detections", "all but the other parts'", "all but the image")
# Values below this share of a part's highest are not drawn: noise, and most of what a page would hold.
FAINT = 0.06


def covering(
    scene: int = 48, network: str = "phr-puppets", limb: tuple[str, ...] = ("wrist", "elbow", "shoulder"),
    side: str = "right", box: int = 24, step: int = 8,
) -> Moving:  # fmt: skip
    """A box put before a puppet: where its parts are detected, and where they are regressed to be.

    network : a residual part heatmap regression that detects. limb, side : the parts that can be chosen.
    box : its sides in crop px; its centre moves in steps of `step` px.
    """
    chosen = load(network)
    assert isinstance(chosen, PartHeatmapRegression)
    assert chosen.config.image and chosen.config.first == "detection"
    assert chosen.regressor.stride == 1, "two halves that meet at the image's size"
    size, skeleton = chosen.size or 0, chosen.skeleton
    assert skeleton is not None, "a loaded network knows its joints"
    sample = Puppets(SCENES, UNSEEN, size)[scene]
    pixels = sample.crop.image(sample.image, size)
    truth = sample.crop.forward(sample.keypoints, size)
    places = list(range(step // 2, size, step))
    pictures, colour = torch.from_numpy(pixels)[None].repeat(1 + len(places) ** 2, 1, 1, 1), CLOTHES[4]
    for number, (y, x) in enumerate(((y, x) for y in places for x in places), start=1):
        top, left = max(y - box // 2, 0), max(x - box // 2, 0)
        pictures[number, top : y + box // 2, left : x + box // 2] = torch.from_numpy(colour).byte()
    parts: list[dict[str, Any]] = []
    with evaluating(chosen), torch.no_grad():
        images = to_float(pictures.permute(0, 3, 1, 2), torch.device("cpu"))
        images = (images - images.new_tensor(MEAN)[:, None, None]) / images.new_tensor(STD)[:, None, None]
        found = torch.cat([chosen.detector(each) for each in images.split(32)]).sigmoid()
        seen = interpolate(found, (size, size), mode="bilinear")
        for joint in (skeleton.index(f"{side}_{name}") for name in limb):
            regressed = torch.cat([
                chosen.regressor(_given(number, joint, *each))[:, joint]
                for number in range(len(GIVEN))
                for each in zip(seen.split(32), images.split(32), strict=True)
            ])  # fmt: skip
            parts.append({
                "name": skeleton.joints[joint],
                "truth": rounded(truth[joint]) if sample.visibility[joint] > 0 else None,
                "detected": _shown(found[:, joint], chosen.strides[0], 1),
                "regressed": _shown(regressed, 1, chosen.strides[0]),
            })  # fmt: skip
    source = (
        f"{network} on an unseen puppet. Drag the box, or use the sliders. The cross is the truth, the ring "
        "what is decoded. The brightest colour is the highest value that a part's maps reach, with any box."
    )
    data = {"image": picture(pixels), "size": size, "cells": found.shape[-1], "places": places, "box": box,
            "colour": colour.tolist(), "given": GIVEN, "parts": parts, "source": source}  # fmt: skip
    return Moving("covering", data)


def _given(number: int, joint: int, detections: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """What the second network sees (B, J + 3, S, S), edited as `GIVEN[number]` says."""
    detections, own = detections.clone(), detections[:, joint].clone()
    if number == 1:
        detections[:, joint] = 0
    elif number == 2:
        detections.zero_()
        detections[:, joint] = own
    elif number == 3:
        images = torch.zeros_like(images)  # the mean colour
    return torch.cat((detections, images), dim=1)


def _shown(maps: torch.Tensor, stride: int, pool: int) -> dict[str, Any]:
    """Maps (N, h, w) as a page holds them, pooled; the point (crop px) and height of each; the highest."""
    points, heights = codec.decode_heatmaps(maps)
    found = torch.cat((codec.to_crop(points, stride), heights[:, None]), dim=1)
    top = max(float(heights.max()), 1e-3)
    small = max_pool2d(maps, pool)
    return {
        "maps": pack(small.where(small > FAINT * top, 0)), "found": rounded(found, 3), "top": round(top, 4)
    }  # fmt: skip
