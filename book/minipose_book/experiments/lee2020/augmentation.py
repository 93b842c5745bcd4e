"""The student report's augmentation: three levels of eleven changes (its Table 1), and its future work.

Adds the recipes "light", "medium" and "heavy" to `augmentation.RECIPES`, and "block", which hides a large
block of the picture whose joints stay labelled (the report's section 7).

What the report's text leaves open is taken from its published code: blur for three pictures in ten; then
up to three (light: up to two) of sharpening, hue and saturation, brightness *or* contrast, dropout *or*
noise; scale *or* rotation or neither. Each amount is drawn evenly up to the table's. The code applies them in
any order, here it is the table's.

Geometry is one random `Crop` like everybody's. The report's crops were warped twice, which could bring a
joint back onto emptied picture; a single warp shows each labelled joint with the pixels around it.

One implementation serves the loader and `GPUCropCache`: PyTorch's operations on a batch in which each picture
has amounts of its own, which torchvision and OpenCV do not offer. Noise is drawn on the CPU, since
the draws belong to the sample and a GPU's generator draws other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, conv2d, pad

from minipose.augmentation import RECIPES, Draw

# The report's crops: a blur is as strong in proportion at other sizes.
REPORT_SIZE = 256
BLURRED = 0.3
# The block's sides, in sides of the crop, and how often there is one.
BLOCK, BLOCKED = (0.2, 0.4), 0.5


@dataclass(frozen=True)
class Level:
    """A column of the report's Table 1, grey levels out of 255; `changes` is how many of the four at most."""

    blur: float
    lightness: float
    blending: float
    hue: float
    brightness: float
    contrast: float
    dropout: float
    noise: float
    scale: float
    rotation: float
    changes: int
    flip: float = 0.5


LEVELS = {
    "light": Level(1.0, 0.0, 0.0, 15, 20, 0.10, 0.03, 0.01, 0.15, 15, changes=2),
    "medium": Level(1.5, 0.15, 0.5, 20, 25, 0.15, 0.05, 0.03, 0.20, 25, changes=3),
    "heavy": Level(2.0, 0.2, 1.0, 30, 30, 0.25, 0.10, 0.05, 0.25, 30, changes=3),
}


@dataclass(frozen=True)
class Photometric(Draw):
    """A draw that also changes pixels; what it says by default changes nothing.

    blur : sigma in px of a 256 px crop. blending, lightness : share of the sharpened picture, and the
    factor on its brightness. hue : turns of the colour circle. saturation, brightness : added, of 255.
    contrast : factor around the middle grey. dropout : share of pixels set to black. noise : standard
    deviation, of 255. block : (left, top, right, bottom) in crop sides, painted in `paint` (RGB of 255).
    seed : of the pixels that drop out, and of the noise.
    """

    blur: float = 0.0
    blending: float = 0.0
    lightness: float = 1.0
    hue: float = 0.0
    saturation: float = 0.0
    brightness: float = 0.0
    contrast: float = 1.0
    dropout: float = 0.0
    noise: float = 0.0
    block: tuple[float, ...] = ()
    paint: tuple[float, ...] = field(default=(0.0, 0.0, 0.0))
    seed: int = 0

    def colours(self, image: np.ndarray) -> np.ndarray:
        """Image (S, S, 3) uint8, changed."""
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        return self.on_device([self], pixels)[0].permute(1, 2, 0).to(torch.uint8).numpy()

    @staticmethod
    def on_device(draws: Sequence[Draw], images: torch.Tensor) -> torch.Tensor:
        """A batch (B, 3, S, S) of grey levels, 0 to 255, each with its own draw's changes, rounded."""
        changed = images.clone()
        for asks, change in CHANGES:
            chosen = [k for k, draw in enumerate(draws) if isinstance(draw, Photometric) and asks(draw)]
            if chosen:
                some = [draw for k in chosen if isinstance(draw := draws[k], Photometric)]
                changed[chosen] = change(changed[chosen], some).clamp_(0, 255)
        return changed.round_()


def _amounts(images: torch.Tensor, amounts: Sequence[float]) -> torch.Tensor:
    """(B, 1, 1, 1) on the images' device."""
    return torch.tensor(amounts, dtype=torch.float32).to(images.device)[:, None, None, None]


def _blur(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    count, channels, size, _ = images.shape
    sigma = _amounts(images, [draw.blur * size / REPORT_SIZE for draw in draws]).clamp(min=1e-3)
    # Three sigma, but no further than a picture can be mirrored.
    radius = min(max(1, round(3 * float(sigma.max()))), size - 1)
    steps = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)  # (B, 1, 1, taps)
    weights = (weights / weights.sum(dim=-1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = pad(images, [radius] * 4, mode="reflect").reshape(1, count * channels, *[size + 2 * radius] * 2)
    flat = conv2d(flat, weights, groups=count * channels)
    return conv2d(flat, weights.mT, groups=count * channels).reshape(images.shape)


def _sharpen(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    """8 + lightness at a pixel and -1 at its neighbours, blended with the picture."""
    around = 9 * avg_pool2d(pad(images, [1] * 4, mode="reflect"), 3, stride=1)
    sharp = (9 + _amounts(images, [draw.lightness for draw in draws])) * images - around
    return torch.lerp(images, sharp, _amounts(images, [draw.blending for draw in draws]))


def _hue_and_saturation(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    """Through the hexagon of hue, saturation and value, whose six corners are the pure colours."""
    value, which = images.max(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    safe = chroma.clamp(min=1e-6)
    # From red 0, green 2, blue 4: which channel is largest, and the difference of the two others.
    after, before = (images.gather(1, (which + step) % 3) for step in (1, 2))
    hue = 2 * which + (after - before) / safe + 6 * _amounts(images, [draw.hue for draw in draws])
    more = _amounts(images, [draw.saturation for draw in draws])
    # What is grey has no hue, and stays grey.
    saturation = torch.where(chroma > 0, (255 * chroma / value.clamp(min=1e-6) + more).clamp(0, 255), 0)
    corner = torch.tensor([5.0, 3.0, 1.0], device=images.device)[None, :, None, None]
    k = (corner + hue) % 6
    return value * (1 - saturation / 255 * torch.minimum(k, 4 - k).clamp(0, 1))


def _brightness(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    return images + _amounts(images, [draw.brightness for draw in draws])


def _contrast(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    return 127.5 + _amounts(images, [draw.contrast for draw in draws]) * (images - 127.5)


def _dropout(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    shape = 1, *images.shape[2:]
    fields = [np.random.default_rng(draw.seed).random(shape, np.float32) >= draw.dropout for draw in draws]
    return images * torch.from_numpy(np.stack(fields)).to(images.device)


def _noise(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    shape = images.shape[1:]
    fields = [np.random.default_rng(draw.seed).standard_normal(shape, np.float32) for draw in draws]
    amounts = _amounts(images, [255 * draw.noise for draw in draws])
    return images + amounts * torch.from_numpy(np.stack(fields)).to(images.device)


def _block(images: torch.Tensor, draws: Sequence[Photometric]) -> torch.Tensor:
    size = images.shape[-1]
    for image, draw in zip(images, draws, strict=True):
        left, top, right, bottom = (round(size * edge) for edge in draw.block)
        image[:, top:bottom, left:right] = torch.tensor(draw.paint).to(image)[:, None, None]
    return images


# Whether a draw asks for a change, and the change, in the order in which they are made.
CHANGES: tuple[tuple[Callable[[Photometric], object], Callable[..., torch.Tensor]], ...] = (
    (lambda draw: draw.blur, _blur),
    (lambda draw: draw.blending, _sharpen),
    (lambda draw: draw.hue or draw.saturation, _hue_and_saturation),
    (lambda draw: draw.brightness, _brightness),
    (lambda draw: draw.contrast != 1, _contrast),
    (lambda draw: draw.dropout, _dropout),
    (lambda draw: draw.noise, _noise),
    (lambda draw: draw.block, _block),
)


def at_level(level: Level, random: np.random.Generator) -> Photometric:
    """A draw of one level of the report's Table 1."""

    def either(amount: float) -> float:
        return float(random.uniform(-amount, amount))

    drawn = Photometric(mirror=bool(random.random() < level.flip), seed=int(random.integers(2**62)))
    if random.random() < BLURRED:
        drawn = replace(drawn, blur=float(random.uniform(0, level.blur)))
    kinds = ["sharpen", "hue", "light", "grain"][not level.blending :]
    for kind in random.permutation(kinds)[: random.integers(level.changes + 1)]:
        first = random.random() < 0.5
        if kind == "sharpen":
            blending, lightness = float(random.uniform(0, level.blending)), 1 + either(level.lightness)
            drawn = replace(drawn, blending=blending, lightness=lightness)
        elif kind == "hue":
            drawn = replace(drawn, hue=either(level.hue) / 255, saturation=either(level.hue))
        elif kind == "light" and first:
            drawn = replace(drawn, brightness=either(level.brightness))
        elif kind == "light":
            drawn = replace(drawn, contrast=1 + either(level.contrast))
        elif first:
            drawn = replace(drawn, dropout=float(random.uniform(0, level.dropout)))
        else:
            drawn = replace(drawn, noise=float(random.uniform(0, level.noise)))
    # Never both; half of the pictures keep scale and angle. A larger picture is a smaller crop.
    match random.integers(4):
        case 0:
            return replace(drawn, scale=1 / (1 + either(level.scale)))
        case 1:
            return replace(drawn, angle=either(level.rotation))
    return drawn


def blocked(random: np.random.Generator) -> Photometric:
    """Half of the pictures with a block of one random colour, anywhere in the crop."""
    if random.random() >= BLOCKED:
        return Photometric()
    sides = random.uniform(*BLOCK, size=2)
    corner = random.uniform(0, 1 - sides)
    edges = np.concatenate((corner, corner + sides)).tolist()
    return Photometric(block=tuple(edges), paint=tuple(random.integers(0, 256, 3).tolist()))


RECIPES.update({name: partial(at_level, level) for name, level in LEVELS.items()}, block=blocked)
