"""From a photo to a pose, and from crops to heatmaps with the flip test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from minipose import heatmaps as codec
from minipose.crops import Crop, transform
from minipose.errors import InputError
from minipose.images import read_photo
from minipose.models.network import PoseNetwork
from minipose.skeletons import Skeleton


@dataclass
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


def place(network: PoseNetwork, device: torch.device) -> None:
    """Move a network to a device, its weights channels last in memory, which convolutions like best."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def prepare(images: torch.Tensor, device: torch.device) -> torch.Tensor:
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


def to_photo(
    points: torch.Tensor, scores: torch.Tensor, matrix: torch.Tensor, skeleton: Skeleton
) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints found in crops, (..., J, 2) crop px with scores (..., J), carried back into their photos.

    matrix : (..., 3, 3), photo px -> crop px. Where it mirrors, left and right change back.
    """
    points, scores = transform(torch.linalg.inv(matrix), points), scores.cpu()
    mirrored = torch.linalg.det(matrix) < 0
    points = torch.where(mirrored[..., None, None], skeleton.flip(points, axis=-2), points)
    return points, torch.where(mirrored[..., None], skeleton.flip(scores), scores)


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


def predict(
    network: PoseNetwork,
    photo: str | Path | np.ndarray,
    crop: Crop | None = None,
    flip: bool = True,
    refine: str = "quarter",
) -> Pose:
    """Find one person's joints in a photo.

    Parameters
    ----------
    network : as `minipose.load` or `minipose.train` give it; it computes where it is.
    photo : a path, or (H, W, 3) uint8 RGB.
    crop : where the person is: `Crop.around_box`, `Crop.at_scale`, or any other. None looks at the
        whole photo, which serves when one person fills it.
    flip : average with the mirrored picture. refine : see `decode_heatmaps`.
    """
    if network.skeleton is None or network.size is None:
        raise ValueError("predict needs a network with a skeleton and a size: load or train one")
    photo = read_photo(photo) if isinstance(photo, (str, Path)) else np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise InputError("photo", "array", "(H, W, 3) uint8 RGB", f"{photo.shape} {photo.dtype}")
    crop = crop or Crop.whole(photo)
    if not np.isfinite([*crop.center, crop.side, crop.angle]).all() or crop.side <= 0:
        raise InputError("crop", "center, side, angle", "finite numbers and a side > 0", crop)
    device = next(network.parameters()).device
    image = torch.from_numpy(crop.image(photo, network.size)).permute(2, 0, 1)[None]
    with evaluating(network):
        maps = stage_heatmaps(network, prepare(image, device), network.skeleton, flip)
    points, scores = codec.decode_heatmaps(maps[-1], refine)
    in_crop = codec.to_crop(points, network.strides[-1])[0]
    keypoints, scores = to_photo(in_crop, scores[0], crop.matrix(network.size), network.skeleton)
    return Pose(
        keypoints.numpy(), scores.numpy(), network.skeleton, [stage[0].cpu() for stage in maps], crop, photo
    )
