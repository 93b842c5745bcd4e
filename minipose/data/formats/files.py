"""Where data sets come from, how their folders look, and a check of a reader's own folder."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from minipose.io.errors import InputError

GUIDES = {
    "puppets": """Drawn on the spot from a seed: nothing to download. Terms: MIT, like the code.""",
    "mpii": """MPII Human Pose (Andriluka et al., CVPR 2014): 25,000 photos of everyday activities.
Get the photos and the annotations from http://human-pose.mpi-inf.mpg.de and put them where you like:
    mpii/images/015601864.jpg    nine digits
    mpii/mpii_human_pose_v1_u12_1.mat, the official release with head boxes;
        or the JSON list that many projects share, with the usual validation split
Terms: annotations simplified BSD; photos for research.""",
    "coco": """COCO person keypoints (Lin et al., ECCV 2014), or your own photos in COCO's format.
`minipose data coco --download coco/` fetches the validation set of 2017 (1.1 GB); by hand, take
val2017.zip and annotations_trainval2017.zip from https://cocodataset.org, so that it looks like this:
    coco/images/000000000139.jpg
    coco/person_keypoints.json   'images' and 'annotations', 17 keypoints x, y, visibility each
Terms: annotations CC BY 4.0. Each photo has its owner's licence, which the JSON names: most are Creative
Commons, many for non-commercial use only, and to keep to them is up to you.""",
    "flic": """FLIC (Sapp & Taskar, CVPR 2013): 5,003 people in film stills, upper bodies.
Get FLIC.zip from https://bensapp.github.io/flic-dataset.html and unpack it into one folder:
    flic/examples.mat            a structure a person: coords, torsobox, istrain ...
    flic/images/                 the stills that its filepath names
Terms: for research; the stills belong to the films' owners.""",
    "lspet": """Leeds Sports Pose Extended (Johnson & Everingham, CVPR 2011): 10,000 people,
labelled by crowd workers.
Get lspet_dataset.zip from http://sam.johnson.io/research/lspet.html and unpack it into one folder:
    lspet/joints.mat             'joints', 14 x 3 x N: x, y, 1 = labelled
    lspet/images/im00001.jpg     five digits, one photo a person
Terms: no licence text; the authors ask to be cited, and the photos come from Flickr.""",
    "lsp": """Leeds Sports Pose (Johnson & Everingham, BMVC 2010): 2,000 people, 1,000 to train on,
then 1,000 to test.
Get lsp_dataset.zip from http://sam.johnson.io/research/lsp.html and unpack it into one folder:
    lsp/joints.mat               'joints', 3 x 14 x N: x, y, 1 = occluded
    lsp/images/im0001.jpg        four digits, one photo a person
Terms: no licence text; the authors ask to be cited, and the photos come from Flickr.""",
}


# What is compressed may become so many times larger, or so many bytes: else it is no labels but a bomb.
_GROWTH, _ALWAYS = 32, 1 << 25


def inside(folder: Path, name: str, source: Path) -> Path:
    """`folder`/`name`, for a name that stands in the file `source`: it may not lead out of the folder.

    A file that was written on Windows may separate folders by backslashes.
    """
    path = folder / name
    try:
        if "\\" in name and not path.exists():
            path = folder / name.replace("\\", "/")
        leads_out = not path.resolve().is_relative_to(folder.resolve())
        path.exists()  # which `resolve` may not have asked: a name can be too long
    except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have; links in a circle
        raise InputError(source, name, f"the name of a file inside {folder}", error) from error
    if leads_out:
        raise InputError(source, name, f"a file inside {folder}")
    return path


def read_json(path: Path, field: str = "annotations", expected: str = "JSON") -> Any:
    """A JSON file, gzipped where its name ends in .gz. Raises `InputError` for whatever else it is."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = inflated([data], path, field, gzipped=True)
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
    except OSError as error:
        raise InputError(path, field, "a readable file", error.strerror) from error
    except (ValueError, RecursionError) as error:  # nested deeper than Python may follow
        if isinstance(error, InputError):
            raise
        raise InputError(path, field, expected, error) from error


def id_key(value: Any) -> str:
    """The one rule for ids: whole numbers and texts; 1, 1.0 and "1" are the same. "" for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def as_number(value: Any) -> float:
    """A number, also in quotes, as tables export them; NaN for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def as_size(width: Any, height: Any) -> tuple[int, int] | None:
    """(width, height) in whole px; None where a file does not say, by zeros for example."""
    sides = as_number(width), as_number(height)
    return (int(sides[0]), int(sides[1])) if all(s.is_integer() and s > 0 for s in sides) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two fields of one name, as a merge by hand leaves them, JSON would keep the last."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"two fields called {twice}")
    return fields


def read_mat(path: Path, field: str) -> dict[str, np.ndarray]:
    """The variables of a MATLAB file (version 4 to 7) by name, as `scipy.io.loadmat` returns them.

    Raises `InputError` where SciPy cannot read the file: it is missing, truncated, or something else. SciPy
    trusts the lengths in a file, so read only what the publisher of a data set released.
    """
    from scipy.io import loadmat

    try:
        with path.open("rb") as file:
            return loadmat(file)
    except Exception as error:  # SciPy documents no exceptions for damaged files, and raises many
        if isinstance(error, OSError) and error.strerror:
            raise InputError(path, field, "a readable file", error.strerror) from error
        raise InputError(path, field, "a whole MATLAB file of version 4 to 7", error) from error


def inflated(parts: list[bytes], path: Path, field: str, gzipped: bool = False) -> bytes:
    """The zlib streams `parts` of one file, unpacked and joined, unless they grow beyond all measure."""
    most = max(_ALWAYS, _GROWTH * sum(map(len, parts)))
    whole = bytearray()
    for part in parts:
        while part:  # a gzip file may have several members
            stream = zlib.decompressobj(wbits=31 if gzipped else 15)
            try:
                whole += stream.decompress(part, most + 1 - len(whole))
            except zlib.error as error:
                raise InputError(path, field, "a whole compressed file", error) from error
            if len(whole) > most:
                raise InputError(path, field, f"a file that unpacks to at most {most:,} bytes", "more")
            if not stream.eof:
                raise InputError(path, field, "a whole compressed file", "its beginning alone")
            part = stream.unused_data.lstrip(b"\0") if gzipped else b""
    return bytes(whole)


def data_root(name: str, root: str | Path | None = None) -> Path:
    """The folder of a data set: `root`, or `name` inside the folder that MINIPOSE_DATA names."""
    if root is None:
        home = os.environ.get("MINIPOSE_DATA")
        if home is None:
            raise InputError(name, "root", "a folder (--root DIR), or the variable MINIPOSE_DATA set")
        root = Path(home) / name
    root = Path(root)
    if not root.is_dir():
        raise InputError(root, name, "a folder", "none of that name")
    return root
