"""The residual module (paper, section 3.2 and Figure 4 left; He et al. 2016, pre-activation).

Three convolutions on a bottleneck, added to what came in. The authors' Torch code was consulted
for what the figure leaves out: biases in every convolution, batch normalisation before each, and
nothing after the addition.
"""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """BN-ReLU-conv 1x1, BN-ReLU-conv 3x3, BN-ReLU-conv 1x1, plus the input.

    Input (B, incoming, H, W), output (B, outgoing, H, W). The two inner widths are outgoing/2.
    Where the widths differ the input passes through a bare 1x1 convolution; where they agree it is
    added as it is, without a parameter.
    """

    def __init__(self, incoming: int, outgoing: int):
        super().__init__()
        inner = outgoing // 2
        self.bottleneck = nn.Sequential(
            nn.BatchNorm2d(incoming), nn.ReLU(inplace=True), nn.Conv2d(incoming, inner, 1),
            nn.BatchNorm2d(inner), nn.ReLU(inplace=True), nn.Conv2d(inner, inner, 3, padding=1),
            nn.BatchNorm2d(inner), nn.ReLU(inplace=True), nn.Conv2d(inner, outgoing, 1),
        )  # fmt: skip
        self.skip = nn.Identity() if incoming == outgoing else nn.Conv2d(incoming, outgoing, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bottleneck(x) + self.skip(x)


def residuals(count: int, features: int) -> nn.Sequential:
    """`count` residual modules in a row, all of one width."""
    return nn.Sequential(*(Residual(features, features) for _ in range(count)))
