"""The network against the authors' Torch code (pose-hg-train) and against plain arithmetic."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from minipose import StackedHourglass, encode_heatmaps
from minipose.heatmaps import to_map
from minipose.models.hourglass import Hourglass
from minipose.models.residual import Residual


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    "stacks, residuals, count",
    [(1, 1, 3_426_448), (2, 1, 6_570_400), (4, 1, 12_858_304), (8, 1, 25_434_112),
     (1, 8, 24_450_192), (2, 4, 24_590_752), (4, 2, 24_871_872)],
)  # fmt: skip
def test_parameters_are_the_authors(stacks, residuals, count):
    with torch.device("meta"):
        network = StackedHourglass(stacks=stacks, residuals=residuals)
    assert parameters(network) == count


def test_the_default_is_the_papers_network():
    with torch.device("meta"):
        assert parameters(StackedHourglass()) == 25_434_112


@pytest.mark.parametrize(
    "stacks, residuals, expected",
    [(1, 1, 5.150), (2, 1, 8.335), (8, 1, 27.440), (1, 8, 23.45), (2, 4, 24.02), (4, 2, 25.16)],
)
def test_multiplications_are_the_authors(stacks, residuals, expected):
    """Multiply-adds of all convolutions for one 256 px image, in units of 1e9."""
    total = 0

    def count(module, _, output):
        nonlocal total
        k = module.kernel_size[0] * module.kernel_size[1] * module.in_channels
        total += k * output[0].numel()

    with torch.device("meta"):
        network = StackedHourglass(stacks=stacks, residuals=residuals)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        network(torch.rand(1, 3, 256, 256))
    assert total / 1e9 == pytest.approx(expected, abs=0.006)


def test_residual_parameters_by_hand():
    # 64 -> 128: BN 2x64, 1x1 64x64+64, BN 2x64, 3x3 9x64x64+64, BN 2x64, 1x1 64x128+128, skip 64x128+128.
    by_hand = 128 + 4160 + 128 + 36928 + 128 + 8320 + 8320
    assert parameters(Residual(64, 128)) == by_hand
    assert parameters(Residual(128, 128)) == 256 + 8256 + 128 + 36928 + 128 + 8320  # no skip convolution


def test_residual_is_the_figure_written_out():
    torch.manual_seed(0)
    module = Residual(6, 8).eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight)
            nn.init.uniform_(layer.bias)
    x = torch.randn(2, 6, 5, 7)

    def normalise(x, layer):
        scale = layer.weight / (layer.running_var + 1e-5).sqrt()
        return (x - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]

    layers = module.bottleneck
    y = x
    for bn, conv, padding in ((0, 2, 0), (3, 5, 1), (6, 8, 0)):
        y = functional.conv2d(
            normalise(y, layers[bn]).clamp(min=0), layers[conv].weight, layers[conv].bias, padding=padding
        )
    expected = y + functional.conv2d(x, module.skip.weight, module.skip.bias)
    torch.testing.assert_close(module(x), expected)


def test_equal_widths_pass_the_input_unchanged():
    module = Residual(8, 8).eval()
    nn.init.zeros_(module.bottleneck[8].weight)
    nn.init.zeros_(module.bottleneck[8].bias)
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(module(x), x)


def test_hourglass_has_thirteen_residuals_and_reaches_four_by_four():
    hourglass = Hourglass(depth=4, count=1, features=16).eval()
    sizes = []
    for module in hourglass.modules():
        if isinstance(module, Residual):
            module.register_forward_hook(lambda _, __, output: sizes.append(output.shape[-1]))
    hourglass(torch.rand(1, 16, 64, 64))
    assert sorted(sizes) == [4] * 3 + [8] * 3 + [16] * 3 + [32] * 3 + [64]


def test_hourglass_adds_both_branches():
    """With residual modules made transparent, Figure 3 is x + upsample(max-pool(x) ...), by hand."""
    hourglass = Hourglass(depth=1, count=1, features=8).eval()
    for module in hourglass.modules():
        if isinstance(module, Residual):
            nn.init.zeros_(module.bottleneck[8].weight)
            nn.init.zeros_(module.bottleneck[8].bias)
    x = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(1, 8, 1, 1)
    pooled = torch.tensor([[5.0, 7.0], [13.0, 15.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    torch.testing.assert_close(hourglass(x), x + pooled)


def test_every_stage_has_its_shape():
    network = StackedHourglass(joints=14, stacks=3, features=16, depth=3)
    stages = network(torch.rand(2, 3, 128, 192))
    assert [tuple(s.shape) for s in stages] == [(2, 14, 32, 48)] * 3
    assert (network.strides, network.supervised) == ([4, 4, 4], [0, 1, 2])


def test_hg_int_predicts_at_strides_16_8_and_4():
    network = StackedHourglass(stacks=1, features=16, supervision="upsampling")
    stages = network(torch.rand(1, 3, 256, 256))
    assert network.strides == [16, 8, 4]
    assert [256 // s.shape[-1] for s in stages] == network.strides
    assert network.supervised == [0, 1, 2]


def test_hg_int_predicts_after_upsampling_and_merges_by_hand():
    """With residuals made transparent: each inner level is head and merge, on top of the plain hourglass."""
    torch.manual_seed(0)
    network = StackedHourglass(joints=2, stacks=1, features=8, depth=3, supervision="upsampling").eval()
    outer = network.hourglasses[0]
    for module in outer.modules():
        if isinstance(module, Residual):
            nn.init.zeros_(module.bottleneck[8].weight)
            nn.init.zeros_(module.bottleneck[8].bias)
    x = torch.rand(1, 8, 16, 16)
    half, quarter = functional.max_pool2d(x, 2), functional.max_pool2d(x, 4)

    def twice(maps):
        return maps.repeat_interleave(2, -2).repeat_interleave(2, -1)

    def head(module, low, inner):
        features = module.features(inner)
        maps = module.heatmaps(features)
        return low + module.remap_features(features) + module.remap_heatmaps(maps), maps

    merged, at_16 = head(outer.inner.midway, quarter, quarter + twice(functional.max_pool2d(x, 8)))
    merged, at_8 = head(outer.midway, half, half + twice(merged))
    features, stages = outer(x)
    torch.testing.assert_close(features, x + twice(merged))
    assert [tuple(stage.shape) for stage in stages] == [(1, 2, 4, 4), (1, 2, 8, 8)]
    torch.testing.assert_close(stages, [at_16, at_8])


@pytest.mark.parametrize("supervision, stacks", [("all", 2), ("last", 2), ("upsampling", 1)])
@pytest.mark.parametrize("unlabelled", ["zero", "ignore"])
def test_every_parameter_gets_a_gradient(supervision, stacks, unlabelled):
    torch.manual_seed(0)
    network = StackedHourglass(
        stacks=stacks, features=16, depth=3, supervision=supervision, unlabelled=unlabelled
    )
    keypoints = 128 * torch.rand(2, 16, 2)
    network.loss(network(torch.rand(2, 3, 128, 128)), keypoints, torch.ones(2, 16)).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias right before a BatchNorm is cancelled by it: the authors have it, and so have we.
    assert all(name.endswith(".bias") for name in without), without


def tiny_loss(unlabelled="zero", supervised=(0, 1)):
    network = StackedHourglass(joints=2, stacks=2, features=8, depth=1, unlabelled=unlabelled)
    network.supervised = list(supervised)
    keypoints = torch.tensor([[[5.5, 1.5], [9.5, 9.5]]])  # cells (1, 0) and (2, 2)
    visibility = torch.tensor([[2, 0]])
    stages = [torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)]
    return network, stages, keypoints, visibility


def test_loss_by_hand():
    network, stages, keypoints, visibility = tiny_loss()
    gauss = encode_heatmaps(to_map(keypoints, 4), visibility, (4, 4))[0, 0]
    zeros = (gauss**2).sum() / 32  # joint 1 has a target of zeros, which a zero map meets
    ones = ((1 - gauss) ** 2).sum() / 32 + 16 / 32  # and a map of ones misses by 1 in 16 cells
    assert network.loss(stages, keypoints, visibility).item() == pytest.approx((zeros + ones).item())


def test_ignored_joints_cost_nothing_and_do_not_change_the_mean():
    network, stages, keypoints, visibility = tiny_loss("ignore", supervised=[1])
    gauss = encode_heatmaps(to_map(keypoints, 4), visibility, (4, 4))[0, 0]
    expected = ((1 - gauss) ** 2).sum() / 32  # still divided by 2 joints x 16 cells
    assert network.loss(stages, keypoints, visibility).item() == pytest.approx(expected.item())


def test_occluded_joints_are_supervised():
    network, stages, keypoints, _ = tiny_loss("ignore")
    occluded, visible = (network.loss(stages, keypoints, torch.full((1, 2), v)) for v in (1, 2))
    assert occluded == visible > 0


def test_only_supervised_stages_carry_a_loss():
    network, stages, keypoints, visibility = tiny_loss(supervised=[1])
    stages[0] = torch.full((1, 2, 4, 4), 1e6)
    assert network.loss(stages, keypoints, visibility) < 2


def test_loss_is_a_mean_over_samples():
    """Two halves of a batch, averaged, give the loss of the whole: no count of labels enters."""
    torch.manual_seed(0)
    network = StackedHourglass(stacks=2, features=16, depth=2, unlabelled="ignore").eval()
    images, keypoints = torch.rand(4, 3, 64, 64), 64 * torch.rand(4, 16, 2)
    visibility = torch.randint(0, 3, (4, 16))
    with torch.no_grad():
        stages = network(images)
        whole = network.loss(stages, keypoints, visibility)
        halves = [
            network.loss([s[i : i + 2] for s in stages], keypoints[i : i + 2], visibility[i : i + 2])
            for i in (0, 2)
        ]
    torch.testing.assert_close(whole, sum(halves) / 2)


def test_the_prediction_of_a_stage_feeds_the_next():
    torch.manual_seed(0)
    network = StackedHourglass(stacks=2, features=16, depth=2).eval()
    images = torch.rand(1, 3, 64, 64)
    before = network(images)
    with torch.no_grad():
        network.predictions[0].heatmaps.bias += 1.0
    after = network(images)
    torch.testing.assert_close(after[0], before[0] + 1)
    assert not torch.allclose(after[1], before[1])


def test_frozen_batch_norm_keeps_its_statistics():
    network = StackedHourglass(stacks=1, features=16, depth=2)
    network.stem.requires_grad_(False)
    network.train()
    frozen = network.stem[1].running_mean.clone()
    free = network.predictions[0].features[0].bottleneck[0].running_mean.clone()
    network(torch.rand(2, 3, 64, 64))
    assert torch.equal(network.stem[1].running_mean, frozen)
    assert not torch.equal(network.predictions[0].features[0].bottleneck[0].running_mean, free)


def test_overfits_one_batch():
    """The first thing to try with any network: eight examples, by heart."""
    torch.manual_seed(0)
    network = StackedHourglass(joints=3, stacks=2, features=24, depth=2)
    images, keypoints = torch.rand(8, 3, 64, 64), 8 + 48 * torch.rand(8, 3, 2)
    visible = torch.ones(8, 3)
    optimizer = torch.optim.RMSprop(network.parameters(), 2e-3, alpha=0.99)
    zeros = torch.zeros(8, 3, 16, 16)
    baseline = network.loss([zeros, zeros], keypoints, visible).item()
    for _ in range(150):
        loss = network.loss(network(images), keypoints, visible)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.15 * baseline


@pytest.mark.parametrize("shape", [(1, 3, 100, 128), (3, 128, 128), (1, 1, 128, 128)])
def test_images_of_a_wrong_size(shape):
    network = StackedHourglass(stacks=1, features=8, depth=3)
    with pytest.raises(ValueError, match=r"multiples of 32, found"):
        network(torch.rand(shape))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(stacks=0), "stacks must be a whole number >= 1"),
        (dict(features=30), "features must be a multiple of 8"),
        (dict(supervision="some"), "supervision must be one of all, last, upsampling"),
        (dict(supervision="upsampling"), "one stack of depth >= 3"),
        (dict(sigma=0), "sigma must be > 0"),
        (dict(unlabelled="guess"), "unlabelled must be one of zero, ignore"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        StackedHourglass(**arguments)
