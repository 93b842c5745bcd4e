"""Convolutional Pose Machines against the paper's figures and hand-worked beliefs."""

import math

import pytest
import torch
from torch import nn

import minipose
from minipose import ConvolutionalPoseMachine
from minipose.data import Puppets
from minipose.models.convolutional_pose_machine import receptive_field
from minipose_book.experiments.newell2016.layers_and_gradients import multiply_adds


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_are_those_of_the_layers_by_hand():
    def conv(incoming, outgoing, kernel):
        return outgoing * (incoming * kernel**2 + 1)

    image = conv(3, 128, 9) + 2 * conv(128, 128, 9)
    first = image + conv(128, 32, 5) + conv(32, 512, 9) + conv(512, 512, 1) + conv(512, 15, 1)
    later = conv(128, 32, 5) + conv(32 + 15 + 1, 128, 11) + 2 * conv(128, 128, 11) + conv(128, 128, 1)
    later += conv(128, 15, 1)
    with torch.device("meta"):
        network = ConvolutionalPoseMachine()
        assert parameters(network) == first + image + 5 * later == 31_219_866
        assert parameters(ConvolutionalPoseMachine(stages=1)) == first + image


def test_multiplications_are_those_of_the_layers_by_hand():
    """At 368 px: 9x9 convolutions on 368, 184 and 92 cells a side, everything else on 46."""
    image = 9**2 * 128 * (3 * 368**2 + 128 * 184**2 + 128 * 92**2)
    first = 46**2 * (128 * 32 * 5**2 + 32 * 512 * 9**2 + 512 * 512 + 512 * 15)
    later = 46**2 * (128 * 32 * 5**2 + (48 + 2 * 128) * 128 * 11**2 + 128 * 128 + 128 * 15)
    expected = 2 * image + first + 5 * later
    assert multiply_adds(ConvolutionalPoseMachine(), 368) == expected == pytest.approx(175.4e9, abs=5e7)


def seen_by(network: nn.Module, output, size: int) -> tuple[int, int]:
    """Width and height in px of what the middle cell of a network's output depends on, by gradients."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # positive weights on positive pixels: nothing cancels or dies
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            nn.init.zeros_(module.bias)
    # Doubles and slightly different pixels: a pooling looks at one of four, each image at another.
    found = torch.zeros(size, size, dtype=torch.bool)
    for k in range(6):
        images = 1 + torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(k)).double()
        images.requires_grad_()
        maps = output(network.double(), images)
        middle = maps.shape[-1] // 2
        (slope,) = torch.autograd.grad(maps[0, 0, middle, middle], images)
        found |= slope[0].abs().amax(dim=0) > 0
    rows, columns = found.any(dim=1).nonzero(), found.any(dim=0).nonzero()
    return int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1


def test_stage_1_sees_160_px():
    """Section 3.2.1; of each pooling a cell looks at one pixel of four, so a few px may be missing."""
    network = ConvolutionalPoseMachine(joints=1, stages=1, features=4)
    across, down = seen_by(network, lambda net, images: net.first(images), 368)
    assert 153 <= across <= 160 and 153 <= down <= 160
    assert receptive_field(network.first) == (160, 8)


def test_stage_2_sees_31_cells_which_are_400_px():
    """Section 3.2.2."""
    network = ConvolutionalPoseMachine(joints=1, stages=2, features=4)
    assert receptive_field(network.later[0].layers) == (31, 1)
    assert 160 + (31 - 1) * 8 == 400

    def layers(net, beliefs):
        return net.later[0].layers(beliefs[:, :1].expand(-1, 4 // 4 + 3, -1, -1))

    assert seen_by(network, layers, 61) == (31, 31)


@pytest.mark.parametrize("stride, expected", [(8, 160), (4, 108)])
def test_stride_4_pools_once_less_and_sees_less(stride, expected):
    network = ConvolutionalPoseMachine(joints=2, stages=2, features=4, stride=stride)
    assert receptive_field(network.first) == (expected, stride)
    stages = network(torch.rand(1, 3, 64, 96))
    assert [tuple(stage.shape) for stage in stages] == [(1, 3, 64 // stride, 96 // stride)] * 2
    assert [tuple(maps.shape[:2]) for maps in network.heatmaps(stages)] == [(1, 2)] * 2


def test_the_small_form_sees_about_the_papers_share_of_its_crop():
    side, step = receptive_field(ConvolutionalPoseMachine.small().first)
    # 3x3 filters at steps 1, 2 and 4 with two poolings between them, then two more at 4, by hand:
    assert (side, step) == (1 + 2 + 1 + 4 + 2 + 8 + 8 + 8, 4)
    assert side / 96 == pytest.approx(160 / 368, abs=0.1)


def test_image_features_are_shared_by_later_stages_and_not_by_the_first():
    network = ConvolutionalPoseMachine.small(stages=4, normalized=False)
    calls = []
    network.features.register_forward_hook(lambda *_: calls.append("features"))
    stages = network(torch.rand(1, 3, 64, 64))
    assert calls == ["features"], "computed once for three stages"
    names = [name for name, _ in network.named_parameters()]
    assert len([name for name in names if name.startswith("features.")]) == 6
    stages[0].sum().backward()
    assert all(p.grad is None for p in network.features.parameters())
    for later in (1, 3):
        network.zero_grad()
        network(torch.rand(1, 3, 64, 64))[later].square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.features.parameters())


def test_beliefs_by_hand():
    """Two people, an unlabelled joint, the background; sigma 21 px of 368 is 7.3 px of 128, 0.91 cells."""
    network = ConvolutionalPoseMachine(joints=2, stages=2, features=4)
    keypoints = torch.tensor([[[3.5, 11.5], [math.nan, math.nan]]])  # centres of cells (0, 1) and none
    visibility = torch.tensor([[2, 0]])
    others = torch.tensor([[[[19.5, 11.5, 2.0], [3.5, 11.5, 1.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    everybody, person = network.targets(keypoints, visibility, others, (128, 128))
    sigma = 21 * 128 / 368 / 8

    def at(cells):
        return math.exp(-(cells**2) / (2 * sigma**2))

    assert everybody.shape == person.shape == (1, 3, 16, 16)
    # The person: joint 0 at cell (0, 1), joint 1 nowhere, and background where joint 0 is not.
    assert person[0, 0, 1, :4].tolist() == pytest.approx([1, at(1), at(2), at(3)], abs=1e-6)
    assert person[0, 1].abs().max() == 0
    assert person[0, 2, 1, :2].tolist() == pytest.approx([0, 1 - at(1)], abs=1e-6)
    # Everybody: joint 0 also at cell (2, 1), the higher of both between them; joint 1 at cell (0, 1).
    assert everybody[0, 0, 1, :4].tolist() == pytest.approx([1, at(1), 1, at(1)], abs=1e-6)
    assert everybody[0, 1, 1, :2].tolist() == pytest.approx([1, at(1)], abs=1e-6)
    assert everybody[0, 2, 1, :4].tolist() == pytest.approx([0, 1 - at(1), 0, 1 - at(1)], abs=1e-6)
    assert network.targets(keypoints, visibility, None, (128, 128))[0].equal(person)


def test_loss_by_hand():
    """Only stage 1 is asked for the other person; sums over cells and maps, the mean over samples."""
    network = ConvolutionalPoseMachine(joints=1, stages=3, features=4)
    keypoints, visibility = torch.tensor([[[35.5, 35.5]], [[35.5, 35.5]]]), torch.tensor([[2], [2]])
    others = torch.tensor([[[[91.5, 35.5, 2.0]]], [[[0.0, 0.0, 0.0]]]])
    everybody, person = network.targets(keypoints, visibility, others, (128, 128))
    exact = [everybody, person, person]
    assert network.loss(exact, keypoints, visibility, others) == 0
    wrong = [person, everybody, person]
    between = (everybody - person).square().sum() / 2
    assert between > 1
    assert network.loss(wrong, keypoints, visibility, others) == pytest.approx(2 * float(between), rel=1e-5)
    network.supervised = [2]
    assert network.loss(wrong, keypoints, visibility, others) == 0
    shifted = [person, person, person + 0.5]
    assert float(network.loss(shifted, keypoints, visibility)) == pytest.approx(0.25 * 2 * 16 * 16)


def test_unlabelled_joints_are_empty_or_carry_no_loss():
    keypoints, visibility = torch.tensor([[[35.5, 35.5], [60.0, 60.0]]]), torch.tensor([[2, 0]])
    for unlabelled, expected in (("zero", 3), ("ignore", 1)):
        network = ConvolutionalPoseMachine(2, 1, features=4, unlabelled=unlabelled)
        _, person = network.targets(keypoints, visibility, None, (128, 128))
        assert person[0, 1].max() == 0
        loss = network.loss([person + 1], keypoints, visibility)
        assert float(loss) == pytest.approx(expected * 16 * 16), "parts with a label, else all and background"


def test_the_centre_map_says_who_is_meant():
    network = ConvolutionalPoseMachine(joints=1, stages=2, features=4)
    center = network.center(torch.zeros(2, 3, 64, 128))
    assert center.shape == (2, 1, 8, 16)
    peak = center[1, 0].flatten().argmax()
    assert center[1, 0, 3:5, 7:9].flatten().tolist() == pytest.approx([float(center.max())] * 4), int(peak)
    sigma = 21 * 64 / 368 / 8
    assert float(center.max()) == pytest.approx(math.exp(-2 * 0.5**2 / (2 * sigma**2)), rel=1e-5)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"stages": 0}, "stages must be a whole number >= 1"),
        ({"kernel": 8}, "kernel must be an odd number"),
        ({"features": 6}, "features must be a multiple of 4"),
        ({"stride": 2}, "stride must be 8 or 4"),
        ({"sigma": 0}, "sigma must be > 0 px"),
        ({"unlabelled": "maybe"}, "unlabelled must be one of zero, ignore"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        ConvolutionalPoseMachine(**wrong)
    with pytest.raises(ValueError, match="multiples of 8"):
        ConvolutionalPoseMachine(features=4)(torch.zeros(1, 3, 60, 64))


def test_it_trains_is_saved_and_found_again(tmp_path):
    """Through the ordinary loop, with the paper's recipe, in two phases."""
    torch.manual_seed(0)
    puppets = Puppets(24, seed=1, size=64)
    network = ConvolutionalPoseMachine.small(joints=16, stages=2, features=16)
    network.supervised = [0]
    for part in (network.features, network.later):
        part.requires_grad_(False)
    later = network.later[0].layers[0].weight.detach().clone()
    how = {"size": 64, "batch_size": 8, "device": "cpu", "progress": False, "augment": "cpm"}
    history = minipose.train(
        network, puppets, epochs=4, optimizer="sgd", learning_rate=1e-4, schedule="constant", **how
    )
    assert history[-1]["loss"] < history[0]["loss"]
    assert network.later[0].layers[0].weight.equal(later), "frozen"
    network.supervised = [0, 1]
    network.requires_grad_(True)
    minipose.train(network, puppets, puppets, epochs=1, learning_rate=1e-4, folder=tmp_path, **how)
    assert not network.later[0].layers[0].weight.equal(later)
    again = minipose.load(tmp_path / "weights.safetensors")
    assert isinstance(again, ConvolutionalPoseMachine)
    images = torch.rand(1, 3, 64, 64)
    network.eval()
    for mine, theirs in zip(network(images), again(images), strict=True):
        torch.testing.assert_close(mine, theirs)
    pose = minipose.predict(again, puppets[0].image)
    assert pose.keypoints.shape == (16, 2)
