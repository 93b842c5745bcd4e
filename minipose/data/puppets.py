"""Puppets: an endless, exactly labelled dataset of painted people, made on the spot.

It needs no download, trains on a laptop in minutes, and its labels carry true occlusion flags:
whether a joint is hidden is computed from the geometry, not guessed by an annotator. Here are the
random choices (poses, builds, who stands where) and the labels; `puppet_body` turns angles into
joints and outlines, `puppet_scene` paints them.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from minipose.crops import Crop
from minipose.data.puppet_body import ENDS, JOINTS, Body, Build, Pose, inside, outlines
from minipose.data.puppet_scene import CLOTHES, Scene, box
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, PoseDataset, Sample
from minipose.errors import InputError
from minipose.skeletons import COCO, LSP, MPII

# Every run on puppets is measured on the scenes of this seed, and none may train on them.
UNSEEN_SEED = 1_000_000
# A joint this near to the border counts as outside, so that labels do not depend on the resolution.
MARGIN = 0.01
LIMB_JOINTS = [JOINTS.index(MPII.joints[j]) for j in MPII.limb_joints]
# Where things stand before somebody; before a shoulder they would hide the head as well.
HIDEABLE = [j for j in LIMB_JOINTS if not JOINTS[j].endswith("shoulder")]

# Ranges in degrees of the angles of `Pose.arms`, and how often each gesture comes.
ARMS = {
    "hang": ((4, 20), (-20, 50), (-60, 10), (5, 40)),
    "hip": ((40, 60), (-25, 0), (-100, -75), (85, 110)),
    "forward": ((45, 95), (50, 95), (30, 90), (5, 60)),
    "out": ((60, 100), (-15, 35), (0, 90), (0, 50)),
    "up": ((125, 170), (0, 50), (30, 100), (0, 70)),
    "wave": ((65, 105), (-10, 30), (70, 105), (60, 125)),
    "across": ((15, 40), (30, 75), (-10, 40), (75, 125)),
    "behind": ((15, 35), (-60, -35), (150, 190), (45, 100)),
    "head": ((95, 135), (10, 45), (60, 100), (100, 140)),
}
ARM_ODDS = np.array([6, 2, 2, 3, 3, 3, 2, 1, 1]) / 23

# The same of `Pose.legs`, one leg and the other.
_STAND = ((-5, 8), (2, 12), (0, 10), (0, 8))
LEGS = {
    "stand": (_STAND, _STAND),
    "lean": (_STAND, ((5, 20), (3, 15), (0, 15), (10, 35))),
    "walk": (((12, 35), (0, 8), (0, 8), (3, 20)), ((-20, -5), (0, 8), (0, 8), (8, 45))),
    "run": (((40, 80), (0, 10), (0, 8), (50, 105)), ((-20, 5), (0, 10), (0, 8), (25, 85))),
    "sit": (((70, 92), (4, 25), (0, 10), (65, 100)), ((70, 92), (4, 25), (0, 10), (65, 100))),
    "jump": (((5, 50), (8, 30), (0, 15), (30, 100)), ((5, 50), (8, 30), (0, 15), (30, 100))),
    "star": (((-5, 15), (22, 40), (0, 15), (0, 20)), ((-5, 15), (22, 40), (0, 15), (0, 20))),
    "lunge": (((45, 80), (12, 35), (0, 15), (55, 110)), ((-15, 15), (12, 30), (0, 15), (0, 40))),
    "kick": (((35, 85), (0, 25), (0, 10), (0, 35)), _STAND),
}
LEG_ODDS = np.array([5, 3, 3, 2, 2, 1.5, 1.5, 1.5, 1]) / 20.5

# Usual value and spread (a fraction of it) of a `Build`, in body heights.
BONES = {
    "head": (0.18, 0.04), "neck": (0.05, 0.1), "trunk": (0.28, 0.06), "thigh": (0.235, 0.06),
    "shin": (0.225, 0.06), "upper_arm": (0.165, 0.06), "forearm": (0.14, 0.06), "shoulder": (0.11, 0.12),
    "hip": (0.058, 0.1), "limbs": (1.0, 0.16), "girth": (1.0, 0.14),
}  # fmt: skip


def random_pose(rng: np.random.Generator) -> Pose:
    """Somebody standing, walking, sitting, reaching or jumping; one in ten is tilted strongly."""
    arms = np.array([ARMS[name] for name in rng.choice(list(ARMS), size=2, p=ARM_ODDS)])
    kind = rng.choice(list(LEGS), p=LEG_ODDS)
    legs = np.array(LEGS[kind])[rng.permutation(2)]
    strong = rng.random() < 0.1
    return Pose(
        yaw=rng.uniform(-60, 60) + 180 * rng.integers(2),
        arms=rng.uniform(arms[..., 0], arms[..., 1]),
        legs=rng.uniform(legs[..., 0], legs[..., 1]),
        camera=rng.uniform(2, 14),
        tilt=rng.choice([-1, 1]) * rng.uniform(30, 110) if strong else rng.normal(0, 4),
        spine=tuple(rng.uniform((-8, -10, -18), (22, 10, 18))),
        head=tuple(rng.uniform((-12, -14, -30), (20, 14, 30))),
        seated=bool(kind == "sit" and not strong),
    )


def random_build(rng: np.random.Generator) -> Build:
    """Somebody's bones, girth and clothes."""
    lengths = np.array(list(BONES.values()))
    lengths = lengths[:, 0] * (1 + lengths[:, 1] * rng.uniform(-1, 1, len(lengths)))
    shorts, long_hair, fringe, stripes = (rng.random(4) < (0.4, 0.4, 0.75, 0.35)).tolist()
    return Build(
        **dict(zip(BONES, lengths.tolist(), strict=True)), sleeve=int(rng.integers(3)),
        shorts=shorts, long_hair=long_hair, fringe=fringe, stripes=stripes,
    )  # fmt: skip


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene whose person has at least 6 limb joints inside the picture."""
    while True:
        scene = _arrange(rng)
        if _framed(scene.people[0].joints)[LIMB_JOINTS].sum() >= 6:
            return scene


def _arrange(rng):
    pose = random_pose(rng)
    body = Body.of(pose, random_build(rng))
    height = rng.uniform(0.44, 0.62)
    spread = np.ptp(body.joints, axis=0) * height
    room = np.maximum(0.46 - spread / 2, 0.02)
    middle = 0.5 + np.clip(rng.normal(0, 0.1, 2), -room, room)
    if rng.random() < 0.15:
        # Cut by the left, right, lower or upper border, which hides up to a third of the person.
        axis, sign = ((0, -1), (0, 1), (1, 1), (1, 1), (1, -1))[rng.integers(5)]
        middle[axis] = 0.5 + sign * (0.5 - (0.5 - rng.uniform(0.1, 0.35)) * spread[axis])
    people, front = [_centred(body, height, middle)], False
    if rng.random() < 0.25:
        size, side = height * rng.uniform(0.65, 1.2), rng.choice([-1, 1])
        other = Body.of(random_pose(rng), random_build(rng))
        apart = 0.5 * (spread[0] + np.ptp(other.joints[:, 0]) * size) * rng.uniform(0.3, 0.85)
        apart = max(apart, 0.24 * height)  # nobody disappears behind somebody
        people.append(_centred(other, size, middle + (side * apart, rng.uniform(-0.08, 0.04))))
        front = bool(rng.random() < 0.5)
    things, colours = np.zeros((0, 4, 3)), np.zeros((0, 3))
    if rng.random() < 0.2:
        things, colours = _thing(rng, people[0].joints[rng.choice(HIDEABLE)], height)
    ground = float((people[0].circles[..., 1] + people[0].circles[..., 2]).max())
    looks = int(rng.integers(2**62))
    return Scene(tuple(people), front, things, colours, ground, pose.seated, looks, float(pose.yaw))


def _centred(body, height, middle):
    low, high = body.joints.min(axis=0), body.joints.max(axis=0)
    return body.placed(height, middle - (low + high) / 2 * height)


def _thing(rng, at, height):
    """A crate, a ball, a pole or a potted plant before a joint: circles (T, 4, 3) and colours (T, 3)."""
    size = height * rng.uniform(0.16, 0.27)
    x, y = at + rng.uniform(-0.3, 0.3, 2) * size
    first, second = CLOTHES[rng.choice(len(CLOTHES), 2, replace=False)]
    match rng.integers(4):
        case 0:
            crate = box(x - 0.95 * size, y - 0.7 * size, 1.9 * size, 1.4 * size)
            lid = box(x - size, y - size, 2 * size, 0.35 * size)
            return np.array([crate, lid]), np.array([first, second])
        case 1:
            return np.array([[(x, y, size * 0.85)] * 4]), first[None]
        case 2:
            return np.array([[(x, -0.1, 0.046)] * 2 + [(x, 1.1, 0.052)] * 2]), first[None]
    foot = np.array([x, y + size])
    tips = foot + size * np.array([[-1, -1.4], [1, -1.4], [-0.6, -2], [0.6, -2], [0, -2.3]])
    leaves = [
        [(*foot, 0.006), (*(tip + foot) / 2, size * 0.27), (*tip, 0.003), (*tip, 0.003)] for tip in tips
    ]
    pot = [
        (x + size * wide, y + size * low, 0.01)
        for wide, low in ((-0.5, 0.9), (0.5, 0.9), (0.35, 1.9), (-0.35, 1.9))
    ]
    greens = np.array([(70, 140, 70), (70, 140, 70), (90, 165, 80), (90, 165, 80), (110, 185, 90)])
    return np.array([*leaves, pot]), np.vstack((greens, first))


def _framed(joints):
    """Which joints (..., 2) lie inside the picture."""
    return ((joints > MARGIN) & (joints < 1 - MARGIN)).all(axis=-1)


def labels(scene: Scene, person: int) -> tuple[np.ndarray, np.ndarray]:
    """All joints (21, 2) of a person in scene units and their visibility (21,).

    A joint is occluded where a part that does not end at it is painted over all those that do.
    """
    body, bodies = scene.people[person], scene.painted
    circles = np.concatenate([b.circles for b in bodies] + [scene.things])
    start = 0 if bodies[0] is body else len(bodies[0].circles)
    own = np.zeros((len(JOINTS), len(circles)), dtype=bool)
    own[:, start : start + len(body.part)] = ENDS[:, body.part]
    order = np.arange(len(circles))
    nearest = np.where(own, order, -1).max(axis=1)
    hidden = (inside(outlines(circles), body.joints) & ~own & (order > nearest[:, None])).any(axis=1)
    # An eye or nose that is not painted at all is on the far side of the head.
    hidden |= nearest < 0
    visibility = np.where(hidden, OCCLUDED, VISIBLE)
    return body.joints, np.where(_framed(body.joints), visibility, UNLABELLED)


class Puppets(PoseDataset):
    """`count` painted scenes with one person to find in each, and often a second one beside.

    Parameters
    ----------
    count : number of scenes.
    seed : scene i follows from (seed, i) alone.
    size : about the side of a person's crop in px; the picture is a square of 1.5 x size.
    skeleton : "mpii", "lsp" or "coco"; the scenes are the same for each.

    >>> Puppets(10, seed=1, size=64)[3].image.shape
    (96, 96, 3)
    """

    has_occlusion = True
    normalizer = "head"
    threshold = 0.5

    def __init__(self, count: int, seed: int = 0, size: int = 128, skeleton: str = "mpii"):
        known = {known.name: known for known in (MPII, LSP, COCO)}
        if skeleton not in known:
            raise InputError("Puppets", "skeleton", f"one of {', '.join(known)}", repr(skeleton))
        if count < 0 or seed < 0:
            raise InputError("Puppets", "count and seed", "whole numbers >= 0", f"{count} and {seed}")
        self.skeleton = known[skeleton]
        self.count, self.seed, self.side = count, seed, round(1.5 * size)
        self._chosen = [JOINTS.index(name) for name in self.skeleton.joints]

    def __len__(self) -> int:
        return self.count

    def _sample(self, number: int) -> Sample:
        scene, side = self.scene(number), self.side
        everybody = [self._labelled(*labels(scene, k)) for k in range(len(scene.people))]
        person = everybody[0]
        labelled = person[person[:, 2] > 0, :2]
        body = scene.people[0]
        silhouette = outlines(body.circles).clip(0, 1).reshape(-1, 2)

        def distance(first: str, second: str) -> float:
            gap = body.joints[JOINTS.index(first)] - body.joints[JOINTS.index(second)]
            return side * float(np.hypot(*gap))

        return Sample(
            keypoints=person[:, :2].copy(),
            visibility=person[:, 2].astype(np.int64),
            crop=Crop.around_joints(labelled),
            sizes={
                "head": distance("neck", "head_top"),
                "torso": distance("right_shoulder", "left_hip"),
                "box": float(np.ptp(labelled, axis=0).max()),
            },
            others=np.array(everybody[1:]).reshape(-1, len(self.skeleton), 3),
            id=f"puppet-{self.seed}-{number}",
            read=partial(scene.image, side),
            area=float(np.ptp(silhouette, axis=0).prod()) * side**2,
        )

    def scene(self, number: int) -> Scene:
        """Scene `number` before it is measured in pixels."""
        return random_scene(np.random.default_rng((self.seed, int(number))))

    def _labelled(self, joints, visibility):
        """(J, 3): x, y in scene px (NaN where outside) and visibility of the skeleton's joints."""
        # Scene units run from edge to edge, and pixel 0 has its centre half a pixel in.
        points = np.where(visibility[:, None] > 0, joints * self.side - 0.5, np.nan)
        return np.column_stack((points, visibility))[self._chosen]
