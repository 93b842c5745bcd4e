"""A network's arguments are listed once, in its config; and the weights files of 2026 still load."""

import copy
import inspect
import json
from dataclasses import FrozenInstanceError, asdict, fields

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from minipose import ConvolutionalPoseMachine, InputError, PartHeatmapRegression, StackedHourglass
from minipose.io.checkpoints import NETWORKS
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachineConfig
from minipose.models.hourglass import HourglassConfig
from minipose.models.part_heatmap_regression import PartHeatmapRegressionConfig
from minipose_book import pretrained

CONFIGS = [
    (StackedHourglass, HourglassConfig, {"stacks": 2, "features": 16, "depth": 2, "unlabelled": "ignore"}),
    (ConvolutionalPoseMachine, ConvolutionalPoseMachineConfig, {"stages": 2, "features": 8, "kernel": 3}),
    (PartHeatmapRegression, PartHeatmapRegressionConfig, {"backbone": "small", "image": False}),
]
both = pytest.mark.parametrize("network, config, given", CONFIGS)

# Mean, standard deviation, the first joint's centre cell and the last joint's peak of each raw stage, for
# `picture`; written down before networks had a config.
OF_TODAY = {
    "hg2-puppets-small": [
        (0.0038018, 0.0108171, -0.0061339, 0.1001553), (0.0023897, 0.0057331, 0.0007379, 0.0451609)
    ],
    "hg2-lspet-small": [
        (0.0046148, 0.0162956, 0.000949, 0.0226387), (0.0031886, 0.009668, -0.0002403, 0.0117903)
    ],
    "stacking-hg": [(0.0055108, 0.0155795, 0.0162034, 0.0410814)],
    "stacking-hg-int": [
        (0.0896789, 0.1117589, 0.0070394, 0.298704), (0.0211761, 0.0456988, 0.0112995, 0.0904509),
        (0.0058642, 0.0128348, -0.0010743, 0.0959984),
    ],
    "cpm3-puppets": [
        (0.0848083, 0.127398, 0.020499, 1.0009981), (0.0630205, 0.1957461, -0.011844, 1.0227535),
        (0.0610169, 0.2014947, -0.0263613, 1.0075167),
    ],
    "phr-puppets": [
        (-9.9169681, 4.7561575, -7.4259486, -3.0574305), (0.0128225, 0.0345549, 0.0092082, 0.1654561)
    ],
}  # fmt: skip


def picture(size: int) -> torch.Tensor:
    """Colours that need no random numbers, (1, 3, size, size)."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    return torch.stack((x, y, (x * y * 40).sin().abs()))[None]


@pytest.mark.parametrize("name", OF_TODAY)
def test_shipped_weights_give_what_they_gave(name):
    network = pretrained.load(name)
    with torch.no_grad():
        stages = network(picture(network.size))
    for stage, expected in zip(stages, OF_TODAY[name], strict=True):
        maps = stage[0].double()
        middle = maps[0, maps.shape[1] // 2, maps.shape[2] // 2]
        found = torch.stack((maps.mean(), maps.std(), middle, maps[-1].max()))
        torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", pretrained.names())
def test_every_shipped_header_is_a_config(name):
    with safe_open(pretrained.card_path(name).with_suffix(".safetensors"), "pt") as file:
        header = file.metadata()
    network = pretrained.load(name)
    assert type(network) is NETWORKS[header["network"]]
    assert network.arguments == json.loads(header["arguments"])


def test_weights_that_name_an_activation(tmp_path):
    """Linear is what every network of the package has; another belongs to an experiment and is refused."""
    source = pretrained.FOLDER / "stages-2x4.safetensors"
    with safe_open(source, "pt") as file:
        header = file.metadata()
    for activation in ("linear", "sigmoid"):
        arguments = json.loads(header["arguments"]) | {"activation": activation}
        header["arguments"] = json.dumps(arguments)
        save_file(load_file(source), tmp_path / f"{activation}.safetensors", header)
    network = pretrained.load(tmp_path / "linear.safetensors")
    assert network.arguments == pretrained.load("stages-2x4").arguments
    told = "header: expected arguments of StackedHourglass, .*must be linear, found 'sigmoid'"
    with pytest.raises(InputError, match=told):
        pretrained.load(tmp_path / "sigmoid.safetensors")


@both
def test_a_constructor_takes_the_configs_fields(network, config, given):
    names = [field.name for field in fields(config)]
    assert list(inspect.signature(network).parameters) == names
    usual = {name: p.default for name, p in inspect.signature(network).parameters.items()}
    assert usual == asdict(config())
    made = network(**given)
    assert made.config == config(**given) and made.joints == config().joints
    assert made.arguments == usual | given
    assert network(5, **given).config == config(5, **given)  # in their order, too


@both
def test_a_network_from_its_config(network, config, given):
    torch.manual_seed(1)
    made = network(**given)
    torch.manual_seed(1)
    again = network.from_config(made.config)
    assert again.config == made.config and copy.deepcopy(again).config == made.config
    assert all(map(torch.equal, made.state_dict().values(), again.state_dict().values()))
    for other in (network(**made.arguments), network.from_config(config(**given))):
        assert other.config == made.config


@both
def test_configs_do_not_change_and_refuse_what_does_not_fit(network, config, given):
    with pytest.raises(FrozenInstanceError):
        config().joints = 3
    for make in (network, config):
        with pytest.raises(ValueError, match="joints must be a whole number >= 1, found 0"):
            make(joints=0)
        with pytest.raises(ValueError, match="sigma must be > 0 "):
            make(sigma=0)
        with pytest.raises(TypeError, match="legs"):
            make(legs=4)
