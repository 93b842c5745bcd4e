"""Stacked Hourglass Networks for Human Pose Estimation (Newell, Yang, Deng, ECCV 2016).

Read beside sections 3.1 to 3.4 and Figures 3 and 4. The paper's figures simplify the authors' published
Torch code. It was consulted for the stem's widths, the residual modules of the head and the exact merge
between two hourglasses; the tests assert its parameter counts.

Axes: B samples, J joints, F features, H x W cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from minipose.heatmaps import encode_heatmaps, to_map
from minipose.models.config import (
    configured_by,
    require_choice,
    require_counts,
    require_multiple,
    require_positive,
)
from minipose.models.network import PoseNetwork
from minipose.models.residual import Residual, residuals

SUPERVISIONS = ("all", "last", "upsampling")
UNLABELLED = ("zero", "ignore")


@dataclass(frozen=True)
class HourglassConfig:
    """Arguments of `StackedHourglass`; the defaults are the paper's network.

    Parameters
    ----------
    joints : number of joints J.
    stacks : number of hourglasses (section 3.3; the paper ends with 8).
    residuals : residual modules at each box of Figure 3. residuals x stacks measures capacity
        (section 4.2: 8 x 1, 4 x 2, 2 x 4 and 1 x 8 are compared).
    features : width F of the hourglasses; a multiple of 8 (the stem starts at a quarter of it).
    depth : halvings inside an hourglass. The lowest resolution is 4x4 (section 3.1) for
        depth = log2(size / 16): 4 for 256 px images, 3 for 128, 2 for 64 (see `depth_for`).
    supervision : "all", a loss after each hourglass (HG-Stacked-Int of Figure 8); "last", only
        after the last one (HG, HG-Stacked); "upsampling", a single hourglass with predictions
        after upsampling to strides 16 and 8 and at the end (HG-Int).
    sigma : standard deviation of the target Gaussians, in cells (section 3.4).
    unlabelled : "zero", an all-zero target for a joint without label (section 3.4); "ignore", no
        gradient, for data sets whose unlabelled joints are often visible.

    Raises `ValueError` for a value that is not possible or does not fit the others.
    """

    joints: int = 16
    stacks: int = 8
    residuals: int = 1
    features: int = 256
    depth: int = 4
    supervision: str = "all"
    sigma: float = 1.0
    unlabelled: str = "zero"

    def __post_init__(self) -> None:
        require_counts(self, "joints", "stacks", "residuals", "depth")
        require_multiple(self, "features", 8)
        require_positive(self, "sigma", "cells")
        require_choice(self, "supervision", SUPERVISIONS)
        require_choice(self, "unlabelled", UNLABELLED)
        if self.supervision == "upsampling" and (self.stacks != 1 or self.depth < 3):
            raise ValueError(
                "supervision 'upsampling' is HG-Int, one stack of depth >= 3, "
                f"found {self.stacks} and {self.depth}"
            )


class StackedHourglass(PoseNetwork):
    """The network of the paper: a stem from 256 to 64 px, then `stacks` hourglasses end to end.

    Takes the fields of `HourglassConfig`, as in `StackedHourglass(joints=16, stacks=2)`; a config
    that exists already goes to `StackedHourglass.from_config`.

    Images (B, 3, H, W) with H and W multiples of 4 x 2^depth; every stage (B, J, H/4, W/4), except
    that supervision "upsampling" gives strides 16, 8, 4. As in the authors' code, images are not
    normalised.
    """

    config: HourglassConfig

    @configured_by(HourglassConfig)
    def __init__(self, config: HourglassConfig):
        strides = [16, 8, 4] if config.supervision == "upsampling" else [4] * config.stacks
        stages = list(range(len(strides)))
        supervised = stages[-1:] if config.supervision == "last" else stages
        super().__init__(config, strides, 4 * 2**config.depth, supervised)

        features = config.features
        self.stem = nn.Sequential(
            nn.Conv2d(3, features // 4, 7, stride=2, padding=3),  # 256 -> 128 px
            nn.BatchNorm2d(features // 4),
            nn.ReLU(inplace=True),
            Residual(features // 4, features // 2),
            nn.MaxPool2d(2),  # 128 -> 64 px
            Residual(features // 2, features // 2),
            Residual(features // 2, features),
        )
        self.hourglasses = nn.ModuleList()
        self.predictions = nn.ModuleList()
        for stack in range(config.stacks):
            if config.supervision == "upsampling":
                self.hourglasses.append(
                    SupervisedHourglass(config.depth, config.residuals, features, config.joints)
                )
            else:
                self.hourglasses.append(Hourglass(config.depth, config.residuals, features))
            merge = stack < config.stacks - 1  # there is a next hourglass
            self.predictions.append(HeatmapHead(config.residuals, features, config.joints, merge))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.check_images(images)
        x = self.stem(images)  # (B, F, H/4, W/4)
        if self.config.supervision == "upsampling":
            return self._single_hourglass(x)
        stages = []
        for hourglass, head in zip(self.hourglasses, self.predictions, strict=True):
            features = hourglass(x)  # (B, F, H/4, W/4)
            x, heatmaps = head(x, features)  # (B, F, H/4, W/4), (B, J, H/4, W/4)
            stages.append(heatmaps)
        return stages

    def _single_hourglass(self, x: torch.Tensor) -> list[torch.Tensor]:
        """HG-Int of Figure 8: heatmaps from inside the hourglass, coarsest first, then from its end."""
        features, stages = self.hourglasses[0](x)
        _, heatmaps = self.predictions[0](x, features)
        return [*stages, heatmaps]

    def loss(self, stages, keypoints, visibility, others=None):
        """Mean-squared error of every supervised stage against the same joints, summed over stages."""
        self.check_labels(len(stages[0]), keypoints, visibility)
        total = torch.zeros((), device=stages[0].device)
        for k in self.supervised:
            predicted = stages[k].float()  # (B, J, h, w)
            target = encode_heatmaps(
                to_map(keypoints, self.strides[k]), visibility, predicted.shape[-2:], self.config.sigma
            )
            error = (predicted - target).square()
            if self.config.unlabelled == "ignore":
                error = error * (visibility > 0)[..., None, None]
            total = total + error.mean()
        return total


class Hourglass(nn.Module):
    """Figure 3, recursively: an hourglass holds a smaller hourglass, and the smallest plain residuals.

    depth : halvings. count : residual modules at each box. (B, F, H, W) -> (B, F, H, W), with H and W
    multiples of 2^depth.
    """

    def __init__(self, depth: int, count: int, features: int):
        super().__init__()
        self.upper = residuals(count, features)
        self.down = residuals(count, features)
        self.inner: nn.Module
        if depth > 1:
            self.inner = Hourglass(depth - 1, count, features)
        else:
            self.inner = residuals(count, features)  # the lowest resolution, 4x4
        self.up = residuals(count, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        upper = self.upper(x)  # (B, F, H, W), kept at full size
        low = self.down(max_pool2d(x, 2))  # (B, F, H/2, W/2)
        low = self.up(self.inner(low))
        return upper + interpolate(low, scale_factor=2.0, mode="nearest")


class HeatmapHead(nn.Module):
    """Figure 4 right: heatmaps from an hourglass's features, and the merge of both into what comes next.

    count : residual modules. merge : False after the last hourglass.
    """

    def __init__(self, count: int, features: int, joints: int, merge: bool = True):
        super().__init__()
        self.features = nn.Sequential(
            *residuals(count, features),
            nn.Conv2d(features, features, 1),
            nn.BatchNorm2d(features),
            nn.ReLU(inplace=True),
        )
        self.heatmaps = nn.Conv2d(features, joints, 1)
        self.merge = merge
        if merge:
            self.remap_features = nn.Conv2d(features, features, 1)
            self.remap_heatmaps = nn.Conv2d(joints, features, 1)

    def forward(self, x: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """An hourglass's input x and output features, (B, F, H, W) -> the next x, heatmaps (B, J, H, W)."""
        features = self.features(features)
        heatmaps = self.heatmaps(features)
        if self.merge:
            x = x + self.remap_features(features) + self.remap_heatmaps(heatmaps)
        return x, heatmaps


class SupervisedHourglass(nn.Module):
    """HG-Int of Figure 8: an hourglass that predicts inside as well, each time after upsampling.

    heads : how many of the hourglasses inside it are followed by a head; 2 predict at strides 16 and 8.
    """

    def __init__(self, depth: int, count: int, features: int, joints: int, heads: int = 2):
        super().__init__()
        self.upper = residuals(count, features)
        self.down = residuals(count, features)
        self.inner: nn.Module
        if heads > 1:
            self.inner = SupervisedHourglass(depth - 1, count, features, joints, heads - 1)
        else:
            self.inner = Hourglass(depth - 1, count, features)
        self.midway = HeatmapHead(count, features, joints)
        self.up = residuals(count, features)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(B, F, H, W) -> the same shape, and heatmaps (B, J, h, w), coarsest first."""
        upper = self.upper(x)
        low = self.down(max_pool2d(x, 2))
        stages: list[torch.Tensor] = []
        if isinstance(self.inner, SupervisedHourglass):
            inner, stages = self.inner(low)
        else:
            inner = self.inner(low)
        low, heatmaps = self.midway(low, inner)
        low = self.up(low)
        return upper + interpolate(low, scale_factor=2.0, mode="nearest"), [*stages, heatmaps]


def depth_for(size: int) -> int:
    """The depth whose lowest resolution is 4x4 (section 3.1), for images of `size` px.

    At sizes other than 16 x 2^n the lowest resolution is a little larger.

    >>> [depth_for(size) for size in (64, 96, 128, 256)]
    [2, 2, 3, 4]
    """
    return max(1, (size // 16).bit_length() - 1)
