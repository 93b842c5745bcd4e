"""Networks that only experiments need: the hourglass with something changed, all else as it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from minipose.heatmaps import encode_heatmaps, to_map
from minipose.io.errors import InputError
from minipose.models.hourglass import HeatmapHead, StackedHourglass
from minipose.models.network import PoseNetwork
from minipose.models.residual import Residual


class EarlyHourglass(StackedHourglass):
    """A single hourglass that also predicts before any pooling inside it (section 4.2's other places).

    Stages: the early prediction, then the final one, both of stride 4.
    """

    def __init__(self, **arguments):
        super().__init__(stacks=1, supervision="last", **arguments)
        self.early = HeatmapHead(self.config.residuals, self.config.features, self.joints)
        self.strides, self.supervised = [4, 4], [0, 1]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.check_images(images)
        x = self.stem(images)
        x, early = self.early(x, x)
        _, final = self.predictions[0](x, self.hourglasses[0](x))
        return [early, final]


ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class ActivatedHourglass(StackedHourglass):
    """The student report's section 4.4: every stage's heatmaps pass through a sigmoid or a ReLU.

    activation : "sigmoid" or "relu"; the rest is as in `HourglassConfig`. The next hourglass gets the
    heatmaps after it, too.
    """

    def __init__(self, activation: str, **arguments: Any):
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, found {activation!r}")
        super().__init__(**arguments)
        self.activation = activation
        for head in self.modules():
            if isinstance(head, HeatmapHead):
                head.heatmaps = nn.Sequential(head.heatmaps, ACTIVATIONS[activation]())  # type: ignore[assignment]

    @property
    def arguments(self) -> dict[str, Any]:
        return super().arguments | {"activation": self.activation}


class Plain(nn.Module):
    """A standard layer with a large filter and no reduction: conv 5x5-BN-ReLU, nothing added."""

    def __init__(self, features: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(features, features, 5, padding=2), nn.BatchNorm2d(features), nn.ReLU(inplace=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Bottleneck(nn.Module):
    """The residual module without its addition: reduction steps alone."""

    def __init__(self, features: int):
        super().__init__()
        self.layers = Residual(features, features).bottleneck

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Inception(nn.Module):
    """Branches of several filter sizes behind reductions, side by side (Szegedy et al. 2015), BN each.

    A quarter of the features 1x1, a half 3x3, an eighth two 3x3 in place of 5x5, an eighth pooled.
    """

    def __init__(self, features: int):
        super().__init__()
        if features % 8:
            raise InputError("Inception", "features", "a multiple of 8 in every layer", features)
        eighth = features // 8

        def layer(incoming: int, outgoing: int, kernel: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(incoming, outgoing, kernel, padding=kernel // 2),
                nn.BatchNorm2d(outgoing),
                nn.ReLU(inplace=True),
            )

        reduced = features // 2
        self.branches = nn.ModuleList(
            [
                layer(features, 2 * eighth, 1),
                nn.Sequential(layer(features, reduced, 1), layer(reduced, 4 * eighth, 3)),
                nn.Sequential(
                    layer(features, 2 * eighth, 1), layer(2 * eighth, eighth, 3), layer(eighth, eighth, 3)
                ),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), layer(features, eighth, 1)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


LAYERS = {"plain 5x5": Plain, "bottleneck": Bottleneck, "Inception": Inception}


def with_layers(network: StackedHourglass, kind: str) -> StackedHourglass:
    """The network with every residual module of equal widths replaced by a layer of `LAYERS`, in place.

    The two modules of the stem that widen stay. A layer is as wide as what it replaces: one is half as
    wide as the rest.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Residual) and isinstance(child.skip, nn.Identity):
                entrance = child.bottleneck[0]
                assert isinstance(entrance, nn.BatchNorm2d)
                setattr(parent, name, LAYERS[kind](entrance.num_features))
    return network


def without_normalization(network: StackedHourglass) -> StackedHourglass:
    """The network with every BatchNorm taken out, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.ReLU):
                child.inplace = False  # what it would overwrite is no longer BatchNorm's copy
    return network


class CoordinateRegression(PoseNetwork):
    """Coordinates straight from the features, as DeepPose does (Toshev & Szegedy 2014).

    The trunk is a hourglass network's; its last features, pooled to 4x4 cells so that it stays known
    where something is, go through two linear layers to x and y of each joint in units of the crop. The
    one raw stage is (B, 2 J, H/4, W/4), the answer repeated in every cell; `heatmaps` draws a
    Gaussian there, which decoding by "parabola" finds again exactly, inside the crop.
    """

    def __init__(self, trunk: StackedHourglass):
        super().__init__(trunk.config, [4], trunk.multiple, [0])
        features = trunk.config.features
        trunk.predictions[-1].heatmaps = nn.Identity()
        self.trunk = trunk
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * features, 8 * features),
            nn.ReLU(inplace=True), nn.Linear(8 * features, 2 * trunk.joints),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = self.trunk(images)[-1]  # (B, F, H/4, W/4)
        # Sixteen bits tell places apart by no more than half a pixel in 256.
        with torch.autocast(features.device.type, enabled=False):
            found = self.head(features.float()) + 0.5  # a network that knows nothing answers the centre
        return [found[..., None, None].expand(-1, -1, *features.shape[-2:])]

    def heatmaps(self, stages: list[torch.Tensor]) -> list[torch.Tensor]:
        points, size = self._points(stages[0])
        everywhere = torch.full(points.shape[:2], 2, device=points.device)
        return [encode_heatmaps(points, everywhere, size)]

    def loss(self, stages, keypoints, visibility, others=None):
        points, (height, width) = self._points(stages[0])
        units = torch.tensor([width, height], device=points.device)
        labelled = (visibility > 0)[..., None]
        # NaN must not enter at all: times zero it still is a NaN in the gradient.
        target = torch.where(labelled, to_map(keypoints, 4), points)
        return ((points - target) / units).square().sum(-1).mean()

    def _points(self, stage: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """(B, J, 2) map px and the maps' (height, width)."""
        height, width = stage.shape[-2:]
        found = stage[:, :, 0, 0].float().unflatten(1, (self.joints, 2))
        return found * torch.tensor([width, height], device=stage.device) - 0.5, (height, width)
