"""Section 3.4's flip test: what averaging with the mirrored picture is worth, and how to do it wrong."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minipose import heatmaps as codec
from minipose import metrics
from minipose.crops import Crop
from minipose.data.sample import Sample
from minipose.inference import evaluating, to_channels_last, to_float, to_photo
from minipose.models.network import PoseNetwork
from minipose.skeletons import COCO, Skeleton
from minipose_book.experiments.bench import (
    LARGE,
    Bench,
    Findings,
    experiment,
)
from minipose_book.experiments.trained_networks import asked, cut, reader, timed
from minipose_book.pretrained import load

PEOPLE = 2000
# What the GPU's `reference` experiment ships.
PHOTOS = "hg2-lspet"
# For the standard error of a difference: people i, i + GROUPS, i + 2 GROUPS ... are one group.
GROUPS = 20
OKS_THRESHOLDS = [0.5 + 0.05 * k for k in range(10)]


@experiment(
    "averaging with the mirrored picture: heatmaps, locations, and the shift by a cell",
    "section 3.4",
    cpu=3,
    gpu=2,
)
def flip(bench: Bench) -> Findings:
    """Section 3.4's average with the mirrored picture, other ways to average, and the shift by a cell."""
    if bench.scale == "cpu":
        network, plan, name = reader(bench, PEOPLE)
    else:
        network, plan, name = load(PHOTOS), LARGE, PHOTOS
    people = bench.people(plan, "unseen")
    samples = [people[n] for n in range(len(people))]
    with timed(bench), torch.no_grad(), evaluating(network):
        to_channels_last(network, bench.device)
        parts = [both_ways(network, samples[k : k + 32], bench.device) for k in range(0, len(samples), 32)]
    found = {
        kind: {way: torch.cat([part[kind][way] for part in parts]) for way in ways}
        for kind, ways in parts[0].items()
    }
    answers = Answers(samples, *plan.measure, people.skeleton)
    thresholds = [round(answers.threshold * k / 20, 4) for k in range(1, 21)]
    table = [round(answers.threshold * share, 4) for share in (0.2, 0.4, 1)]
    results: dict[str, Any] = {}
    for kind, ways in found.items():
        plain = answers.oks(ways["no flip"])
        results[kind] = {}
        for way, predicted in ways.items():
            oks = answers.oks(predicted)
            results[kind][way] = {
                "pck": dict(zip(map(str, table), answers.pck(predicted, table), strict=True)),
                "gain": {str(t): answers.gain(predicted, ways["no flip"], t) for t in table},
                "oks": oks,
                "oks_gain": None if oks is None or plain is None else round(oks - plain, 4),
            }
    fine, usual = str(table[0]), str(table[-1])

    def gain(kind: str, way: str, threshold: str) -> str:
        return f"{100 * results[kind][way]['gain'][threshold]['mean']:+.1f}"

    measure = f"PCK{'h' if answers.normalizer == 'head' else ''}@"
    error = 100 * results["quarter"]["heatmaps"]["gain"][usual]["error"]
    verdict = (
        f"Averaging heatmaps is worth {gain('quarter', 'heatmaps', usual)} points of {measure}{usual} "
        f"(standard error {error:.1f}; about 1 in the paper) and {gain('quarter', 'heatmaps', fine)} at "
        f"{fine}; averaging the two locations {gain('quarter', 'locations', usual)} and "
        f"{gain('quarter', 'locations', fine)}, or with the parabola in place of the quarter "
        f"{gain('parabola', 'locations', usual)} and {gain('parabola', 'locations', fine)}. Shifting the "
        f"mirrored heatmaps by a cell makes it {gain('quarter', 'heatmaps, shifted', fine)} at {fine}; where "
        f"cells are counted as x/{network.strides[-1]}, it is {gain('x/s', 'heatmaps', fine)} without the "
        f"shift and {gain('x/s', 'heatmaps, shifted', fine)} with it."
    )
    if (oks := results["quarter"]["locations"]["oks_gain"]) is not None:
        verdict += f" Averaged locations gain {100 * oks:+.1f} points of OKS, 3 to 5 in a student report."
    return Findings(
        asked(network, plan, name, len(samples), stride=network.strides[-1], normalizer=answers.normalizer,
              mean="over labels of scored joints", oks_joints=len(answers.oks_joints)),
        results, verdict,
        {f"{kind}: {way}": {"threshold": thresholds, "pck": answers.pck(predicted, thresholds)}
         for kind, ways in found.items() for way, predicted in ways.items()},
        {"section": "3.4", "gain": 0.01, "student report, sections 3.4.2 and 6": {
            "oks": "3-5% increase", "pck": "1% increase", "averaged": "joint locations"}},
    )  # fmt: skip


def both_ways(
    network: PoseNetwork, samples: Sequence[Sample], device: torch.device
) -> dict[str, dict[str, torch.Tensor]]:
    """What a network finds with and without the mirrored picture, by codec and way, (B, J, 2) photo px.

    Codecs "quarter", the paper's, and "parabola" refine what the package's heatmaps say. "x/s" is as if
    the network had learned that cell k of a stride s stands for pixel s k, as many projects have it, and
    not for the middle of its s pixels. Such a network answers for a picture as ours does for the same
    picture (s - 1)/2 px further right and down; so it is shown that one.
    """
    skeleton, size, stride = network.skeleton, network.size, network.strides[-1]
    assert skeleton is not None and size is not None  # a loaded or trained network has both

    def maps(crops: Sequence[Crop], mirrored: bool) -> torch.Tensor:
        images = to_float(cut(samples, crops, size), device)
        return network.heatmaps(network(images.flip(-1) if mirrored else images))[-1].cpu()

    def ways(plain: torch.Tensor, mirrored: torch.Tensor, refine: str) -> dict[str, torch.Tensor]:
        def read(heatmaps: torch.Tensor) -> torch.Tensor:
            return codec.decode_heatmaps(heatmaps, refine)[0]

        back = codec.mirror(mirrored, skeleton)
        return {
            "no flip": read(plain),
            "mirrored alone": read(back),
            "heatmaps": read((plain + back) / 2),
            "locations": average_locations(read(plain), read(mirrored), plain.shape[-1], skeleton),
            "heatmaps, shifted": read((plain + shifted(back)) / 2),
        }

    crops = [sample.crop for sample in samples]
    plain, mirrored = maps(crops, False), maps(crops, True)
    in_crop = {
        refine: {way: codec.to_crop(points, stride) for way, points in ways(plain, mirrored, refine).items()}
        for refine in ("quarter", "parabola")
    }
    # Further right in the mirrored picture is further left before it is mirrored.
    by = (stride - 1) / 2
    plain = maps([displaced(crop, by, by, size) for crop in crops], False)
    mirrored = maps([displaced(crop, -by, by, size) for crop in crops], True)
    in_crop["x/s"] = {way: points * stride for way, points in ways(plain, mirrored, "quarter").items()}
    matrices = torch.stack([crop.matrix(size) for crop in crops])
    return {
        name: {way: to_photo(points, matrices, skeleton) for way, points in each.items()}
        for name, each in in_crop.items()
    }


def displaced(crop: Crop, right: float, down: float, size: int) -> Crop:
    """A crop, neither turned nor mirrored, whose content lies so many crop px further right and down."""
    x, y = crop.center
    pixel = float(crop.side) / size
    return replace(crop, center=(float(x) - right * pixel, float(y) - down * pixel))


def shifted(heatmaps: torch.Tensor) -> torch.Tensor:
    """Heatmaps (..., W) moved a cell to the right; the first column stays, as in projects that do it."""
    return torch.cat([heatmaps[..., :1], heatmaps[..., :-1]], dim=-1)


def average_locations(
    plain: torch.Tensor, mirrored: torch.Tensor, width: int, skeleton: Skeleton
) -> torch.Tensor:
    """The middle of both answers, (..., J, 2) map px of maps `width` wide; the second is still mirrored."""
    back = skeleton.flip(mirrored, axis=-2)
    back = torch.stack((width - 1 - back[..., 0], back[..., 1]), dim=-1)
    return (plain + back) / 2


class Answers:
    """What the predictions for some people are compared with: scored joints, all labels counted alike."""

    def __init__(self, samples: Sequence[Sample], normalizer: str, threshold: float, skeleton: Skeleton):
        self.normalizer, self.threshold = normalizer, threshold
        self.scored = list(skeleton.scored)
        self.target = torch.from_numpy(np.stack([s.keypoints for s in samples]))
        self.labelled = torch.from_numpy(np.stack([s.visibility for s in samples])) > 0
        self.size = torch.tensor([s.sizes[normalizer] for s in samples], dtype=torch.float64)
        self.area = torch.tensor([s.area for s in samples], dtype=torch.float64)
        shared = [(j, COCO.index(name)) for j, name in enumerate(skeleton.joints) if name in COCO.joints]
        self.oks_joints = [j for j, _ in shared]
        sigmas = COCO.sigmas or ()
        self.sigmas = torch.tensor([sigmas[k] for _, k in shared], dtype=torch.float64)

    def pck(self, predicted: torch.Tensor, thresholds: list[float], people: Any = slice(None)) -> list[float]:
        """At each threshold the share of labels that were found."""
        results = metrics.pck_curve(
            predicted[people], self.target[people], self.size[people], thresholds, self.labelled[people]
        )
        return [round(result.of(self.scored).weighted_mean, 4) for result in results]

    def gain(self, predicted: torch.Tensor, plain: torch.Tensor, threshold: float) -> dict[str, float]:
        """PCK over that of `plain`, and the standard error of the difference over groups of people."""
        usable = ((self.size > 0) & self.size.isfinite()).nonzero().flatten()
        groups = [usable[k::GROUPS] for k in range(min(GROUPS, len(usable)))]
        each = [
            self.pck(predicted, [threshold], people)[0] - self.pck(plain, [threshold], people)[0]
            for people in groups
        ]
        mean = self.pck(predicted, [threshold])[0] - self.pck(plain, [threshold])[0]
        return {"mean": round(mean, 4), "error": round(statistics.stdev(each) / math.sqrt(len(each)), 4)}

    def oks(self, predicted: torch.Tensor, thresholds: Sequence[float] = OKS_THRESHOLDS) -> float | None:
        """Share of people with an OKS of at least 0.5, 0.55 ... 0.95, averaged; None without their areas.

        Over the joints that COCO has too. With one answer a person this is COCO's AR, and its AP only where
        the scores put all good answers first.
        """
        usable = self.area.isfinite() & self.labelled[:, self.oks_joints].any(dim=1)
        if not usable.any():
            return None
        square = (predicted - self.target).square().sum(-1)[:, self.oks_joints]
        labelled = self.labelled[:, self.oks_joints]
        alike = torch.exp(-square / (2 * self.area[:, None] * (2 * self.sigmas) ** 2))
        person = torch.where(labelled, alike, 0.0).sum(1)[usable] / labelled.sum(1)[usable]
        return round(statistics.mean(float((person >= t).double().mean()) for t in thresholds), 4)
