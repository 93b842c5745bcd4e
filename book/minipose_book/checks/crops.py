"""Checks of chapter 3, "Crops, mirrors and augmentation": photo to crop, and its mirror image."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from minipose.heatmaps import decode_heatmaps, encode_heatmaps
from minipose.skeletons import COCO, LSP, MPII
from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "crops"


def _found(rng: np.random.Generator) -> dict:
    """A crop's centre and side in photo px, its size in crop px, and a point (2,) found in it."""
    size = int(rng.choice([64, 128, 256]))
    center, point = rng.integers(200, 600, 2), rng.permutation(size // 2)[:2] + size // 2
    side = float(size * rng.choice([1.5, 2.0, 2.5]))
    return {"center": center.tolist(), "side": side, "size": size, "point": point.tolist()}


@exercise(CHAPTER, "warm-up", _found)
def back_to_the_photo(answer, center, side, size, point) -> Verdict:
    """A point of a crop, in photo px."""
    steps = np.subtract(point, (size - 1) / 2)
    return compare(answer, want := steps * side / size + center, [
        (want - side / size / 2, "The middle of the pixels 0 to S - 1 is not at S / 2."),
        (steps * size / side + center, "Which has more pixels, the crop or its square in the photo?"),
        (np.multiply(point, side / size) + center, "The crop's centre is its middle, not its corner."),
        (want - center, "That is counted from the crop's centre, not from the photo's pixel 0."),
    ])  # fmt: skip


def _mirrored(rng: np.random.Generator) -> dict:
    """A crop's centre, side and angle, with mirror=True, in a photo of some width, all in photo px."""
    width, angle = int(rng.integers(40, 80)) * 10, int(rng.choice([-1, 1]) * rng.integers(1, 8)) * 5
    cx, cy = int(width * rng.choice([0.3, 0.4, 0.7])), int(rng.integers(20, 40)) * 10
    return {"width": width, "center": (cx, cy), "side": 200.0, "angle": angle}


@exercise(CHAPTER, "practice", _mirrored)
def mirror_first(answer, width, center, side, angle) -> Verdict:
    """The crop without a mirror that shows the same of the mirrored photo: x, y of its centre, its angle."""
    x, y = center
    return compare(answer, (width - 1 - x, y, -angle), {
        (width - 1 - x, y, angle): "A clock in a mirror runs the other way round.",
        (width - x, y, -angle): "The photo's first pixel is 0. Where is the last one, and where does it go?",
        (x, y, -angle): "The person is on the other side of the mirrored photo.",
        (width - 1 - x, y, 180 - angle): "Nobody stands on their head.",
    })  # fmt: skip


def _colleague(rng: np.random.Generator) -> dict:
    """Names of J joints, a crop's size, points (J, 2) in it, and what a mirror with two mistakes returns."""
    skeleton = (MPII, LSP, COCO)[rng.integers(3)]
    points = rng.permutation(120)[: 2 * len(skeleton)].reshape(-1, 2) + 4.0
    left, right = skeleton.flip_pairs[rng.integers(len(skeleton.flip_pairs))]
    slip = float(rng.choice([1, 2]))
    mirrored = skeleton.flip(points * [-1, 1] + [127 + slip, 0], axis=-2).numpy()
    mirrored[[left, right]] = mirrored[[right, left]]
    return {"joints": skeleton.joints, "size": 128, "points": points, "mirrored": mirrored}


@exercise(CHAPTER, "practice", _colleague)
def broken_mirror(answer, joints, size, points, mirrored) -> Verdict:
    """Numbers of the two joints that were not swapped, and by how many px all joints are too far right."""
    slip = (mirrored + points)[:, 0].mean() - (size - 1)
    kept = np.flatnonzero(np.isclose(mirrored[:, 0], size - 1 + slip - points[:, 0]))
    first, second = (int(j) for j in kept if joints[j].startswith(("left", "right")))
    return compare(answer, (first, second, slip), {
        (first, second, -slip): "Found minus right: above zero where a joint is too far to the right.",
        (first, second, 0): "All are off by the same step, too. Where must pixel 0 go?",
        (first + 1, second + 1, slip): "Joints are counted from 0.",
    })  # fmt: skip


def _shifted(rng: np.random.Generator) -> dict:
    """By how many cells a mirrored map is shifted right, stride, size, and side and head in photo px."""
    stride, side = int(rng.choice([4, 8])), int(rng.choice([384, 512, 640]))
    head = int(rng.choice([40, 50, 60]))
    return {"shift": int(rng.integers(2)), "stride": stride, "size": 256, "side": side, "head": head}


@exercise(CHAPTER, "practice", _shifted)
def cost_of_a_shift(answer, shift, stride, size, side, head) -> Verdict:
    """How far right of the truth the average's peak lies where cells are counted as x / stride, in heads."""
    own, photo = -(stride - 1) / stride, stride * side / size / head
    return compare(answer, want := (own + shift) / 2 * photo, {
        2 * want: "The average's peak lies halfway between the two.",
        -want: "Which side? Follow the joint at pixel 0 into the mirror and back.",
        shift / 2 * photo: "Counted as x / stride, the two are apart before anybody shifts them.",
        want * size / side: "The head is measured in the photo, and that was in pixels of the crop.",
        want / stride: "That was in cells, and a cell has `stride` pixels.",
    })  # fmt: skip


def _outlines(rng: np.random.Generator) -> dict:
    """Tuples of joints (N, 2) in photo px from a crop's centre, its side in photo px, and degrees."""
    tall, limit = rng.integers(150, 190), int(rng.choice([15, 20, 30]))
    upright = np.array([[0, -tall], [0, tall - 10], [-60, 20], [60, 25]], dtype=float)
    star = np.array([[-90, -95], [92, -88], [-80, 99], [0, 20]]) + rng.integers(-4, 5, (4, 2))
    return {"cases": [(upright, 400.0, limit), (star.astype(float), 300.0, limit)]}


@exercise(CHAPTER, "project", _outlines)
def room_to_turn(answer, cases) -> Verdict:
    """A function (points (N, 2), side, limit) -> the least factor that keeps all points in the crop."""
    return compare(answer, _room, {
        (lambda points, side, limit: _room(points, side, 0)): "Upright they fit. And turned?",
        (lambda points, side, limit: _room(points, side, 180)): "No further than `limit` to either side.",
        (lambda *given: _room(*given) / 2): "The border is half a side from the centre.",
        partial(_room, angles=2): "The last angle need not be the worst.",
    }, cases)  # fmt: skip


def _room(points, side, limit, angles=4001):
    turn = np.deg2rad(np.linspace(-limit, limit, angles))[:, None]
    x, y = np.transpose(points)
    across, down = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    return 2 * max(np.abs(across).max(), np.abs(down).max()) / side


PARTNER = [1, 0, 3, 2]


def _strangers(rng: np.random.Generator) -> dict:
    """Tuples of heatmaps (15, 4, 16, 16) of pictures, of their mirror images, and joints' partners."""
    offsets = rng.permutation([-0.875, -0.75, 0.25])[:2]
    return {"cases": [(*_both(rng, offset), PARTNER) for offset in offsets]}


def _both(rng, offset):
    points = rng.uniform(4, 11, (15, 4, 2))
    strayed = np.where(rng.random((15, 4)) < 0.2, 3.0, 0.0)
    mirrored = np.stack((15 - (points[..., 0] + offset + strayed), points[..., 1]), axis=-1)[:, PARTNER]
    clean = (encode_heatmaps(each, np.ones((15, 4)), (16, 16)) for each in (points, mirrored))
    return [maps + torch.from_numpy(rng.normal(0, 0.01, maps.shape)).float() for maps in clean]


@exercise(CHAPTER, "research", _strangers)
def whose_cells(answer, cases) -> Verdict:
    """A function (plain, mirrored, partner) -> cells by which the mirrored maps come back further right."""
    return compare(answer, _apart, {
        partial(_apart, swap=False): "Left and right change their names on the way back.",
        partial(_apart, back=False): "The maps of the mirror image must be mirrored back first.",
        (lambda *maps: -_apart(*maps)): "Mirrored back minus plain: above zero if it lies further right.",
        partial(_apart, middle=torch.mean): "A few joints strayed by cells, and a mean listens to them.",
        partial(_apart, refine="argmax"): "Whole cells cannot tell fractions of one: refine the peaks.",
    }, cases, tolerance=0.02)  # fmt: skip


def _apart(plain, mirrored, partner, swap=True, back=True, middle=torch.median, refine="parabola"):
    mirrored = mirrored[:, partner] if swap else mirrored
    mirrored = mirrored.flip(-1) if back else mirrored
    x, there = (decode_heatmaps(maps, refine)[0][..., 0] for maps in (plain, mirrored))
    return float(middle(there - x))
