"""Pictures of poses, heatmaps and curves. Every function draws into given axes or makes its own,
and returns them."""

from __future__ import annotations

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from minipose.crops import Crop
from minipose.data.sample import OCCLUDED, Sample
from minipose.skeletons import Skeleton

# The person's own sides: two colours that stay apart for colour-blind readers and in grey.
RIGHT, LEFT, MIDDLE = "#d55e00", "#0072b2", "#f0e442"
MOST_DRAWN = 1600  # px of a picture's longer side


def side_colour(joint: str) -> str:
    """Colour of a joint by the person's own side."""
    return RIGHT if joint.startswith("right_") else LEFT if joint.startswith("left_") else MIDDLE


def draw_pose(photo, keypoints, skeleton: Skeleton, scores=None, threshold: float = 0.0, axes=None):
    """A skeleton over a photo (H, W, 3): the person's right side orange, the left blue.

    keypoints (J, 2) photo px, NaN for joints not to draw; scores (J,) below `threshold` neither.
    """
    axes = axes if axes is not None else _picture(photo)
    show_photo(axes, photo)
    keypoints = np.array(keypoints, dtype=float)
    if scores is not None:
        keypoints[np.asarray(scores) < threshold] = np.nan
    # Line widths follow the person, so that a small figure in a large photo stays visible.
    drawn = keypoints[np.isfinite(keypoints).all(axis=1)]
    extent = np.ptp(drawn, axis=0).max() if len(drawn) else 0.0
    width = float(np.clip(5.0 * extent / max(photo.shape[:2]), 1.2, 4.0))
    for a, b in skeleton.limbs:
        sides = {side_colour(skeleton.joints[j]) for j in (a, b)} - {MIDDLE}
        colour = sides.pop() if len(sides) == 1 else MIDDLE
        line = dict(solid_capstyle="round", zorder=2)
        axes.plot(*keypoints[[a, b]].T, color="black", linewidth=width + 1.2, alpha=0.6, **line)
        axes.plot(*keypoints[[a, b]].T, color=colour, linewidth=width, **line)
    colours = [side_colour(joint) for joint in skeleton.joints]
    axes.scatter(*keypoints.T, s=(2.2 * width) ** 2, c=colours, edgecolors="black", linewidths=0.7, zorder=3)
    axes.set(xlim=(-0.5, photo.shape[1] - 0.5), ylim=(photo.shape[0] - 0.5, -0.5))
    axes.set_axis_off()
    return axes


def show_photo(axes, photo):
    """Draw a photo (H, W, 3) in its own pixels' coordinates, from at most `MOST_DRAWN` px a side.

    matplotlib takes many times the memory of what it draws, and a figure has no use for all of a phone's
    50 million pixels.
    """
    height, width = photo.shape[:2]
    if (shrink := max(height, width) / MOST_DRAWN) > 1:
        size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    return axes.imshow(photo, extent=(-0.5, width - 0.5, height - 0.5, -0.5))


def draw_sample(sample: Sample, skeleton: Skeleton, axes=None):
    """A labelled person: the skeleton, occluded joints as rings, the evaluation crop dashed."""
    axes = draw_pose(sample.image, sample.keypoints, skeleton, axes=axes)
    hidden = sample.keypoints[sample.visibility == OCCLUDED]
    axes.scatter(*hidden.T, s=70, facecolors="none", edgecolors="white", linewidths=1.5, zorder=4)
    corners = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]])
    axes.plot(*sample.crop.inverse(corners, 1).numpy().T, color="white", linestyle="--", linewidth=1)
    return axes


def look_at(crop: Crop, axes, room: float = 1.05):
    """Zoom axes that show a photo to `room` times the square of a crop."""
    (x, y), half = crop.center, room * crop.side / 2
    axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half))
    return axes


def draw_heatmap(image, heatmap, axes=None, stride: int = 4):
    """One joint's heatmap (h, w) over its crop (S, S, 3); each cell covers its own pixels."""
    axes = axes if axes is not None else _picture(image)
    height, width = np.shape(heatmap)
    axes.imshow(image)
    extent = (-0.5, width * stride - 0.5, height * stride - 0.5, -0.5)
    axes.imshow(heatmap, extent=extent, cmap="inferno", alpha=0.65, interpolation="bilinear", vmin=0)
    axes.set_axis_off()
    return axes


def draw_flow(boxes, arrows, axes):
    """Boxes with text, and arrows between them: how a network is wired.

    boxes : name -> (x, y, text, colour). arrows : (from, to) or (from, to, bend); 0 is straight, and a
    bend of -0.5 leaves a vertical arrow's line by half its length.
    """
    drawn = {}
    for name, (x, y, text, colour) in boxes.items():
        shape = dict(boxstyle="round,pad=0.45", facecolor=colour, edgecolor="black", linewidth=0.8)
        drawn[name] = axes.text(x, y, text, ha="center", va="center", bbox=shape, zorder=3)
    for start, end, *bend in arrows:
        axes.annotate(
            "", boxes[end][:2], boxes[start][:2], zorder=4,  # once the boxes know their size
            arrowprops=dict(
                arrowstyle="-|>", color="black", linewidth=1.2, patchA=drawn[start].get_bbox_patch(),
                patchB=drawn[end].get_bbox_patch(), connectionstyle=f"arc3,rad={bend[0] if bend else 0}",
            ),
        )  # fmt: skip
    axes.set_axis_off()
    return axes


def draw_history(history: list[dict[str, float]], axes=None):
    """PCK of each stage against the epoch, as training measured it on the validation set."""
    axes = axes if axes is not None else _figure((6, 3.5)).add_subplot()
    epochs = [row["epoch"] for row in history]
    stages = [name for name in history[0] if name.startswith("pck_stage")]
    for name in stages:
        axes.plot(epochs, [row[name] for row in history], label=name.removeprefix("pck_").replace("_", " "))
    axes.set(xlabel="epoch", ylabel="PCK (mean over joints)", ylim=(0, 1))
    axes.grid(alpha=0.3)
    if stages:
        axes.legend()
    return axes


def draw_curve(thresholds, curves: dict[str, list[float]], normalizer: str, axes=None):
    """PCK against the threshold, one line for each name in `curves`."""
    axes = axes if axes is not None else _figure((6, 3.5)).add_subplot()
    for name, values in curves.items():
        axes.plot(thresholds, values, label=name)
    axes.set(xlabel=f"threshold, in {normalizer} sizes", ylabel="PCK", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    return axes


def sign(figure: Figure, record) -> Figure:
    """Say below a figure which record it is drawn from, how its networks learned, where and when."""
    told = ", ".join(filter(None, (record.learned, record.where)))
    text = f"record {record.name}, {record.scale} scale: {told}"
    lowest = figure.get_tightbbox().y0 / figure.get_figheight()  # of what has been drawn so far
    figure.text(0.5, lowest - 0.02, text, ha="center", va="top", fontsize=10, wrap=True)
    return figure


def _picture(photo):
    """Axes that fill a figure of the photo's shape, 480 to `MOST_DRAWN` px along the longer side."""
    height, width = np.shape(photo)[:2]
    longer = max(height, width)
    zoom = min(max(longer, 480), MOST_DRAWN) / longer
    return _figure((zoom * width / 100, zoom * height / 100)).add_axes((0, 0, 1, 1))


def _figure(size) -> Figure:
    return plt.figure(figsize=size, dpi=100)
