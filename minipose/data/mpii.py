"""MPII Human Pose (Andriluka et al., CVPR 2014), from either of the two files that circulate.

The official release is one MATLAB file of nested structures, with head boxes; most projects pass
around a JSON list made from it, a record a person, with the usual validation split and without head
boxes. Both count pixels from 1, and so lose one here. A joint that is hidden has is_visible 0, one
that is not labelled is missing from the release and has coordinates <= 0 in the list.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minipose.crops import Crop
from minipose.data.formats.files import as_number, as_size, inside, read_json
from minipose.data.formats.mpii_release import ABSURD, read_release, within_a_photo
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, PoseDataset, Sample, warn_left_out
from minipose.data.sizes import person_sizes
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.skeletons import MPII as SKELETON

SPLITS = ("all", "train", "validation")


class MPII(PoseDataset):
    """People of MPII's training photos.

    Parameters
    ----------
    annotations : the JSON list (also gzipped), or the release's .mat.
    images : the folder of photos; None where only labels are wanted.
    split : "all", "train" or "validation"; the JSON list alone knows the split.

    Crops follow the authors: centre lowered by 15 x scale, side 250 x scale.
    """

    skeleton = SKELETON
    has_occlusion = True
    normalizer = "head"
    threshold = 0.5
    crop_rule = "centre lowered by 15 x scale, side 250 x scale (scale x 200 px is the person's height)"

    def __init__(self, annotations: str | Path, images: str | Path | None = None, split: str = "all"):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, found {split!r}")
        self.annotations = Path(annotations)
        self.images = Path(images) if images is not None else None
        if not self.annotations.is_file():
            raise InputError(self.annotations, "annotations", "MPII's .mat, or a .json list", "no such file")
        release = self.annotations.suffix == ".mat"
        if release and split != "all":
            raise InputError(self.annotations, "split", "all; the JSON list alone knows the split", split)
        records = read_release(self.annotations) if release else _read_list(self.annotations)
        wanted = {"all": (0, 1), "train": (0,), "validation": (1,)}[split]
        self.people, reasons, number = [], Counter[str](), -1
        for number, record in enumerate(records):
            if reason := _unusable(record, release):
                reasons[reason] += 1
                continue
            if _is_validation(self.annotations, number, record) not in wanted:
                continue
            self.people.append(_person(self.annotations, number, record))
            if release:  # a crowd of N that were copied for each of its people would be N squared
                self.people[-1] |= {"in_photo": record["in_photo"], "own": record["own"]}
        if reasons and reasons.total() == number + 1:
            found = ", ".join(f"{many} {why}" for why, many in reasons.items())
            raise InputError(
                self.annotations, "annotations", "a person with labelled joints", f"only {found}"
            )
        self.left_out = warn_left_out(self.annotations, number + 1, reasons)
        boxes = {person["head_box"] is not None for person in self.people}
        box, joints = "0.6 x the diagonal of the head box", self.rulers["head"]
        named = {(True,): box, (False, True): f"{box}, or {joints} where there is none"}
        self.rulers = {**self.rulers, "head": named.get(tuple(sorted(boxes)), joints)}

    def __len__(self) -> int:
        return len(self.people)

    def _sample(self, number: int) -> Sample:
        person = self.people[number]
        keypoints, visibility = person["joints"][:, :2].copy(), person["joints"][:, 2].astype(np.int64)
        sizes = person_sizes(keypoints, visibility, self.skeleton)
        if person["head_box"] is not None:
            left, top, right, bottom = person["head_box"]
            sizes["head"] = 0.6 * math.hypot(right - left, bottom - top)
        photo = person["photo"]
        return Sample(
            keypoints=keypoints,
            visibility=visibility,
            crop=Crop.at_scale(person["center"], person["scale"]),
            sizes=sizes,
            others=self._others(person),
            id=f"{Path(photo).stem}-{number}",
            read=partial(self._read, photo, person["size"]),
            path=str(self.images / photo) if self.images else photo,
        )

    def _others(self, person: dict[str, Any]) -> np.ndarray:
        if "in_photo" not in person:
            return person["others"]
        rows = [rows for k, rows in enumerate(person["in_photo"]) if k != person["own"] and rows is not None]
        return np.array([_joints(each) for each in rows]).reshape(-1, len(SKELETON), 3)

    def _read(self, photo: str, size: tuple[int, int] | None) -> np.ndarray:
        if self.images is None:
            raise InputError(self.annotations, "images", "a folder of photos: MPII(annotations, images)")
        return read_photo(inside(self.images, photo, self.annotations), size)


def _read_list(path: Path) -> list:
    """The JSON list, a record a person."""
    records = read_json(path, expected="a JSON list, perhaps gzipped")
    if not isinstance(records, list) or not records:
        raise InputError(path, "annotations", "a list of records", type(records).__name__)
    return records


def _unusable(record: Any, release: bool) -> str | None:
    """Why a record is nobody's sample, whatever else is in it; None where it is one, or is for `_person`."""
    rows = record["joint_self"] if isinstance(record, dict) and "joint_self" in record else ()
    joints = _joints(rows) if rows else None
    if rows is None or rows == [] or (joints is not None and not joints[:, 2].any()):
        return "without a labelled joint"
    incomplete = release and None in (record["scale_provided"], *record["objpos"])
    return "without a scale and a centre" if incomplete else None


def _field(path: Path, number: int, record: Any, name: str) -> Any:
    if not isinstance(record, dict) or name not in record:
        raise InputError(path, f"record {number}, {name}", "a field of this name")
    return record[name]


def _is_validation(path: Path, number: int, record: Any) -> float:
    """0 or 1, also in quotes, in which Python takes any number for true."""
    found = _field(path, number, record, "isValidation")
    if (value := as_number(found)) not in (0, 1):
        raise InputError(path, f"record {number}, isValidation", "0 or 1", found)
    return value


def _person(path: Path, number: int, record: Any) -> dict[str, Any]:
    """A record, checked and counted from 0: joints (16, 3) and others (K, 16, 3) of x, y, visibility."""
    field = partial(_field, path, number, record)

    def wrong(name: str, expected: str) -> InputError:
        return InputError(path, f"record {number}, {name}", expected, str(field(name))[:80])

    if not isinstance(field("img_paths"), str):
        raise wrong("img_paths", "a file name")
    if (center := _numbers(field("objpos"), 2)) is None:
        raise wrong("objpos", "two numbers within a photo")
    scale = as_number(field("scale_provided"))
    if not (within_a_photo(scale) and scale > 0):
        raise wrong("scale_provided", "a number > 0")
    joints = _joints(field("joint_self"))
    others = [_joints(rows) for rows in _each_of(record.get("joint_others"))]
    if joints is None:
        raise wrong("joint_self", "16 rows of x, y, visible within a photo")
    if any(other is None for other in others):
        raise wrong("joint_others", "people of 16 rows of x, y, visible within a photo")
    head_box = _numbers(record.get("head_box"), 4)
    if head_box is None and record.get("head_box") is not None:
        raise wrong("head_box", "four numbers within a photo")
    return {
        "photo": record["img_paths"],
        "size": as_size(record.get("img_width"), record.get("img_height")),
        "center": (center[0] - 1, center[1] - 1),
        "scale": scale,
        "joints": joints,
        "others": np.array(others).reshape(-1, len(SKELETON), 3),
        "head_box": head_box,
    }


def _each_of(rows: Any) -> list:
    """The list stores nobody as an empty structure, one other person bare, and several as a list."""
    if not isinstance(rows, list) or not rows:
        return []
    bare = not (isinstance(rows[0], list) and rows[0] and isinstance(rows[0][0], list))
    return [rows] if bare else rows


def _joints(rows: Any) -> np.ndarray | None:
    """(16, 3) of x, y, is_visible from 1 -> x, y, visibility from 0; None where it is no such array."""
    try:
        joints = np.array(rows, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return None
    if joints.shape != (len(SKELETON), 3) or not (np.abs(joints[:, :2]) < ABSURD).all():
        return None
    # A head-top above the upper edge is a label with y < 0; what is not labelled is <= 0 in both.
    labelled = np.any(joints[:, :2] > 0, axis=1, keepdims=True)
    visibility = np.where(joints[:, 2] > 0, VISIBLE, OCCLUDED)
    points = np.where(labelled, joints[:, :2] - 1, np.nan)
    return np.column_stack((points, np.where(labelled[:, 0], visibility, UNLABELLED)))


def _numbers(values: Any, count: int) -> list[float] | None:
    """So many numbers within a photo, else None."""
    if not isinstance(values, list) or len(values) != count:
        return None
    numbers = [as_number(value) for value in values]
    return numbers if within_a_photo(*numbers) else None
