"""Measuring a network on a data set: predictions of every stage, in photo px, and their PCK."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from minipose import heatmaps as codec
from minipose import metrics
from minipose.data.sample import AtScales, PoseDataset
from minipose.inference import (
    average_over_scales,
    check_scales,
    choose_device,
    evaluating,
    stage_heatmaps,
    to_channels_last,
    to_float,
    to_photo,
    unmirror,
)
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork
from minipose.pipeline import batches
from minipose.skeletons import Skeleton, convert

if TYPE_CHECKING:
    from minipose.presence import PrecisionRecall


@dataclass(repr=False)
class Evaluation:
    """What a network found on N people, beside what they were labelled with.

    stages : each stage's predictions (N, J, 2) photo px; the last is `predicted`. A joint that the
    network's skeleton lacks is NaN. scores, means : (N, J), maximum and mean of each last heatmap,
    0 for joints that the network lacks. target : (N, J, 2) photo px. visibility : (N, J).
    sizes : {"head", "torso", "box"}, (N,) px each. missing : numbers of joints that the
    network does not predict. J and the order of joints are the data set's. rulers : what each size is
    measured by.
    """

    stages: list[torch.Tensor]
    scores: torch.Tensor
    means: torch.Tensor
    target: torch.Tensor
    visibility: torch.Tensor
    sizes: dict[str, torch.Tensor]
    skeleton: Skeleton
    has_occlusion: bool
    missing: list[int]
    rulers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        people, joints = self.scores.shape
        return (
            f"Evaluation({people} people, {joints} joints of {self.skeleton.name}, {len(self.stages)} stages)"
        )

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

    def presence(self, joint: str, by: str = "max") -> PrecisionRecall:
        """Precision and recall of "this joint has a label" (section 5.2), left and right together.

        joint : "knee", "ankle" ..., or a whole name. by : the heatmap's "max" or its "mean".
        """
        from minipose.presence import precision_recall  # a question of its own, asked by few

        names = self.skeleton.joints
        chosen = [j for j, name in enumerate(names) if joint in (name, name.split("_", 1)[-1])]
        if not chosen or by not in ("max", "mean"):
            raise ValueError(
                f"presence needs a joint of {names} and 'max' or 'mean', found {joint!r}, {by!r}"
            )
        activation = {"max": self.scores, "mean": self.means}[by]
        return precision_recall(activation[:, chosen], self.visibility[:, chosen] > 0)

    def summary(self, normalizer: str, threshold: float) -> dict[str, Any]:
        """`pck` by joint and its means, each by its name, as plain numbers; None where nothing counts.

        Three means of the same predictions circulate for MPII: `mean_over_joints` and
        `mean_over_labels` leave out pelvis and thorax (`scored`), `mean_over_all_labels` does not.
        """
        result = self.pck(normalizer, threshold)
        stages = range(len(self.stages))
        scored = [j for j in self.skeleton.scored if j not in self.missing]
        everything = [j for j in range(len(self.skeleton)) if j not in self.missing]
        limbs = [j for j in self.skeleton.limb_joints if j not in self.missing]
        return {
            "metric": f"{'PCKh' if normalizer == 'head' else 'PCK'}@{threshold}",
            "normalizer": normalizer,
            "ruler": self.rulers.get(normalizer),
            "people": result.people,
            "left_out": result.left_out,
            "mean_over_joints": number(result.of(scored).mean),
            "mean_over_labels": number(result.of(scored).weighted_mean),
            "mean_over_all_labels": number(result.of(everything).weighted_mean),
            "mean_over_limb_joints": number(result.of(limbs).mean),
            "mean_over_joints_by_stage": [
                number(self.pck(normalizer, threshold, k).of(scored).mean) for k in stages
            ],
            "per_joint": dict(zip(self.skeleton.joints, map(number, result.per_joint), strict=True)),
        }

    def _labelled(self, visibility: torch.Tensor) -> torch.Tensor:
        visibility = visibility.clone()
        visibility[:, self.missing] = 0
        return visibility


def number(value: float | torch.Tensor) -> float | None:
    """A plain number, None for NaN, which JSON cannot represent."""
    return None if math.isnan(value) else float(value)


def evaluate(
    network: PoseNetwork,
    dataset: PoseDataset,
    size: int | None = None,
    flip: bool = True,
    refine: str = "quarter",
    batch_size: int = 16,
    device: str | torch.device = "auto",
    workers: int = 0,
    progress: bool = False,
    scales: Sequence[float] = (1.0,),
) -> Evaluation:
    """Predict every person of a data set from its evaluation crop.

    `size` is the crops' side in px (default: the network's own). The network may know another
    skeleton than the data set; joints are matched by name. scales : multi-scale test: average
    every stage's heatmaps over crops whose sides are these multiples of the evaluation crop's.
    batch_size : crops that the network sees at once, though always all of a person.
    """
    check_scales(scales)
    size, skeleton = size or network.size, network.skeleton or dataset.skeleton
    if size is None:
        raise ValueError("evaluate needs a size: the network was neither loaded nor trained")
    if len(dataset) == 0:
        raise InputError("data set", "samples", "at least one person")
    device = choose_device(device)
    to_channels_last(network, device)
    stages: list[list[torch.Tensor]] = [[] for _ in network.strides]
    scores: list[torch.Tensor] = []
    means: list[torch.Tensor] = []
    samples = [dataset[n] for n in range(len(dataset))]
    varied = AtScales(dataset, scales)
    batch_size = max(1, batch_size // len(scales)) * len(scales)
    loader = batches(varied, list(range(len(varied))), size, batch_size, workers=workers)
    steps = -(-len(varied) // batch_size)
    bar = tqdm(loader, total=steps, desc="evaluate", leave=False, disable=not progress)
    with evaluating(network):
        for crops in bar:
            # The averaged heatmaps are those of the evaluation crop, whether or not 1 is a scale.
            people = [samples[n // len(scales)] for n in crops.indices[:: len(scales)]]
            matrices = torch.stack([person.crop.matrix(size) for person in people])
            maps = [
                torch.cat([average_over_scales(each, scales) for each in stage.split(len(scales))])
                for stage in stage_heatmaps(network, to_float(crops.images, device), skeleton, flip)
            ]
            for k, stage in enumerate(maps):
                points, score = codec.decode_heatmaps(stage, refine)
                in_crop = codec.to_crop(points, network.strides[k])
                found = to_photo(in_crop, matrices, skeleton)
                stages[k].append(convert(found, skeleton, dataset.skeleton, axis=-2, missing=float("nan")))
            for values, kept in ((score, scores), (maps[-1].mean(dim=(-2, -1)), means)):
                values = unmirror(values.cpu(), matrices, skeleton, axis=-1)
                kept.append(convert(values, skeleton, dataset.skeleton, axis=-1, missing=0.0))
    return Evaluation(
        [torch.cat(parts) for parts in stages],
        torch.cat(scores),
        torch.cat(means),
        torch.stack([torch.from_numpy(s.keypoints) for s in samples]),
        torch.stack([torch.from_numpy(s.visibility) for s in samples]),
        {
            name: torch.tensor([s.sizes[name] for s in samples], dtype=torch.float64)
            for name in ("head", "torso", "box")
        },
        dataset.skeleton,
        dataset.has_occlusion,
        [i for i, name in enumerate(dataset.skeleton.joints) if name not in skeleton.joints],
        dataset.rulers,
    )
