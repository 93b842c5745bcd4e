"""Heatmaps: joints to maps and back, the pair side by side (paper, section 3.4).

A heatmap of stride s has one cell for s x s pixels of the crop, and cell 0's centre lies between
crop pixels 0 and s - 1: x_map = (x + 0.5)/s - 0.5. With that rule a mirrored crop gives exactly
the mirrored map; rounding x/s does not, which is why other projects shift flipped maps by a pixel.

Targets are evaluated at the joint's true position, never rounded to a cell, and their Gaussian is
never cut off, so that decoding finds the position again to a fraction of a cell.
"""

from __future__ import annotations

import torch

from minipose.skeletons import Skeleton

REFINEMENTS = ("argmax", "quarter", "parabola")


def to_map(points: torch.Tensor, stride: int) -> torch.Tensor:
    """Crop px -> map px of a heatmap with this stride."""
    return (points + 0.5) / stride - 0.5


def to_crop(points: torch.Tensor, stride: int) -> torch.Tensor:
    """Map px of a heatmap with this stride -> crop px."""
    return (points + 0.5) * stride - 0.5


def mirror(heatmaps: torch.Tensor, skeleton: Skeleton) -> torch.Tensor:
    """Heatmaps (..., J, H, W) of the mirrored picture -> of the picture, or the other way."""
    return skeleton.flip(heatmaps.flip(-1), axis=-3)


def encode_heatmaps(keypoints, visibility, size: tuple[int, int] = (64, 64), sigma: float = 1.0):
    """Draw each labelled joint as a Gaussian of height 1 (section 3.4: sigma = 1 px).

    Parameters
    ----------
    keypoints : (B, J, 2) map px, inside the map or not; finite where labelled.
    visibility : (B, J); 0 gives an all-zero map, 1 (occluded) and 2 (visible) both a Gaussian.
    size : (height, width) of the maps.
    sigma : standard deviation in map px, > 0.

    Returns
    -------
    (B, J, H, W) float32 in [0, 1].

    >>> maps = encode_heatmaps([[[2.0, 1.0]]], [[2]], size=(3, 4))
    >>> maps[0, 0, 1].tolist()  # exp(-2), exp(-1/2), 1, exp(-1/2)
    [0.1353352814912796, 0.6065306663513184, 1.0, 0.6065306663513184]
    """
    keypoints = torch.as_tensor(keypoints, dtype=torch.float32)
    labelled = torch.as_tensor(visibility, device=keypoints.device) > 0
    if not sigma > 0:
        raise ValueError(f"sigma must be > 0 map px, found {sigma}")
    if keypoints.shape[:-1] != labelled.shape or keypoints.shape[-1] != 2:
        raise ValueError(
            f"keypoints must be (B, J, 2) and visibility (B, J), "
            f"found {tuple(keypoints.shape)} and {tuple(labelled.shape)}"
        )
    height, width = size
    # A Gaussian in two dimensions is the product of two in one: W + H exponentials, not W x H.
    cells = torch.arange(max(size), dtype=torch.float32, device=keypoints.device)
    falloff = torch.exp((cells - keypoints[..., None]).square_().mul_(-0.5 / sigma**2))  # (B, J, 2, max)
    # Unlabelled coordinates may be NaN: replaced, since NaN x 0 would survive a product.
    falloff = falloff.where(labelled[..., None, None], 0.0)
    across, down = falloff[..., 0, :width], falloff[..., 1, :height]
    return down[..., :, None] * across[..., None, :]


def decode_heatmaps(heatmaps, refine: str = "quarter") -> tuple[torch.Tensor, torch.Tensor]:
    """Find each map's highest cell, and refine it below the size of a cell.

    Parameters
    ----------
    heatmaps : (..., J, H, W), any real values.
    refine : "argmax", the cell itself; "quarter", a quarter of a cell toward the larger neighbour
        in x and in y (section 3.4); "parabola", the peak of the parabola through the logarithms
        of three neighbours, exact for a Gaussian of sigma >= 0.5, at the border too.

    Returns
    -------
    points (..., J, 2) in map px, and scores (..., J), the value of the highest cell. A map that is
    nowhere positive has no peak to refine: its first highest cell, (0, 0) when all are equal.
    """
    heatmaps = torch.as_tensor(heatmaps)
    if refine not in REFINEMENTS:
        raise ValueError(f"refine must be one of {', '.join(REFINEMENTS)}, found {refine!r}")
    *_, height, width = heatmaps.shape
    flat = heatmaps.flatten(-2)  # (..., J, H W)
    scores, cell = flat.max(dim=-1)  # the first of equals
    x, y = cell % width, cell // width
    points = torch.stack((x, y), dim=-1).to(torch.float32)
    if refine == "argmax":
        return points, scores
    offset = _quarter if refine == "quarter" else _parabola
    shift = torch.stack((offset(flat, cell, x, width, 1), offset(flat, cell, y, height, width)), dim=-1)
    return torch.where((scores > 0)[..., None], points + shift, points), scores


def _neighbours(flat, cell, position, length, step):
    """Values left of, at and right of a cell along one axis, around `middle`, inside the map."""
    middle = position.clamp(1, length - 2)
    at = cell + (middle - position) * step
    around = torch.stack((at - step, at, at + step), dim=-1)
    return flat.gather(-1, around).to(torch.float32).unbind(-1), (middle - position).to(torch.float32)


def _quarter(flat, cell, position, length, step):
    if length < 3:
        return torch.zeros_like(position, dtype=torch.float32)
    (left, _, right), moved = _neighbours(flat, cell, position, length, step)
    # At the border one neighbour is unknown; the parabola through the other three cells tells its side.
    inward = torch.sign(_parabola(flat, cell, position, length, step))
    return 0.25 * torch.where(moved == 0, torch.sign(right - left), inward)


def _parabola(flat, cell, position, length, step):
    if length < 3:
        return torch.zeros_like(position, dtype=torch.float32)
    values, moved = _neighbours(flat, cell, position, length, step)
    # The floor keeps the logarithm finite where a neighbour is zero or negative.
    floor = 1e-6 * flat.gather(-1, cell[..., None]).squeeze(-1).to(torch.float32).clamp(min=1e-30)
    left, centre, right = (torch.log(torch.maximum(v, floor)) for v in values)
    curvature = left - 2 * centre + right
    # Without a downward curvature there is no peak to move to: stay at the cell.
    shift = torch.where(curvature < 0, 0.5 * (left - right) / curvature.clamp(max=-1e-12) + moved, 0.0)
    return shift.clamp(-0.5, 0.5)
