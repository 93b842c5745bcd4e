"""Claims of section 3: what both networks are, what they are asked for, and how they start."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from minipose.models.part_heatmap_regression import (
    NORMAL_SIZE,
    ConvolutionalRegressor,
    PartHeatmapRegression,
    ResidualRegressor,
)
from minipose_book.papers.claims import Claim, Found, ahead
from minipose_book.papers.newell2016.tables import NO_MPII
from minipose_book.papers.wei2016.results import recipe


@cache
def instance(backbone: str) -> PartHeatmapRegression:
    """A published instance, as shapes without memory."""
    with torch.device("meta"):
        return PartHeatmapRegression(backbone=backbone).eval()


def _cells(backbone: str, size: int) -> list[int]:
    """Width in cells of the detections and of the confidence maps."""
    stages = instance(backbone)(torch.empty(1, 3, size, size, device="meta"))
    return [stage.shape[-1] for stage in stages]


def _asked(stage: int) -> list[bool]:
    """Are a visible, an occluded and an unlabelled part asked for?"""
    points = torch.tensor([[[99.5, 99.5]] * 3])
    size = 64 if stage == 0 else 256
    maps = instance("resnet152").targets(stage, points, torch.tensor([[2, 1, 0]]), (size, size))
    return maps.flatten(2).any(-1)[0].tolist()


def _discs(_) -> Found:
    asked = _asked(0)
    return Found(
        f"Of a visible, an occluded and an unlabelled part {sum(asked)} has a disc.",
        asked == [True, False, False],
    )


def _radius(_) -> Found:
    radius = instance("resnet152").config.radius
    body = 300 * NORMAL_SIZE / 380
    return Found(
        f"{radius:.0f} px of a crop of {NORMAL_SIZE} px, in which a body has {body:.0f} px, as 300 in 380.",
        radius == 10,
    )


def _gaussians(_) -> Found:
    asked, sigma = _asked(1), instance("resnet152").config.sigma
    return Found(
        f"Of a visible, an occluded and an unlabelled part {sum(asked)} have a Gaussian, of {sigma:.0f} px.",
        asked == [True, True, False] and sigma == 5,
    )


def _skips(_) -> Found:
    detector = instance("vgg16").detector
    with torch.device("meta"):
        maps = detector.backbone(torch.empty(1, 3, 384, 384))  # type: ignore[operator]
    strides = [384 // each.shape[-1] for each in maps]
    return Found(f"Scores are joined at strides {', '.join(map(str, strides))}.", strides == [8, 16, 32])


def _large_kernels(_) -> Found:
    regressor = instance("vgg16").regressor
    assert isinstance(regressor, ConvolutionalRegressor)
    sides = [m.kernel_size[0] for m in regressor.layers if isinstance(m, nn.Conv2d)]
    return Found(
        f"Sides of its filters, by Table 2: {', '.join(map(str, sides))}.",
        len(sides) == 7 and sides[4:] == [1, 1, 1] and (min(sides[:4]), max(sides)) == (7, 15),
    )


def _blocks(_) -> Found:
    backbone = instance("resnet152").detector.backbone
    counts = [len(getattr(backbone, f"layer{k}")) for k in range(1, 5)]
    return Found(
        f"{', '.join(map(str, counts))}: 3 x {sum(counts)} + 2 = {3 * sum(counts) + 2} layers, as the name "
        f"says; the table's would make {3 * (3 + 8 + 38 + 3) + 2}.",
        counts == [3, 8, 38, 3],
    )


def _full_size(_) -> Found:
    found, _maps = _cells("resnet152", 256)
    return Found(
        f"By Table 3's strides detections of a crop of 256 px have {found}x{found} cells.", found == 256
    )


def _regressed_size(_) -> Found:
    _found, maps = _cells("resnet152", 256)
    return Found(f"Of a crop of 256 px confidence maps have {maps}x{maps} cells.", maps == 256)


def _learned_upsampling(_) -> Found:
    regressor = instance("resnet152").regressor
    assert isinstance(regressor, ResidualRegressor)
    count = sum(isinstance(m, nn.ConvTranspose2d) for m in regressor.modules())
    inside = sum(isinstance(m, nn.ConvTranspose2d) for m in regressor.hourglass.modules())
    return Found(
        f"{inside} in the hourglass, {count - inside} behind it.", inside == 4 and count - inside == 1
    )


def _from_zero(_) -> Found:
    """Of the small form, which has the same parts, every convolution set to zero: what gets a gradient?"""
    regressor = PartHeatmapRegression(backbone="small").regressor
    for module in regressor.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    seen, target = (torch.rand(2, n, 32, 32, generator=generator) for n in (19, 16))
    (regressor(seen) - target).square().sum().backward()
    every = list(regressor.named_parameters())
    moved = [name for name, p in every if p.grad is not None and p.grad.any()]
    return Found(
        f"From zeros only, {len(moved)} of {len(every)} parameters get a gradient: {' and '.join(moved)}. "
        "Here the scores alone start at zero.",
        any(name.endswith("weight") for name in moved),
    )


NETWORK = (
    Claim("3", "The detection is asked for visible parts only.", _discs),
    Claim("3", "A disc has 10 px for a body of 200 px.", _radius),
    Claim("3", "The regression is asked for all parts, visible or not, as Gaussians of 5 px.", _gaussians),
    Claim("3.1, Figure 3", "Earlier layers' features bring the stride of 32 px down to 8.", _skips),
    Claim(
        "3.1, Figure 4",
        "VGG's regressor is seven convolutions, four with sides of 7 to 15 and three of 1.",
        _large_kernels,
    ),
    Claim("3.1", "Augmentation flips, scales by 0.7 to 1.3 and turns by up to ±40°.", recipe),
    Claim(
        "3.1",
        "To train in phases is faster than to train both together from the beginning.",
        ahead("final/three phases", "final/joint"),
        "part-phases",
    ),
    Claim("3.1", "VGG: 20 epochs of detection, 20 of regression, 10 of both.", because=NO_MPII),
    Claim(
        "3.1",
        "LSP: to stop the gradient of missing points is better than to make the points up.",
        because="both are here, and LSP's own photographs were not at hand",
    ),
    Claim("3.2, Table 3", "B2 to B5 are 3, 8, 38 and 3 bottlenecks, as in ResNet-152.", _blocks),
    Claim("3.2, Figure 5", "B7 brings the detections to the input's resolution.", _full_size),
    Claim("3.2, Figure 6", "The hourglass enlarges by deconvolutions.", _learned_upsampling),
    Claim("3.2, Table 4", "The regression's output has the input's resolution.", _regressed_size),
    Claim("3.2", "Residual: 50 epochs of detection, 40 of regression, 50 of both.", because=NO_MPII),
    Claim(
        "3.2",
        "The regressor starts at zero, but for its deconvolutions, and other ways do about as well.",
        _from_zero,
    ),
)
