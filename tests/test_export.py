"""ONNX files: ONNX Runtime, which knows nothing of PyTorch, must find the same heatmaps."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import minipose
import minipose_book
from minipose import StackedHourglass
from minipose.cli import main
from minipose.export import export_onnx
from minipose.io.errors import InputError
from minipose.skeletons import MPII


def trained(**arguments) -> StackedHourglass:
    torch.manual_seed(0)
    network = StackedHourglass(**{"joints": 16, "features": 16} | arguments).eval()
    network.skeleton, network.size = MPII, 64
    return network


def run(path, images: torch.Tensor) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(str(path)).run(None, {"images": images.numpy()})


@pytest.mark.parametrize(
    "arguments", [{"stacks": 2, "depth": 2}, {"stacks": 1, "depth": 3, "supervision": "upsampling"}]
)
def test_onnx_runtime_finds_the_same_heatmaps(tmp_path, arguments):
    network = trained(**arguments).train()
    size = network.multiple * 2
    network.size = size
    images = torch.rand(3, 3, size, size)
    worst = export_onnx(network, tmp_path / "network.onnx")
    assert network.training, "the network is left as it was"
    network.eval()
    with torch.no_grad():
        ours = network.heatmaps(network(images))
    theirs = run(tmp_path / "network.onnx", images)
    assert [stage.shape for stage in theirs] == [tuple(stage.shape) for stage in ours]
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, mine.numpy(), atol=1e-5)
    assert 0 <= worst <= 1e-5


@pytest.mark.parametrize("name", ["cpm3-puppets", "phr-puppets"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_relatives_take_any_number_of_images(tmp_path, name, count):
    network = minipose_book.load(name)
    export_onnx(network, tmp_path / "network.onnx")
    images = torch.rand(count, 3, network.size, network.size)
    with torch.no_grad():
        ours = network.heatmaps(network(images))
    for mine, other in zip(ours, run(tmp_path / "network.onnx", images), strict=True):
        np.testing.assert_allclose(other, mine.numpy(), atol=1e-5)


def test_the_file_says_what_its_outputs_mean(tmp_path):
    export_onnx(trained(stacks=2, depth=2), tmp_path / "network.onnx")
    (entry,) = onnx.load(str(tmp_path / "network.onnx")).metadata_props
    assert entry.key == "minipose"
    said = json.loads(entry.value)
    assert said["joints"][0] == "right_ankle" and len(said["joints"]) == 16
    assert said["size"] == 64 and said["strides"] == [4, 4] and [0, 1] in said["limbs"]


def test_only_weights_that_lose_nothing_are_stored_in_half(tmp_path):
    full, half = (tmp_path / name for name in ("full.onnx", "half.onnx"))
    network = trained(stacks=1, depth=2, features=64)
    parameters = sum(p.numel() for p in network.parameters())
    export_onnx(network, full)
    network.half().float()
    export_onnx(network, half)
    assert full.stat().st_size - half.stat().st_size > 1.8 * parameters  # bytes: nearly 2 of 4 each
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        np.testing.assert_allclose(run(half, images)[0], network(images)[0].numpy(), atol=1e-5)


def test_the_command_line_exports_a_shipped_network(tmp_path, capsys):
    out = tmp_path / "lab.onnx"
    assert main(["export", "--weights", "hg2-puppets-small", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {out}, ")
    network = minipose.load("hg2-puppets-small").eval()
    images = torch.rand(1, 3, network.size, network.size)
    with torch.no_grad():
        np.testing.assert_allclose(run(out, images)[-1], network(images)[-1].numpy(), atol=1e-5)


def test_what_cannot_be_exported_is_one_line(tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match="knows its joints and size"):
        export_onnx(StackedHourglass(joints=16, stacks=1, features=16, depth=2), tmp_path / "x.onnx")
    assert main(["export", "--weights", "hg2-puppets-small", "--out", str(tmp_path / "x.pt")]) == 2
    assert "a name that ends in .onnx" in capsys.readouterr().err
    monkeypatch.setattr("minipose.export.TOLERANCE", -1.0)
    with pytest.raises(InputError, match="PyTorch's heatmaps"):
        export_onnx(trained(stacks=1, depth=2), tmp_path / "x.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'minipose\[export\]'"):
        export_onnx(trained(stacks=1, depth=2), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
