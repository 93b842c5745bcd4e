"""Frames Labeled In Cinema (Sapp & Taskar, CVPR 2013): upper bodies in film stills.

examples.mat holds one structure a person: the photo's name and dimensions, the box of a torso
detector, and `coords`, 2 x 29 with NaN where nothing is labelled; 11 of the 29 columns are used.
Coordinates count from 1 and lose one here.

Left and right. The literature calls FLIC observer-centric, which is how papers score it: "left" is
a side of the picture. What the columns mean is a property of the file, and can be seen in it, since
people turned away from the camera were left out of FLIC: one's own left shoulder lies on the right
of the picture. In the release as quoted by its users (its first person has lsho at x = 436.6 and
rsho at 265.3) the names are the person's own. A file in which most left shoulders lie on the left
has observer-centric names, and is turned to the person's own, once, in `_read`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minipose.crops import Crop
from minipose.data.formats.files import data_root, inside, read_mat
from minipose.data.sample import UNLABELLED, VISIBLE, PoseDataset, Sample, warn_left_out
from minipose.data.sizes import person_sizes
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.skeletons import FLIC as SKELETON

SPLITS = ("all", "train", "test")
FIELDS = ("coords", "filepath", "imgdims", "torsobox", "istrain", "istest")
# The columns of `coords` (from 0) in the skeleton's order: lsho lelb lwri rsho relb rwri lhip rhip
# leye reye nose. The other 18 are legs, ears and midpoints, and hold NaN.
COLUMNS = [0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16]
# Larger than any of its photos by far: such a coordinate is a broken file.
ABSURD = 100_000.0


class FLIC(PoseDataset):
    """FLIC: root/examples.mat and root/images/.

    Parameters
    ----------
    root : the folder; None takes flic/ inside the folder that MINIPOSE_DATA names.
    split : "all", or the publisher's "train" (3,987 people) or "test" (1,016).

    The crop is the paper's (section 3.4): as high as the photo, centred on the torso box along x
    alone, the size of the person left as it is. Whether a labelled joint is occluded is not known,
    so all count as visible. `sample.id` is the photo's name and the person's number in the file.
    """

    skeleton = SKELETON
    has_occlusion = False
    normalizer = "torso"
    threshold = 0.2
    crop_rule = "as high as the photo, centred on the torso box along x"

    def __init__(self, root: str | Path | None = None, split: str = "all"):
        if split not in SPLITS:
            raise InputError("FLIC", "split", f"one of {', '.join(SPLITS)}", repr(split))
        self.root = data_root("flic", root)
        self.labels = self.root / "examples.mat"
        self.people, unlabelled = _read(self.labels)
        reasons = {"without a labelled joint": unlabelled} if unlabelled else {}
        self.left_out = warn_left_out(self.labels, len(self.people) + unlabelled, reasons)
        self.in_photo: dict[str, list[int]] = {}
        for number, person in enumerate(self.people):
            self.in_photo.setdefault(person["photo"], []).append(number)
        self.numbers = [n for n, person in enumerate(self.people) if split == "all" or person[split]]

    def __len__(self) -> int:
        return len(self.numbers)

    def _sample(self, number: int) -> Sample:
        row = self.numbers[number]
        person = self.people[row]
        keypoints, visibility = person["joints"][:, :2].copy(), person["joints"][:, 2].astype(np.int64)
        others = [self.people[n]["joints"] for n in self.in_photo[person["photo"]] if n != row]
        left, _, right, _ = person["torso_box"]
        height, _ = person["dimensions"]
        return Sample(
            keypoints=keypoints,
            visibility=visibility,
            crop=Crop(((left + right) / 2, (height - 1) / 2), float(height)),
            sizes=person_sizes(keypoints, visibility, self.skeleton),
            others=np.array(others).reshape(-1, len(self.skeleton), 3),
            id=f"{Path(person['photo']).stem}-{person['number']}",
            read=partial(self._read_photo, person["photo"], person["dimensions"]),
            path=str(self.root / "images" / person["photo"]),
        )

    def _read_photo(self, name: str, dimensions: tuple[int, int]) -> np.ndarray:
        height, width = dimensions  # by which the crop was cut
        return read_photo(inside(self.root / "images", name, self.labels), (width, height))


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """examples.mat -> a dictionary a person, counted from 0, left and right the person's own.

    And how many have no labelled joint: they are nobody's samples, whatever else is in their structures.
    """
    if not path.is_file():
        raise InputError(path, "labels", "an examples.mat beside a folder images/", "no such file")
    content = read_mat(path, "labels")
    examples = content.get("examples")
    names = (examples.dtype.names if isinstance(examples, np.ndarray) else None) or ()
    missing = [name for name in FIELDS if name not in names]
    if missing or examples is None:
        raise InputError(path, "examples", f"a structure array with a field {missing[0]}")
    if examples.size == 0:
        raise InputError(path, "examples", "at least one person", "none")
    read = [_person(path, number, record) for number, record in enumerate(examples.ravel())]
    people = [person for person in read if person is not None]
    if not people:
        raise InputError(path, "examples", "a person with a labelled joint", "none")
    if _observer_centric(np.array([person["joints"] for person in people])):
        for person in people:
            person["joints"] = SKELETON.flip(person["joints"], axis=0).numpy()
    return people, len(read) - len(people)


def _person(path: Path, number: int, record: Any) -> dict[str, Any] | None:
    """One structure, checked: joints (11, 3) as x, y, visibility; torso box x1, y1, x2, y2."""
    where = f"examples({number + 1})"

    def numbers(name: str, expected: str, size: int) -> np.ndarray:
        value = record[name]
        # A sparse matrix is no array.
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.size < size:
            raise InputError(path, f"{where}.{name}", expected, f"shape {value.shape}, {value.dtype}")
        return value.astype(np.float64)

    def within_a_photo(value: np.ndarray) -> bool:
        return bool((np.abs(value) < ABSURD).all())

    coords = numbers("coords", "2 x 29 numbers", 58)
    if coords.shape != (2, 29):
        raise InputError(path, f"{where}.coords", "2 x 29 numbers", f"shape {coords.shape}")
    points = coords[:, COLUMNS].T - 1  # (11, 2), from 0
    unlabelled = np.isnan(points).all(axis=1)
    if unlabelled.all():
        return None
    name = record["filepath"]
    if name.dtype.kind != "U" or name.size != 1:
        raise InputError(path, f"{where}.filepath", "a file name", f"shape {name.shape}, {name.dtype}")
    for joint in np.flatnonzero(~unlabelled):
        if not within_a_photo(points[joint]):
            field = f"{where}.coords, {SKELETON.joints[joint]}"
            raise InputError(path, field, "x and y within a photo, or NaN", (points[joint] + 1).tolist())
    torso_box = numbers("torsobox", "x1, y1, x2, y2", 4).ravel() - 1
    if torso_box.size != 4 or not within_a_photo(torso_box):
        raise InputError(path, f"{where}.torsobox", "x1, y1, x2, y2 within a photo", record["torsobox"])
    height, width = numbers("imgdims", "height and width", 2).ravel()[:2]
    if not (1 <= height < ABSURD and 1 <= width < ABSURD):
        raise InputError(path, f"{where}.imgdims", "height and width >= 1", record["imgdims"])
    visibility = np.where(unlabelled, UNLABELLED, VISIBLE)
    return {
        "number": number + 1,
        "photo": str(name.item()),
        "joints": np.column_stack((points, visibility)),
        "torso_box": torso_box.tolist(),
        "dimensions": (int(height), int(width)),
        "train": bool(numbers("istrain", "0 or 1", 1).item(0)),
        "test": bool(numbers("istest", "0 or 1", 1).item(0)),
    }


def _observer_centric(joints: np.ndarray) -> bool:
    """Whether most "left" shoulders of (N, 11, 3) lie left of the "right" ones in the picture."""
    left, right = SKELETON.index("left_shoulder"), SKELETON.index("right_shoulder")
    gaps = joints[:, left, 0] - joints[:, right, 0]  # NaN where either is not labelled
    return int((gaps < 0).sum()) > int((gaps > 0).sum())
