"""COCO person keypoints (Lin et al., ECCV 2014): any JSON in COCO's format, official or your own.

One sample is one annotated person. Coordinates count from 0; visibility is stored as this package
uses it. A labelling tool that exports COCO's keypoint format makes a data set for this reader.

What is needed is checked, and refused with its id where it is wrong. What nobody needs is not: a record
without a labelled joint, a crowd, or a record of another category is left out, whatever else is in it, and
the reader says how many were.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minipose.crops import Crop
from minipose.data.formats.files import as_number, as_size, id_key, inside, read_json
from minipose.data.sample import UNLABELLED, VISIBLE, PoseDataset, Sample, warn_left_out
from minipose.data.sizes import person_sizes
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.skeletons import COCO as SKELETON
from minipose.skeletons import SKELETONS, Skeleton

MOST_AREA = 1e12  # px^2; a larger area is a broken one, and unknown


class COCO(PoseDataset):
    """People of a COCO keypoint file.

    Parameters
    ----------
    annotations : the JSON file. images : the folder of photos that its `file_name`s are in.
    min_keypoints : people with fewer labelled joints are left out.
    count : only the first so many people. ids : only the annotations with these ids, in this order.
    category : name or id of the category to read, where a file has several with a person's joints.
    rescale : photos whose size is an exact multiple or fraction of the file's `width` and `height` are
        resized to it; without it they are refused, like any other photo of another size.

    The file's category may name the joints of another skeleton of the package; then that is `skeleton`.
    `sample.id` is the annotation's id, `area` its area. `left_out` counts by reason the records that are no
    samples: crowds (`iscrowd`), other categories, and those without a labelled joint.
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
        ids: Iterable[int | str] | None = None,
        category: int | str | None = None,
        rescale: bool = False,
    ):
        self.annotations, self.images, self.rescale = Path(annotations), Path(images), rescale
        if not self.images.is_dir():
            raise InputError(self.images, "images", "a folder of photos", "none of that name")
        content = _read(self.annotations)
        self.categories, self.skeleton = _person_categories(self.annotations, content, category)
        self.category = next(iter(self.categories.values()), {"id": 1})["id"]
        self.photos = _photos(self.annotations, content["images"])
        people, self.crowds, reasons = self._sort_records(content["annotations"])
        labelled = [person for person in people if (person["joints"][:, 2] > UNLABELLED).any()]
        if content["annotations"] and not labelled:
            found = ", ".join(f"{many} {why}" for why, many in reasons.items())
            raise InputError(
                self.annotations, "annotations", "a person with a labelled joint", f"only {found}"
            )
        self.left_out = warn_left_out(self.annotations, len(content["annotations"]), reasons)
        # A tool that knows only "labelled" and "not" writes 1 for all: that is not "occluded".
        self.has_occlusion = not labelled or any((p["joints"][:, 2] == VISIBLE).any() for p in labelled)
        self.in_photo: dict[int | str, list[dict]] = {}
        for person in people:
            self.in_photo.setdefault(person["image_id"], []).append(person)
        self.people = self._choose(labelled, min_keypoints, ids, count)

    def _choose(
        self, labelled: list[dict], min_keypoints: int, ids: Iterable[int | str] | None, count: int | None
    ) -> list[dict]:
        """The people that were asked for; among all who are labelled, no two have one id."""
        by_id: dict[str, dict] = {}
        for person in labelled:
            if by_id.setdefault(id_key(person["id"]), person) is not person:
                field, expected = "annotations[].id", "an id of its own for each person"
                raise InputError(self.annotations, field, expected, f"{person['id']} twice")
        chosen = [p for p in labelled if (p["joints"][:, 2] > UNLABELLED).sum() >= min_keypoints]
        if ids is not None:
            by_id = {id_key(person["id"]): person for person in chosen}
            keys = [id_key(i) for i in ids]
            if missing := [key for key in keys if key not in by_id]:
                raise InputError(self.annotations, "ids", "ids of labelled people in this file", missing[0])
            chosen = [by_id[key] for key in keys]
        if count is not None and count < 0:
            raise InputError(self.annotations, "count", "a number of people >= 0", count)
        return chosen[:count]

    def _sort_records(self, records: list) -> tuple[list[dict], list[dict], Counter[str]]:
        """The people, labelled or not; the crowds; and how many records are no samples, by reason."""
        people, crowds, others = [], [], Counter[str]()
        reasons: Counter[str] = Counter()
        for number, record in enumerate(records):
            where = f"annotations[{number}]"
            if not isinstance(record, dict):
                raise InputError(self.annotations, where, "a record with fields", record)
            if self.categories and id_key(record.get("category_id", self.category)) not in self.categories:
                others[id_key(record["category_id"]) or "none"] += 1
            elif as_number(record.get("iscrowd") or 0) == 1:
                reasons["marked as a crowd (iscrowd)"] += 1
                crowds.append(self._unlabelled(record))
            elif (joints := self._joints(where, record)) is None:
                reasons["without a labelled joint"] += 1
                people.append(self._unlabelled(record))
            else:
                people.append(self._person(f"{where} (id {record.get('id')})", record, joints))
        if others:
            named = ", ".join(list(others)[:3]) + ", ..." * (len(others) > 3)
            reasons[f"of another category (category_id {named})"] = others.total()
        known = [[person for person in group if person["image_id"] is not None] for group in (people, crowds)]
        return known[0], known[1], reasons

    def _joints(self, where: str, record: dict) -> np.ndarray | None:
        """(J, 3) of x, y, visibility, NaN where a joint is not labelled; None where none is."""
        values, count = record.get("keypoints"), len(self.skeleton)
        joints = np.zeros(0) if values is None else _floats(values)
        if joints is not None and not joints.any():  # none at all, or nothing but zeros
            return None
        where = f"{where} (id {record.get('id')}).keypoints"
        if joints is None or len(joints) != 3 * count:
            expected = f"{3 * count} finite numbers: x, y, visibility"
            raise InputError(self.annotations, where, expected, None if joints is None else len(joints))
        joints = joints.reshape(-1, 3)
        labelled = (
            joints[:, 2] != UNLABELLED
        )  # which NaN is too: where nothing is labelled, x and y may be so
        if not (np.abs(joints[labelled]) < 1e6).all():
            raise InputError(self.annotations, where, f"{3 * count} finite numbers: x, y, visibility")
        if not np.isin(joints[:, 2], (0, 1, 2)).all():
            raise InputError(self.annotations, where, "a visibility of 0, 1 or 2")
        joints[~labelled, :2] = np.nan
        return joints if labelled.any() else None

    def _person(self, where: str, record: dict, joints: np.ndarray) -> dict[str, Any]:
        """Somebody with labelled joints, whose record has to be right."""
        for name in ("id", "image_id", "bbox"):
            if name not in record:
                raise InputError(self.annotations, f"{where}.{name}", "a field of this name")
        if not id_key(record["id"]):
            raise InputError(self.annotations, f"{where}.id", "a whole number or a text", record["id"])
        photo = self.photos.get(id_key(record["image_id"]))
        if photo is None:
            expected = "the id of one of its images"
            raise InputError(self.annotations, f"{where}.image_id", expected, record["image_id"])
        if type(photo["file_name"]) is not str:
            raise InputError(self.annotations, f"images, id {photo['id']}", "a field file_name, a text")
        if (box := _box(record["bbox"])) is None:
            expected = "x, y, width > 0, height > 0"
            raise InputError(self.annotations, f"{where}.bbox", expected, record["bbox"])
        if as_number(record.get("iscrowd") or 0) != 0:
            raise InputError(self.annotations, f"{where}.iscrowd", "0 or 1", record["iscrowd"])
        person = self._unlabelled(record) | {"id": record["id"], "joints": joints, "bbox": box}
        if photo["size"] is not None:
            self._check_box(person, *photo["size"])
        return person

    def _unlabelled(self, record: dict) -> dict[str, Any]:
        """A record of which nothing is required; where `image_id` or `bbox` is wrong, it is None."""
        photo = self.photos.get(id_key(record.get("image_id")), {})
        category = self.categories.get(id_key(record.get("category_id")), {})
        area = as_number(record.get("area"))
        return {
            "id": record.get("id"),
            "image_id": photo.get("id"),
            "category_id": category.get("id", self.category),
            "joints": np.tile([np.nan, np.nan, UNLABELLED], (len(self.skeleton), 1)),
            "bbox": _box(record.get("bbox")),
            "area": area if abs(area) < MOST_AREA else math.nan,
        }

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
        people = [len(self.in_photo.get(photo["id"], ())) for photo in self.photos.values()]
        return {
            "joints": np.bincount(joints, minlength=len(self.skeleton) + 1).tolist(),
            "people": np.bincount(people).tolist(),
        }

    def _sample(self, number: int) -> Sample:
        person = self.people[number]
        photo = self.photos[id_key(person["image_id"])]
        keypoints, visibility = person["joints"][:, :2].copy(), person["joints"][:, 2].astype(np.int64)
        sizes = person_sizes(keypoints, visibility, self.skeleton) | {"box": max(person["bbox"][2:])}
        neighbours = [p["joints"] for p in self.in_photo[person["image_id"]] if p is not person]
        return Sample(
            keypoints=keypoints,
            visibility=visibility,
            crop=Crop.around_box(person["bbox"]),
            sizes=sizes,
            others=np.array(neighbours).reshape(-1, len(self.skeleton), 3),
            id=id_key(person["id"]),
            read=partial(self._read_photo, person, photo),
            area=person["area"],
            path=str(self.images / photo["file_name"]),
        )

    def _read_photo(self, person: dict, photo: dict) -> np.ndarray:
        path = inside(self.images, photo["file_name"], self.annotations)
        image = read_photo(path, photo["size"], self.rescale)
        self._check_box(person, image.shape[1], image.shape[0])
        return image

    def _check_box(self, person: dict, width: int, height: int) -> None:
        x, y, w, h = person["bbox"]
        if not (x < width and y < height and x + w > 0 and y + h > 0):
            expected = f"a part of its photo ({width} x {height} px)"
            raise InputError(
                self.annotations, f"annotation with id {person['id']}, bbox", expected, person["bbox"]
            )


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    for name in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(path, name, "a list of this name")
    return content


def _photos(path: Path, images: list) -> dict[str, dict[str, Any]]:
    """The photos by the key of their id; an entry without an id is nobody's."""
    photos: dict[str, dict[str, Any]] = {}
    for number, image in enumerate(images):
        if not isinstance(image, dict) or not (key := id_key(image.get("id"))):
            continue
        size = as_size(image.get("width"), image.get("height"))
        photo = {"id": image["id"], "file_name": image.get("file_name"), "size": size}
        before = photos.setdefault(key, photo)
        if (before["file_name"], before["size"]) != (photo["file_name"], size):
            raise InputError(path, f"images[{number}].id", "an id of its own for each photo", image["id"])
    return photos


def _person_categories(path: Path, content: dict, wanted: int | str | None) -> tuple[dict, Skeleton]:
    """The categories to read, by the key of their id, and their joints; none in a file that lists none.

    Those called person are read if they name joints, else those that name the joints of a skeleton of the
    package, else those called person, else a file's only category, whatever it is called; never one for its
    place in the list.
    """
    listed = content.get("categories")
    listed = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    listed = [c for c in listed if id_key(c.get("id"))]
    persons = [c for c in listed if str(c.get("name")).lower() == "person"]
    choices = [
        [c for c in persons if c.get("keypoints")],
        [c for c in listed if _skeleton_of(c) is not None],
        persons,
        listed if len(listed) == 1 else [],
    ]
    if wanted is not None:
        choices = [[c for c in listed if wanted == c.get("name") or id_key(wanted) == id_key(c["id"])]]
    chosen: list[dict] = next(filter(None, choices), [])
    skeletons = [_skeleton_of(c) for c in chosen if c.get("keypoints")] or [SKELETON]
    if skeletons[0] is None and len(chosen) == 1:
        names = chosen[0]["keypoints"]
        raise InputError(path, "categories[].keypoints", f"the joints of {', '.join(SKELETONS)}", names)
    if ((listed or wanted is not None) and not chosen) or len(set(skeletons)) > 1 or skeletons[0] is None:
        expected = "one called person, or with a person's joints, or else its name or id as category"
        raise InputError(path, "categories", expected, [c.get("name") for c in listed])
    by_id = {id_key(c["id"]): c for c in chosen}
    for other in listed:
        if by_id.get(id_key(other["id"]), other) != other:
            raise InputError(path, "categories[].id", "an id of its own for each", other["id"])
    return by_id, skeletons[0]


def _skeleton_of(category: dict) -> Skeleton | None:
    """The skeleton whose joints a category names, in its order; "Left Hip" is left_hip."""
    names = category.get("keypoints")
    if not isinstance(names, list):
        return None
    joints = [str(name).strip().lower().replace(" ", "_").replace("-", "_") for name in names]
    return next((skeleton for skeleton in SKELETONS.values() if [*skeleton.joints] == joints), None)


def _box(values: Any) -> list[float] | None:
    """x, y, width and height of a box that is one, else None."""
    box = _floats(values)
    good = box is not None and len(box) == 4 and (np.abs(box) < 1e6).all() and (box[2:] > 0).all()
    return box.tolist() if box is not None and good else None


def _floats(values: Any) -> np.ndarray | None:
    """A list of numbers as float64, None where it is no such list; null becomes NaN."""
    try:
        numbers = np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if numbers.ndim == 1 else None
