"""COCO person keypoints (Lin et al., ECCV 2014): any JSON in COCO's format, official or your own.

One sample is one annotated person. Coordinates count from 0; visibility is stored as this package
uses it. A labelling tool that exports COCO's keypoint format makes a data set for this reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minipose.crops import Crop
from minipose.data.formats.files import inside, read_json
from minipose.data.sample import UNLABELLED, PoseDataset, Sample
from minipose.data.sizes import person_sizes
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.skeletons import COCO as SKELETON
from minipose.skeletons import SKELETONS


class COCO(PoseDataset):
    """People of a COCO keypoint file.

    Parameters
    ----------
    annotations : the JSON file. images : the folder of photos that its `file_name`s are in.
    min_keypoints : people with fewer labelled joints are left out.
    count : only the first so many people. ids : only the annotations with these ids, in this order.

    The file's category may name the joints of another skeleton of the package; then that is `skeleton`.
    Crowds (`iscrowd`) and annotations of another category are no samples. `sample.id` is the annotation's id,
    `area` its area.
    """

    skeleton = SKELETON
    has_occlusion = True
    normalizer = "torso"
    threshold = 0.2
    crop_rule = "centre and 1.25 x the longer side of the person's box"

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        min_keypoints: int = 1,
        count: int | None = None,
        ids: Iterable[int] | None = None,
    ):
        self.annotations, self.images = Path(annotations), Path(images)
        if not self.images.is_dir():
            raise InputError(self.images, "images", "a folder of photos", "none of that name")
        content = _read(self.annotations)
        categories = content.get("categories", [])
        categories = categories if isinstance(categories, list) else []
        categories = [c for c in categories if isinstance(c, dict) and "id" in c]
        # A file of one kind is of that kind, whatever it is called.
        labelled = [c for c in categories if "keypoints" in c] or categories
        persons = labelled if len(labelled) == 1 else [c for c in labelled if c.get("name") == "person"]
        person: dict = persons[0] if persons else {"id": 1}
        self.category, self.has_categories = person["id"], bool(persons)
        # A file of your own may label another skeleton's joints; the category names them.
        named = person.get("keypoints", [*SKELETON.joints])
        known = [skeleton for skeleton in SKELETONS.values() if [*skeleton.joints] == named]
        if not known:
            skeletons = ", ".join(SKELETONS)
            raise InputError(self.annotations, "categories[].keypoints", f"the joints of {skeletons}", named)
        self.skeleton = known[0]
        self.photos = {photo["id"]: photo["file_name"] for photo in content["images"]}
        people = [
            _person(self.annotations, n, record, self.photos, len(self.skeleton))
            for n, record in enumerate(content["annotations"])
            if self.is_person(record)
        ]
        people = [person for person in people if not person["iscrowd"]]
        self.in_photo: dict[int, list[dict]] = {}
        for person in people:
            self.in_photo.setdefault(person["image_id"], []).append(person)
        people = [p for p in people if (p["joints"][:, 2] > UNLABELLED).sum() >= max(min_keypoints, 1)]
        if ids is not None:
            ids = list(ids)
            by_id = {person["id"]: person for person in people}
            if missing := [i for i in ids if i not in by_id]:
                raise InputError(self.annotations, "ids", "ids of labelled people in this file", missing[0])
            people = [by_id[i] for i in ids]
        if count is not None and count < 0:
            raise InputError(self.annotations, "count", "a number of people >= 0", count)
        self.people = people[:count]

    def is_person(self, annotation: Any) -> bool:
        """Whether an annotation is of the category that is read; in a file that names none, all are."""
        if not isinstance(annotation, dict) or not self.has_categories:
            return True
        return annotation.get("category_id", self.category) == self.category

    def __len__(self) -> int:
        return len(self.people)

    def statistics(self) -> dict[str, list[int]]:
        """The student report's Figure 1, of the whole file, whoever was left out.

        "joints" : how many people have 0, 1, 2 ... labelled joints. "people" : how many photos show 0, 1,
        2 ... annotated people. Crowds are not counted.
        """
        joints = [
            int((p["joints"][:, 2] > UNLABELLED).sum()) for some in self.in_photo.values() for p in some
        ]
        people = [len(self.in_photo.get(photo, ())) for photo in self.photos]
        return {
            "joints": np.bincount(joints, minlength=len(self.skeleton) + 1).tolist(),
            "people": np.bincount(people).tolist(),
        }

    def _sample(self, number: int) -> Sample:
        person = self.people[number]
        keypoints, visibility = person["joints"][:, :2].copy(), person["joints"][:, 2].astype(np.int64)
        sizes = person_sizes(keypoints, visibility, self.skeleton) | {"box": max(person["bbox"][2:])}
        neighbours = [p["joints"] for p in self.in_photo[person["image_id"]] if p is not person]
        return Sample(
            keypoints=keypoints,
            visibility=visibility,
            crop=Crop.around_box(person["bbox"]),
            sizes=sizes,
            others=np.array(neighbours).reshape(-1, len(self.skeleton), 3),
            id=str(person["id"]),
            read=partial(self._read_photo, self.photos[person["image_id"]]),
            area=person["area"],
            path=str(self.images / self.photos[person["image_id"]]),
        )

    def _read_photo(self, name: str) -> np.ndarray:
        return read_photo(inside(self.images, name, self.annotations))


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    for name in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(path, name, "a list of this name")
    for number, photo in enumerate(content["images"]):
        if (
            not isinstance(photo, dict)
            or not _is_id(photo.get("id"))
            or type(photo.get("file_name")) is not str
        ):
            raise InputError(path, f"images[{number}]", "fields id and file_name")
    return content


def _person(path: Path, number: int, record: Any, photos: dict, count: int) -> dict[str, Any]:
    """An annotation, checked: bbox as floats, joints (J, 3) with NaN where not labelled."""
    where = f"annotations[{number}]"
    for name in ("id", "image_id", "bbox", "keypoints"):
        if not isinstance(record, dict) or name not in record:
            raise InputError(path, f"{where}.{name}", "a field of this name")
    if not _is_id(record["id"]):
        raise InputError(path, f"{where}.id", "a number or a text", record["id"])
    if not _is_id(record["image_id"]) or record["image_id"] not in photos:
        raise InputError(path, f"{where}.image_id", "the id of one of its images", record["image_id"])
    box, joints = (_floats(record[name]) for name in ("bbox", "keypoints"))
    if box is None or len(box) != 4 or not (box[2:] > 0).all():
        raise InputError(path, f"{where}.bbox", "x, y, width > 0, height > 0", record["bbox"])
    if joints is None or len(joints) != 3 * count:
        raise InputError(path, f"{where}.keypoints", f"{3 * count} finite numbers: x, y, visibility")
    joints = joints.reshape(-1, 3)
    if not np.isin(joints[:, 2], (0, 1, 2)).all():
        raise InputError(path, f"{where}.keypoints", "a visibility of 0, 1 or 2")
    joints[joints[:, 2] == UNLABELLED, :2] = np.nan
    return {
        "id": record["id"], "image_id": record["image_id"], "bbox": box.tolist(), "joints": joints,
        "area": _area(record.get("area")), "iscrowd": bool(record.get("iscrowd", 0)),
    }  # fmt: skip


def _area(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else float("nan")


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _floats(values: Any) -> np.ndarray | None:
    """A list of numbers as float64, None where it is none or a number is absurd."""
    try:
        numbers = np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if numbers.ndim == 1 and (np.abs(numbers) < 1e6).all() else None
