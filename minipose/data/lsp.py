"""Leeds Sports Pose and its extended set (Johnson & Everingham, BMVC 2010 and CVPR 2011).

Both keep photos in images/ and all labels in joints.mat, and differ in everything else: LSP's
array is 3 x 14 x N and its third value says 1 = occluded; LSPET's is 14 x 3 x N and says
1 = labelled, 0 = not labelled, with rubbish for coordinates. Whether coordinates count from 0 or
from 1 is documented nowhere; they are taken as they are, a pixel being far below the label noise.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from minipose.crops import Crop
from minipose.data.formats.files import data_root, read_mat
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, PoseDataset, Sample, warn_left_out
from minipose.data.sizes import person_sizes
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.skeletons import LSP as SKELETON

HELD_OUT = Path(__file__).with_name("lspet_held_out.txt")
SPLITS = ("all", "train", "held-out")
VALIDATION = 500  # of LSPET's 8,000 training people
# Larger than any photo of either set by far: such a coordinate is a broken file.
ABSURD = 100_000.0


class _Leeds(PoseDataset):
    """What both sets share: a folder with joints.mat and images/, one person a photo."""

    skeleton = SKELETON
    digits: int

    def __init__(self, root: str | Path | None, name: str):
        self.root = data_root(name, root)
        self.labels = self.root / "joints.mat"
        keypoints, third = self._read()
        self.keypoints, self.visibility = self._translate(keypoints, third)
        labelled = np.any(self.visibility > UNLABELLED, axis=1)
        if not labelled.any():
            raise InputError(self.labels, "joints", "a person with a labelled joint", "none")
        self.numbers = 1 + np.flatnonzero(labelled)  # photos count from 1
        reasons = {"without a labelled joint": int((~labelled).sum())} if not labelled.all() else {}
        self.left_out = warn_left_out(self.labels, len(labelled), reasons)

    def __len__(self) -> int:
        return len(self.numbers)

    def _sample(self, number: int) -> Sample:
        photo = int(self.numbers[number])
        path = self.root / "images" / f"im{photo:0{self.digits}d}.jpg"
        keypoints, visibility = self.keypoints[photo - 1], self.visibility[photo - 1]
        labelled = visibility > UNLABELLED
        sizes = person_sizes(keypoints, visibility, self.skeleton)
        return Sample(
            keypoints=keypoints,
            visibility=visibility,
            crop=Crop.around_joints(keypoints[labelled]),
            sizes=sizes,
            others=np.zeros((0, len(self.skeleton), 3)),
            id=path.stem,
            read=partial(read_photo, path),
            path=str(path),
        )

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        """joints.mat -> keypoints (N, 14, 2) and the third value (N, 14)."""
        if not self.labels.is_file():
            raise InputError(self.labels, "labels", "a joints.mat beside a folder images/", "no such file")
        content = read_mat(self.labels, "labels")
        if "joints" not in content:
            raise InputError(self.labels, "joints", "an array of this name")
        joints = content["joints"]
        if not np.issubdtype(joints.dtype, np.number) or joints.ndim != 3 or joints.shape[:2] != self._layout:
            expected = (
                f"an array {self._layout[0]} x {self._layout[1]} x N of numbers ({type(self).__name__})"
            )
            raise InputError(self.labels, "joints", expected, f"shape {joints.shape}, {joints.dtype}")
        people = np.moveaxis(joints, -1, 0).astype(np.float64)  # (N, 14, 3) or (N, 3, 14)
        if self._layout == (3, 14):
            people = people.swapaxes(1, 2)
        keypoints, third = people[..., :2], people[..., 2]
        if len(people) == 0:
            raise InputError(self.labels, "joints", "at least one person", "none")
        for flaw in np.argwhere((third != 0) & (third != 1)):
            person, joint = (int(v) for v in flaw)
            field = f"joints, person {person + 1}, {self.skeleton.joints[joint]}, third value"
            raise InputError(self.labels, field, "0 or 1", third[person, joint])
        return keypoints, third

    _layout: tuple[int, int]

    def _translate(self, keypoints: np.ndarray, third: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The set's third value into COCO's visibility, and NaN for what is not labelled."""
        visibility = self._visibility(third)
        labelled = visibility > UNLABELLED
        for flaw in np.argwhere(labelled & ~(np.abs(keypoints) < ABSURD).all(-1)):
            person, joint = (int(v) for v in flaw)
            field = f"joints, person {person + 1}, {self.skeleton.joints[joint]}"
            raise InputError(self.labels, field, "x and y within a photo", keypoints[person, joint].tolist())
        return np.where(labelled[..., None], keypoints, np.nan), visibility

    def _visibility(self, third: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class LSP(_Leeds):
    """Leeds Sports Pose: root/joints.mat (3 x 14 x N), root/images/im0001.jpg ...

    All joints are labelled; the third value 1 says occluded.
    """

    has_occlusion = True
    digits = 4
    _layout = (3, 14)

    def __init__(self, root: str | Path | None = None):
        super().__init__(root, "lsp")

    def _visibility(self, third):
        return np.where(third == 1, OCCLUDED, VISIBLE)


class LSPET(_Leeds):
    """Leeds Sports Pose Extended: root/joints.mat (14 x 3 x N), root/images/im00001.jpg ...

    The third value says labelled or not; whether a labelled joint is occluded is not known, so all
    count as visible and `has_occlusion` is False.

    Parameters
    ----------
    root : the folder; None takes lspet/ inside the folder that MINIPOSE_DATA names.
    split : "all"; or the package's fixed split of the first 9,000 people (lspet_held_out.txt):
        "held-out", 1,000 people to measure on, or "train", the other 8,000. People who appear in
        two photos are on one side.
    """

    has_occlusion = False
    unlabelled = "ignore"
    digits = 5
    _layout = (14, 3)

    def __init__(self, root: str | Path | None = None, split: str = "all"):
        super().__init__(root, "lspet")
        if split not in SPLITS:
            raise InputError("LSPET", "split", f"one of {', '.join(SPLITS)}", repr(split))
        if split != "all":
            held_out = np.loadtxt(HELD_OUT, dtype=int)
            if len(self.keypoints) < 9000:
                found = len(self.keypoints)
                raise InputError(self.labels, "joints", "the 9,000 people that the split lists", found)
            first = self.numbers[self.numbers <= 9000]
            self.numbers = first[np.isin(first, held_out, invert=split == "train")]

    def _visibility(self, third):
        return np.where(third == 1, VISIBLE, UNLABELLED)


def train_and_validation(root: str | Path | None = None) -> tuple[PoseDataset, PoseDataset]:
    """LSPET's 8,000 training people, split into 7,500 to train on and the first 500 for validation.

    The 1,000 held-out people are in neither. Raises `InputError` as `LSPET` does.
    """
    people = LSPET(root, "train")
    return people.subset(range(VALIDATION, len(people))), people.subset(range(VALIDATION))


def check_folder(dataset: _Leeds) -> str:
    """Read every photo of a set and say in a few lines what is there.

    Raises `InputError` at the first photo that is missing or damaged.
    """
    outside = 0
    for number in range(len(dataset)):
        sample = dataset[number]
        height, width = sample.image.shape[:2]
        labelled = sample.keypoints[sample.visibility > UNLABELLED]
        outside += int(((labelled < 0) | (labelled > (width, height))).any(axis=1).sum())
    share = float((dataset.visibility > UNLABELLED).mean())
    return (
        f"{dataset.root}: {len(dataset)} people, a readable photo each.\n"
        f"{share:.1%} of the joints are labelled; {outside} of these labels lie outside their photo."
    )
