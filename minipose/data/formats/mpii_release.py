"""MPII's official release, one MATLAB file of nested structures, as the records of the JSON list.

RELEASE.annolist(i) is a photo, RELEASE.img_train(i) whether its labels are public, and
RELEASE.annolist(i).annorect(k) a person: head box x1 ... y2, annopoints.point(j) with id, x, y and
is_visible, scale and objpos. Much of it may be missing; a structure of one may be stored bare.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minipose.data.formats.files import read_mat
from minipose.io.errors import InputError

# Larger than any of its photos (at most 1920 px): such a coordinate is a broken file.
ABSURD = 100_000.0


def within_a_photo(*values: float) -> bool:
    return all(abs(value) < ABSURD for value in values)  # which NaN is not


def read_release(path: Path) -> Iterator[dict[str, Any]]:
    """A record for each person of the training photos; None for joints, centre or scale that are missing.

    People who lack one of these are nobody's samples, but count among the others of their photo.
    Coordinates stay as published, from 1; a joint that is not labelled is (0, 0, 0). `head_box` is
    x1, y1, x2, y2, or None. `in_photo` is shared by all people of a photo: the joints of each, None for
    somebody without; `own` is the person's number there.
    """
    release = _several(read_mat(path, "annotations").get("RELEASE"))
    if len(release) != 1:
        raise InputError(path, "RELEASE", "MPII's structure of this name")
    photos, public = (_several(_get(release[0], name)) for name in ("annolist", "img_train"))
    if not photos or not all(isinstance(flag, np.number) for flag in public):
        raise InputError(path, "RELEASE", "fields annolist and img_train")
    for number, photo in enumerate(photos):
        if number >= len(public) or not public[number]:
            continue
        field = f"annolist({number + 1})"
        name, people = _several(_get(photo, "image", "name")), _several(_get(photo, "annorect"))
        if len(name) != 1 or not isinstance(name[0], str):
            raise InputError(path, field, "image.name, a text")
        joints = [_joints(person, path, field) for person in people]
        for k, person in enumerate(people):
            own, scale, center = joints[k], _value(person, "scale"), _get(person, "objpos")
            box = [_value(person, side) for side in ("x1", "y1", "x2", "y2")]
            yield {
                "img_paths": str(name[0]),
                "objpos": [_value(center, "x"), _value(center, "y")],
                "scale_provided": scale,
                "joint_self": own,
                "joint_others": [],
                "in_photo": joints,
                "own": k,
                "head_box": box if None not in box else None,
                "isValidation": 0,
            }


def _joints(person: Any, path: Path, field: str) -> list[list[float]] | None:
    """16 rows of x, y, visible; None for somebody without annopoints."""
    points = _several(_get(person, "annopoints", "point"))
    if not points:
        return None
    rows = [[0.0, 0.0, 0.0] for _ in range(16)]
    for point in points:
        number, x, y = (_value(point, name) for name in ("id", "x", "y"))
        if number is None or x is None or y is None or not within_a_photo(x, y) or number not in range(16):
            raise InputError(path, f"{field}, annopoints", "points with an id of 0 to 15, x and y")
        # is_visible is a number, a digit in quotes, or empty, which means visible.
        rows[int(number)] = [x, y, float(_value(point, "is_visible") != 0)]
    return rows


def _several(value: Any) -> list:
    """What MATLAB stores as nothing, one or many, as a list."""
    return [] if value is None else list(np.ravel(value))


def _get(structure: Any, *names: str) -> Any:
    """A field of a structure, or of a field's only structure and so on; None where there is none."""
    for name in names:
        while isinstance(structure, np.ndarray) and structure.size == 1:
            structure = structure.item() if structure.dtype == object else structure.ravel()[0]
        if not isinstance(structure, np.void) or name not in (structure.dtype.names or ()):
            return None
        structure = structure[name]
    return structure


def _value(structure: Any, name: str) -> float | None:
    """A number in a structure, None where it is missing, empty or none."""
    found = _several(_get(structure, name))
    try:
        return float(found[0]) if len(found) == 1 else None
    except (TypeError, ValueError):
        return None
