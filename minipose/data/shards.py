"""A dataset packed into a few large files: what moves quickly to a rented GPU and needs no photos.

A packed folder holds shards, plain tar archives of at most 60 MB with a JPEG and a JSON of labels for
each person, and index.json, which says where in them everybody is. `tar` unpacks them, nothing in
them is code. The pictures are the stored crops of `minipose.scaling.gpu_crops`, twice as wide as what a
network of this size looks at, so that every augmentation finds its pixels.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from minipose.crops import Crop
from minipose.data.formats.files import inside, read_json
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, PoseDataset, Sample
from minipose.io.checkpoints import atomic, make_folder
from minipose.io.errors import InputError
from minipose.io.images import decode_photo
from minipose.skeletons import SKELETONS

FORMAT = 1
INDEX = "index.json"
_LARGEST = 4096  # px of a network
QUALITY = 95  # of 100: about one grey level of noise
BLOCK = 512  # a tar archive consists of blocks of so many bytes: a header, then the content filled up,
END = bytes(2 * BLOCK)  # and two empty blocks at its end
# What a dataset is to whoever trains on it, in the index under the same names.
_KINDS = {"has_occlusion": bool, "normalizer": str, "threshold": float, "crop_rule": str}
_FIELDS = {"format": int, "skeleton": str, "size": int, "count": int, "shards": list, "people": list} | _KINDS
_NORMALIZERS = ("head", "torso", "box")
_SHARD_FIELDS = {"file": str, "count": int, "bytes": int, "sha256": str}


def pack(
    dataset: PoseDataset, folder: str | Path, size: int, shard_bytes: int = 60_000_000, progress: bool = True
) -> None:
    """Write a dataset for networks of `size` px as shards of at most `shard_bytes` into a folder.

    Takes about 40 kB a person of LSPET at 256 px. A broken-off attempt leaves no index, and may be repeated.
    Raises `InputError` where the folder already holds a packed dataset or cannot be written.
    """
    # Not above: `minipose.scaling.gpu_crops` is built on this package, `minipose.data`.
    from minipose.scaling.gpu_crops import stored_crops

    folder = Path(folder)
    if (folder / INDEX).exists():
        raise InputError(folder / INDEX, "folder", "an empty folder to pack into", "a packed dataset")
    make_folder(folder)
    shards: list[dict[str, Any]] = []
    people: list[list[int]] = [[]] * len(dataset)
    archive, members = bytearray(), 0

    def finish() -> None:
        name, content = f"shard-{len(shards):04d}.tar", archive + END
        with atomic(folder / name) as unfinished:
            unfinished.write_bytes(content)
        check = hashlib.sha256(content).hexdigest()
        shards.append({"file": name, "count": members, "bytes": len(content), "sha256": check})

    for number, sample, stored, image in stored_crops(dataset, size, "packing", progress):
        jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        labels = json.dumps(_labels(sample, stored, size), allow_nan=False).encode()
        entry = _member(f"{number:07d}.jpg", jpeg) + _member(f"{number:07d}.json", labels)
        if len(entry) + len(END) > shard_bytes:
            raise ValueError(f"shard_bytes must hold a person's {len(entry)} bytes, found {shard_bytes}")
        if len(archive) + len(entry) + len(END) > shard_bytes:
            finish()
            archive, members = bytearray(), 0
        content = entry[BLOCK : len(entry) - _filled(len(labels)) + len(labels)]
        people[number] = [len(shards), len(archive) + BLOCK, len(jpeg), len(content), zlib.crc32(content)]
        archive += entry
        members += 1
    if members:
        finish()
    index = {name: kind(getattr(dataset, name)) for name, kind in _KINDS.items()}
    index |= {"format": FORMAT, "skeleton": dataset.skeleton.name, "size": size, "count": len(dataset)}
    index |= {"shards": shards, "people": people, "rulers": dict(dataset.rulers)}
    with atomic(folder / INDEX) as unfinished:
        unfinished.write_text(json.dumps(index), encoding="utf-8")


def _filled(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _member(name: str, content: bytes) -> bytes:
    """A file as it stands in an archive, without owner and date: packing twice gives the same bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf(tarfile.USTAR_FORMAT) + content.ljust(_filled(len(content)), b"\0")


def _labels(sample: Sample, stored: Crop, size: int) -> dict[str, Any]:
    """A sample's labels in px of its stored crop; what is not known becomes null."""
    zoom = 2 * size / stored.side  # stored px a photo px
    person = np.column_stack((sample.keypoints, sample.visibility))
    people = np.concatenate([person[None], sample.others])
    people[..., :2] = stored.forward(people[..., :2], 2 * size)
    return {
        "id": sample.id,
        "center": stored.forward([tuple(sample.crop.center)], 2 * size)[0].tolist(),
        "side": float(sample.crop.side) * zoom,
        "angle": float(sample.crop.angle),
        "mirror": bool(sample.crop.mirror),
        "people": _plain(people),
        "sizes": {name: _plain(value * zoom) for name, value in sample.sizes.items()},
        "area": _plain(sample.area * zoom**2),
    }


def _plain(values) -> Any:
    """Numbers or nested lists of them for JSON, which has null but no NaN."""
    values = np.asarray(values, dtype=object)
    return np.where(np.isnan(values.astype(float)), np.array(None), values).tolist()


class Packed(PoseDataset):
    """What `pack` wrote, person by person: pictures are stored crops, labels are in their px.

    Parameters
    ----------
    folder : holds index.json and the shards. Their sizes are checked here, a person's bytes when
        read, and everything by `verify`. `size` is that of the networks it was packed for.
    """

    def __init__(self, folder: str | Path):
        index = Path(folder) / INDEX
        content = _read_index(index)
        self.skeleton, self.size = SKELETONS[content["skeleton"]], content["size"]
        self.has_occlusion, self.normalizer = content["has_occlusion"], content["normalizer"]
        self.threshold, self.crop_rule = content["threshold"], content["crop_rule"]
        self.rulers = content.get("rulers", {})  # earlier versions did not write it
        self.people, self.shards = content["people"], content["shards"]
        self.paths = [inside(index.parent, shard["file"], index) for shard in self.shards]
        for path, shard in zip(self.paths, self.shards, strict=True):
            found = path.stat().st_size if path.is_file() else "no such file"
            if found != shard["bytes"]:
                raise InputError(path, "shard", f"a whole shard of {shard['bytes']} bytes", found)

    def __len__(self) -> int:
        return len(self.people)

    def _sample(self, number: int) -> Sample:
        shard, start, image_length, length, check = self.people[number]
        path, field = self.paths[shard], f"person {number}"
        try:
            with path.open("rb") as file:  # anew each time: nothing to close or to share with workers
                file.seek(start)
                content = file.read(length)
        except OSError as error:
            raise InputError(path, field, "a readable shard", error.strerror) from error
        if zlib.crc32(content) != check:
            raise InputError(path, field, "the bytes that were packed", "others")
        try:
            labels = json.loads(content[_filled(image_length) + BLOCK :])
            # What is null becomes NaN here.
            people = np.array(labels["people"], dtype=float).reshape(-1, len(self.skeleton), 3)
            (x, y), side = labels["center"], labels["side"]
            if not np.isin(people[..., 2], (UNLABELLED, OCCLUDED, VISIBLE)).all():
                raise ValueError("a visibility that is not 0, 1 or 2")
            return Sample(
                keypoints=people[0, :, :2].copy(),
                visibility=people[0, :, 2].astype(np.int64),
                crop=Crop((float(x), float(y)), float(side), float(labels["angle"]), bool(labels["mirror"])),
                sizes={name: float(np.float64(value)) for name, value in labels["sizes"].items()},
                others=people[1:],
                id=str(labels["id"]),
                read=partial(_decode, content[:image_length], path, field, self.size),
                area=float(np.float64(labels["area"])),
                path=str(path / str(number)),
            )
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(path, field, "labels that minipose packed", str(error)) from error

    def verify(self) -> None:
        """Read every shard and compare its SHA-256 with the index; `InputError` at the first that differs."""
        for path, shard in zip(self.paths, self.shards, strict=True):
            if hashlib.sha256(path.read_bytes()).hexdigest() != shard["sha256"]:
                raise InputError(path, "sha256", shard["sha256"], "another")


def _decode(jpeg: bytes, path: Path, field: str, size: int) -> np.ndarray:
    image = decode_photo(jpeg, path, field)
    if image.shape[:2] != (2 * size, 2 * size):
        raise InputError(path, field, f"a picture of {2 * size} x {2 * size} px", image.shape[:2])
    return image


def _read_index(path: Path) -> dict[str, Any]:
    """index.json, its fields and places checked."""
    content = read_json(path, "index")
    _check(path, "", content, _FIELDS)
    count = len(content["people"])
    if content["format"] != FORMAT:
        expected = f"{FORMAT}; pack the data again with this minipose"
        raise InputError(path, "format", expected, content["format"])
    for name, most in (("size", _LARGEST), ("threshold", 1000.0)):
        if not 0 < content[name] <= most:
            raise InputError(path, name, f"a number > 0, at most {most}", content[name])
    rulers = content.get("rulers", {})
    if not (isinstance(rulers, dict) and all(isinstance(text, str) for text in rulers.values())):
        raise InputError(path, "rulers", "texts by name", rulers)
    choices = {"skeleton": SKELETONS, "normalizer": _NORMALIZERS, "count": [count]}
    for name, known in choices.items():
        if content[name] not in known:
            raise InputError(path, name, " or ".join(str(value) for value in known), content[name])
    for number, shard in enumerate(content["shards"]):
        _check(path, f"shards[{number}].", shard, _SHARD_FIELDS)
    for number, place in enumerate(content["people"]):
        # Shard, first byte, length of the JPEG, length up to the end of the labels, CRC-32 of all that.
        if not (
            isinstance(place, list) and [type(value) for value in place] == [int] * 5 and min(place) >= 0
        ):
            raise InputError(path, f"people[{number}]", "five whole numbers >= 0", place)
        shard, start, image_length, length, _ = place
        end = content["shards"][shard]["bytes"] if shard < len(content["shards"]) else 0
        if not (image_length < length and start + length <= end):
            raise InputError(path, f"people[{number}]", "a place inside a shard", place)
    return content


def _check(path: Path, where: str, record: Any, fields: dict[str, type]) -> None:
    for name, kind in fields.items():
        if not isinstance(record, dict) or type(record.get(name)) is not kind:
            raise InputError(path, where + name, f"a field of this name, {kind.__name__}")
