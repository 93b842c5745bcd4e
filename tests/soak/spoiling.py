"""Ways to spoil a file: its bytes, and what stands in it, so that the spoiled file is still well formed."""

from __future__ import annotations

import copy
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import torch

from soak import healthy

# Written into JSON where json.dumps has no word for it.
DEEP = "@deep@"
VALUES: list[Any] = [
    None, True, 0, -1, 3, 0.5, 2**31, 2**63, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", "a",
    "\0", "\ud800", "\x1b[2J\n", "../outside.png", "../../outside.png", "/etc/passwd", "x" * 5000, [], {},
    [[]], {"a": 1}, [0] * 5000, DEEP,
]  # fmt: skip
LENGTHS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x40000000, 100_000]


def spoil(kind: healthy.Kind, data: bytes, random: Random) -> bytes:
    """The file's bytes, changed at random: by structure where the kind has one, else anywhere."""
    structured = STRUCTURED.get(kind.name)
    if kind.name in TRUSTED and structured is not None:
        return cut(data, random) if random.random() < 0.2 else structured(data, random)
    if structured is not None and random.random() < 0.5:
        return structured(data, random)
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(WAYS)(data, random)
    return data


# Anywhere


def flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def remove(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.randrange(1, 200) :]


def repeat(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    end = start + random.randrange(1, 400)
    return data[:end] + data[start:end] * random.choice((1, 1, 8, 100)) + data[end:]


def splice(data: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    at = random.randrange(len(data) + 1)
    return data[:at] + data[start:end] + data[at + random.choice((0, end - start)) :]


def length(data: bytes, random: Random) -> bytes:
    """A number of 2, 4 or 8 bytes, of which a length or a dimension may be one, near the beginning often."""
    form = random.choice("HIQ")
    size = struct.calcsize(form)
    if len(data) < size:
        return data
    at = random.randrange(min(len(data) - size, random.choice((64, 512, len(data)))) + 1)
    value = (random.choice(LENGTHS) + random.choice((-1, 0, 0, 1))) % 2 ** (8 * size)
    return data[:at] + struct.pack(random.choice("<>") + form, value) + data[at + size :]


WAYS: list[Callable[[bytes, Random], bytes]] = [flip, cut, remove, repeat, splice, length]


# By structure


def change(tree: Any, random: Random) -> Any:
    """A copy of nested lists and dictionaries with one to three places changed."""
    tree = [copy.deepcopy(tree)]
    for _ in range(random.choice((1, 1, 2, 3))):
        places: list[tuple[Any, Any]] = []
        waiting: list[Any] = [tree]
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict | list):
                keys = list(each) if isinstance(each, dict) else range(len(each))
                # Long lists of numbers would be chosen all the time.
                keys = keys if len(keys) < 30 else random.sample(list(keys), 10)
                places += [(each, key) for key in keys]
                waiting += [each[key] for key in keys]
        holder, key = random.choice(places[1:] or places)
        what = random.randrange(6)
        if what == 0 and holder is not tree:
            del holder[key]
        elif what == 1 and isinstance(holder[key], int | float):
            factor = random.choice((-1, 0, 1e3, 1e9, 1e300))
            holder[key] = holder[key] * (factor if abs(holder[key]) < 2**1000 else -1)
        elif what == 2 and isinstance(holder, list):
            holder[key:key] = [copy.deepcopy(holder[key])] * random.choice((1, 5, 300))
        elif what == 3:
            other, name = random.choice(places)
            holder[key] = copy.deepcopy(other[name])
        else:
            holder[key] = copy.deepcopy(random.choice(VALUES))  # which a later change may be in
    return tree[0] if tree else None


def text(tree: Any) -> str:
    deep = "[" * 100_000 + "]" * 100_000
    return json.dumps(tree).replace(f'"{DEEP}"', deep)


def in_json(data: bytes, random: Random) -> bytes:
    return text(change(json.loads(data), random)).encode()


def in_gzip(data: bytes, random: Random) -> bytes:
    return gzip.compress(in_json(gzip.decompress(data), random), 1, mtime=0)


def in_matlab(content: dict[str, Any]):
    """A well-formed file of another content."""

    def spoiled(data: bytes, random: Random) -> bytes:
        for _ in range(10):
            try:
                return healthy.mat(change(content, random), bool(random.randrange(2)))
            except Exception:  # savemat has no form for it
                continue
        return data

    return spoiled


def in_png(data: bytes, random: Random) -> bytes:
    """Chunks spoiled, their checksums right."""
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    number = random.randrange(len(chunks))
    kind, content = chunks[number]
    chunks[number] = kind, random.choice((flip, length, cut, repeat))(content, random)
    whole = data[:8]
    for kind, content in chunks:
        whole += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    return whole


def in_safetensors(data: bytes, random: Random) -> bytes:
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    own = dict(header["__metadata__"])
    arguments = own.pop("arguments")  # a network of any size is built as it is asked for
    if random.random() < 0.5:
        plain = {name: json.loads(value) for name, value in own.items() if value.startswith("{")}
        changed = change(own | plain, random)
        if isinstance(changed, dict):
            header["__metadata__"] = {
                str(k): v if isinstance(v, str) and v != DEEP else text(v) for k, v in changed.items()
            } | {"arguments": arguments}
    else:
        header = change({k: v for k, v in header.items() if k != "__metadata__"}, random)
        if isinstance(header, dict):
            header["__metadata__"] = own | {"arguments": arguments}
    new = text(header).encode()
    return struct.pack("<Q", len(new)) + new + data[8 + size :]


def in_archive(data: bytes, random: Random) -> bytes:
    """A PyTorch archive whose pickle, or whose content, is spoiled; its checksums are right."""
    if random.random() < 0.3:
        content = torch.load(io.BytesIO(data), weights_only=True)
        torch.save(change(content, random), buffer := io.BytesIO())
        return buffer.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = random.choice([name for name in members if name.endswith("data.pkl")] * 3 + list(members))
    for _ in range(random.choice((1, 1, 2, 4))):
        members[name] = random.choice(WAYS)(members[name], random)
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# SciPy trusts the lengths in its files, and a network is as large as its weights' header says.
TRUSTED = {
    *("lspet.mat, packed", "lspet.mat, plain", "flic.mat, packed", "flic.mat, plain", "lsp.mat"),
    *("mpii.mat, packed", "mpii.mat, plain", "weights", "weights, own joints"),
}
STRUCTURED: dict[str, Callable[[bytes, Random], bytes]] = {
    **dict.fromkeys(("lspet.mat, packed", "lspet.mat, plain"), in_matlab(healthy.leeds("lspet"))),
    **dict.fromkeys(("flic.mat, packed", "flic.mat, plain"), in_matlab(healthy.flic())),
    **dict.fromkeys(("mpii.mat, packed", "mpii.mat, plain"), in_matlab(healthy.release())),
    "lsp.mat": in_matlab(healthy.leeds("lsp")),
    "photo.png": in_png,
    "mpii.json.gz": in_gzip,
    **dict.fromkeys(("mpii.json", "coco.json", "labels.json", "record.json"), in_json),
    **dict.fromkeys(("weights", "weights, own joints"), in_safetensors),
    "checkpoint": in_archive,
    "imagenet": in_archive,
}
