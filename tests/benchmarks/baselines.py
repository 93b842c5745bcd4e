"""The plain way to do the same work, as a first version would be written."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image


def encode(keypoints: np.ndarray, size: int = 64, sigma: float = 1.0) -> np.ndarray:
    """One map after the other, each a full two-dimensional Gaussian: (J, 2) -> (J, size, size)."""
    maps = np.zeros((len(keypoints), size, size), np.float32)
    y, x = np.mgrid[:size, :size]
    for j, (cx, cy) in enumerate(keypoints):
        maps[j] = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return maps


def decode(heatmaps: np.ndarray) -> np.ndarray:
    """One map after the other: highest cell, then a quarter toward the larger neighbour."""
    points = np.zeros((*heatmaps.shape[:2], 2))
    for n, person in enumerate(heatmaps):
        for j, heatmap in enumerate(person):
            y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
            points[n, j] = x, y
            if 0 < x < heatmap.shape[1] - 1 and 0 < y < heatmap.shape[0] - 1:
                points[n, j, 0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                points[n, j, 1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    return points


def pck(predicted: np.ndarray, target: np.ndarray, normalizer: np.ndarray, threshold: float = 0.5) -> float:
    """One joint after the other."""
    hits = 0
    for found, truth, scale in zip(predicted, target, normalizer, strict=True):
        for a, b in zip(found, truth, strict=True):
            hits += math.dist(a, b) <= threshold * scale
    return hits / predicted[..., 0].size


def load(jpeg: bytes, center: tuple[float, float], side: float, keypoints: np.ndarray, size: int = 256):
    """Pillow: decode, rotate the whole photo, crop, resize, gain on the colours, one map a joint."""
    photo = Image.open(io.BytesIO(jpeg)).rotate(10, Image.Resampling.BILINEAR, center=center)
    half = side / 2
    box = (round(center[0] - half), round(center[1] - half), round(center[0] + half), round(center[1] + half))
    image = np.asarray(photo.crop(box).resize((size, size), Image.Resampling.BILINEAR), np.float32)
    image = np.clip(image * (0.8, 1.1, 1.3), 0, 255) / 255
    return image.transpose(2, 0, 1), encode((keypoints - center + half) * size / side / 4)
