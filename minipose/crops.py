"""Crops: the only place that knows two coordinate systems, the photo's and the network input's.

Points are (x, y), float, counted from 0, and an integer is the centre of a pixel. A crop is a
square of the photo; the network sees it resized to S x S. Where that square lies is data
(section 3.4 of the paper: the person in the direct centre is the one to annotate), drawing it at
random is augmentation, moving it is Figure 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from minipose.io.errors import InputError


@dataclass(frozen=True)
class Crop:
    """A square of a photo, perhaps turned and mirrored. All fields may be batched tensors.

    Parameters
    ----------
    center : (..., 2), the square's centre in photo px.
    side : (...), its side in photo px, > 0.
    angle : (...), degrees by which the picture turns clockwise on screen.
    mirror : (...), whether left and right are swapped, after everything else.

    >>> Crop(center=(50.0, 40.0), side=100.0).forward([[50.0, 40.0]], size=64).tolist()
    [[31.5, 31.5]]
    """

    center: Any
    side: Any
    angle: Any = 0.0
    mirror: Any = False

    @classmethod
    def around_box(cls, box, factor: float = 1.25) -> Crop:
        """Square around a person's box (x, y, width, height): `factor` x its longer side."""
        if len(box) != 4:
            raise InputError("crop", "box", "x, y, width and height", tuple(box))
        x, y, width, height = (float(v) for v in box)
        if not (_plausible_pixels(x, y, width, height) and width > 0 and height > 0):
            raise InputError("crop", "box", "x, y in a photo, and a width and height > 0", tuple(box))
        # The box covers the pixels x ... x + width - 1, whose centres are the integers.
        return cls((x + (width - 1) / 2, y + (height - 1) / 2), factor * max(width, height))

    @classmethod
    def around_joints(cls, points, factor: float = 1.5) -> Crop:
        """Square around labelled joints (N, 2): `factor` x the longer side of their box."""
        points = np.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1:] != (2,) or not (len(points) and np.isfinite(points).all()):
            raise InputError("crop", "joints", "one or more x, y, all finite", points.tolist())
        low, high = points.min(axis=0), points.max(axis=0)
        # A single labelled joint spans nothing; a few pixels keep the crop defined.
        return cls(tuple((low + high) / 2), factor * max(float((high - low).max()), 8.0))

    @classmethod
    def at_scale(cls, center, scale: float) -> Crop:
        """MPII's square: centre lowered by 15 x scale, side 250 x scale (`scale` x 200 px = height)."""
        x, y = (float(v) for v in center)
        if not (_plausible_pixels(x, y, scale) and scale > 0):
            raise InputError("crop", "center and scale", "x, y in a photo, and a scale > 0", (x, y, scale))
        return cls((x, y + 15.0 * scale), 250.0 * scale)

    @classmethod
    def whole(cls, photo: np.ndarray) -> Crop:
        """The smallest centred square that holds the whole photo (H, W, 3)."""
        height, width = photo.shape[:2]
        return cls(((width - 1) / 2, (height - 1) / 2), float(max(height, width)))

    def touches(self, photo: np.ndarray) -> bool:
        """Whether the square, however it is turned, can show a part of the photo (H, W, 3); of one crop."""
        height, width = photo.shape[:2]
        (x, y), reach = self.center, self.side * 0.75  # half the diagonal of a square, and a little more
        return bool(-reach < x < width + reach and -reach < y < height + reach)

    def matrix(self, size: int) -> torch.Tensor:
        """(..., 3, 3) float64 on the CPU: homogeneous photo px -> crop px of an S x S crop.

        Without angle and mirror, x_crop = (x - cx) S / side + (S - 1) / 2.
        """
        center, side, angle, mirror = (
            torch.as_tensor(v, dtype=torch.float64, device="cpu")
            for v in (self.center, self.side, self.angle, self.mirror)
        )
        middle, zoom, turn = (size - 1) / 2, size / side, torch.deg2rad(angle)
        # y points down, so this sign of the sine turns the picture clockwise on screen.
        cosine, sine = zoom * torch.cos(turn), zoom * torch.sin(turn)
        sign = 1 - 2 * mirror
        cx, cy = center[..., 0], center[..., 1]
        across = (sign * cosine, -sign * sine, middle - sign * (cosine * cx - sine * cy))
        down = (sine, cosine, middle - (sine * cx + cosine * cy))
        last = torch.zeros_like(cx), torch.zeros_like(cx), torch.ones_like(cx)
        entries = torch.broadcast_tensors(*across, *down, *last)
        return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))

    def forward(self, points, size: int) -> torch.Tensor:
        """Photo px -> crop px. Points (..., N, 2), any dtype; float64 out."""
        return transform(self.matrix(size), points)

    def inverse(self, points, size: int) -> torch.Tensor:
        """Crop px -> photo px. Points (..., N, 2), any dtype; float64 out."""
        return transform(torch.linalg.inv(self.matrix(size)), points)

    def image(self, photo: np.ndarray, size: int) -> np.ndarray:
        """The crop's pixels: photo (H, W, 3) uint8 -> (S, S, 3) uint8, black outside the photo.

        Bilinear; a reduction of more than 2x is area-averaged first, which keeps fine patterns
        from flickering through between the samples.
        """
        matrix = self.matrix(size).numpy()
        # A crop may be much larger than the photo; more than one pixel for all of it is never needed.
        reduction = int(min(float(self.side) / size, max(photo.shape[:2])))
        reduced = reduction >= 2 and float(self.side) > 2 * size
        if reduced or max(photo.shape) > _WIDEST:
            photo, matrix = _reduced(photo, matrix, size, reduction if reduced else 1)
        return cv2.warpAffine(photo, matrix[:2], (size, size), flags=cv2.INTER_LINEAR)


_WIDEST = 32_000  # px; beyond 32,766 OpenCV 4 warps nothing


def _plausible_pixels(*values: float) -> bool:
    """Whether these can be px of a photo: beyond a million a file is corrupt or a number mistyped."""
    return all(math.isfinite(v) and abs(v) < 1e6 for v in values)


def transform(matrix: torch.Tensor, points) -> torch.Tensor:
    """Apply (..., 3, 3) to points (..., N, 2); float64 out, on the CPU."""
    points = torch.as_tensor(points, dtype=torch.float64, device="cpu")
    return points @ matrix[..., :2, :2].mT + matrix[..., None, :2, 2]


def _reduced(photo, matrix, size, factor):
    """The part of the photo that the crop sees, area-averaged by a whole factor, and its matrix."""
    corners = np.array([[-1, -1, 1], [size, -1, 1], [size, size, 1], [-1, size, 1]])
    seen = (corners @ np.linalg.inv(matrix).T)[:, :2]
    height, width = photo.shape[:2]
    left, top = np.clip(np.floor(seen.min(axis=0)).astype(int) - factor, 0, (width - 1, height - 1))
    right, bottom = np.clip(
        np.ceil(seen.max(axis=0)).astype(int) + factor, (left + 1, top + 1), (width, height)
    )
    part = photo[top:bottom, left:right]
    # Fill up to whole blocks with the black that lies outside the photo anyway.
    part = cv2.copyMakeBorder(
        part, 0, -part.shape[0] % factor, 0, -part.shape[1] % factor, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    part = cv2.resize(part, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    # Pixel i of the reduced part is the mean of `factor` pixels around factor i + (factor - 1)/2.
    offset = (factor - 1) / 2
    enlarge = np.array([[factor, 0, left + offset], [0, factor, top + offset], [0, 0, 1.0]])
    return part, matrix @ enlarge
