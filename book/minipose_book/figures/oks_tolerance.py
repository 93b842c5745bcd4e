"""A figure that moves: how far off a joint may be, by OKS and by PCK. `figures.moving` shows it."""

from __future__ import annotations

from minipose.data.puppets.dataset import Puppets
from minipose.io.errors import InputError
from minipose_book.figures.moving import SCENES, UNSEEN, Moving, picture, rounded


def tolerance(scene: int = 36, joint: str = "left_hip", size: int = 192) -> Moving:
    """One joint of a puppet dragged away from its place, and what OKS and PCK@0.2 say to that.

    joint : the one that is shown first, of COCO's 17; those of the right side are as those of the left.
    """
    puppets = Puppets(SCENES, UNSEEN, size, "coco")
    sample, skeleton = puppets[scene], puppets.skeleton
    zoom = size / float(sample.crop.side)
    points = sample.crop.forward(sample.keypoints, size)
    joints = [
        {"name": name, "truth": rounded(point), "sigma": sigma}
        for name, point, sigma, seen in zip(
            skeleton.joints, points, skeleton.sigmas or (), sample.visibility, strict=True
        )
        if seen and not name.startswith("right_")
    ]
    names = [str(each["name"]) for each in joints]
    if joint not in names:
        raise InputError("tolerance", "joint", f"one of {', '.join(names)}", repr(joint))
    source = (
        "Drag the dot. The cross is the label. White circle: what PCK@0.2 of the torso accepts (in the chart "
        "the dashed line). Yellow circle: where the joint's part of OKS has fallen to a half (solid line)."
    )
    return Moving(
        "tolerance",
        {
            "image": picture(sample.crop.image(sample.image, size)), "size": size, "joints": joints,
            "joint": names.index(joint), "off": [8, 6], "reach": 40, "threshold": 0.2,
            "torso": round(sample.sizes["torso"] * zoom, 2), "area": round(sample.area * zoom**2, 1),
            "labelled": int((sample.visibility > 0).sum()), "source": source,
        },
    )  # fmt: skip
