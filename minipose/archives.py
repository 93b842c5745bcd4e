"""PyTorch's files as plain data: no code in them is run, and none unpacks to more than it is."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from minipose.io.errors import InputError


def read_archive(path: Path, field: str, expected: str, legacy: bool = False) -> Any:
    """What `torch.save` wrote, as long as it is tensors and plain data, on the CPU.

    Raises `InputError` for anything else: other objects, a damaged file, one that is compressed, tensors
    larger than the file. `legacy` allows for the format before PyTorch 1.6, which old weights have.
    """
    if not path.is_file():
        raise InputError(path, field, expected, "no such file")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                stored = sum(member.file_size for member in archive.infolist())
        elif legacy:
            stored = 0
        else:
            raise InputError(path, field, expected, "a damaged file (no PyTorch archive)")
        size = path.stat().st_size
        if stored > size:
            raise InputError(path, field, expected, "a compressed one, which PyTorch never writes")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if sum(tensor.numel() * tensor.element_size() for tensor in _tensors(content)) > 2 * size:
            raise InputError(path, field, expected, "tensors larger than the file")
    except InputError:
        raise
    except Exception as error:  # what torch raises for a damaged file is not documented
        raise InputError(path, field, expected, f"a damaged file ({type(error).__name__})") from error
    return content


def _tensors(content: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested containers; each container once, for they may hold each other."""
    seen, waiting = set(), [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
