"""Part heatmap regression against its paper's tables, hand-worked targets and losses."""

import inspect
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import minipose
from minipose import MPII, PartHeatmapRegression, optimization
from minipose.data import Puppets
from minipose.models.backbones import MEAN, STD
from minipose.models.part_heatmap_regression import deconvolution, encode_discs
from minipose_book.experiments.bulat2016.phases import recipe, set_phase


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def conv(incoming: int, outgoing: int, kernel: int) -> int:
    return outgoing * (incoming * kernel**2 + 1)


# Parameters and sizes, summed over the paper's tables


def resnet_152() -> int:
    """Without biases; two numbers a feature in each BatchNorm; no layer at the end."""
    total = 3 * 64 * 7**2 + 2 * 64
    incoming = 64
    for count, inner in ((3, 64), (8, 128), (36, 256), (3, 512)):
        for number in range(count):
            total += incoming * inner + 9 * inner**2 + inner * 4 * inner + 2 * (inner + inner + 4 * inner)
            if number == 0:
                total += incoming * 4 * inner + 2 * 4 * inner  # the skip
            incoming = 4 * inner
    return total


def residual(incoming: int, outgoing: int) -> int:
    inner = outgoing // 2
    total = conv(incoming, inner, 1) + conv(inner, inner, 3) + conv(inner, outgoing, 1)
    total += 2 * incoming + 2 * inner + 2 * inner
    return total + (conv(incoming, outgoing, 1) if incoming != outgoing else 0)


def test_the_residual_instance_is_that_of_tables_3_and_4():
    with torch.device("meta"):
        network = PartHeatmapRegression().eval()
        inside = {}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            layer = getattr(network.detector.backbone, name)
            layer.register_forward_hook(lambda _, __, out, name=name: inside.update({name: tuple(out.shape)}))
        stages = network(torch.rand(2, 3, 256, 256))
    assert resnet_152() + conv(2048, 1000, 1) == 60_192_808, "ResNet-152 with its last layer"
    assert parameters(network.detector.backbone) == resnet_152()
    assert parameters(network.detector) == resnet_152() + conv(2048, 16, 1) + conv(16, 16, 4) == 58_180_704
    # D1; three modules; 4 levels of 9 and the 3 in the middle; the four D5; D6; D7; back to the input.
    regressor = conv(16 + 3, 64, 7) + 2 * 64 + residual(64, 128) + residual(128, 128) + residual(128, 256)
    regressor += (4 * 9 + 3) * residual(256, 256) + 4 * conv(256, 256, 2)
    regressor += conv(256, 512, 1) + 2 * 512 + conv(512, 16, 1) + conv(16, 16, 8)
    assert parameters(network.regressor) == regressor == 9_976_224
    # B5 keeps B4's resolution: 256 / 16, where the original has 256 / 32.
    sizes = {"layer1": (256, 64), "layer2": (512, 32), "layer3": (1024, 16), "layer4": (2048, 16)}
    assert inside == {name: (2, width, side, side) for name, (width, side) in sizes.items()}
    assert [tuple(stage.shape) for stage in stages] == [(2, 16, 64, 64), (2, 16, 256, 256)]
    assert network.strides == [4, 1]


def test_the_vgg_instance_is_that_of_tables_1_and_2():
    with torch.device("meta"):
        network = PartHeatmapRegression(backbone="vgg16").eval()
        stages = network(torch.rand(1, 3, 384, 384))
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    backbone = sum(conv(a, b, 3) for a, b in itertools.pairwise(widths))
    backbone += conv(512, 4096, 7) + conv(4096, 4096, 1)  # A6, A7
    assert backbone + conv(4096, 1000, 1) == 138_357_544, "VGG-16 with its last layer"
    assert parameters(network.detector.backbone) == backbone
    scores = conv(4096, 16, 1) + conv(512, 16, 1) + conv(256, 16, 1)  # A8 at strides 32, 16 and 8
    assert parameters(network.detector) == backbone + scores == 134_338_416
    regressor = conv(16 + 3, 64, 9) + conv(64, 64, 13) + conv(64, 128, 13) + conv(128, 256, 15)
    regressor += conv(256, 512, 1) + conv(512, 512, 1) + conv(512, 16, 1) + conv(16, 16, 8)
    assert parameters(network.regressor) == regressor == 9_967_328
    assert [tuple(stage.shape) for stage in stages] == [(1, 16, 96, 96), (1, 16, 384, 384)]
    assert network.strides == [4, 1]


@pytest.mark.parametrize("backbone, coarse, multiple", [("small", 2, 16), ("small-vgg", 4, 32)])
def test_the_small_forms_are_small(backbone, coarse, multiple):
    network = PartHeatmapRegression(joints=5, backbone=backbone)
    assert parameters(network) < 1_000_000
    stages = network(torch.rand(2, 3, 64, 96))
    assert [tuple(stage.shape) for stage in stages] == [(2, 5, 64 // coarse, 96 // coarse), (2, 5, 64, 96)]
    assert (network.strides, network.multiple) == ([coarse, 1], multiple)
    assert stages[0].abs().max() == 0, "no part is claimed at first"
    # Of the regressors only the residual one starts at zero, the other with draws.
    assert (stages[1].abs().max() == 0) == (backbone == "small")
    with pytest.raises(ValueError, match=f"multiples of {multiple}"):
        network(torch.rand(1, 3, 64, 88))


# What goes where


@pytest.mark.parametrize("backbone", ["small", "small-vgg"])
def test_the_regressor_looks_at_probabilities_and_the_image(backbone):
    network = PartHeatmapRegression(joints=2, backbone=backbone).eval()
    logits = torch.randn(1, 2, 96 // network.strides[0], 96 // network.strides[0])
    network.detector.forward = lambda images: logits
    seen = []
    network.regressor.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    images = torch.rand(1, 3, 96, 96)
    network(images)
    colours = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    if backbone == "small":  # at the input's size
        expected = functional.interpolate(torch.sigmoid(logits), size=(96, 96), mode="bilinear")
    else:  # at stride 4, where the detections are and the image is averaged
        expected, colours = torch.sigmoid(logits), colours.reshape(1, 3, 24, 4, 24, 4).mean(dim=(3, 5))
    torch.testing.assert_close(seen[0], torch.cat((expected, colours), dim=1))
    only = PartHeatmapRegression(joints=2, backbone=backbone, image=False)
    assert next(only.regressor.parameters()).shape[1] == 2, "heatmaps only"


def test_vggs_three_scores_are_added():
    network = PartHeatmapRegression(joints=1, backbone="small-vgg").eval()
    for score, bias in zip(network.detector.scores, (1.0, 2.0, 4.0), strict=True):
        nn.init.constant_(score.bias, bias)
    torch.testing.assert_close(network(torch.rand(1, 3, 64, 64))[0], torch.full((1, 1, 16, 16), 7.0))


def test_heatmaps_are_probabilities_only_of_detections():
    stages = [torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[0.0, 2.0]]]])]
    found, regressed = PartHeatmapRegression(joints=1, backbone="small").heatmaps(stages)
    assert found.flatten().tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-2))])
    assert regressed.flatten().tolist() == [0.0, 2.0]
    twice = PartHeatmapRegression(joints=1, backbone="small", first="regression")
    assert all(maps.flatten().tolist() == [0.0, 2.0] for maps in twice.heatmaps(stages))


# Targets and losses


def test_discs_by_hand():
    points = torch.tensor([[[2.0, 1.0], [0.0, 0.0], [5.5, 2.0], [3.0, 1.0], [math.nan, math.nan]]])
    visible = torch.tensor([[True, True, True, False, False]])
    discs = encode_discs(points, visible, (3, 5), 1.0)
    assert discs[0, 0].tolist() == [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]], (
        "the edge belongs to it"
    )
    assert discs[0, 1].tolist() == [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], "cut at the corner"
    assert discs[0, 2].abs().sum() == 0, "1.5 cells beyond the border"
    assert discs[0, 3].abs().sum() == 0 and discs[0, 4].abs().sum() == 0
    assert encode_discs(points, visible, (3, 5), math.sqrt(2))[0, 0].sum() == 9
    between = encode_discs(torch.tensor([[[1.5, 1.5]]]), torch.tensor([[True]]), (4, 4), 0.1)
    assert between.sum() == 4, "a disc smaller than cells still has the cells around its centre"


def test_targets_of_both_stages_by_hand():
    """A crop of 256 px, detections at stride 4: 10 px are 2.5 cells; parts seen, occluded, unlabelled."""
    with torch.device("meta"):
        network = PartHeatmapRegression(joints=3)
    keypoints = torch.tensor([[[41.5, 81.5], [101.5, 1.5], [math.nan, math.nan]]])  # cells (10, 20), (25, 0)
    visibility = torch.tensor([[2, 1, 0]])
    discs = network.targets(0, keypoints, visibility, (64, 64))
    assert discs[0, 0, 20].nonzero().flatten().tolist() == [8, 9, 10, 11, 12]
    assert discs[0, 0].sum() == 21, "5 x 5 cells without the corners, which are 2.83 away"
    assert discs[0, 1:].sum() == 0, "only visible parts"
    gaussians = network.targets(1, keypoints, visibility, (256, 256))
    assert gaussians.shape == (1, 3, 256, 256)
    assert gaussians[0, 0, 81, 41] == pytest.approx(math.exp(-(0.5**2 + 0.5**2) / 50))
    assert gaussians[0, 1, 1, 106] == pytest.approx(math.exp(-(0.5**2 + 4.5**2) / 50)), (
        "occluded, at the border"
    )
    assert gaussians[0, 2].sum() == 0
    # At 384 px the disc grows with the crop, 15 px are 3.75 cells; the Gaussian does not.
    larger = network.targets(0, keypoints, visibility, (96, 96))
    assert larger[0, 0, 20].nonzero().flatten().tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert network.targets(1, keypoints, visibility, (384, 384))[0, 0, 81, 41] == gaussians[0, 0, 81, 41]
    with torch.device("meta"):
        twice = PartHeatmapRegression(joints=3, first="regression")
    coarse = twice.targets(0, keypoints, visibility, (64, 64))
    assert coarse[0, :, [20, 0, 0], [11, 26, 0]].diagonal().tolist() == pytest.approx(
        [math.exp(-(4**2) / 50)] * 2 + [0]
    ), "one cell of 4 px from both labelled parts"


def on_meta(**arguments) -> PartHeatmapRegression:
    """Losses need no parameters."""
    with torch.device("meta"):
        return PartHeatmapRegression(**arguments)


def test_loss_by_hand():
    network = on_meta(joints=2)
    keypoints = torch.tensor([[[41.5, 81.5], [101.5, 101.5]], [[41.5, 81.5], [101.5, 101.5]]])
    visibility = torch.tensor([[2, 1], [2, 1]])
    discs = network.targets(0, keypoints, visibility, (64, 64))
    gaussians = network.targets(1, keypoints, visibility, (256, 256))
    nothing = torch.zeros(2, 2, 64, 64)
    network.supervised = [0]
    assert float(network.loss([nothing, gaussians], keypoints, visibility)) == pytest.approx(
        64 * 64 * math.log(2), rel=1e-5
    )
    sure = torch.where(discs > 0, 3.0, -3.0)
    assert float(network.loss([sure, gaussians], keypoints, visibility)) == pytest.approx(
        64 * 64 * math.log(1 + math.exp(-3)), rel=1e-5
    )
    sure[1] *= -1  # the second sample is wrong everywhere
    assert float(network.loss([sure, gaussians], keypoints, visibility)) == pytest.approx(
        64 * 64 * (math.log(1 + math.exp(-3)) + math.log(1 + math.exp(3))) / 2, rel=1e-5
    )
    network.supervised = [1]
    assert network.loss([nothing, gaussians], keypoints, visibility) == 0
    empty = torch.zeros_like(gaussians)
    area = math.pi * 5**2  # of a squared Gaussian
    assert float(network.loss([nothing, empty], keypoints, visibility)) == pytest.approx(area, rel=1e-4)
    network.supervised = [0, 1]
    assert float(network.loss([nothing, empty], keypoints, visibility)) == pytest.approx(
        64 * 64 * math.log(2) + area, rel=1e-5
    )
    twice = on_meta(joints=2, first="regression")
    twice.supervised = [0]
    # The same Gaussian on cells of 4 px has a sixteenth of them.
    assert float(twice.loss([nothing], keypoints, visibility)) == pytest.approx(area / 16, rel=1e-4)
    with pytest.raises(ValueError, match="a loss over 2 images needs keypoints"):
        network.loss([nothing, empty], keypoints[:, :1], visibility)


def test_parts_without_label():
    """MPII's sixteen parts, of which LSP has fourteen: nowhere, not asked, or made up."""
    keypoints = torch.rand(1, 16, 2) * 100 + 60
    keypoints[0, MPII.index("left_hip")] = torch.tensor([150.0, 170.0])
    keypoints[0, MPII.index("right_hip")] = torch.tensor([110.0, 150.0])
    visibility = torch.full((1, 16), 2)
    pelvis, thorax, wrist = MPII.index("pelvis"), MPII.index("thorax"), MPII.index("left_wrist")
    for part in (pelvis, thorax, wrist):
        keypoints[0, part], visibility[0, part] = math.nan, 0
    visibility[0, MPII.index("left_shoulder")] = 0
    visibility[0, MPII.index("right_hip")] = 1
    empty = [torch.zeros(1, 16, 64, 64), torch.zeros(1, 16, 256, 256)]
    area, cell = math.pi * 5**2, 64 * 64 * math.log(2)
    labelled, losses = 12, {}
    for unlabelled in ("zero", "ignore", "artificial"):
        network = on_meta(unlabelled=unlabelled)
        network.skeleton = MPII
        losses[unlabelled] = float(network.loss(empty, keypoints, visibility))
    assert losses["zero"] == pytest.approx(cell + labelled / 16 * area, rel=1e-4)
    assert losses["ignore"] == pytest.approx(labelled / 16 * (cell + area), rel=1e-4)
    assert losses["artificial"] == pytest.approx(cell + (labelled + 1) / 16 * area, rel=1e-4)
    made, seen = network.artificial(keypoints, visibility)
    assert made[0, pelvis].tolist() == [130.0, 160.0] and seen[0, pelvis] == 1, (
        "as badly seen as the worse hip"
    )
    assert seen[0, thorax] == 0, "one shoulder is not enough"
    assert seen[0, wrist] == 0 and visibility[0, pelvis] == 0, "what was given stays"
    with pytest.raises(ValueError, match="knows its skeleton"):
        on_meta(unlabelled="artificial").loss(empty, keypoints, visibility)


# How it starts


def test_a_deconvolution_starts_as_interpolation():
    maps = torch.randn(2, 3, 6, 5)
    found = deconvolution(3, 8, 4)(maps)
    expected = functional.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
    assert found.shape == expected.shape
    inner = (..., slice(2, -2), slice(2, -2))  # beyond the border it sees zeros
    torch.testing.assert_close(found[inner], expected[inner])
    for kernel in (2, 4):
        expected = functional.interpolate(maps, scale_factor=kernel, mode="nearest")
        torch.testing.assert_close(deconvolution(3, kernel, kernel)(maps), expected)


def learning(network: PartHeatmapRegression) -> set[str]:
    """Parameters of the regressor that get a gradient from a loss on stage 2."""
    (network(torch.rand(2, 3, 32, 32))[1] - torch.rand(2, 2, 32, 32)).square().sum().backward()
    return {name for name, p in network.regressor.named_parameters() if p.grad.abs().sum() > 0}


def test_zeros_everywhere_would_learn_nothing():
    network = PartHeatmapRegression(joints=2, backbone="small")
    assert "score.3.weight" in learning(network)
    for module in network.regressor.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    network.zero_grad()
    assert learning(network) == {"score.3.bias", "up.bias"}


def test_vggs_regressor_starts_with_small_draws():
    torch.manual_seed(0)
    regressor = PartHeatmapRegression(joints=2, backbone="small-vgg").regressor
    draws = torch.cat([m.weight.detach().flatten() for m in regressor.modules() if isinstance(m, nn.Conv2d)])
    assert len(draws) > 10_000
    assert float(draws.std()) == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"joints": 0}, "joints must be a whole number >= 1"),
        ({"backbone": "resnet50"}, "backbone must be one of resnet152, vgg16, small, small-vgg"),
        ({"first": "softmax"}, "first must be one of detection, regression"),
        ({"unlabelled": "maybe"}, "unlabelled must be one of zero, ignore, artificial"),
        ({"radius": 0}, "radius must be > 0 px"),
        ({"sigma": -1}, "sigma must be > 0 px"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        PartHeatmapRegression(**wrong)


# Training


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and BatchNorm's statistics, as they are now."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(before: dict[str, torch.Tensor], module: nn.Module) -> bool:
    return all(tensor.equal(before[name]) for name, tensor in module.state_dict().items())


def test_three_phases_through_the_ordinary_loop(tmp_path):
    """Detector; regressor with the detector frozen, bit for bit; both. Then saved and found again."""
    torch.manual_seed(0)
    puppets = Puppets(16, seed=1, size=64)
    network = PartHeatmapRegression(backbone="small")
    how = {"size": 64, "batch_size": 8, "device": "cpu", "progress": False, "augment": "cpm",
           "optimizer": "adam", "schedule": "constant", "learning_rate": 2e-3}  # fmt: skip
    detector, regressor = state(network.detector), state(network.regressor)
    set_phase(network, "detector")
    history = minipose.train(network, puppets, epochs=4, **how)
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert not same(detector, network.detector) and same(regressor, network.regressor)

    detector = state(network.detector)
    set_phase(network, "regressor")
    history = minipose.train(network, puppets, epochs=4, **how)
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert same(detector, network.detector) and not same(regressor, network.regressor)

    regressor = state(network.regressor)
    set_phase(network, "both")
    minipose.train(network, puppets, puppets, epochs=1, folder=tmp_path, **how)
    assert not same(detector, network.detector) and not same(regressor, network.regressor)

    again = minipose.load(tmp_path / "weights.safetensors")
    assert isinstance(again, PartHeatmapRegression) and again.arguments == network.arguments
    images = torch.rand(1, 3, 64, 64)
    for mine, theirs in zip(network(images), again(images), strict=True):
        torch.testing.assert_close(mine, theirs)
    pose = minipose.predict(again, puppets[0].image)
    assert pose.keypoints.shape == (16, 2)


def test_the_small_vgg_trains_too():
    torch.manual_seed(0)
    network = PartHeatmapRegression(backbone="small-vgg", first="regression")
    puppets = Puppets(16, seed=1, size=64)
    history = minipose.train(
        network, puppets, epochs=3, size=64, batch_size=8, device="cpu", progress=False, optimizer="adam",
        learning_rate=2e-3, schedule="constant",
    )  # fmt: skip
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_papers_recipe():
    """Section 3.2: 50 epochs from 1e-3 to 2.5e-5, 40 at 1e-4 and 2.5e-5, 50; section 3.1: 20, 20, 10."""
    for backbone, size, total, first, last in (
        ("resnet152", 256, 140, 1e-3, 2.5e-5),
        ("vgg16", 384, 50, 1e-8, 1e-6),
    ):
        network = on_meta(backbone=backbone)
        epochs, rates, phases = {}, [], []
        for settings in recipe(network):
            learns = {half: getattr(network, half).parameters() for half in ("detector", "regressor")}
            frozen = not all(p.requires_grad for p in learns["detector"])
            phase = (*network.supervised, frozen)
            epochs[phase] = epochs.get(phase, 0) + settings["epochs"]
            rates.append(settings["learning_rate"])
            phases.append(phase)
            assert all(p.requires_grad for p in learns["regressor"])
            assert (settings["size"], settings["batch_size"], settings["augment"]) == (size, 8, "cpm")
            assert settings.keys() <= inspect.signature(minipose.train).parameters.keys()
            assert settings["size"] % network.multiple == 0 and settings["schedule"] in optimization.SCHEDULES
            assert settings["optimizer"] in optimization.OPTIMIZERS
        assert list(epochs) == [(0, False), (1, True), (0, 1, False)] and sum(epochs.values()) == total
        assert (rates[0], rates[-1]) == (first, last)
        # Within a phase the rate falls, by equal factors.
        for phase in epochs:
            its = [rate for rate, when in zip(rates, phases, strict=True) if when == phase]
            factors = [a / b for a, b in itertools.pairwise(its)]
            assert all(factor == pytest.approx(factors[0], rel=0.02) and factor > 1 for factor in factors)
    with pytest.raises(ValueError, match="resnet152 and vgg16, not 'small'"):
        next(recipe(on_meta(backbone="small")))
    with pytest.raises(ValueError, match="one of detector, regressor, both"):
        set_phase(network, "all")
