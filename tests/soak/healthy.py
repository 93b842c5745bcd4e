"""Healthy files of every kind that the package reads, each with the reader that a user would call.

`soak.hostile` spoils them. All are small, and the same at every call.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.io import savemat

import minipose
from minipose import StackedHourglass
from minipose.data import COCO, FLIC, LSP, LSPET, MPII
from minipose.data.downloads import unpack
from minipose.data.sample import PoseDataset
from minipose.io import checkpoints
from minipose.io.images import read_photo
from minipose.models.backbones import ResNet, load_imagenet
from minipose.optimization import build_optimizer
from minipose.runs import read_history, save_history
from minipose.skeletons import COCO as SKELETON
from minipose.skeletons import Skeleton
from minipose_book.experiments import records
from minipose_book.labelling import Labels

OUTSIDE = (5, 7)  # height and width of a photo that lies outside of every folder of photos


@dataclass(frozen=True)
class Kind:
    """A kind of file: `make` writes a folder with it, `read` does with that folder what a user does.

    file : the one that is spoiled, within the folder.
    """

    name: str
    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def photo(path: Path, height: int = 24, width: int = 32, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(height, width)).save(path, **options)


def turned(path: Path) -> None:
    """A progressive JPEG that its EXIF data turns."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(path, exif=exif, progressive=True)


def photos(folder: Path, names: list[str]) -> None:
    for name in names:
        photo(folder / name)
    photo(folder.parent / "outside.png", *OUTSIDE)


def whole(dataset: PoseDataset) -> None:
    """Every label of a data set, and its first photos."""
    for number in range(len(dataset)):
        sample = dataset[number]
        if number < 3 and sample.image.shape[:2] == OUTSIDE:
            raise AssertionError(f"the photo {sample.path} lies outside of its folder")


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(2, 20, shape).round(1)


# MATLAB files. What stands in them as plain lists and dictionaries, for `soak.spoiling` to change.


def leeds(layout: str) -> dict[str, Any]:
    joints = numbers(14, 3, 4) if layout == "lspet" else numbers(3, 14, 4)
    joints[(slice(None), 2) if layout == "lspet" else 2] = 1.0
    return {"joints": joints.tolist()}


def flic() -> dict[str, Any]:
    person = {
        "coords": numbers(2, 29).tolist(), "filepath": "a.png", "imgdims": [24.0, 32.0, 3.0],
        "torsobox": [3.0, 4.0, 15.0, 20.0], "istrain": 1.0, "istest": 0.0,
    }  # fmt: skip
    return {"examples": [person, person | {"filepath": "b.png"}]}


def release() -> dict[str, Any]:
    points = [{"x": 3.0 + j, "y": 5.0 + j, "id": float(j), "is_visible": 1.0} for j in range(16)]
    person = {
        "x1": 1.0, "y1": 2.0, "x2": 4.0, "y2": 6.0, "annopoints": {"point": points}, "scale": 0.1,
        "objpos": {"x": 12.0, "y": 13.0},
    }  # fmt: skip
    crowd = [{"image": {"name": name}, "annorect": [person, person]} for name in ("a.png", "b.png")]
    return {"RELEASE": {"annolist": crowd, "img_train": [1.0, 1.0]}}


def matlab(value: Any) -> Any:
    """Plain data as savemat takes it: a list of equal dictionaries is a structure array."""
    if isinstance(value, dict):
        return {name: matlab(each) for name, each in value.items()}
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        return value
    array = np.empty(len(value), dtype=[(name, object) for name in value[0]])
    for number, each in enumerate(value):
        array[number] = tuple(matlab(each.get(name)) for name in value[0])
    return array


def mat(content: Any, compressed: bool) -> bytes:
    savemat(buffer := io.BytesIO(), {k: matlab(v) for k, v in content.items()}, do_compression=compressed)
    return buffer.getvalue()


def write_mat(file: str, content: dict[str, Any], names: list[str], compressed: bool):
    def make(folder: Path) -> None:
        photos(folder / "images", names)
        (folder / file).write_bytes(mat(content, compressed))

    return make


# JSON


def coco(skeleton: list[str] | None = None) -> dict[str, Any]:
    keypoints = [value for j in range(17) for value in (3.0 + j, 4.0 + j, 2)]
    person = {
        "image_id": 1, "bbox": [2.0, 2.0, 20.0, 20.0], "keypoints": keypoints, "area": 300.0,
        "iscrowd": 0, "category_id": 1, "num_keypoints": 17,
    }  # fmt: skip
    return {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 32, "height": 24} for n in (1, 2)],
        "annotations": [{"id": 7} | person, {"id": 8} | person | {"image_id": 2}],
        "categories": [{"id": 1, "name": "person", "keypoints": skeleton or list(SKELETON.joints)}],
    }


def mpii() -> list[dict[str, Any]]:
    joints = [[3.0 + j, 5.0 + j, 1.0] for j in range(16)]
    record = {
        "img_paths": "a.png", "objpos": [12.0, 13.0], "scale_provided": 0.1, "joint_self": joints,
        "joint_others": [joints], "isValidation": 0.0,
    }  # fmt: skip
    return [record, record | {"img_paths": "b.png", "joint_others": []}]


def labels() -> dict[str, Any]:
    content = coco()
    return content | {"images": [photo | {"answered": 17} for photo in content["images"]]}


def write_json(file: str, content: Any, names: list[str]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        photos(folder / "images", names)
        data = json.dumps(content).encode()
        (folder / file).write_bytes(gzip.compress(data, mtime=0) if file.endswith(".gz") else data)

    return make


def record(folder: Path) -> None:
    records.write(
        records.Record(
            "stages", "cpu", {"size": 64}, [0, 1], "0" * 12, "a processor",
            dict.fromkeys(records.VERSIONS, "1"),
            "2026-01-01", 1.5, {"loss": {"step": [1, 2], "loss": [0.5, 0.25]}}, {"pck": {"a": 0.5}},
            {"says": "more is better"}, "more is better",
        ), folder,
    )  # fmt: skip


# Networks


def network() -> StackedHourglass:
    torch.manual_seed(0)
    made = StackedHourglass(joints=16, stacks=1, features=8, depth=1)
    made.skeleton, made.size = minipose.skeletons.MPII, 32
    return made


def weights(folder: Path) -> None:
    checkpoints.save_weights(network(), folder / "w.safetensors")


def own_weights(folder: Path) -> None:
    """Of joints that the package does not know: the file's header describes them."""
    made = network()
    made.skeleton = Skeleton("hand", tuple(f"joint {n}" for n in range(16)), ((0, 1),), (0, 1), (0.1,) * 16)
    checkpoints.save_weights(made, folder / "w.safetensors")


def checkpoint(folder: Path) -> None:
    trained = network()
    optimizer = build_optimizer(trained, "rmsprop", 1e-3)
    optimizer.zero_grad()
    trained(torch.zeros(1, 3, 32, 32))[0].sum().backward()
    optimizer.step()
    state = {"optimizer": optimizer.state_dict(), "history": [{"epoch": 1, "loss": 0.5}]}
    checkpoints.save_checkpoint(folder / "checkpoint.pt", trained, {"batch_size": 6}, **state)


def resume(folder: Path) -> None:
    fresh = network()
    path = folder / "checkpoint.pt"
    state = checkpoints.load_checkpoint(path, fresh, {"batch_size": 6})
    checkpoints.load_optimizer(build_optimizer(fresh, "rmsprop", 1e-3), state["optimizer"], path)


def backbone() -> ResNet:
    torch.manual_seed(0)
    return ResNet((1, 1, 1, 1), width=2)


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("val/a.txt"), "hello " * 50)
        archive.writestr(zipfile.ZipInfo("val/b/c.txt"), "hello")


def extract(folder: Path) -> None:
    unpack(folder / "a.zip", "val/", folder / "out")
    if not all(path.is_relative_to(folder / "out") for path in folder.rglob("*.txt")):
        raise AssertionError("a file outside of the target")


PHOTOS: dict[str, Callable[[Path], None]] = {
    "photo.jpg": lambda folder: photo(folder / "photo.jpg", quality=80),
    "turned.jpg": lambda folder: turned(folder / "turned.jpg"),
    "photo.png": lambda folder: photo(folder / "photo.png"),
    "photo.webp": lambda folder: photo(folder / "photo.webp"),
    "photo.tiff": lambda folder: photo(folder / "photo.tiff"),
    "packed.tiff": lambda folder: photo(folder / "packed.tiff", compression="tiff_lzw"),
    "photo.bmp": lambda folder: photo(folder / "photo.bmp"),
    "photo.gif": lambda folder: photo(folder / "photo.gif"),
    "photo.ppm": lambda folder: photo(folder / "photo.ppm"),
}
READS_GIF = bool(re.search(r"GIF: +YES", cv2.getBuildInformation()))  # OpenCV 4.11 does not
LSPET_PHOTOS = [f"im{n:05d}.jpg" for n in range(1, 5)]
LSP_PHOTOS = [f"im{n:04d}.jpg" for n in range(1, 5)]
PAIR = ["a.png", "b.png"]


def kinds() -> Iterator[Kind]:
    for name, make in PHOTOS.items():
        if name == "photo.gif" and not READS_GIF:
            continue
        yield Kind(name, name, make, lambda folder, name=name: read_photo(folder / name))
    # MATLAB packs its files unless it is told otherwise; SciPy's own do not.
    for packed_, what in ((True, "packed"), (False, "plain")):
        make = write_mat("joints.mat", leeds("lspet"), LSPET_PHOTOS, packed_)
        yield Kind(f"lspet.mat, {what}", "joints.mat", make, lambda folder: whole(LSPET(folder)))
        make = write_mat("examples.mat", flic(), PAIR, packed_)
        yield Kind(f"flic.mat, {what}", "examples.mat", make, lambda folder: whole(FLIC(folder)))
        make = write_mat("release.mat", release(), PAIR, packed_)
        read = lambda folder: whole(MPII(folder / "release.mat", folder / "images"))  # noqa: E731
        yield Kind(f"mpii.mat, {what}", "release.mat", make, read)
    make = write_mat("joints.mat", leeds("lsp"), LSP_PHOTOS, True)
    yield Kind("lsp.mat", "joints.mat", make, lambda folder: whole(LSP(folder)))
    for name in ("mpii.json", "mpii.json.gz"):
        make = write_json(name, mpii(), PAIR)
        yield Kind(name, name, make, lambda folder, name=name: whole(MPII(folder / name, folder / "images")))
    make = write_json("coco.json", coco(), ["1.png", "2.png"])
    yield Kind(
        "coco.json", "coco.json", make, lambda folder: whole(COCO(folder / "coco.json", folder / "images"))
    )
    make = write_json("labels.json", labels(), ["1.png", "2.png"])
    yield Kind(
        "labels.json", "labels.json", make, lambda folder: Labels(folder / "images", folder / "labels.json")
    )
    yield Kind("record.json", "stages-cpu.json", record, lambda folder: records.read("stages", "cpu", folder))
    rows = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.25}]
    make = lambda folder: save_history(rows, folder / "history.csv")  # noqa: E731
    yield Kind("history.csv", "history.csv", make, lambda folder: read_history(folder / "history.csv"))
    yield Kind("weights", "w.safetensors", weights, lambda folder: minipose.load(folder / "w.safetensors"))
    read = lambda folder: minipose.load(folder / "w.safetensors")  # noqa: E731
    yield Kind("weights, own joints", "w.safetensors", own_weights, read)
    yield Kind("checkpoint", "checkpoint.pt", checkpoint, resume)
    for old in (True, False):
        name = "imagenet, old" if old else "imagenet"
        make = lambda folder, old=old: torch.save(  # noqa: E731
            backbone().state_dict(), folder / "imagenet.pth", _use_new_zipfile_serialization=not old
        )
        yield Kind(
            name, "imagenet.pth", make, lambda folder: load_imagenet(backbone(), folder / "imagenet.pth")
        )
    yield Kind("archive.zip", "a.zip", zipped, extract)


KINDS = {kind.name: kind for kind in kinds()}
