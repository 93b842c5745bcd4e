"""Whether a joint is there at all (paper, section 5.2 and Figure 11 right)

PCK says nothing about joints without a label. The height or the mean of a joint's heatmap does: this
file draws precision against recall of "this joint has a label" as a threshold on either falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PrecisionRecall:
    """One curve; entry k is for the threshold thresholds[k], "at least this much activation".

    thresholds falling, recall rising. area : mean precision over recall, the sum of
    precision x step in recall (the average precision; nothing is interpolated).
    """

    thresholds: torch.Tensor
    precision: torch.Tensor
    recall: torch.Tensor

    @property
    def area(self) -> float:
        steps = self.recall.diff(prepend=self.recall.new_zeros(1))
        return float((self.precision * steps).sum())


def precision_recall(activation, labelled) -> PrecisionRecall:
    """How well an activation tells labelled joints from others.

    activation : any shape, finite, a number for each joint: a heatmap's maximum or mean.
    labelled : the same shape, true where the joint has a label.

    >>> curve = precision_recall([0.9, 0.8, 0.7, 0.1], [True, False, True, False])
    >>> curve.precision.tolist(), curve.recall.tolist()
    ([1.0, 0.5, 0.6666666666666666, 0.5], [0.5, 0.5, 1.0, 1.0])
    """
    activation = torch.as_tensor(activation, dtype=torch.float64).flatten()
    labelled = torch.as_tensor(labelled, dtype=torch.bool).flatten()
    if activation.shape != labelled.shape or not labelled.any() or not activation.isfinite().all():
        raise ValueError(
            "precision_recall needs a finite activation for each joint and at least one labelled joint, "
            f"found {len(activation)} activations and {int(labelled.sum())} labels of {len(labelled)}"
        )
    activation, order = activation.sort(descending=True)
    found = labelled[order].double().cumsum(0)
    called = torch.arange(1, len(found) + 1, dtype=torch.float64)
    # Equal activations fall below a threshold together: only the last of each group is a point.
    last = torch.cat([activation.diff() != 0, torch.tensor([True])])
    return PrecisionRecall(activation[last], (found / called)[last], (found / found[-1])[last])
