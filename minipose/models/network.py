"""What every pose network of the package is: images in, one set of heatmaps per stage out.

A network knows nothing of data, files or training. Its users ask for `heatmaps` and `loss`; nothing
outside `models/` reads a raw stage.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Self

import torch
from torch import nn

from minipose.skeletons import Skeleton


class PoseNetwork(nn.Module):
    """Base of all networks.

    Attributes
    ----------
    config : the arguments, as a frozen dataclass with at least `joints`.
    joints : number J of joints.
    strides : crop px for one cell of each stage's maps, first to last.
    multiple : images' heights and widths are multiples of this.
    supervised : the stages (numbers from 0) that carry a loss; may be changed between phases.
    skeleton, size, crop_rule : names of the joints, input px and how crops were cut, noted by
        training and by `minipose.load`; None before.
    """

    def __init__(self, config: Any, strides: list[int], multiple: int, supervised: list[int]):
        super().__init__()
        self.config = config
        self.joints: int = config.joints
        self.strides = strides
        self.multiple = multiple
        self.supervised = supervised
        self.skeleton: Skeleton | None = None
        self.size: int | None = None
        self.crop_rule = ""

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """The network that this config describes: `cls` called with the config's fields."""
        return cls(**asdict(config))

    @property
    def arguments(self) -> dict[str, Any]:
        """The config's fields by name, for a weights file: `type(network)(**network.arguments)` is alike."""
        return asdict(self.config)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (B, 3, H, W), float in [0, 1] -> stage k's (B, C >= J, H/strides[k], W/strides[k])."""
        raise NotImplementedError

    def heatmaps(self, stages: list[torch.Tensor]) -> list[torch.Tensor]:
        """Raw stages -> (B, J, h, w) each, to decode, average, measure or draw."""
        return [stage[:, : self.joints].float() for stage in stages]

    def loss(
        self,
        stages: list[torch.Tensor],
        keypoints: torch.Tensor,
        visibility: torch.Tensor,
        others: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What training minimises: a float32 scalar, the mean over the B samples.

        Parameters
        ----------
        stages : what `forward` returned.
        keypoints : (B, J, 2) crop px. visibility : (B, J), 0 where there is no label.
        others : (B, K, J, 3) x, y, visibility of other people, padded with visibility 0.
        """
        raise NotImplementedError

    def check_images(self, images: torch.Tensor) -> None:
        """Raise `ValueError` unless images are (B, 3, H, W), H and W multiples of `multiple`."""
        if images.ndim != 4 or images.shape[1] != 3 or any(n % self.multiple for n in images.shape[2:]):
            raise ValueError(
                f"images must be (B, 3, H, W) with H and W multiples of {self.multiple}, "
                f"found {tuple(images.shape)}"
            )

    def check_labels(self, images: int, keypoints: torch.Tensor, visibility: torch.Tensor) -> None:
        """Raise `ValueError` unless keypoints are (B, J, 2) and visibility (B, J), for this many images."""
        expected = (images, self.joints)
        if keypoints.shape != (*expected, 2) or visibility.shape != expected:
            raise ValueError(
                f"a loss over {images} images needs keypoints {(*expected, 2)} and visibility {expected}, "
                f"found {tuple(keypoints.shape)} and {tuple(visibility.shape)}"
            )

    def train(self, mode: bool = True):
        """As in PyTorch, except that a frozen BatchNorm keeps its statistics too."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not any(p.requires_grad for p in module.parameters()):
                module.eval()
        return self
