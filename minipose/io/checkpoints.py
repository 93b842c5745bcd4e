"""Files that training writes: never half a file, never code inside.

Weights are safetensors with a header that says how to rebuild the network. Checkpoints are
PyTorch archives of plain data, read with `weights_only=True`.
"""

from __future__ import annotations

import io
import json
import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from minipose.io.errors import InputError
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose.models.hourglass import StackedHourglass
from minipose.models.network import PoseNetwork
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose.skeletons import SKELETONS, Skeleton

FORMAT = 1
_ALL = (StackedHourglass, ConvolutionalPoseMachine, PartHeatmapRegression)
NETWORKS = {network.__name__: network for network in _ALL}
_LARGEST_SIZE = 4096  # px, far above any network of this package
_HEADER = ("format", "network", "arguments", "skeleton", "size", "crop")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary file to write that becomes `path` at the end, or vanishes on any failure.

    A full disk or a folder without write permission raises `InputError`; what `path` held before
    stays.
    """
    path = Path(path)
    if path.name in ("", "..") or path.is_dir():
        raise InputError(path, "saving", "the name of a file", "a folder")
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
        "skeleton": _name_of(network.skeleton),
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
    network = _build(header, path)
    try:
        size = int(header["size"])
    except ValueError as error:
        raise InputError(path, "header.size", "a whole number of px", header["size"]) from error
    skeleton = _skeleton_of(header["skeleton"], path)
    if len(skeleton) != network.joints:
        raise InputError(path, "header.skeleton", f"a skeleton of {network.joints} joints", skeleton.name)
    if not 0 < size <= _LARGEST_SIZE or size % network.multiple:
        expected = f"a multiple of {network.multiple} px up to {_LARGEST_SIZE}"
        raise InputError(path, "header.size", expected, size)
    _load_state(network, tensors, path)
    network.skeleton, network.size = skeleton, size
    network.crop_rule = header["crop"]
    return network.eval()


def _current_arguments(network: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Stored arguments as today's network takes them: older stacked hourglasses also name an `activation`.

    Only "linear", the paper's, is left in the package; sigmoid and ReLU belong to one experiment.
    """
    if network != "StackedHourglass" or "activation" not in arguments:
        return arguments
    if arguments["activation"] != "linear":
        raise ValueError(f"activation must be linear, found {reprlib.repr(arguments['activation'])}")
    return {name: value for name, value in arguments.items() if name != "activation"}


def _name_of(skeleton: Skeleton) -> str:
    """A skeleton's name if the package knows it, else all of it as JSON."""
    known = SKELETONS.get(skeleton.name) == skeleton
    return skeleton.name if known else json.dumps(asdict(skeleton))


def _skeleton_of(text: str, path: Path) -> Skeleton:
    if text in SKELETONS:
        return SKELETONS[text]
    try:
        fields = json.loads(text)
        for name in ("joints", "scored"):
            fields[name] = tuple(fields[name])
        fields["limbs"] = tuple((first, second) for first, second in fields["limbs"])
        fields["sigmas"] = tuple(map(float, fields["sigmas"])) if fields["sigmas"] else None
        return Skeleton(**fields)
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        expected = f"one of {', '.join(SKELETONS)}, or a whole skeleton"
        raise InputError(path, "header.skeleton", expected, text) from error


def _build(header: dict[str, str], path: Path) -> PoseNetwork:
    """The network that a header describes, with its first weights."""
    kind = header["network"]
    try:
        return NETWORKS[kind](**_current_arguments(kind, json.loads(header["arguments"])))
    except (TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise InputError(path, "header", f"arguments of {kind}", error) from error


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
    if not path.is_file():
        raise InputError(path, "checkpoint", "a checkpoint to resume from", "no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch documents no exceptions for damaged files
        reason = f"a damaged file ({type(error).__name__})"
        raise InputError(path, "checkpoint", "a whole checkpoint", reason) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        other = "another is resumed by the minipose that wrote it"
        raise InputError(path, "format", f"a minipose checkpoint of format {FORMAT}; {other}")
    expected = {"network": type(network).__name__} | network.arguments | settings
    # An argument that is younger than the checkpoint had its default.
    usual = {
        name: argument.default
        for kind in reversed(type(network).__mro__)
        if issubclass(kind, PoseNetwork)
        for name, argument in signature(kind).parameters.items()
    }
    try:
        arguments = _current_arguments(content["network"], content["arguments"])
        found = usual | {"network": content["network"]} | arguments | content["settings"]
        missing = {"optimizer", "history", "weights"} - content.keys()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(path, "checkpoint", "all that minipose writes", f"trouble with {error}") from error
    if "batch" in found:
        found.setdefault("batch_size", found["batch"])  # its name in older checkpoints
    if missing:
        raise InputError(path, min(missing), "all that minipose writes", "a checkpoint without it")
    for name, value in expected.items():
        there = found.get(name, value)  # a setting that is younger than the checkpoint is not compared
        plain = isinstance(there, str | int | float | None)  # a file may hold tensors here, or lists of lists
        if not plain or there != value:
            told = there if plain else reprlib.repr(there)
            started = f"{told}, with which this run was started"
            raise InputError(path, name, started, f"{value} in this call")
    history = content["history"]
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise InputError(path, "history", "a row for each epoch")
    if not all(isinstance(value, int | float) for row in history for value in row.values()):
        raise InputError(path, "history", "a row of numbers for each epoch")
    if not isinstance(content["weights"], dict):
        raise InputError(path, "weights", "tensors by name")
    _load_state(network, content["weights"], path)
    return content


def load_optimizer(optimizer: torch.optim.Optimizer, state: Any, path: Path) -> None:
    """Put a checkpoint's `optimizer` into one that was made for the same network."""
    try:
        if not isinstance(state["state"], dict):
            raise ValueError("no state of a parameter")
        for each in state["state"].values():
            if not all(isinstance(value, torch.Tensor) for value in each.values()):
                raise ValueError("something that is no tensor")
        optimizer.load_state_dict(state)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                for name, value in optimizer.state.get(parameter, {}).items():
                    whole = value.shape in (parameter.shape, ()) and bool(value.isfinite().all())
                    if not whole:
                        raise ValueError(f"{name} of shape {tuple(value.shape)}")
    except Exception as error:  # what torch raises for a state that does not fit is not documented
        raise InputError(path, "optimizer", "the state that belongs to this network", error) from error


def _load_state(network: PoseNetwork, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load all tensors, or raise `InputError` that names what is missing, misshapen, extra or not finite."""
    try:
        network.load_state_dict(tensors)
    except Exception as error:  # torch documents RuntimeError alone
        raise InputError(path, "tensors", f"those of {type(network).__name__}", error) from error
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(path, name, "finite numbers", "NaN or infinity")
