"""Files made to harm: bombs, absurd dimensions, code in pickles, names that lead out of a folder.

Each is at most 1 MiB and has to be refused. What once got through stands here under its own name.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soak import healthy

MARK = "executed"  # the file that code out of a pickle would make, in the working folder


class Touch:
    """A pickle that makes a file as soon as it is read."""

    def __reduce__(self):
        return os.mkdir, (MARK,)


@dataclass(frozen=True)
class Bomb:
    """A name, the kind of file that it pretends to be, and its bytes."""

    name: str
    kind: str
    data: bytes


def stream(block: bytes, times: int, gzipped: bool = False) -> bytes:
    """What zlib or gzip would make of the block, so many times over, in the time of one."""
    packer = zlib.compressobj(9, wbits=-15)
    body = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)) * times + packer.flush()
    check, add = (0, zlib.crc32) if gzipped else (1, zlib.adler32)
    for _ in range(times):
        check = add(block, check)
    if gzipped:
        head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
        return head + body + struct.pack("<II", check, len(block) * times % 2**32)
    return b"\x78\xda" + body + struct.pack(">I", check)


def png(width: int, height: int, rows: int) -> bytes:
    """A black PNG of one bit a pixel, of which so many rows are there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = bytes(1 + (width + 7) // 8)
    body = stream(row * 250, rows // 250) if rows >= 250 else zlib.compress(row * rows)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def made(make: Callable[[Path], None], file: str, folder: Path) -> bytes:
    make(folder)
    return (folder / file).read_bytes()


def jpeg(data: bytes) -> bytes:
    """Another height and width in the frame header, which lies behind the mark FF C0."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 65500, 65500) + data[at + 4 :]


def photos(folder: Path) -> Any:
    jpg = made(healthy.PHOTOS["photo.jpg"], "photo.jpg", folder)
    tiff = made(healthy.PHOTOS["photo.tiff"], "photo.tiff", folder)
    bmp = made(healthy.PHOTOS["photo.bmp"], "photo.bmp", folder)
    gif = made(healthy.PHOTOS["photo.gif"], "photo.gif", folder)
    yield Bomb("a PNG of 900 million pixels", "photo.png", png(30_000, 30_000, 30_000))
    yield Bomb("a PNG that says 4 billion pixels", "photo.png", png(65_535, 65_535, 1))
    yield Bomb("a PNG of 2 billion pixels in a row", "photo.png", png(2**31 - 1, 1, 1)[:100_000])
    yield Bomb("a JPEG that says 4 billion pixels", "photo.jpg", jpeg(jpg))
    yield Bomb(
        "a BMP that says 10 billion pixels",
        "photo.bmp",
        bmp[:18] + struct.pack("<ii", 100_000, 100_000) + bmp[26:],
    )
    yield Bomb(
        "a GIF that says 4 billion pixels", "photo.gif", gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:]
    )
    yield Bomb("a PPM that says 10 billion pixels", "photo.ppm", b"P6 100000 100000 255\n" + bytes(1000))
    yield Bomb("a TIFF cut in its tags", "photo.tiff", tiff[: len(tiff) - 40])
    other = made(lambda place: healthy.photo(place / "photo.jp2"), "photo.jp2", folder)
    yield Bomb("a JPEG 2000, of a kind that is not read", "photo.png", other)
    yield Bomb("an empty photo", "photo.jpg", b"")
    yield Bomb(
        "a picture of a kind that hides its size",
        "photo.png",
        b"#?RADIANCE\n\n-Y 60000 +X 60000\n" + bytes(99),
    )


def code(folder: Path) -> Any:
    plain = pickle.dumps(Touch(), protocol=2)
    np.savez(buffer := io.BytesIO(), joints=np.array([Touch()], dtype=object))
    npz = buffer.getvalue()
    np.save(buffer := io.BytesIO(), np.array([Touch()], dtype=object))
    npy = buffer.getvalue()
    torch.save({"format": 1, "weights": Touch()}, buffer := io.BytesIO())
    archive = buffer.getvalue()
    torch.save(Touch(), buffer := io.BytesIO(), _use_new_zipfile_serialization=False)
    for kind in healthy.KINDS:
        yield Bomb(f"a pickle as {kind}", kind, plain)
    for kind in (
        "lspet.mat, plain",
        "flic.mat, plain",
        "mpii.mat, plain",
        "weights",
        "checkpoint",
        "imagenet",
        "photo.png",
    ):
        yield Bomb(f"an .npz with a pickle as {kind}", kind, npz)
        yield Bomb(f"an .npy with a pickle as {kind}", kind, npy)
        yield Bomb(f"PyTorch's archive with a pickle as {kind}", kind, archive)
        yield Bomb(f"PyTorch's old format with a pickle as {kind}", kind, buffer.getvalue())


def matlab(folder: Path) -> Any:
    """Well-formed files with harmful content: SciPy parses them, and trusts what the format says."""
    many = healthy.release()
    crowd = many["RELEASE"]["annolist"][0]["annorect"]
    crowd[0]["annopoints"] = {"point": [{"x": 3.0, "y": 4.0, "id": 16.0}]}
    many["RELEASE"]["annolist"][0]["annorect"] = crowd[1:] * 3000 + crowd[:1]
    yield Bomb(
        "a crowd of 3,000 with somebody of a joint too many", "mpii.mat, packed", healthy.mat(many, True)
    )
    for name in ("../outside.png", "/etc/hostname", "../../images/../outside.png"):
        content = healthy.flic()
        content["examples"][0]["filepath"] = name
        yield Bomb(f"FLIC names {name}", "flic.mat, plain", healthy.mat(content, False))
        other = healthy.release()
        other["RELEASE"]["annolist"][0]["image"]["name"] = name
        yield Bomb(f"MPII's release names {name}", "mpii.mat, plain", healthy.mat(other, False))


def named(name: str) -> Any:
    """Whoever reads a photo of this name."""
    content = healthy.coco()
    content["images"][0]["file_name"] = name
    yield Bomb(f"COCO names {name[:40]!a}", "coco.json", json.dumps(content).encode())
    records = healthy.mpii()
    records[0]["img_paths"] = name
    yield Bomb(f"MPII names {name[:40]!a}", "mpii.json", json.dumps(records).encode())


def texts(folder: Path) -> Any:
    leaving = ["../outside.png", "/etc/hostname", "images/../../outside.png"]
    for name in [*leaving, "a\0b", "\ud800.png", "x" * 100_000, "", ".", "\x1b[2J", "a/" * 3000]:
        yield from named(name)
    spaces = stream(b" " * (1 << 20), 1 << 10, gzipped=True)
    yield Bomb("a gzipped list of a GiB", "mpii.json.gz", spaces)
    empty = gzip.compress(b"[", mtime=0) + stream(b"{}," * 400_000, 100, gzipped=True)
    yield Bomb("a gzipped list of 40 million records", "mpii.json.gz", empty + gzip.compress(b"{}]", mtime=0))
    deep = b"[" * 500_000 + b"]" * 500_000
    for kind in ("coco.json", "mpii.json", "labels.json", "record.json"):
        yield Bomb(f"half a million brackets as {kind}", kind, deep)
        yield Bomb(f"900 brackets as {kind}", kind, deep[499_100:500_900])
        yield Bomb(f"a number of 5,000 digits as {kind}", kind, b"9" * 5000)
        yield Bomb(f"a text of the wrong encoding as {kind}", kind, "é".encode("latin-1"))
    content = json.loads(made(healthy.record, "stages-cpu.json", folder))
    content["results"] = deepest = {}
    for _ in range(900):
        deepest["a"] = deepest = {}
    deepest["a"] = 1
    yield Bomb("a record 900 levels deep", "record.json", json.dumps(content).encode())
    for digits in ("1e400", "-1e400", "1" + "0" * 400):
        text = json.dumps(healthy.coco()).replace("20.0", digits, 1)
        yield Bomb(f"COCO with a box of {digits[:8]}", "coco.json", text.encode())
    yield Bomb("a history with a NUL", "history.csv", b"epoch,loss\n1,\0\n")
    yield Bomb("a history with a field of 200,000 signs", "history.csv", b"epoch,loss\n1," + b"9" * 200_000)


def archives(folder: Path) -> Any:
    whole = made(healthy.weights, "w.safetensors", folder)
    (size,) = struct.unpack_from("<Q", whole)
    header = json.loads(whole[8 : 8 + size])
    for change in (
        {"arguments": json.dumps({"depth": 9000})}, {"arguments": "[" * 100_000},
        {"size": str(2**40)}, {"size": "9" * 5000}, {"format": "2"},
        {"network": "ConvolutionalPoseMachine", "arguments": json.dumps({"kernel": 9999, "features": 9999})},
        {"network": "PartHeatmapRegression", "arguments": json.dumps({"backbone": "vgg16"})},
    ):  # fmt: skip
        new = json.dumps(header | {"__metadata__": header["__metadata__"] | change}).encode()
        told = ", ".join(f"{name} {value[:40]}" for name, value in change.items())
        yield Bomb(f"weights with {told}", "weights", struct.pack("<Q", len(new)) + new + whole[8 + size :])
    yield Bomb("weights with a header of 2^63 bytes", "weights", struct.pack("<Q", 2**63) + whole[8:])
    saved = made(healthy.checkpoint, "checkpoint.pt", folder)
    content = torch.load(io.BytesIO(saved), weights_only=True)

    def checkpoint(name: str, **changes: Any) -> Bomb:
        torch.save(content | changes, buffer := io.BytesIO())
        return Bomb(name, "checkpoint", buffer.getvalue())

    laughs: list = ["ha"]
    for _ in range(40):
        laughs = [laughs, laughs]
    yield checkpoint("a checkpoint whose settings hold 2^40 laughs", settings={"batch_size": laughs})
    yield checkpoint("a checkpoint whose history holds 2^40 laughs", history=laughs)
    wide = {name: torch.zeros(1).expand(2**40) for name in content["weights"]}
    yield checkpoint("a checkpoint of one number, repeated 2^40 times", weights=wide)
    state = content["optimizer"]["state"]
    spread = {k: {name: torch.zeros(1).expand(2**33) for name in each} for k, each in state.items()}
    yield checkpoint(
        "an optimizer of one number, repeated", optimizer=content["optimizer"] | {"state": spread}
    )
    yield checkpoint(
        "an optimizer of another network", optimizer=content["optimizer"] | {"state": {0: {"step": 1}}}
    )
    yield checkpoint("a checkpoint of format 2", format=2)
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    largest = max(members, key=lambda name: len(members[name]) if "/data/" in name else 0)
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if name != largest:
                archive.writestr(name, data)
        with archive.open(largest, "w") as member:
            for _ in range(900):
                member.write(bytes(1 << 20))
    yield Bomb("a checkpoint that unpacks to a GiB", "checkpoint", buffer.getvalue())
    yield Bomb("the same as ImageNet's weights", "imagenet", buffer.getvalue())
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr(zipfile.ZipInfo("val/é.txt"), "x")
    spoiled = buffer.getvalue().replace("é".encode(), b"\x86\x86")  # the fuzzer found this one
    yield Bomb("a zip with a name that is no UTF-8", "archive.zip", spoiled)


def bombs(folder: Path) -> list[Bomb]:
    """All of them; `folder` is for the healthy files that some are made of."""
    every = (bomb for group in (photos, code, matlab, texts, archives) for bomb in group(folder))
    return [bomb for bomb in every if bomb.kind in healthy.KINDS]
