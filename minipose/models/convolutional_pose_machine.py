"""Convolutional Pose Machines (Wei, Ramakrishna, Kanade, Sheikh, CVPR 2016).

Read beside section 3 and Figure 2. A pose machine is a row of predictors: the first looks at the image
around a place, each later one at the image again and at what the one before it believed, over a region so
large that one part of the body can say where another must be.

Axes: B samples, P parts (the joints), H x W cells of `stride` px. Belief map P is the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from minipose.heatmaps import encode_heatmaps, to_map
from minipose.models.config import (
    configured_by,
    require_choice,
    require_counts,
    require_multiple,
    require_positive,
)
from minipose.models.network import PoseNetwork

UNLABELLED = ("zero", "ignore")
# Section 3.2.1: crops are normalised to so many px; the targets' width is given for them.
NORMAL_SIZE = 368


@dataclass(frozen=True)
class ConvolutionalPoseMachineConfig:
    """Arguments of `ConvolutionalPoseMachine`; the defaults are the paper's network.

    Parameters
    ----------
    joints : number of parts P.
    stages : T; the paper ends with 6 (Figure 6c).
    features : width of the image features; the other widths are the paper's multiples of it: the beliefs
        are joined by a quarter of it, and stage 1's last layers have four times as many.
    kernel : side of the large filters on the image, 9 in the paper. Stage 1 then sees 160 px.
    context : side of the three filters on the beliefs, 11 in the paper: 31 cells, which are 400 px.
    stride : px a cell, 8 or 4: pooled three times or twice (section 3.2.2 compares both).
    sigma : standard deviation of the peaks in px of a 368 px crop; it grows with the crop.
    unlabelled : "zero", a joint without label has an empty belief map as its target; "ignore", it carries
        no loss, nor does that sample's background, which would have to know.
    normalized : BatchNorm after each hidden convolution. The paper has none; the small form learns faster
        with it.

    Raises `ValueError` for a value that is not possible.
    """

    joints: int = 14
    stages: int = 6
    features: int = 128
    kernel: int = 9
    context: int = 11
    stride: int = 8
    sigma: float = 21.0
    unlabelled: str = "zero"
    normalized: bool = False

    def __post_init__(self) -> None:
        require_counts(self, "joints", "stages")
        for name in ("kernel", "context"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1 and value % 2):
                raise ValueError(f"{name} must be an odd number of cells, found {value!r}")
        require_multiple(self, "features", 4)
        if self.stride not in (4, 8):
            raise ValueError(f"stride must be 8 or 4, found {self.stride!r}")
        require_positive(self, "sigma", "px")
        require_choice(self, "unlabelled", UNLABELLED)


class ConvolutionalPoseMachine(PoseNetwork):
    """T stages of belief maps.

    Takes the fields of `ConvolutionalPoseMachineConfig`, as in `ConvolutionalPoseMachine(stages=3)`.

    Images (B, 3, H, W) with H and W multiples of the stride; every stage (B, P + 1, H/stride, W/stride).
    """

    config: ConvolutionalPoseMachineConfig

    @configured_by(ConvolutionalPoseMachineConfig)
    def __init__(self, config: ConvolutionalPoseMachineConfig):
        joints, features, normalized = config.joints, config.features, config.normalized
        kernel, stride, stages = config.kernel, config.stride, config.stages
        super().__init__(config, [stride] * stages, stride, list(range(stages)))
        # Stage 1 and the later ones have image features of one shape and of their own weights (Figure 2).
        self.first = nn.Sequential(
            image_features(features, kernel, stride, normalized),
            *convolution(features, features // 4, min(5, kernel), normalized),
            *convolution(features // 4, 4 * features, kernel, normalized),
            *convolution(4 * features, 4 * features, 1, normalized),
            last(4 * features, joints),
        )
        self.features = image_features(features, kernel, stride, normalized)  # shared by all later stages
        self.later = nn.ModuleList(
            Stage(joints, features, features, kernel, config.context, normalized) for _ in range(stages - 1)
        )

    @classmethod
    def small(cls, joints: int = 14, stages: int = 3, **more) -> ConvolutionalPoseMachine:
        """For CPUs and crops of about 96 px; its receptive fields have about the paper's share of them."""
        small = {"features": 32, "kernel": 3, "context": 5, "stride": 4, "normalized": True}
        return cls(**{"joints": joints, "stages": stages} | small | more)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.check_images(images)
        images = images - 0.5  # around zero
        beliefs = [self.first(images)]  # (B, P + 1, H/stride, W/stride)
        if self.later:
            features = self.features(images)  # (B, F, H/stride, W/stride)
            center = self.center(images)
            for stage in self.later:
                beliefs.append(stage(features, beliefs[-1], center))
        return beliefs

    def center(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 1, H/stride, W/stride): a peak at the crop's centre, which says who is meant (section 4.2)."""
        height, width = images.shape[2:]
        middle = torch.tensor([[[(width - 1) / 2, (height - 1) / 2]]], device=images.device)
        peak = self.peaks(middle, torch.ones(1, 1, device=images.device), (height, width))
        return peak.to(images.dtype).expand(images.shape[0], -1, -1, -1)

    def peaks(self, points: torch.Tensor, visibility: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Gaussians of height 1 at points (B, J, 2), crop px, as maps of crops of this (height, width)."""
        stride = self.multiple
        sigma = self.config.sigma * size[0] / NORMAL_SIZE / stride
        return encode_heatmaps(
            to_map(points, stride), visibility, (size[0] // stride, size[1] // stride), sigma
        )

    def targets(self, keypoints, visibility, others, size: tuple[int, int]):
        """The ideal beliefs (B, P + 1, h, w): of everybody for stage 1, of the person for the later ones.

        Everything that looks like an elbow is an elbow to stage 1, which sees only a patch (section 4.2).
        The background is where no part is: 1 - the highest of the parts' maps.
        """
        person = self.peaks(keypoints, visibility, size)
        everybody = person
        for k in range(0 if others is None else others.shape[1]):
            other = self.peaks(others[:, k, :, :2], others[:, k, :, 2], size)
            everybody = torch.maximum(everybody, other)
        return tuple(
            torch.cat((parts, 1 - parts.amax(dim=1, keepdim=True)), dim=1) for parts in (everybody, person)
        )

    def loss(self, stages, keypoints, visibility, others=None):
        """Equations 4 and 5: squared errors summed over maps, cells and stages; the mean over samples."""
        self.check_labels(len(stages[0]), keypoints, visibility)
        height, width = stages[0].shape[2:]
        stride = self.multiple
        everybody, person = self.targets(keypoints, visibility, others, (height * stride, width * stride))
        counted = torch.ones_like(person[:, :, :1, :1])
        if self.config.unlabelled == "ignore":
            labelled = visibility > 0  # (B, P)
            counted = torch.cat((labelled, labelled.all(dim=1, keepdim=True)), dim=1)[..., None, None]
        total = torch.zeros((), device=stages[0].device)
        for k in self.supervised:
            target = everybody if k == 0 else person
            error = (stages[k].float() - target).square() * counted
            total = total + error.sum() / len(error)
        return total


class Stage(nn.Module):
    """Stages t >= 2 (Figure 2d): from image features, the beliefs before and the centre to new beliefs.

    features : of the image. width : of the layers that look at beliefs, with filters `context` cells wide.
    """

    def __init__(
        self, joints: int, features: int, width: int, kernel: int, context: int, normalized: bool = False
    ):
        super().__init__()
        self.evidence = nn.Sequential(*convolution(features, features // 4, min(5, kernel), normalized))
        self.layers = nn.Sequential(
            *convolution(features // 4 + joints + 2, width, context, normalized),
            *convolution(width, width, context, normalized),
            *convolution(width, width, context, normalized),
            *convolution(width, width, 1, normalized),
            last(width, joints),
        )

    def forward(self, features: torch.Tensor, beliefs: torch.Tensor, center: torch.Tensor) -> torch.Tensor:
        """(B, F, h, w), (B, P + 1, h, w), (B, 1, h, w) -> (B, P + 1, h, w)."""
        return self.layers(torch.cat((self.evidence(features), beliefs, center), dim=1))


def convolution(incoming: int, outgoing: int, kernel: int, normalized: bool) -> list[nn.Module]:
    """A convolution that keeps the maps' size, and a ReLU."""
    layer = nn.Conv2d(incoming, outgoing, kernel, padding=kernel // 2)
    # Where nothing is normalised, outputs must start neither to grow nor to fade from layer to layer.
    # (The paper does not say how it starts.)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return [layer, *([nn.BatchNorm2d(outgoing)] if normalized else []), nn.ReLU(inplace=True)]


def last(incoming: int, joints: int) -> nn.Conv2d:
    """From features to P + 1 belief maps, nearly empty at first, as the targets are."""
    layer = nn.Conv2d(incoming, joints + 1, 1)
    nn.init.normal_(layer.weight, std=0.01)
    return layer


def image_features(features: int, kernel: int, stride: int, normalized: bool) -> nn.Sequential:
    """Three large convolutions, each pooled (at stride 4 but the last): (B, 3, H, W) -> (B, F, H/s, W/s)."""
    layers: list[nn.Module] = []
    for incoming, pooled in ((3, True), (features, True), (features, stride == 8)):
        layers += convolution(incoming, features, kernel, normalized)
        layers += [nn.MaxPool2d(2)] if pooled else []
    return nn.Sequential(*layers)


def receptive_field(layers: nn.Module) -> tuple[int, int]:
    """Of convolutions and poolings in a row: how far one output cell sees (a side), and steps between cells.

    Both in cells of the input, which are px for stage 1: (160, 8) in the paper (section 3.2.1).
    """
    side, step = 1, 1
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            side += (layer.kernel_size[0] - 1) * step
        elif isinstance(layer, nn.MaxPool2d):
            side, step = side + step, 2 * step
    return side, step
