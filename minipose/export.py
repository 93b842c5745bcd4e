"""Networks as ONNX files, for programs that are not Python: the live lab of the book is one.

The file takes images (B, 3, S, S) in [0, 1] under the name "images", with B free and S the size that the
network was trained at, and gives every stage's heatmaps (B, J, h, w) as "stage1", "stage2", ...
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from minipose.inference import evaluating
from minipose.io.checkpoints import atomic
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork

# ONNX Runtime and its builds for browsers have known it since 2022.
OPSET = 17
# Outputs lie between 0 and 1; two orders of the same float32 sums differ by some 1e-6.
TOLERANCE = 1e-4


class _Heatmaps(nn.Module):
    """What is exported: from images to all stages' heatmaps, whatever the raw stages are."""

    def __init__(self, network: PoseNetwork):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.network.heatmaps(self.network(images)))


def export_onnx(network: PoseNetwork, path: str | Path) -> float:
    """Write a trained network as ONNX, and compare what ONNX Runtime makes of it with PyTorch.

    Weights that half precision holds exactly, as in the shipped networks, are stored so: half the size
    and the same results. The file's metadata "minipose" is JSON: joints, limbs, size, strides.

    Returns the largest difference between the two, over all stages of random images. Raises `InputError`
    without ONNX's packages (`pip install 'minipose[export]'`), for a network that does not know its joints
    and size, and where the two differ by more than 1e-4; then nothing is written.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise InputError(path, "export", "onnx and onnxruntime: pip install 'minipose[export]'") from error
    if network.skeleton is None or network.size is None:
        raise InputError(path, "network", "one that was trained or loaded, and so knows its joints and size")
    device = next(network.parameters()).device
    images = torch.rand(2, 3, network.size, network.size, generator=torch.Generator().manual_seed(0))
    images[1] = (images[1] > 0.5).float()
    names = [f"stage{k + 1}" for k in range(len(network.strides))]
    with atomic(path) as partial, evaluating(network), torch.no_grad():
        whole = _Heatmaps(network).eval()
        with warnings.catch_warnings():
            # The new exporter takes a minute where this one takes seconds, for the same graph.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                whole, (images.to(device),), str(partial), dynamo=False, opset_version=OPSET,
                # Else BatchNorms are merged into weights, which half precision holds no longer; runtimes
                # merge them when they load a file.
                training=torch.onnx.TrainingMode.PRESERVE,
                input_names=["images"], output_names=names,
                dynamic_axes={name: {0: "batch"} for name in ("images", *names)},
            )  # fmt: skip
        model = onnx.load(str(partial))
        _store_in_half(model.graph)
        onnx.helper.set_model_props(model, {"minipose": json.dumps(description(network))})
        onnx.checker.check_model(model)
        onnx.save(model, str(partial))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; its warnings are about graphs that others wrote
        session = onnxruntime.InferenceSession(str(partial), options, providers=["CPUExecutionProvider"])
        # One more than were traced: how many there are must not have become a part of the file.
        images = torch.cat([images, images[:1].flip(-1)])
        theirs = session.run(names, {"images": images.numpy()})
        ours = network.heatmaps(network(images.to(device)))
        worst = max(float(np.abs(a.cpu().numpy() - b).max()) for a, b in zip(ours, theirs, strict=True))
        if not worst <= TOLERANCE:
            raise InputError(path, "ONNX Runtime", f"PyTorch's heatmaps to {TOLERANCE:g}", f"{worst:.2g} off")
    return worst


def description(network: PoseNetwork) -> dict[str, Any]:
    """What a program must know to use a network's heatmaps: names, limbs, size in px, strides."""
    skeleton = network.skeleton
    assert skeleton is not None
    return {
        "skeleton": skeleton.name, "joints": list(skeleton.joints),
        "limbs": [list(pair) for pair in skeleton.limbs],
        "size": network.size, "strides": list(network.strides),
    }  # fmt: skip


def _store_in_half(graph) -> None:
    """Weights that half precision holds exactly become halves, with a cast that any runtime folds."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for stored in graph.initializer:
        values = numpy_helper.to_array(stored)
        half = values.astype(np.float16) if stored.data_type == TensorProto.FLOAT else None
        if half is None or values.size < 16 or not np.array_equal(half.astype(np.float32), values):
            continue
        name = stored.name
        stored.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
