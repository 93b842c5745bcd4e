"""The student report's PCK@0.2 on COCO (its section 3.4.2): as its text means it, and as its code counts.

Its text divides by the torso, where that is not labelled by the head, and else by an average hip width. So
people are measured by three different rulers; `fallback_pck` says how many by which. Its published code does
something else, on the same predictions: see `as_its_code`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from minipose import metrics
from minipose.data.coco import COCO
from minipose.evaluation import Evaluation, number

THRESHOLD = 0.2
# A heatmap that is nowhere higher says that its joint is absent (its section 3.4.1).
ABSENT = 0.04
# Its code's hips for people whose own are not labelled, in px of the photo.
USUAL_HIPS = 25.0


@dataclass(frozen=True)
class FallbackPCK:
    """pck : of all joints. rulers : how many people were measured by "torso", "ears" and "average hips"."""

    pck: metrics.PCK
    rulers: dict[str, int]


def fallback_pck(found: Evaluation, threshold: float = THRESHOLD) -> FallbackPCK:
    """PCK by the torso's diagonal, else the distance between the ears, else the average hip width.

    The average is over the evaluated people whose hips are both labelled. COCO labels no top of the head:
    the ears are the widest that it labels there. Joints without a label count nowhere.
    """

    def between(first: str, second: str) -> torch.Tensor:
        a, b = (found.target[:, found.skeleton.index(name)] for name in (first, second))
        return (a - b).norm(dim=-1)  # NaN where one of them is not labelled

    hips = between("left_hip", "right_hip")
    rulers = {
        "torso": found.sizes["torso"],
        "ears": between("left_ear", "right_ear"),
        "average hips": hips.nanmean().expand(len(hips)),
    }
    size = torch.full_like(hips, torch.nan)
    counts = {}
    for name, length in rulers.items():
        chosen = size.isnan() & (length > 0)
        size = torch.where(chosen, length, size)
        counts[name] = int(chosen.sum())
    labelled = found.visibility > 0
    labelled[:, found.missing] = False
    return FallbackPCK(metrics.pck(found.predicted, found.target, size, threshold, labelled), counts)


def as_its_code(found: Evaluation, dataset: COCO, threshold: float = THRESHOLD) -> torch.Tensor:
    """What the report's published code calls PCK, (J,); `found` is of the people of `dataset`.

    - Only x is compared: `np.array(x, y)` takes y for the type of its numbers.
    - A joint without a label is at 0, and so is one that the network calls absent: the two agree, and all
      joints of all people are counted.
    - A joint is right if it lies near that joint of anybody in the photo.
    - The ruler is the distance in x between the hips, of whoever stands last in the file, for everybody in
      the photo; where one of them is not labelled it is 25 px. There is no head in it.

    Crowds, which its code reads as people without labels, are left out here.
    """
    hips = [dataset.skeleton.index(f"{side}_hip") for side in ("left", "right")]
    x = torch.where(found.scores < ABSENT, 0.0, found.predicted[..., 0]).nan_to_num(0.0).numpy()
    right = np.zeros(x.shape, dtype=bool)
    for row, person, across in zip(right, dataset.people, x, strict=True):
        everybody = np.stack([each["joints"] for each in dataset.in_photo[person["image_id"]]])
        last = everybody[-1, hips]
        ruler = float(abs(last[0, 0] - last[1, 0])) if (last[:, 2] > 0).all() else USUAL_HIPS
        apart = np.abs(np.nan_to_num(everybody[..., 0]) - across)  # (people in the photo, J)
        row[:] = (apart <= threshold * ruler).any(axis=0)
    return torch.from_numpy(right).double().mean(dim=0)


def both(found: Evaluation, dataset: COCO) -> dict:
    """The two side by side, as plain numbers: means over joints, each joint, and the rulers."""
    meant, counted = fallback_pck(found), as_its_code(found, dataset)

    def by_joint(values: torch.Tensor) -> dict[str, float | None]:
        return dict(zip(found.skeleton.joints, map(number, values), strict=True))

    return {
        "metric": f"PCK@{THRESHOLD}",
        "mean_over_joints": number(meant.pck.mean),
        "per_joint": by_joint(meant.pck.per_joint),
        "rulers": meant.rulers,
        "as_its_code": {"mean_over_joints": number(counted.mean()), "per_joint": by_joint(counted)},
    }
