"""A sample: one person in one photo, as every dataset of the package hands it out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from minipose.crops import Crop
from minipose.io.errors import InputError, InputWarning
from minipose.skeletons import Skeleton

# COCO's three words for how a joint is labelled; each dataset file translates into them once.
UNLABELLED, OCCLUDED, VISIBLE = 0, 1, 2


@dataclass
class Sample:
    """One labelled person.

    Attributes
    ----------
    keypoints : (J, 2) float64, photo px; NaN where a joint is not labelled.
    visibility : (J,) int64: 0 not labelled, 1 labelled but occluded, 2 visible.
    crop : the dataset's evaluation crop of this person.
    sizes : {"head", "torso", "box"} in photo px, NaN where unknown. Head: 0.6 x the diagonal of
        the head box where there is one, else neck to head-top. Torso: right shoulder to left hip.
        Box: longer side of the person's box.
    others : (K, J, 3) float64: x, y, visibility of other labelled people in the photo.
    area : of the person in px^2, or NaN. id : the dataset's name for the person. path : the photo.
    image : (H, W, 3) uint8 RGB, read on first use.
    """

    keypoints: np.ndarray
    visibility: np.ndarray
    crop: Crop
    sizes: dict[str, float]
    others: np.ndarray
    id: str
    read: Callable[[], np.ndarray] = field(repr=False)
    area: float = float("nan")
    path: str = ""

    @cached_property
    def image(self) -> np.ndarray:
        photo = self.read()
        if not self.crop.touches(photo):
            expected = f"a crop that shows a part of the photo ({photo.shape[1]} x {photo.shape[0]} px)"
            raise InputError(self.path, f"person {self.id}", expected, self.crop)
        return photo


class PoseDataset:
    """What all datasets share: a length, samples by number, and how they are measured.

    `normalizer` and `threshold` name the dataset's usual PCK, so that training can report it;
    `rulers` says what the sizes are measured by, which decides what a PCK may be compared with;
    `crop_rule` says in words how its evaluation crops are cut; `left_out` counts, by reason, the records of
    its files that are no samples. `unlabelled` is how a loss should treat joints without label: "zero", or
    "ignore" where they are often visible (see `StackedHourglass`).
    """

    skeleton: Skeleton
    has_occlusion: bool
    normalizer = "torso"
    threshold = 0.2
    rulers: Mapping[str, str] = {"head": "neck to head-top", "torso": "right shoulder to left hip"}
    crop_rule = "centre and 1.5 x the longer side of the box of labelled joints"
    left_out: Mapping[str, int] = {}
    unlabelled = "zero"

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no length")

    def __getitem__(self, number: int) -> Sample:
        """Sample `number`, from 0; as in a list, -1 is the last, and what lies beyond an `IndexError`."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} samples, numbered from 0, and no number {number}")
        return self._sample(number % len(self))

    def _sample(self, number: int) -> Sample:
        """Sample `number`, 0 <= number < len(self): what a data set has to define."""
        raise TypeError(f"{type(self).__name__} has no samples")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} people, {self.skeleton.name})"

    def subset(self, numbers: Sequence[int]) -> Subset:
        """The samples with these numbers, in this order, as a dataset."""
        return Subset(self, numbers)


class Wrapped(PoseDataset):
    """A dataset on top of another, measured as that one is."""

    def __init__(self, whole: PoseDataset):
        self.whole = whole
        self.skeleton, self.has_occlusion = whole.skeleton, whole.has_occlusion
        self.normalizer, self.threshold = whole.normalizer, whole.threshold
        self.crop_rule, self.rulers, self.left_out = whole.crop_rule, whole.rulers, whole.left_out
        self.unlabelled = whole.unlabelled


class Subset(Wrapped):
    """Some samples of a dataset, chosen by number."""

    def __init__(self, whole: PoseDataset, numbers: Sequence[int]):
        super().__init__(whole)
        found = np.asarray(numbers)
        whole_numbers = found.ndim == 1 and (found.dtype.kind in "iu" or not found.size)
        if not (whole_numbers and ((found >= -len(whole)) & (found < len(whole))).all()):
            expected = f"numbers of {len(whole)} samples, from 0 (of a mask: mask.nonzero())"
            raise InputError("subset", "numbers", expected, numbers)
        self.numbers = found.astype(int).tolist()

    def __len__(self) -> int:
        return len(self.numbers)

    def _sample(self, number: int) -> Sample:
        return self.whole[self.numbers[number]]


class AtScales(Wrapped):
    """Each sample of a dataset as often as there are scales, one behind the other.

    The crop's side is multiplied by one scale after the other; the picture is read for each anew.
    """

    def __init__(self, whole: PoseDataset, scales: Sequence[float]):
        super().__init__(whole)
        self.scales = scales

    def __len__(self) -> int:
        return len(self.whole) * len(self.scales)

    def _sample(self, number: int) -> Sample:
        sample = self.whole[number // len(self.scales)]
        side = sample.crop.side * self.scales[number % len(self.scales)]
        # Through the sample, not its `read`: what is kept in memory need not be drawn again.
        return replace(sample, crop=replace(sample.crop, side=side), read=lambda: sample.image)


def warn_left_out(file: str | Path, total: int, reasons: Mapping[str, int]) -> dict[str, int]:
    """Say once, as a warning, how many of a file's `total` records are no samples, and why."""
    if reasons:
        found = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        text = f"{file}: left out {sum(reasons.values()):,} of {total:,} people: {found}"
        warnings.warn(InputWarning(text), stacklevel=3)
    return dict(reasons)
