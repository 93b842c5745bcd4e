"""MATLAB's files, versions 5 to 7: numbers, texts, cells and structures, and nothing else.

SciPy reads these files too, and follows lengths in a damaged one out of its memory. Here every length is
held against the bytes that are there.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from minipose.data.formats.files import inflated
from minipose.io.errors import InputError

_HEADER = 128  # bytes; the last two tell the order of bytes: IM is little-endian
_TEXT_TYPES = {16: "utf-8", 17: "utf-16", 18: "utf-32", 4: "utf-16", 2: "latin-1"}
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL, _STRUCTURE, _TEXT = 1, 2, 4
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX, _DEEPEST = 0x0800, 40
_NOTHING = np.empty((0, 0))


def read_mat(path: Path, field: str) -> dict[str, np.ndarray]:
    """The variables of a .mat file by name.

    Numbers are arrays of MATLAB's type and shape, a text is an array of rows, cells are an array of
    objects, and structures an array with a field of objects for each of theirs. Raises `InputError` where
    the file is damaged, of another version, or unpacks to more than it can reasonably hold.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(path, field, "a readable file", error.strerror) from error
    if len(data) < _HEADER or data[124:128] not in (b"\0\1IM", b"\1\0MI"):
        raise InputError(path, field, "a whole MATLAB file of version 5 to 7")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        outer = list(_Elements(data, _HEADER, len(data), order))
        packed = [data[start:end] for kind, start, end in outer if kind == _COMPRESSED]
        whole = inflated(packed, path, field)
        inner = _Elements(whole, 0, len(whole), order)
        plain = [_matrix(data, start, end, order, 0) for kind, start, end in outer if kind == _MATRIX]
        unpacked = [_matrix(whole, start, end, order, 0) for kind, start, end in inner if kind == _MATRIX]
    except (ValueError, IndexError, struct.error, TypeError, StopIteration) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, field, "a whole MATLAB file of version 5 to 7", error) from error
    return dict(plain + unpacked)


class _Elements:
    """The elements that lie from `start` to `end`: kind, first byte, and the byte behind the last."""

    def __init__(self, data: bytes, start: int, end: int, order: str):
        self.data, self.at, self.end = data, start, end
        self.pair, self.short = struct.Struct(f"{order}II"), order

    def __iter__(self) -> _Elements:
        return self

    def __next__(self) -> tuple[int, int, int]:
        at = self.at
        if at >= self.end:
            raise StopIteration
        if at + 8 > self.end:
            raise ValueError("an element that is cut off")
        kind, length = self.pair.unpack_from(self.data, at)
        if kind >> 16:  # up to four bytes stand where the length does
            kind, length, first = kind & 0xFFFF, kind >> 16, at + 4
            self.at = at + 8
            if length > 4:
                raise ValueError("an element that is cut off")
            return kind, first, first + length
        first = at + 8
        if first + length > self.end:
            raise ValueError("an element that is cut off")
        # All but compressed ones are filled up to eight bytes; the last may not be.
        self.at = first + (length if kind == _COMPRESSED else -(-length // 8) * 8)
        return kind, first, first + length


def _matrix(data: bytes, start: int, end: int, order: str, level: int) -> tuple[str, np.ndarray]:
    """Name and value of a matrix."""
    if start == end:
        return "", _NOTHING
    if level > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} levels")
    elements = _Elements(data, start, end, order)
    _, at, _ = next(elements, (0, end, end))
    (flags,) = struct.unpack_from(f"{order}I", data, at)
    kind = flags & 0xFF
    shape = tuple(int(n) for n in _numbers(data, next(elements), order))
    _, first, last = next(elements)
    name = data[first:last].decode("latin-1")
    count = math.prod(shape)
    # Every cell takes at least eight bytes, a number or a letter one.
    if not 2 <= len(shape) <= 16 or min(shape) < 0 or count > end - start:
        raise ValueError(f"dimensions {shape[:16]}")
    if kind == _CELL:
        return name, _cells(data, elements, count, order, level).reshape(shape, order="F")
    if kind == _STRUCTURE:
        (length,) = _numbers(data, next(elements), order)
        _, first, last = next(elements)
        if not 0 < length <= 256:
            raise ValueError("names of fields")
        cut = range(first, last - int(length) + 1, int(length))
        fields = [data[at : at + int(length)].split(b"\0")[0].decode("latin-1") for at in cut]
        if not fields:
            return name, np.empty(0)
        rows = _cells(data, elements, count * len(fields), order, level).reshape(count, len(fields))
        found = np.empty(count, dtype=[(field, object) for field in fields])
        for number, row in enumerate(rows):
            found[number] = tuple(row)
        return name, found.reshape(shape, order="F")
    if kind == _TEXT:
        return name, _text(data, next(elements), shape, order)
    if kind not in _CLASSES or flags & _COMPLEX:
        raise ValueError(f"a variable of class {kind}, which is no number, text, cell or structure")
    values = _numbers(data, next(elements, (9, end, end)), order)
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers for dimensions {shape}")
    return name, values.astype(_CLASSES[kind]).reshape(shape, order="F")


def _numbers(data: bytes, element: tuple[int, int, int], order: str) -> np.ndarray:
    kind, first, last = element
    if kind not in _NUMBERS:
        raise ValueError(f"numbers of type {kind}")
    return np.frombuffer(data[first:last], order + _NUMBERS[kind])


def _cells(data: bytes, elements: _Elements, count: int, order: str, level: int) -> np.ndarray:
    """The next so many matrices."""
    if 8 * count > elements.end - elements.at:
        raise ValueError("fewer cells than the dimensions say")
    found = np.empty(count, dtype=object)
    for number in range(count):
        kind, first, last = next(elements)
        if kind != _MATRIX:
            raise ValueError("a cell that is no matrix")
        found[number] = _matrix(data, first, last, order, level + 1)[1]
    return found


def _text(data: bytes, element: tuple[int, int, int], shape: tuple[int, ...], order: str) -> np.ndarray:
    """An array of rows; MATLAB stores their letters column by column."""
    kind, first, last = element
    if kind not in _TEXT_TYPES or len(shape) != 2:
        raise ValueError("a text of another form")
    encoding = _TEXT_TYPES[kind]
    ending = "" if encoding in ("utf-8", "latin-1") else ("-le" if order == "<" else "-be")
    letters = data[first:last].decode(encoding + ending)
    if len(letters) != math.prod(shape):
        raise ValueError(f"{len(letters)} letters for dimensions {shape}")
    rows = [letters[number :: shape[0]] for number in range(shape[0])]
    return np.array(rows) if letters else np.empty(0, dtype="U1")
