"""Records: what an experiment measured, where, when and with which code, as one JSON file each.

Every measured number in the book is read from one of these. A record without its device, seeds or
versions is refused, when it is written and when it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from dataclasses import asdict, dataclass
from datetime import date as calendar
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy
import torch

import minipose
from minipose.data.formats.files import read_json
from minipose.io.checkpoints import atomic
from minipose.io.errors import InputError

FORMAT = 1
_DEEPEST = 100  # levels of fields in fields
SCALES = ("cpu", "gpu")
VERSIONS = ("minipose", "torch", "numpy", "opencv", "python")
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Record:
    """One experiment's outcome.

    name, scale : which experiment, "cpu" or "gpu". settings : what was held fixed, by name.
    seeds : of weights and order; one a repetition. code : the sources, as `code` hashes them.
    device : in words. versions : of `VERSIONS`. date : YYYY-MM-DD. seconds : of the device, all runs.
    curves : name -> {axis: list of numbers}. results : tables and numbers. paper : what the paper
    says, quoted. verdict : how the two compare, a sentence or two.
    """

    name: str
    scale: str
    settings: dict[str, Any]
    seeds: list[int]
    code: str
    device: str
    versions: dict[str, str]
    date: str
    seconds: float
    curves: dict[str, dict[str, list]]
    results: dict[str, Any]
    paper: dict[str, Any]
    verdict: str
    format: int = FORMAT

    @property
    def where(self) -> str:
        """Device and date, for the caption of whatever is drawn from this record."""
        return f"{self.device}, {self.date}"

    @property
    def learned(self) -> str:
        """On how many people its networks learned, how often, at which size; empty where that is not one."""
        people, epochs, size = (self.settings.get(name) for name in ("people", "epochs", "size"))
        if not (isinstance(people, int) and isinstance(epochs, int) and isinstance(size, int)):
            return ""
        return f"{people:,} people, {epochs} epoch{'s' * (epochs > 1)}, {size} px"


def folder() -> Path:
    """book/results of the checkout that this package runs from, or else of the working directory."""
    beside = PACKAGE.parent / "results"
    return beside if beside.is_dir() else Path("book/results")


def path(name: str, scale: str, where: str | Path | None = None) -> Path:
    """Where the record of an experiment is, or would be."""
    return (Path(where) if where is not None else folder()) / f"{name}-{scale}.json"


def read(name: str, scale: str | None = None, where: str | Path | None = None) -> Record:
    """The record of an experiment; without `scale` the GPU's, if there is one, else the CPU's."""
    places = [path(name, each, where) for each in ((scale,) if scale else ("gpu", "cpu"))]
    for place in places:
        if place.is_file():
            return _read(place)
    raise InputError(
        places[-1], "record", f"a file written by `minipose-book experiment {name}`", "no such file"
    )


def write(record: Record, where: str | Path | None = None) -> Path:
    """Check a record and write it as NAME-SCALE.json."""
    place = path(record.name, record.scale, where)
    content = asdict(record)
    _check(content, place)
    with atomic(place) as partial:
        partial.write_text(_compact(content) + "\n")
    return place


def _read(place: Path) -> Record:
    content = read_json(place, "record", "a whole JSON file")
    _check(content, place)
    return Record(**content | {"settings": _renamed(content["settings"])})


def _renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by today's names: older records say "batch" for `batch_size`."""
    return {
        "batch_size" if name == "batch" else name: _renamed(value) if isinstance(value, dict) else value
        for name, value in settings.items()
    }


def _check(content: Any, place: Path) -> None:
    """Raise `InputError` at the first field that is missing, empty or of another type."""
    types: dict[str, type | tuple[type, ...]] = {
        "format": int, "name": str, "scale": str, "settings": dict, "seeds": list, "code": str,
        "device": str, "versions": dict, "date": str, "seconds": (int, float), "curves": dict,
        "results": dict, "paper": dict, "verdict": str,
    }  # fmt: skip
    if not isinstance(content, dict):
        raise InputError(place, "record", "an object with named fields", type(content).__name__)
    for name, kind in types.items():
        value = content.get(name)
        # Curves may be empty, and the paper silent; a record that does not say who, where and when is none.
        if not isinstance(value, kind) or (name not in ("curves", "paper") and value in ("", [], {})):
            raise InputError(place, name, f"{'a number' if name == 'seconds' else 'its value'}", repr(value))
    if extra := sorted(content.keys() - types.keys()):
        raise InputError(place, extra[0], f"only {', '.join(types)}")
    if content["format"] != FORMAT:
        raise InputError(
            place, "format", f"{FORMAT}; update minipose to read newer records", content["format"]
        )
    if content["scale"] not in SCALES:
        raise InputError(place, "scale", " or ".join(SCALES), content["scale"])
    if not all(isinstance(seed, int) for seed in content["seeds"]):
        raise InputError(place, "seeds", "whole numbers", content["seeds"])
    for name in VERSIONS:
        if not isinstance(content["versions"].get(name), str):
            raise InputError(place, f"versions.{name}", "a version", content["versions"].get(name))
    try:
        calendar.fromisoformat(content["date"])
    except ValueError:
        raise InputError(place, "date", "YYYY-MM-DD", content["date"]) from None
    for name, curve in content["curves"].items():
        if not isinstance(curve, dict) or len({len(v) for v in curve.values() if isinstance(v, list)}) != 1:
            raise InputError(place, f"curves.{name}", "lists of one length, by axis")
    _finite(content, place, "record")


def _finite(value: Any, place: Path, where: str, level: int = 0) -> None:
    """NaN and infinity are not JSON: None says that there is no number."""
    if level > _DEEPEST:
        raise InputError(place, where, f"at most {_DEEPEST} levels")
    if isinstance(value, dict):
        for name, each in value.items():
            _finite(each, place, f"{where}.{name}", level + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            _finite(each, place, where, level + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(place, where, "finite numbers, or null", value)


def _compact(content: dict[str, Any]) -> str:
    """JSON with a line a field, and a line a curve or result: small, and its differences readable."""
    lines = []
    for name, value in content.items():
        if name in ("curves", "results", "settings", "paper") and value:
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f"{json.dumps(name)}: {{\n{inner}}}")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "}"


@cache
def code() -> str:
    """A hash of both packages' Python sources: the same code gives the same twelve digits anywhere."""
    digest = hashlib.sha256()
    for package in (Path(minipose.__file__).parent, PACKAGE):
        for path in sorted(package.rglob("*.py")):
            digest.update(path.relative_to(package.parent).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def versions() -> dict[str, str]:
    """Of what decides about numbers."""
    found = (minipose.__version__, torch.__version__, numpy.__version__, cv2.__version__)
    return dict(zip(VERSIONS, (*map(str, found), platform.python_version()), strict=True))


def describe(device: torch.device) -> str:
    """A device in words: the GPU's name, or all of a processor that decides how sums are rounded.

    "AMD EPYC" names many processors: family and model tell them apart. PyTorch's instruction set and the
    number of threads decide in which order it adds.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{_processor()}, {instructions}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in reversed(lines) if ":" in line)
    name = found.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in found and "model" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name
