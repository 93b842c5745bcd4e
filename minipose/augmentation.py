"""Augmentation: a random crop, and random gains on the colours (paper, section 3.4).

Two recipes circulate under the paper's name. "paper" is what section 3.4 says: rotation and scale,
uniform. "code" is what the authors' published training code does: clipped normal draws, rotation
for two people in five, mirroring, and a gain on each colour channel. "cpm" is that of Convolutional Pose
Machines (their section 4.2): uniform rotation and scale, further than the first, and mirroring; part heatmap
regression uses the same ranges (its section 3). None moves the crop: its centre says who is annotated.

Other packages add recipes of their own to `RECIPES`; the book adds those of a student report.

The draws belong to the sample: they follow from (seed, epoch, sample number) alone, so that batch
size, number of processes, resuming and device change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from minipose.crops import Crop


@dataclass(frozen=True)
class Draw:
    """One draw: factor on the crop's side, degrees clockwise, mirrored or not, gain by channel."""

    scale: float = 1.0
    angle: float = 0.0
    mirror: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def crop(self, crop: Crop) -> Crop:
        """The evaluation crop, varied; its centre stays."""
        return Crop(crop.center, crop.side * self.scale, crop.angle + self.angle, crop.mirror ^ self.mirror)

    def colours(self, image: np.ndarray) -> np.ndarray:
        """Image (H, W, 3) uint8 with each channel multiplied by its gain, cut off at 255."""
        if self.gains == (1.0, 1.0, 1.0):
            return image
        levels = np.arange(256)[:, None] * np.array(self.gains)
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
        return cv2.LUT(image, table)

    @staticmethod
    def on_device(draws: Sequence[Draw], images: torch.Tensor) -> torch.Tensor:
        """`colours` of a batch (B, 3, S, S) of whole grey levels in float32, anywhere; a draw a picture."""
        gains = torch.tensor([draw.gains for draw in draws], dtype=torch.float32)
        return images.mul(gains[..., None, None].to(images.device, non_blocking=True)).round_().clamp_(0, 255)


def _paper(random: np.random.Generator) -> Draw:
    return Draw(scale=random.uniform(0.75, 1.25), angle=random.uniform(-30.0, 30.0))


def _cpm(random: np.random.Generator) -> Draw:
    return Draw(random.uniform(0.7, 1.3), random.uniform(-40.0, 40.0), random.random() < 0.5)


def _code(random: np.random.Generator) -> Draw:
    # Not NumPy's clip: for a single number it takes microseconds, and every crop is drawn anew.
    scale = 2.0 ** min(max(0.25 * random.standard_normal(), -0.5), 0.5)
    angle = min(max(30.0 * random.standard_normal(), -60.0), 60.0) if random.random() < 0.4 else 0.0
    mirror = random.random() < 0.5
    red, green, blue = random.uniform(0.6, 1.4, size=3).tolist()
    return Draw(scale, angle, mirror, (red, green, blue))


# How to draw under each recipe. None may take more than sqrt(2) times the crop's side (`scaling.gpu_crops`).
RECIPES: dict[str, Callable[[np.random.Generator], Draw]] = {
    "none": lambda random: Draw(), "paper": _paper, "code": _code, "cpm": _cpm,
}  # fmt: skip


def draw(recipe: str, seed: int, epoch: int, number: int) -> Draw:
    """The draw of sample `number` in `epoch` under a recipe of `RECIPES`."""
    if recipe not in RECIPES:
        raise ValueError(f"augment must be one of {', '.join(RECIPES)}, found {recipe!r}")
    return Draw() if recipe == "none" else RECIPES[recipe](np.random.default_rng((seed, epoch, number)))
