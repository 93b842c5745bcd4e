"""Human Pose Estimation via Convolutional Part Heatmap Regression (Bulat, Tzimiropoulos, ECCV 2016).

Read beside section 3, Figure 1 and Tables 1 to 4. A first network detects the parts that can be seen; a
second one looks at its heatmaps and the image, and says where all parts are, seen or not.

Axes: B samples, J parts (the joints), H x W cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, interpolate

from minipose.heatmaps import encode_heatmaps, to_map
from minipose.models.backbones import MEAN, STD, VGG, ResNet
from minipose.models.config import configured_by, require_choice, require_counts, require_positive
from minipose.models.network import PoseNetwork
from minipose.models.residual import Residual, residuals

BACKBONES = ("resnet152", "vgg16", "small", "small-vgg")
FIRST = ("detection", "regression")
UNLABELLED = ("zero", "ignore", "artificial")
# Discs are given for a body of 200 px. The paper's crops hold 300 px of 380: 200 px of about 256.
NORMAL_SIZE = 256
# The two parts of MPII that LSP does not label lie between two that it does.
BETWEEN = {"pelvis": ("left_hip", "right_hip"), "thorax": ("left_shoulder", "right_shoulder")}


@dataclass(frozen=True)
class PartHeatmapRegressionConfig:
    """Arguments of `PartHeatmapRegression`; the defaults are the paper's best network.

    Parameters
    ----------
    joints : number of parts J.
    backbone : "resnet152", section 3.2, for crops of 256 px; "vgg16", section 3.1, for 384 px (the paper's
        380 is not a multiple of its 32 px); "small" and "small-vgg", small forms of both for CPUs and about
        96 px.
    first : "detection", discs of the visible parts; "regression", what the second network is asked for,
        without a sigmoid: "Regression + regression" of Table 5, or stage 1 alone, "Regression only".
    image : the second network sees the image beside the heatmaps (Figure 1), or heatmaps only.
    radius : of the discs, in px of a 256 px crop; it grows with the crop. The paper's 10 px for 200 px.
    sigma : standard deviation of the Gaussians, in px of the crop, whatever its size.
    unlabelled : what becomes of a part without label. "zero": it is asked for nowhere. "ignore": it
        carries no loss, the paper's "stopping the backpropagation", which did better on LSP.
        "artificial": pelvis and thorax are put halfway between both hips and both shoulders, seen if both
        are; any other is asked for nowhere. (The paper does not say how it made up its points.)

    Raises `ValueError` for a value that is not possible.
    """

    joints: int = 16
    backbone: str = "resnet152"
    first: str = "detection"
    image: bool = True
    radius: float = 10.0
    sigma: float = 5.0
    unlabelled: str = "ignore"

    def __post_init__(self) -> None:
        require_counts(self, "joints")
        require_choice(self, "backbone", BACKBONES)
        require_choice(self, "first", FIRST)
        require_choice(self, "unlabelled", UNLABELLED)
        require_positive(self, "radius", "px")
        require_positive(self, "sigma", "px")


class PartHeatmapRegression(PoseNetwork):
    """Stage 1 detects, stage 2 regresses: `detector` and `regressor` (Figure 1).

    Takes the fields of `PartHeatmapRegressionConfig`, as in `PartHeatmapRegression(backbone="vgg16")`.

    Images (B, 3, H, W) with H and W multiples of `multiple`; stage 1 (B, J, H/4, W/4), with "small"
    H/2, W/2, stage 2 (B, J, H, W). Stage 1's raw values are logits where it detects.

    The paper trains in three phases: the detector, the regressor with the detector frozen, both; its recipe
    is `experiments.bulat2016.phases` of the book. In training, stage 2 is computed only where it carries a
    loss.
    """

    config: PartHeatmapRegressionConfig

    @configured_by(PartHeatmapRegressionConfig)
    def __init__(self, config: PartHeatmapRegressionConfig):
        joints, backbone = config.joints, config.backbone
        coarse, multiple = {"resnet152": (4, 64), "small": (2, 16)}.get(backbone, (4, 32))
        super().__init__(config, [coarse, 1], multiple, [0, 1])
        seen = joints + 3 if config.image else joints
        self.detector: nn.Module
        self.regressor: ResidualRegressor | ConvolutionalRegressor
        if backbone == "resnet152":
            self.detector = ResidualDetector(joints, ResNet())
            self.regressor = ResidualRegressor(seen, joints)
        elif backbone == "small":
            self.detector = ResidualDetector(joints, ResNet((1, 1, 3, 1), width=12, pooled=False))
            self.regressor = ResidualRegressor(seen, joints, features=48, depth=2, count=1)
        elif backbone == "vgg16":
            self.detector = ConvolutionalDetector(joints, 64, 4096, 7)
            self.regressor = ConvolutionalRegressor(seen, joints)
        else:
            self.detector = ConvolutionalDetector(joints, 12, 128, 3, normalized=True)
            self.regressor = ConvolutionalRegressor(seen, joints, 16, (3, 5, 5, 5), normalized=True)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.check_images(images)
        mean, std = images.new_tensor(MEAN), images.new_tensor(STD)
        images = (images - mean[:, None, None]) / std[:, None, None]
        found = self.detector(images)  # (B, J, H/stride, W/stride)
        if self.training and 1 not in self.supervised:
            return [found]
        stride = self.regressor.stride
        heatmaps = found.sigmoid() if self.config.first == "detection" else found
        size = (images.shape[2] // stride, images.shape[3] // stride)
        seen = interpolate(heatmaps, size, mode="bilinear")
        if self.config.image:
            seen = torch.cat((seen, avg_pool2d(images, stride) if stride > 1 else images), dim=1)
        return [found, self.regressor(seen)]

    def heatmaps(self, stages):
        """Detections as probabilities, confidence maps as they are."""
        maps = super().heatmaps(stages)
        return [maps[0].sigmoid(), *maps[1:]] if self.config.first == "detection" else maps

    def targets(self, stage: int, keypoints, visibility, size: tuple[int, int]) -> torch.Tensor:
        """What maps of this (height, width) should show (B, J, h, w): discs of visible parts, or Gaussians.

        keypoints (B, J, 2) crop px; visibility (B, J): 0 no label, 1 occluded, 2 visible.
        """
        stride = self.strides[stage]
        points = to_map(keypoints, stride)
        if stage == 0 and self.config.first == "detection":
            radius = self.config.radius * size[0] / NORMAL_SIZE  # both in cells and in px: the stride cancels
            return encode_discs(points, visibility == 2, size, radius)
        return encode_heatmaps(points, visibility, size, self.config.sigma / stride)

    def loss(self, stages, keypoints, visibility, others=None):
        """Equations 1 (with its minus) and 2: sums over cells, means over parts and over samples."""
        self.check_labels(len(stages[0]), keypoints, visibility)
        if self.config.unlabelled == "artificial":
            keypoints, visibility = self.artificial(keypoints, visibility)
        total = torch.zeros((), device=stages[0].device)
        for k in self.supervised:
            raw = stages[k].float()  # (B, J, h, w)
            target = self.targets(k, keypoints, visibility, raw.shape[-2:])
            if k == 0 and self.config.first == "detection":
                error = binary_cross_entropy_with_logits(raw, target, reduction="none")
            else:
                error = (raw - target).square()
            if self.config.unlabelled == "ignore":
                error = error * (visibility > 0)[..., None, None]
            total = total + error.sum() / visibility.numel()
        return total

    def artificial(self, keypoints, visibility):
        """The same with a label for pelvis and thorax where their neighbours have one (section 3.1, LSP)."""
        if self.skeleton is None:
            raise ValueError("artificial points need a network that knows its skeleton: train sets it")
        keypoints, visibility = keypoints.clone(), visibility.clone()
        for name, (left, right) in BETWEEN.items():
            if name in self.skeleton.joints:
                part, a, b = (self.skeleton.index(joint) for joint in (name, left, right))
                both = torch.minimum(visibility[:, a], visibility[:, b])
                made = (visibility[:, part] == 0) & (both > 0)
                middle = (keypoints[:, a] + keypoints[:, b]) / 2
                keypoints[:, part] = torch.where(made[:, None], middle, keypoints[:, part])
                visibility[:, part] = torch.where(made, both, visibility[:, part])
        return keypoints, visibility


class ResidualDetector(nn.Module):
    """Figure 5 and Table 3: a residual backbone (B1 to B5), scores (B6), four times finer (B7)."""

    def __init__(self, joints: int, backbone: ResNet):
        super().__init__()
        self.backbone = backbone
        self.score = scores(backbone.outgoing, joints)
        self.up = deconvolution(joints, 4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, J, H/4, W/4), or H/2 where the backbone does not pool."""
        return self.up(self.score(self.backbone(images)))


class ConvolutionalDetector(nn.Module):
    """Figure 3 and Table 1: VGG (A1 to A7), scores at strides 32, 16 and 8 (A8) joined as in FCN-8s (A9)."""

    def __init__(self, joints: int, width: int, hidden: int, kernel: int, normalized: bool = False):
        super().__init__()
        self.backbone = VGG(width, hidden, kernel, normalized)
        self.scores = nn.ModuleList(scores(n, joints) for n in (4 * width, 8 * width, hidden))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, J, H/4, W/4)."""
        fine, middle, x = (score(x) for score, x in zip(self.scores, self.backbone(images), strict=True))
        for skip in (middle, fine):
            x = skip + interpolate(x, scale_factor=2.0, mode="bilinear")
        return interpolate(x, scale_factor=2.0, mode="bilinear")


class ResidualRegressor(nn.Module):
    """Figure 6 and Table 4: one hourglass, whose upsampling is learned, and back to the input's size.

    D1 has stride 4, the three modules after it widen to the hourglass's features as in its authors' code.
    The table gives no kernel for the last deconvolution: it is that of Table 2.
    """

    stride = 1  # px of what it looks at

    def __init__(self, incoming: int, joints: int, features: int = 256, depth: int = 4, count: int = 3):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(incoming, features // 4, 7, stride=2, padding=3),
            nn.BatchNorm2d(features // 4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            Residual(features // 4, features // 2),
            Residual(features // 2, features // 2),
            Residual(features // 2, features),
        )
        self.hourglass = LearnedHourglass(depth, count, features)
        self.score = nn.Sequential(
            nn.Conv2d(features, 2 * features, 1),  # D6
            nn.BatchNorm2d(2 * features),
            nn.ReLU(inplace=True),
            scores(2 * features, joints),  # D7
        )
        self.up = deconvolution(joints, 8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, J or J + 3, H, W) -> (B, J, H, W)."""
        return self.up(self.score(self.hourglass(self.stem(x))))


class LearnedHourglass(nn.Module):
    """An hourglass (B, F, H, W) to the same shape: `count` modules at D2, D3 and D4, deconvolutions D5."""

    def __init__(self, depth: int, count: int, features: int):
        super().__init__()
        self.upper = residuals(count, features)
        self.lower = nn.Sequential(
            nn.MaxPool2d(2),
            *residuals(count, features),
            LearnedHourglass(depth - 1, count, features) if depth > 1 else residuals(count, features),
            *residuals(count, features),
            deconvolution(features, 2, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.upper(x) + self.lower(x)


class ConvolutionalRegressor(nn.Module):
    """Figure 4 and Table 2: seven convolutions, four of them with large kernels, on cells of 4 px.

    All weights start as draws of standard deviation 0.01 (section 3.1). The paper has no BatchNorm here.
    """

    stride = 4

    def __init__(
        self, incoming: int, joints: int, width: int = 64, kernels=(9, 13, 13, 15), normalized: bool = False
    ):
        super().__init__()
        layers: list[nn.Module] = []
        widths = (width, width, 2 * width, 4 * width, 8 * width, 8 * width)
        for outgoing, kernel in zip(widths, (*kernels, 1, 1), strict=True):
            layers.append(nn.Conv2d(incoming, outgoing, kernel, padding=kernel // 2))  # C1 to C6
            layers += [nn.BatchNorm2d(outgoing)] if normalized else []
            layers.append(nn.ReLU(inplace=True))
            incoming = outgoing
        layers.append(nn.Conv2d(incoming, joints, 1))  # C7
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers, deconvolution(joints, 8, 4))  # C8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, J or J + 3, h, w) -> (B, J, 4h, 4w)."""
        return self.layers(x)


def scores(incoming: int, joints: int) -> nn.Conv2d:
    """One map per part. It starts at zero, so that neither network predicts anything at first.

    The paper starts *all* of its regressor's convolutions there (section 3.2). Then no gradient passes any of
    them, and its maps stay the same whatever the image; so here this one alone starts there.
    """
    layer = nn.Conv2d(incoming, joints, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def deconvolution(features: int, kernel: int, stride: int) -> nn.ConvTranspose2d:
    """A learned upsampling that starts as bilinear interpolation, applied to each map independently.

    A kernel of the stride's size (B7, D5) reaches no second cell: there it starts as nearest neighbour.
    """
    layer = nn.ConvTranspose2d(features, features, kernel, stride, padding=(kernel - stride) // 2)
    distance = (torch.arange(kernel) - (kernel - 1) / 2).abs()
    tent = (1 - distance / stride).clamp(min=0)
    # Taps one stride apart add up to one pixel's value: constants stay constant.
    tent = tent / tent.reshape(-1, stride).sum(0).repeat(kernel // stride)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(features), range(features)] = tent[:, None] * tent
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def encode_discs(points, visible, size: tuple[int, int], radius: float) -> torch.Tensor:
    """Maps (B, J, H, W) that are 1 up to `radius` cells from each visible part and 0 elsewhere.

    points : (B, J, 2) map px; visible : (B, J) bool; size : (height, width). No disc is smaller than half
    a cell's diagonal, so that none falls between the cells' centres.
    """
    height, width = size
    cells = torch.arange(max(size), dtype=torch.float32, device=points.device)
    square = (cells - points[..., None]).square()  # (B, J, 2, max)
    distance = square[..., 1, :height, None] + square[..., 0, None, :width]
    return (visible[..., None, None] & (distance <= max(radius**2, 0.5))).float()
