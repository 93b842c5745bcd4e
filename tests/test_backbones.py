"""Backbones: torchvision's names, and its weights files, good and bad."""

import math

import pytest
import torch
from torch import nn

from minipose.io.errors import InputError
from minipose.models.backbones import VGG, ResNet, load_imagenet


def test_names_are_torchvisions():
    with torch.device("meta"):
        resnet, vgg = ResNet().state_dict(), VGG().state_dict()
    # 155 convolutions (1 + 50 x 3 + 4 skips), each with a BatchNorm of 5 tensors.
    assert len(resnet) == 155 + 155 * 5
    assert {name: tuple(resnet[name].shape) for name in RESNET_152} == RESNET_152
    assert "layer1.1.downsample.0.weight" not in resnet and "conv1.bias" not in resnet
    assert len(vgg) == 2 * 15
    assert {name: tuple(vgg[name].shape) for name in VGG_16} == VGG_16


RESNET_152 = {
    "conv1.weight": (64, 3, 7, 7),
    "bn1.weight": (64,),
    "bn1.running_mean": (64,),
    "bn1.num_batches_tracked": (),
    "layer1.0.conv1.weight": (64, 64, 1, 1),
    "layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "layer1.0.downsample.1.running_var": (256,),
    "layer1.2.bn3.bias": (256,),
    "layer2.0.conv2.weight": (128, 128, 3, 3),
    "layer2.7.conv3.weight": (512, 128, 1, 1),
    "layer3.35.conv1.weight": (256, 1024, 1, 1),
    "layer3.35.bn2.running_mean": (256,),
    "layer4.0.downsample.0.weight": (2048, 1024, 1, 1),
    "layer4.2.conv3.weight": (2048, 512, 1, 1),
}
VGG_16 = {
    "features.0.weight": (64, 3, 3, 3),
    "features.2.bias": (64,),
    "features.5.weight": (128, 64, 3, 3),
    "features.7.weight": (128, 128, 3, 3),
    "features.10.weight": (256, 128, 3, 3),
    "features.14.bias": (256,),
    "features.17.weight": (512, 256, 3, 3),
    "features.21.weight": (512, 512, 3, 3),
    "features.24.weight": (512, 512, 3, 3),
    "features.28.bias": (512,),
    "classifier.0.weight": (4096, 512, 7, 7),  # (4096, 25088) in the file
    "classifier.3.weight": (4096, 4096, 1, 1),  # (4096, 4096)
    "classifier.3.bias": (4096,),
}


def test_residual_weights_are_read(tmp_path):
    shape = {"blocks": (1, 1, 2, 1), "width": 4}
    trained = ResNet(**shape)
    trained(torch.rand(2, 3, 32, 32))  # statistics of its own
    content = trained.state_dict() | {"fc.weight": torch.rand(1000, 128), "fc.bias": torch.rand(1000)}
    content = {name: tensor for name, tensor in content.items() if "num_batches" not in name}  # an old file
    torch.save(content, tmp_path / "resnet.pth")
    fresh = ResNet(**shape)
    load_imagenet(fresh, tmp_path / "resnet.pth")
    images = torch.rand(1, 3, 32, 32)
    assert fresh.eval()(images).equal(trained.eval()(images))


def test_fully_connected_weights_become_convolutions(tmp_path):
    """As large as its input, a convolution's middle is what the fully connected layer gives."""
    torch.manual_seed(0)
    shape = {"width": 2, "hidden": 6, "kernel": 7}
    content = VGG(**shape).state_dict()
    full, second = nn.Linear(16 * 49, 6), nn.Linear(6, 6)
    for number, layer in (("0", full), ("3", second), ("6", nn.Linear(6, 10))):
        content |= {f"classifier.{number}.{name}": p.detach() for name, p in layer.named_parameters()}
    torch.save(content, tmp_path / "vgg.pth")
    fresh = VGG(**shape)
    load_imagenet(fresh, tmp_path / "vgg.pth")
    images = torch.rand(1, 3, 224, 224)
    fine, middle, found = fresh(images)
    assert [tuple(x.shape) for x in (fine, middle, found)] == [(1, 8, 28, 28), (1, 16, 14, 14), (1, 6, 7, 7)]
    expected = second(full(fresh.features(images).flatten(1)).relu()).relu()
    torch.testing.assert_close(found[:, :, 3, 3], expected)


def without(name):
    return lambda content: {key: value for key, value in content.items() if key != name}


@pytest.mark.parametrize(
    "spoil, message",
    [
        (without("layer4.0.bn2.bias"), r"layer4.0.bn2.bias: expected a tensor \(32,\), found none"),
        (
            lambda c: c | {"conv1.weight": torch.rand(4, 3, 3, 3)},
            r"conv1.weight: .*7, 7\), found \(4, 3, 3, 3",
        ),
        (lambda c: c | {"layer4.1.bn1.bias": torch.rand(4)}, "layer4.1.bn1.bias: expected only the tensors"),
        (lambda c: c | {"bn1.bias": torch.full((4,), math.nan)}, "bn1.bias: expected finite numbers"),
        (lambda c: list(c), "expected a state dict of torchvision, found list"),
        (
            lambda c: nn.Linear(1, 1),
            "expected a state dict of plain tensors, found a damaged file",
        ),
    ],
)
def test_wrong_weights_are_named_in_one_line(tmp_path, spoil, message):
    backbone = ResNet((1, 1, 1, 1), width=4)
    before = backbone.layer1[0].conv1.weight.detach().clone()
    torch.save(spoil(ResNet((1, 1, 1, 1), width=4).state_dict()), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=message) as error:
        load_imagenet(backbone, tmp_path / "weights.pth")
    assert "\n" not in str(error.value)
    assert backbone.layer1[0].conv1.weight.equal(before), "nothing is half loaded"


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="found no such file"):
        load_imagenet(VGG(2, 2, 3), tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match="found a damaged file"):
        load_imagenet(VGG(2, 2, 3), tmp_path / "text.pth")
