"""MATLAB files (version 5, and the older 4), read by SciPy after a look at their size."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

from minipose.data.files import inflated
from minipose.errors import InputError

_HEADER = 128  # bytes, the last two of which tell the order of bytes: IM is little-endian
_COMPRESSED = 15


def read_mat(path: Path, field: str, **options: Any) -> dict[str, Any]:
    """The variables of a .mat file by name; `options` are those of `scipy.io.loadmat`.

    Raises `InputError` where the file is damaged, or unpacks to more than it can reasonably hold.
    """
    from scipy.io import loadmat

    try:
        data = _unpacked(path.read_bytes(), path, field)
    except OSError as error:
        raise InputError(path, field, "a readable file", error.strerror) from error
    try:
        return loadmat(io.BytesIO(data), **options)
    except Exception as error:  # scipy raises whatever the damage happens to cause
        raise InputError(path, field, "a whole MATLAB file", type(error).__name__) from error


def _unpacked(data: bytes, path: Path, field: str) -> bytes:
    """The same file without compression: SciPy would unpack whatever there is."""
    if len(data) < _HEADER or 0 in data[:4]:
        return data  # version 4, which knows no compression, or no MATLAB file
    order = "<" if data[126:128] == b"IM" else ">"
    plain, at = [data[:_HEADER]], _HEADER
    packed = []
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        element = data[at : at + 8 + length]
        if kind == _COMPRESSED:
            packed.append(element[8:])
        else:
            plain.append(element)
        at += 8 + length
    return b"".join(plain) + inflated(packed, path, field)
