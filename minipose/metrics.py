"""PCK: the percentage of correct keypoints (paper, section 4.1).

A prediction is correct when it lies within threshold x normalizer of the label. PCK@0.2 takes the
torso's diagonal as normalizer (FLIC, LSP), PCKh@0.5 the head's size (MPII). Joints without a label
count nowhere. Of the same predictions several means circulate: here `mean` is the plain mean over
joints, `weighted_mean` the mean over labels, and whoever prints one says which it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PCK:
    """Fractions in [0, 1]; NaN where nothing was labelled.

    per_joint : (J,) share of each joint's labels that were found.
    labels : (J,) int64, how many labels each joint had.
    mean : unweighted mean over the joints with labels. weighted_mean : mean over all labels.
    people : people counted. left_out : people whose normalizer is NaN or <= 0.
    """

    per_joint: torch.Tensor
    labels: torch.Tensor
    people: int
    left_out: int

    @property
    def mean(self) -> float:
        return float(self.per_joint.nanmean())

    @property
    def weighted_mean(self) -> float:
        found = torch.nan_to_num(self.per_joint) * self.labels
        return float(found.sum() / self.labels.sum())

    def of(self, joints) -> PCK:
        """The same for some joints only, by number."""
        joints = torch.as_tensor(joints)
        return PCK(self.per_joint[joints], self.labels[joints], self.people, self.left_out)


def pck(predicted, target, normalizer, threshold: float = 0.5, mask=None) -> PCK:
    """Share of labelled joints whose prediction lies within `threshold` x `normalizer`.

    Parameters
    ----------
    predicted, target : (N, J, 2), same px. A prediction that is NaN counts as wrong.
    normalizer : (N,) px; a person whose normalizer is not a finite number > 0 is left out, and counted.
    threshold : fraction of the normalizer, >= 0; a distance equal to it counts as correct.
    mask : (N, J) bool, the labelled joints; None takes those whose target is finite.

    >>> result = pck([[[3.0, 4.0], [0.0, 6.0]]], [[[0.0, 0.0], [0.0, 0.0]]], [10.0], threshold=0.5)
    >>> result.per_joint.tolist(), result.mean
    ([1.0, 0.0], 0.5)
    """
    return pck_curve(predicted, target, normalizer, [threshold], mask)[0]


def pck_curve(predicted, target, normalizer, thresholds, mask=None) -> list[PCK]:
    """`pck` at each of several thresholds."""
    distances, mask, usable = _distances(predicted, target, normalizer, mask)
    labels = mask.sum(dim=0)
    results = []
    for threshold in thresholds:
        if not threshold >= 0:
            raise ValueError(f"threshold must be >= 0, found {threshold}")
        found = ((distances <= threshold) & mask).sum(dim=0)
        per_joint = found.double() / labels  # 0/0 is NaN: no label, no figure
        results.append(PCK(per_joint, labels, int(usable.sum()), int((~usable).sum())))
    return results


def area(thresholds, values) -> float:
    """Area under a curve of means, divided by its width: the mean height, in [0, 1]."""
    x, y = torch.as_tensor(thresholds, dtype=torch.float64), torch.as_tensor(values, dtype=torch.float64)
    if len(x) < 2 or not (x.diff() > 0).all():
        raise ValueError("an area needs two or more increasing thresholds")
    return float(torch.trapezoid(y, x) / (x[-1] - x[0]))


def by_visibility(predicted, target, normalizer, visibility, threshold: float = 0.5) -> dict[str, PCK]:
    """PCK of "all", "visible" and "occluded" joints (section 5.2); visibility (N, J) is COCO's 0, 1, 2.

    Only meaningful on a data set that tells occluded from visible (`has_occlusion`).
    """
    visibility = torch.as_tensor(visibility)
    masks = {"all": visibility > 0, "visible": visibility == 2, "occluded": visibility == 1}
    return {name: pck(predicted, target, normalizer, threshold, mask) for name, mask in masks.items()}


def _distances(predicted, target, normalizer, mask):
    """Distances in normalizers (N, J) float64, the joints that count, the people that count."""
    predicted, target, normalizer = (
        torch.as_tensor(v, dtype=torch.float64) for v in (predicted, target, normalizer)
    )
    people, joints = target.shape[:2]
    mask = target.isfinite().all(-1) if mask is None else torch.as_tensor(mask, dtype=torch.bool)
    shapes = tuple(predicted.shape), tuple(normalizer.shape), tuple(mask.shape)
    if target.shape[2:] != (2,) or shapes != ((people, joints, 2), (people,), (people, joints)):
        raise ValueError(
            "pck needs predicted and target (N, J, 2), normalizer (N,) and mask (N, J), found "
            f"{shapes[0]}, {tuple(target.shape)}, {shapes[1]} and {shapes[2]}"
        )
    if not target[mask].isfinite().all():
        raise ValueError("pck: a joint that the mask calls labelled has no finite target")
    usable = (normalizer > 0) & normalizer.isfinite()
    x, y = (predicted - target).unbind(-1)
    # Comparing with NaN is False: a missing prediction is a wrong one.
    return torch.hypot(x, y) / normalizer[:, None], mask & usable[:, None], usable
