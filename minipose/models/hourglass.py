"""Stacked Hourglass Networks for Human Pose Estimation (Newell, Yang, Deng, ECCV 2016).

Read beside sections 3.1 to 3.4 and Figures 3 and 4. The paper's figures simplify the authors'
published Torch code, which was consulted for the stem's widths, the residual modules of the head
and the exact merge between two hourglasses; the parameter counts of the tests are theirs.

Axes: B samples, J joints, F features, H x W cells.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from minipose.heatmaps import encode_heatmaps, to_map
from minipose.models.network import PoseNetwork
from minipose.models.residual import Residual, residuals

SUPERVISIONS = ("all", "last", "upsampling")
UNLABELLED = ("zero", "ignore")


def _linear(maps: torch.Tensor) -> torch.Tensor:
    return maps


# What heatmaps may pass through last. The paper's are linear; a student report compared all three.
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": _linear, "sigmoid": torch.sigmoid, "relu": torch.relu,
}  # fmt: skip


class StackedHourglass(PoseNetwork):
    """The network of the paper: a stem from 256 to 64 px, then `stacks` hourglasses end to end.

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
    activation : of every stage's heatmaps: "linear", "sigmoid" or "relu".

    Images (B, 3, H, W) with H and W multiples of 4 x 2^depth; every stage (B, J, H/4, W/4), except
    that "upsampling" gives strides 16, 8, 4. As in the authors' code the image enters as it is.
    """

    def __init__(
        self,
        joints: int = 16,
        stacks: int = 8,
        residuals: int = 1,
        features: int = 256,
        depth: int = 4,
        supervision: str = "all",
        sigma: float = 1.0,
        unlabelled: str = "zero",
        activation: str = "linear",
    ):
        _check_arguments(joints, stacks, residuals, features, depth, supervision, sigma, unlabelled)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, found {activation!r}")
        midway = supervision == "upsampling"
        strides = [16, 8, 4] if midway else [4] * stacks
        supervised = [stacks - 1] if supervision == "last" else list(range(len(strides)))
        arguments = {
            "joints": joints, "stacks": stacks, "residuals": residuals, "features": features, "depth": depth,
            "supervision": supervision, "sigma": sigma, "unlabelled": unlabelled,
            "activation": activation,
        }  # fmt: skip
        super().__init__(joints, strides, 4 * 2**depth, supervised, arguments)
        self.sigma, self.unlabelled = sigma, unlabelled

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
        for stack in range(stacks):
            last = stack == stacks - 1
            # Figure 8's HG-Int predicts at strides 8 and 16, one and two levels below the output.
            predicting = {depth - 1, depth - 2} if midway else set()
            self.hourglasses.append(Hourglass(depth, residuals, features, joints, predicting, activation))
            self.predictions.append(Prediction(residuals, features, joints, not last, activation))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.check_images(images)
        stages: list[torch.Tensor] = []
        x = self.stem(images)  # (B, F, H/4, W/4)
        for hourglass, prediction in zip(self.hourglasses, self.predictions, strict=True):
            x = prediction(x, hourglass(x, stages), stages)
        return stages

    def loss(self, stages, keypoints, visibility, others=None):
        """Mean-squared error of every supervised stage against the same joints, summed over stages."""
        self.check_labels(len(stages[0]), keypoints, visibility)
        total = torch.zeros((), device=stages[0].device)
        for k in self.supervised:
            predicted = stages[k].float()  # (B, J, h, w)
            target = encode_heatmaps(
                to_map(keypoints, self.strides[k]), visibility, predicted.shape[-2:], self.sigma
            )
            error = (predicted - target).square()
            if self.unlabelled == "ignore":
                error = error * (visibility > 0)[..., None, None]
            total = total + error.mean()
        return total


class Hourglass(nn.Module):
    """Figure 3, recursively: an hourglass holds a smaller hourglass, down to plain residuals.

    Maps (B, F, H, W) to the same shape. `predicting` names the inner depths after whose upsampled
    result joints are predicted midway (HG-Int); their maps are appended to `stages`.
    """

    def __init__(
        self, depth: int, count: int, features: int, joints: int, predicting: set[int], activation="linear"
    ):
        super().__init__()
        self.upper = residuals(count, features)
        self.down = residuals(count, features)
        self.inner: nn.Module
        if depth > 1:
            self.inner = Hourglass(depth - 1, count, features, joints, predicting, activation)
        else:
            self.inner = residuals(count, features)  # the lowest resolution, 4x4
        midway = depth - 1 in predicting
        self.midway = Prediction(count, features, joints, True, activation) if midway else None
        self.up = residuals(count, features)

    def forward(self, x: torch.Tensor, stages: list[torch.Tensor]) -> torch.Tensor:
        upper = self.upper(x)  # (B, F, H, W), kept at full size
        low = self.down(max_pool2d(x, 2))  # (B, F, H/2, W/2)
        inner = self.inner(low, stages) if isinstance(self.inner, Hourglass) else self.inner(low)
        if self.midway is not None:
            inner = self.midway(low, inner, stages)
        lower = interpolate(self.up(inner), scale_factor=2.0, mode="nearest")
        return upper + lower


class Prediction(nn.Module):
    """Figure 4 right: predict heatmaps and, unless this is the end, bring them back as features.

    `entering` is what went into the hourglass, `leaving` what came out, both (B, F, H, W). The
    heatmaps (B, J, H, W) are appended to `stages`; the sum of `entering`, the remapped features and
    the remapped heatmaps goes on.
    """

    def __init__(self, count: int, features: int, joints: int, merge: bool, activation: str = "linear"):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
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

    def forward(
        self, entering: torch.Tensor, leaving: torch.Tensor, stages: list[torch.Tensor]
    ) -> torch.Tensor:
        features = self.features(leaving)
        heatmaps = self.activation(self.heatmaps(features))
        stages.append(heatmaps)
        if not self.merge:
            return features
        return entering + self.remap_features(features) + self.remap_heatmaps(heatmaps)


def _check_arguments(joints, stacks, residuals, features, depth, supervision, sigma, unlabelled):
    counts = {"joints": joints, "stacks": stacks, "residuals": residuals, "depth": depth}
    for name, value in counts.items():
        if not (isinstance(value, int) and value >= 1):
            raise ValueError(f"{name} must be a whole number >= 1, found {value!r}")
    if not (isinstance(features, int) and features >= 8 and features % 8 == 0):
        raise ValueError(f"features must be a multiple of 8, found {features!r}")
    if not sigma > 0:
        raise ValueError(f"sigma must be > 0 cells, found {sigma!r}")
    if supervision not in SUPERVISIONS:
        raise ValueError(f"supervision must be one of {', '.join(SUPERVISIONS)}, found {supervision!r}")
    if unlabelled not in UNLABELLED:
        raise ValueError(f"unlabelled must be one of {', '.join(UNLABELLED)}, found {unlabelled!r}")
    if supervision == "upsampling" and (stacks != 1 or depth < 3):
        raise ValueError(
            f"supervision 'upsampling' is HG-Int, one stack of depth >= 3, found {stacks} and {depth}"
        )


def depth_for(size: int) -> int:
    """The depth whose lowest resolution is 4x4 (section 3.1), for images of `size` px.

    At sizes other than 16 x 2^n the lowest resolution is a little larger.

    >>> [depth_for(size) for size in (64, 96, 128, 256)]
    [2, 2, 3, 4]
    """
    return max(1, (size // 16).bit_length() - 1)
