"""Measuring a network on a data set: predictions of every stage, in photo px, and their PCK."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from minipose import heatmaps as codec
from minipose import metrics
from minipose.data.sample import PoseDataset
from minipose.errors import InputError
from minipose.inference import choose_device, evaluating, place, prepare, stage_heatmaps, to_photo
from minipose.models.network import PoseNetwork
from minipose.pipeline import batches
from minipose.skeletons import Skeleton, convert


@dataclass
class Evaluation:
    """What a network found on N people, beside what they were labelled with.

    stages : each stage's predictions (N, J, 2) photo px; the last is `predicted`. A joint that the
    network's skeleton lacks is NaN. scores : (N, J). target : (N, J, 2) photo px, visibility :
    (N, J). sizes : {"head", "torso", "box"}, (N,) px each. missing : numbers of joints that the
    network does not predict. J and the order of joints are the data set's.
    """

    stages: list[torch.Tensor]
    scores: torch.Tensor
    target: torch.Tensor
    visibility: torch.Tensor
    sizes: dict[str, torch.Tensor]
    skeleton: Skeleton
    has_occlusion: bool
    missing: list[int]

    @property
    def predicted(self) -> torch.Tensor:
        return self.stages[-1]

    def pck(self, normalizer: str = "torso", threshold: float = 0.2, stage: int = -1) -> metrics.PCK:
        """PCK of all J joints, normalised by "torso", "head" or "box"; `.of(skeleton.scored)` for fewer.

        Joints that the network does not predict are not counted at all.
        """
        return metrics.pck(
            self.stages[stage],
            self.target,
            self.sizes[normalizer],
            threshold,
            self._labelled(self.visibility) > 0,
        )

    def curve(self, normalizer: str, thresholds: list[float]) -> list[metrics.PCK]:
        """`pck` at each of several thresholds."""
        labelled = self._labelled(self.visibility) > 0
        return metrics.pck_curve(self.predicted, self.target, self.sizes[normalizer], thresholds, labelled)

    def by_visibility(self, normalizer: str = "head", threshold: float = 0.5) -> dict[str, metrics.PCK]:
        """PCK of all, visible and occluded joints (section 5.2), among those that are scored.

        Raises `InputError` on a data set that cannot tell occluded from visible.
        """
        if not self.has_occlusion:
            raise InputError("data set", "visibility", "labels that tell occluded from visible joints")
        visibility = self._labelled(self.visibility)
        split = metrics.by_visibility(
            self.predicted, self.target, self.sizes[normalizer], visibility, threshold
        )
        return {name: result.of(list(self.skeleton.scored)) for name, result in split.items()}

    def summary(self, normalizer: str, threshold: float) -> dict[str, Any]:
        """`pck` by joint and its means, each by its name, as plain numbers; None where nothing counts.

        Joints that the skeleton's usual mean leaves out (`scored`) are in `per_joint` alone.
        """
        result = self.pck(normalizer, threshold)
        stages = range(len(self.stages))
        scored = [j for j in self.skeleton.scored if j not in self.missing]
        limbs = [j for j in self.skeleton.limb_joints if j not in self.missing]
        return {
            "metric": f"PCK@{threshold}",
            "normalizer": normalizer,
            "people": result.people,
            "left_out": result.left_out,
            "mean_over_joints": _number(result.of(scored).mean),
            "mean_over_labels": _number(result.of(scored).weighted_mean),
            "mean_over_limb_joints": _number(result.of(limbs).mean),
            "mean_over_joints_by_stage": [
                _number(self.pck(normalizer, threshold, k).of(scored).mean) for k in stages
            ],
            "per_joint": dict(zip(self.skeleton.joints, map(_number, result.per_joint), strict=True)),
        }

    def _labelled(self, visibility: torch.Tensor) -> torch.Tensor:
        visibility = visibility.clone()
        visibility[:, self.missing] = 0
        return visibility


def _number(value: float | torch.Tensor) -> float | None:
    return None if math.isnan(value) else float(value)


def evaluate(
    network: PoseNetwork,
    dataset: PoseDataset,
    size: int | None = None,
    flip: bool = True,
    refine: str = "quarter",
    batch: int = 16,
    device: str | torch.device = "auto",
    workers: int = 0,
    progress: bool = False,
) -> Evaluation:
    """Predict every person of a data set from its evaluation crop.

    `size` is the crops' side in px (default: the network's own). The network may know another
    skeleton than the data set; joints are matched by name.
    """
    size, skeleton = size or network.size, network.skeleton or dataset.skeleton
    if size is None:
        raise ValueError("evaluate needs a size: the network was neither loaded nor trained")
    if len(dataset) == 0:
        raise InputError("data set", "samples", "at least one person")
    device = choose_device(device)
    place(network, device)
    stages: list[list[torch.Tensor]] = [[] for _ in network.strides]
    scores: list[torch.Tensor] = []
    numbers = list(range(len(dataset)))
    loader = batches(dataset, numbers, size, batch, workers=workers)
    bar = tqdm(loader, total=-(-len(numbers) // batch), desc="evaluate", leave=False, disable=not progress)
    with evaluating(network):
        for crops in bar:
            maps = stage_heatmaps(network, prepare(crops.images, device), skeleton, flip)
            for k, stage in enumerate(maps):
                points, score = codec.decode_heatmaps(stage, refine)
                in_crop = codec.to_crop(points, network.strides[k])
                found, score = to_photo(in_crop, score, crops.matrices, skeleton)
                stages[k].append(convert(found, skeleton, dataset.skeleton, axis=-2, missing=float("nan")))
            scores.append(convert(score, skeleton, dataset.skeleton, axis=-1, missing=0.0))
    samples = [dataset[n] for n in numbers]
    return Evaluation(
        [torch.cat(parts) for parts in stages],
        torch.cat(scores),
        torch.stack([torch.from_numpy(s.keypoints) for s in samples]),
        torch.stack([torch.from_numpy(s.visibility) for s in samples]),
        {name: torch.tensor([s.sizes[name] for s in samples]).double() for name in ("head", "torso", "box")},
        dataset.skeleton,
        dataset.has_occlusion,
        [i for i, name in enumerate(dataset.skeleton.joints) if name not in skeleton.joints],
    )
