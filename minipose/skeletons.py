"""Skeletons: which joints a dataset labels, in which order, and what mirrors what.

`Skeleton.flip` is the only place of the package that swaps left and right, and `convert` the only
one that maps one dataset's joints to another's. Left and right are always the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from minipose.io.errors import InputError


@dataclass(frozen=True)
class Skeleton:
    """Names and order of a dataset's J joints, and the facts that follow from them.

    Parameters
    ----------
    name : short name, as stored in weights files; a skeleton of yours is stored there as a whole.
    joints : the J joint names, in the order of the dataset's arrays; "left_" and "right_" mirror each other.
    limbs : pairs of joint numbers to join when drawing.
    scored : joint numbers that the dataset's usual mean is taken over.
    sigmas : COCO's per-joint constants for OKS, or None where OKS is not defined.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    scored: tuple[int, ...]
    sigmas: tuple[float, ...] | None = None

    def __post_init__(self):
        numbers = [*self.scored, *(number for limb in self.limbs for number in limb)]
        texts = all(isinstance(text, str) for text in (self.name, *self.joints))
        known = all(type(number) is int and 0 <= number < len(self) for number in numbers)
        if not (texts and known) or len(set(self.joints)) < len(self):
            raise ValueError("a skeleton needs a name, joints by different names, and limbs of their numbers")
        left, right = ({j[len(s) :] for j in self.joints if j.startswith(s)} for s in ("left_", "right_"))
        if left != right:
            raise ValueError(f"{self.name} has one side only of {', '.join(sorted(left ^ right))}")

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Number of a joint by its name."""
        return self.joints.index(joint)

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) joint numbers that trade places in a mirror."""
        return tuple(
            (number, self.index("right" + name[4:]))
            for number, name in enumerate(self.joints)
            if name.startswith("left_")
        )

    @cached_property
    def torso(self) -> tuple[int, int]:
        """Right shoulder and left hip: the diagonal that normalises PCK."""
        return self.index("right_shoulder"), self.index("left_hip")

    @cached_property
    def limb_joints(self) -> tuple[int, ...]:
        """Shoulders, elbows, wrists, hips, knees and ankles: 12 joints where all are labelled."""
        ends = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        return tuple(i for i, name in enumerate(self.joints) if name.endswith(ends))

    @cached_property
    def _mirrored(self) -> list[int]:
        order = list(range(len(self)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return order

    def flip(self, values, axis: int = -1) -> torch.Tensor:
        """Swap the left and right joints of `values` along `axis` (its length is J).

        Serves keypoints (axis -2), visibilities (-1) and heatmaps (-3) alike; coordinates and
        pixels are mirrored by `Crop` and by `heatmaps.mirror`, never here.
        """
        values = torch.as_tensor(values)
        if values.shape[axis] != len(self):
            raise ValueError(
                f"{self.name} has {len(self)} joints, but axis {axis} of the values "
                f"has length {values.shape[axis]}"
            )
        return values.index_select(axis, torch.tensor(self._mirrored, device=values.device))


def convert(values, source: Skeleton, target: Skeleton, axis: int, missing: float) -> torch.Tensor:
    """Reorder joints of `values` along `axis` from `source` to `target`, by name.

    A joint that `source` does not have is filled with `missing`: NaN for coordinates, 0 for
    visibilities.

    >>> convert([[1.0] * 16], MPII, LSP, axis=-1, missing=0.0).shape
    torch.Size([1, 14])
    """
    values = torch.as_tensor(values)
    shape = list(values.shape)
    shape[axis] = len(target)
    converted = values.new_full(shape, missing)
    shared = [(source.index(name), i) for i, name in enumerate(target.joints) if name in source.joints]
    if not shared:
        raise InputError("skeletons", "joints", f"one of {target.name}'s by the same name", source.joints)
    take, put = (torch.tensor(numbers, device=values.device) for numbers in zip(*shared, strict=True))
    return converted.index_copy(axis, put, values.index_select(axis, take))


# MPII's "upper neck" is LSP's "neck": both are the joint between head and trunk.
MPII = Skeleton(
    "mpii",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "pelvis", "thorax", "neck", "head_top",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    ),
    (
        (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9),
        (10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15),
    ),
    # Pelvis and thorax move little and are left out of the published means.
    (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15),
)  # fmt: skip

LSP = Skeleton(
    "lsp",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "neck", "head_top",
    ),
    (
        (0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (2, 8), (3, 9), (8, 12), (12, 9),
        (6, 7), (7, 8), (9, 10), (10, 11), (12, 13),
    ),
    tuple(range(14)),
)  # fmt: skip

FLIC = Skeleton(
    "flic",
    (
        "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
        "left_hip", "right_hip", "left_eye", "right_eye", "nose",
    ),
    ((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (0, 6), (3, 7), (6, 7), (8, 10), (9, 10)),
    # Figure 6 and Table 1 of the paper show elbows and wrists alone.
    (1, 2, 4, 5),
)  # fmt: skip

COCO = Skeleton(
    "coco",
    (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    (
        (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
        (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    tuple(range(17)),
    (
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062,
        0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
)  # fmt: skip

SKELETONS = {skeleton.name: skeleton for skeleton in (MPII, LSP, FLIC, COCO)}
