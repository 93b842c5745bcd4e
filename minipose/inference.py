"""From a photo to a pose, and from crops to heatmaps with the flip test."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample

from minipose import heatmaps as codec
from minipose.crops import Crop, transform
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.models.network import PoseNetwork
from minipose.skeletons import Skeleton


@dataclass(repr=False)
class Pose:
    """One person's joints, found in one photo.

    keypoints : (J, 2) float64 photo px. scores : (J,), height of each joint's peak: near 1 where
    the network is sure, near 0 where it sees no such joint.
    heatmaps : each stage's (J, h, w), first to last. crop : the part of the photo that was looked
    at. photo : (H, W, 3) uint8 RGB.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    skeleton: Skeleton
    heatmaps: list[torch.Tensor]
    crop: Crop
    photo: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Pose({len(self.keypoints)} joints of {self.skeleton.name}, mean score {self.scores.mean():.2f})"
        )

    def plot(self, axes=None, threshold: float = 0.0):
        """Draw the skeleton over the photo; joints that score below `threshold` are left out."""
        from minipose.plots import draw_pose

        return draw_pose(self.photo, self.keypoints, self.skeleton, self.scores, threshold, axes)


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device to compute on; "auto" is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).cpu()
    except Exception as error:  # each backend fails in its own way
        raise InputError("device", str(name), "auto, cpu, cuda or another that PyTorch finds here") from error
    return device


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for a training step to use again.

    Otherwise glibc returns large blocks to the system, and every step has the kernel clear them anew. For
    programs that do nothing else; where the C library is another one, nothing happens.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for anything
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: give back nothing


def to_channels_last(network: PoseNetwork, device: torch.device) -> None:
    """Move a network to a device, in the memory format in which convolutions are fastest."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def to_float(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Images (B, 3, S, S) uint8 -> float32 in [0, 1] on the device, channels last in memory."""
    return images.to(device).to(memory_format=torch.channels_last).float().div_(255)


@contextmanager
def evaluating(network: PoseNetwork) -> Iterator[None]:
    """Evaluation mode inside, and whatever mode was before behind it."""
    before = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(before)


def to_photo(points: torch.Tensor, matrix: torch.Tensor, skeleton: Skeleton) -> torch.Tensor:
    """Joints found in crops, (..., J, 2) crop px, carried back into their photos; float64, on the CPU.

    matrix : (..., 3, 3), photo px -> crop px. Where it mirrors, left and right change back.
    """
    return unmirror(transform(torch.linalg.inv(matrix), points), matrix, skeleton, axis=-2)


def unmirror(values: torch.Tensor, matrix: torch.Tensor, skeleton: Skeleton, axis: int) -> torch.Tensor:
    """Values by joint along `axis`: left and right swapped for those crops whose matrix mirrors."""
    mirrored = torch.linalg.det(matrix) < 0
    mirrored = mirrored.reshape(mirrored.shape + (1,) * (values.ndim - mirrored.ndim))
    return torch.where(mirrored, skeleton.flip(values, axis=axis), values)


@torch.no_grad()
def stage_heatmaps(
    network: PoseNetwork, images: torch.Tensor, skeleton: Skeleton, flip: bool = True
) -> list[torch.Tensor]:
    """Every stage's heatmaps (B, J, h, w) of images (B, 3, S, S) in [0, 1].

    With `flip` they are averaged with those of the mirrored images (section 3.4). The image tensor
    is mirrored, not warped again, so that both see the very same pixels.
    """
    maps = network.heatmaps(network(images))
    if flip:
        mirrored = network.heatmaps(network(images.flip(-1)))
        maps = [(a + codec.mirror(b, skeleton)) / 2 for a, b in zip(maps, mirrored, strict=True)]
    return maps


def check_scales(scales: Sequence[float]) -> None:
    """Raise `ValueError` unless there is at least one scale and all are positive and finite."""
    if len(scales) == 0 or not all(0 < scale < math.inf for scale in scales):
        raise ValueError(f"scales must be positive numbers, at least one, found {list(scales)}")


def average_over_scales(maps: torch.Tensor, scales: Sequence[float]) -> torch.Tensor:
    """Heatmaps (K, J, h, w) of crops around one centre, side k being scales[k] x a base side -> (1, J, h, w).

    Each is resampled to the base crop's cells; a cell that a smaller crop does not reach is averaged
    over the others.
    """
    if list(scales) == [1.0]:
        return maps
    base = torch.eye(2, 3, device=maps.device).expand(len(maps), 2, 3)
    cells = affine_grid(base, list(maps.shape), align_corners=False)
    # In a crop s times as large the same place lies s times nearer to the centre.
    cells = cells / torch.tensor(scales, device=maps.device)[:, None, None, None]
    moved = grid_sample(maps, cells, align_corners=False)
    reached = grid_sample(torch.ones_like(maps[:, :1]), cells, align_corners=False)
    return moved.sum(0, keepdim=True) / reached.sum(0, keepdim=True).clamp(min=1e-6)


def predict(
    network: PoseNetwork,
    photo: str | Path | np.ndarray,
    crop: Crop | None = None,
    flip: bool = True,
    refine: str = "quarter",
    scales: Sequence[float] = (1.0,),
) -> Pose:
    """Find one person's joints in a photo.

    Parameters
    ----------
    network : as `minipose.load` or `minipose.train` give it; it computes where it is.
    photo : a path, or (H, W, 3) uint8 RGB.
    crop : where the person is: `Crop.around_box`, `Crop.at_scale`, or any other. None looks at the
        whole photo, which serves when one person fills it.
    flip : average with the mirrored picture. refine : see `decode_heatmaps`.
    scales : multi-scale test: average over crops whose sides are these multiples of the crop's.
    """
    check_scales(scales)
    if network.skeleton is None or network.size is None:
        raise ValueError("predict needs a network with a skeleton and a size: load or train one")
    photo = read_photo(photo) if isinstance(photo, (str, Path)) else np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise InputError("photo", "array", "(H, W, 3) uint8 RGB", f"{photo.shape} {photo.dtype}")
    crop = Crop.whole(photo) if crop is None else crop
    if not isinstance(crop, Crop):
        raise InputError("crop", "type", "a Crop, for a box Crop.around_box(box)", repr(crop))
    if np.ndim(crop.side) or np.ndim(crop.angle) or np.ndim(crop.center) != 1:
        raise InputError("crop", "fields", "those of one crop", crop)
    if not np.isfinite([*crop.center, crop.side, crop.angle]).all() or crop.side <= 0:
        raise InputError("crop", "center, side, angle", "finite numbers and a side > 0", crop)
    if not crop.touches(photo):
        height, width = photo.shape[:2]
        raise InputError("crop", "square", f"a part of the photo ({width} x {height} px)", crop)
    device = next(network.parameters()).device
    crops = [replace(crop, side=crop.side * scale) for scale in scales]
    pixels = np.stack([each.image(photo, network.size) for each in crops])  # (K, S, S, 3)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    with evaluating(network):
        maps = stage_heatmaps(network, to_float(images, device), network.skeleton, flip)
    maps = [average_over_scales(stage, scales) for stage in maps]
    points, scores = codec.decode_heatmaps(maps[-1], refine)
    in_crop = codec.to_crop(points, network.strides[-1])[0]
    matrix = crop.matrix(network.size)
    return Pose(
        to_photo(in_crop, matrix, network.skeleton).numpy(),
        unmirror(scores[0].cpu(), matrix, network.skeleton, axis=-1).numpy(),
        network.skeleton,
        [stage[0].cpu() for stage in maps],
        crop,
        photo,
    )
