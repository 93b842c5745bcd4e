"""Files that training writes: never half a file, never code inside.

Weights are safetensors with a header that says how to rebuild the network. Checkpoints are
PyTorch archives of plain data, read with `weights_only=True`.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from minipose.errors import InputError
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose.models.hourglass import StackedHourglass
from minipose.models.network import PoseNetwork
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose.skeletons import SKELETONS

FORMAT = 1
_ALL = (StackedHourglass, ConvolutionalPoseMachine, PartHeatmapRegression)
NETWORKS = {network.__name__: network for network in _ALL}
_HEADER = ("format", "network", "arguments", "skeleton", "size", "crop")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary file to write that becomes `path` at the end, or vanishes on any failure.

    A full disk or a folder without write permission raises `InputError`; what `path` held before
    stays.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(path, "saving", "a folder with room and permission to write", reason) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def make_folder(path: Path) -> None:
    """Make a folder for results, or say in one line why that cannot be.

    What a killed program had half written there is removed: nobody else would, and it takes room.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        for left in path.glob(".*.partial"):
            left.unlink()
    except OSError as error:
        raise InputError(path, "folder", "a place where a folder can be made", error.strerror) from error
    if not os.access(path, os.W_OK):
        raise InputError(path, "folder", "permission to write in it", "none")


def save_weights(network: PoseNetwork, path: str | Path, half: bool = False) -> None:
    """Write a trained network: parameters and a header. `half` stores convolutions in 16 bits."""
    if network.skeleton is None or network.size is None:
        raise ValueError("only a network with a skeleton and a size can be saved: train it first")
    header = {
        "format": str(FORMAT),
        "network": type(network).__name__,
        "arguments": json.dumps(network.arguments),
        "skeleton": network.skeleton.name,
        "size": str(network.size),
        "crop": network.crop_rule,
    }
    tensors = {
        # Biases and batch statistics are few, and a running variance can leave the range of 16 bits.
        name: (tensor.half() if half and tensor.ndim > 1 else tensor).contiguous().cpu()
        for name, tensor in network.state_dict().items()
    }
    with atomic(path) as partial:
        partial.write_bytes(save(tensors, header))


def load_weights(path: str | Path) -> PoseNetwork:
    """Read what `save_weights` wrote; the class comes from a fixed table, and no code is run.

    The network is in evaluation mode, in float32, on the CPU.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "weights", "a .safetensors file", "no such file")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(path, "weights", "a whole .safetensors file", str(error)) from error
    for name in _HEADER:
        if name not in header:
            raise InputError(path, f"header.{name}", "a file written by minipose")
    if header["format"] != str(FORMAT):
        raise InputError(
            path, "header.format", f"{FORMAT}; update minipose to read newer files", header["format"]
        )
    if header["network"] not in NETWORKS:
        raise InputError(path, "header.network", f"one of {', '.join(NETWORKS)}", header["network"])
    if header["skeleton"] not in SKELETONS:
        raise InputError(path, "header.skeleton", f"one of {', '.join(SKELETONS)}", header["skeleton"])
    try:
        network = NETWORKS[header["network"]](**json.loads(header["arguments"]))
        size = int(header["size"])
    except (TypeError, ValueError) as error:
        raise InputError(path, "header", f"arguments and size of {header['network']}", str(error)) from error
    skeleton = SKELETONS[header["skeleton"]]
    if len(skeleton) != network.joints:
        raise InputError(path, "header.skeleton", f"a skeleton of {network.joints} joints", skeleton.name)
    if size <= 0 or size % network.multiple:
        raise InputError(path, "header.size", f"a multiple of {network.multiple} px", size)
    _load_state(network, tensors, path)
    network.skeleton, network.size = skeleton, size
    network.crop_rule = header["crop"]
    return network.eval()


def save_checkpoint(path: str | Path, network: PoseNetwork, settings: dict[str, Any], **state: Any) -> None:
    """Write all that is needed to go on: the network, the run's settings, and plain data in `state`."""
    content = {
        "format": FORMAT,
        "network": type(network).__name__,
        "arguments": network.arguments,
        "weights": network.state_dict(),
        "settings": settings,
        **state,
    }
    # Into memory first: what torch raises on a full disk is no OSError.
    torch.save(content, buffer := io.BytesIO())
    with atomic(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_checkpoint(path: str | Path, network: PoseNetwork, settings: dict[str, Any]) -> dict[str, Any]:
    """Read a checkpoint of this very network and run into it, and return the rest of the state.

    Raises `InputError` that names the first argument or setting in which the checkpoint differs.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(path, "checkpoint", "a checkpoint to resume from", "no such file") from None
    except Exception as error:  # what torch raises for a damaged file is not documented
        raise InputError(
            path, "checkpoint", "a whole checkpoint", f"a damaged file ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(path, "format", f"a minipose checkpoint of format {FORMAT}")
    expected = {"network": type(network).__name__} | network.arguments | settings
    # An argument that is younger than the checkpoint had its default.
    usual = {name: p.default for name, p in signature(type(network)).parameters.items()}
    try:
        found = usual | {"network": content["network"]} | content["arguments"] | content["settings"]
        missing = {"optimizer", "history", "weights"} - content.keys()
    except (KeyError, TypeError) as error:
        raise InputError(path, "checkpoint", "all that minipose writes", f"trouble with {error}") from error
    if missing:
        raise InputError(path, min(missing), "all that minipose writes", "a checkpoint without it")
    for name, value in expected.items():
        if found.get(name) != value:
            started = f"{found.get(name)}, with which this run was started"
            raise InputError(path, name, started, f"{value} in this call")
    _load_state(network, content["weights"], path)
    return content


def _load_state(network: PoseNetwork, tensors: dict[str, torch.Tensor], path: Path) -> None:
    own = network.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise InputError(path, name, f"a tensor {tuple(tensor.shape)}", "none")
        if tensors[name].shape != tensor.shape:
            raise InputError(path, name, f"a tensor {tuple(tensor.shape)}", str(tuple(tensors[name].shape)))
        if tensor.is_floating_point() and not tensors[name].isfinite().all():
            raise InputError(path, name, "finite numbers", "NaN or infinity")
    if extra := sorted(set(tensors) - set(own)):
        raise InputError(path, extra[0], f"only the tensors of {type(network).__name__}")
    network.load_state_dict(tensors)
