"""Puppets, part 1: a jointed body. Angles in, joints and the outlines of its parts out.

A pose is a set of joint angles within the limits of human anatomy; forward kinematics turns it
into joints in 3D, and every part of the body (a shin, the chest, the head) is the convex hull of
up to four spheres. Seen from far away a sphere is a circle, so one function, `outlines`, gives the
silhouette of all parts at once, for painting and for telling which joint is hidden by what.

Axes: x to the right on screen, y down, z towards the viewer; a puppet that faces the viewer has
its left hand at larger x. Lengths are in body heights until `Body.placed`. Sides are ordered
(right, left) and are the puppet's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

# All joints that a skeleton of the package may ask for, then points that only the drawing needs.
JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "pelvis", "thorax", "neck", "head_top",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    "nose", "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
HELPERS = "right_heel", "left_heel", "right_toe", "left_toe", "right_fingers", "left_fingers", "skull"
POINT = {name: number for number, name in enumerate(JOINTS + HELPERS)}
# From the middle of the skull to the joints of the head, in head lengths: left, down, forward.
FACE = {
    "head_top": (0.0, -0.4, 0.0), "nose": (0.0, 0.2, 0.4),
    "right_eye": (-0.16, 0.06, 0.36), "left_eye": (0.16, 0.06, 0.36),
    "right_ear": (-0.39, 0.12, -0.03), "left_ear": (0.39, 0.12, -0.03),
}  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """Joint angles in degrees; arms and legs are (2, 4), rows (right, left).

    arms : raise (0 hangs, 90 level, 180 up), azimuth (0 sideways, 90 forward), swivel (where the
        elbow folds to: 0 forward or inward, 90 up, -90 down), elbow (0 straight).
    legs : hip flexion (90 lifts the thigh forward), abduction, twist, knee (0 straight).
    """

    yaw: float  # 0 faces the viewer, 180 away
    arms: np.ndarray
    legs: np.ndarray
    camera: float = 0.0  # looks down by this much
    tilt: float = 0.0  # of the whole puppet, clockwise on screen
    spine: tuple = (0.0, 0.0, 0.0)  # bend forward, bend sideways, twist
    head: tuple = (0.0, 0.0, 0.0)  # nod, roll, turn
    seated: bool = False


@dataclass(frozen=True)
class Build:
    """Bone lengths in body heights, how thick limbs and trunk are, and the cut of the clothes."""

    head: float = 0.18
    neck: float = 0.05
    trunk: float = 0.28
    thigh: float = 0.235
    shin: float = 0.225
    upper_arm: float = 0.165
    forearm: float = 0.14
    shoulder: float = 0.11
    hip: float = 0.058
    limbs: float = 1.0
    girth: float = 1.0
    sleeve: int = 1  # 0 none, 1 short, 2 long
    shorts: bool = False
    long_hair: bool = False
    fringe: bool = True
    stripes: bool = False


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """(3, 3): turn by `x` degrees about the x axis, then `y`, then `z`."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(a := np.deg2rad((x, y, z))).tolist(), np.sin(a).tolist()
    return np.array([
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ])  # fmt: skip


def _pairs(*names: str) -> list[int]:
    return [POINT[f"{side}_{name}"] for name in names for side in ("right", "left")]


def kinematics(pose: Pose, build: Build) -> tuple[np.ndarray, np.ndarray]:
    """Points (28, 3) in body heights, pelvis at 0, and the frames (4, 3, 3) of screen, hips, chest, head.

    A frame's columns are the directions left, down and forward of that part of the body.
    """
    hips = rotation(0, 0, pose.tilt) @ rotation(-pose.camera, 0, 0) @ rotation(0, pose.yaw, 0)
    bend, side, twist = pose.spine
    chest = hips @ rotation(-bend, twist, side)
    nod, roll, turn = pose.head
    head = chest @ rotation(-nod, turn, roll)
    out = np.array([[-1.0, 0, 0], [1.0, 0, 0]])  # (2, 3): away from the middle, right and left
    down, forward = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])

    cosine, sine = np.cos(a := np.deg2rad(pose.arms.T))[..., None], np.sin(a)[..., None]
    level = cosine[1] * out + sine[1] * forward
    upper = cosine[0] * down + sine[0] * level
    lifted = -sine[0] * down + cosine[0] * level
    fold = cosine[2] * (-sine[1] * out + cosine[1] * forward) + sine[2] * lifted
    fore = cosine[3] * upper + sine[3] * fold

    cosine, sine = np.cos(a := np.deg2rad(pose.legs.T))[..., None], np.sin(a)[..., None]
    ahead = cosine[0] * down + sine[0] * forward
    thigh = cosine[1] * ahead + sine[1] * out
    back = cosine[2] * (sine[0] * down - cosine[0] * forward) + sine[2] * (cosine[1] * out - sine[1] * ahead)
    shin = cosine[3] * thigh + sine[3] * back
    foot = sine[3] * thigh - cosine[3] * back

    points = np.zeros((len(POINT), 3))
    thorax = build.trunk * (hips @ (0, -0.35, 0) + chest @ (0, -0.65, 0))
    neck = thorax + chest @ (0, -build.neck, 0.008)
    shoulders = thorax + (build.shoulder * out + 0.02 * down) @ chest.T
    elbows = shoulders + build.upper_arm * upper @ chest.T
    wrists = elbows + build.forearm * fore @ chest.T
    hip = build.hip * out + 0.012 * down
    knee = hip + build.thigh * thigh
    ankle = knee + build.shin * shin
    heel, toe = ankle + 0.024 * shin - 0.012 * foot, ankle + 0.03 * shin + 0.075 * foot
    legs = np.concatenate((hip, knee, ankle, heel, toe)) @ hips.T
    arms = np.concatenate((shoulders, elbows, wrists, wrists + 0.05 * fore @ chest.T))
    skull = neck + head @ (0, -0.6 * build.head, 0)
    points[_pairs("shoulder", "elbow", "wrist", "fingers")] = arms
    points[_pairs("hip", "knee", "ankle", "heel", "toe")] = legs
    face = skull + build.head * np.array(list(FACE.values())) @ head.T
    points[[POINT[name] for name in ("thorax", "neck", "skull", *FACE)]] = thorax, neck, skull, *face
    return points, np.stack((np.eye(3), hips, chest, head))


MATERIALS = (
    "skin", "shirt", "trousers", "shoes", "hair", "ink", "trim", "cheek", "mouth", "white", "leather",
)  # fmt: skip
SCREEN, HIPS, CHEST, HEAD = range(4)


class Sphere(NamedTuple):
    """A sphere `share` of the way between two points, moved by `offset` along a frame's axes.

    Radius and offset are in body heights, in head lengths for the frame of the head.
    """

    radius: float
    first: str
    second: str | None = None
    share: float = 0.0
    frame: int = SCREEN
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Part(NamedTuple):
    """The hull of up to four spheres. A surface part is flat and lies on the side of its parent it faces."""

    name: str
    spheres: tuple[Sphere, ...]
    material: str
    ends: tuple[str, ...] = ()  # the joints it ends at, which it cannot hide
    parent: str | None = None
    surface: bool = False


def _capsule(first, thick, second, thin, share=1.0):
    return Sphere(thick, first), Sphere(thin, first, second, share)


def _on_head(radius, *offsets):
    return tuple(Sphere(radius, "skull", frame=HEAD, offset=offset) for offset in offsets)


def _on_chest(radius, *places):
    return tuple(Sphere(radius, "thorax", "pelvis", share, CHEST, offset) for share, offset in places)


def _trunk() -> list[Part]:
    shoulders = [Sphere(0.044, f"{s}_shoulder", "thorax", 0.22, CHEST) for s in ("right", "left")]
    waist = [Sphere(0.056, "pelvis", "thorax", 0.3, HIPS, (x, 0, 0)) for x in (-0.036, 0.036)]
    seat = [Sphere(0.06, f"{s}_hip", "pelvis", 0.1, HIPS) for s in ("right", "left")]
    ring = [(x, 0, z) for x in (-0.085, 0.085) for z in (-0.025, 0.025)]
    stripes = [_on_chest(0.011, *((i / 5, at) for at in ring)) for i in (1, 2, 3)]
    buttons = [_on_chest(0.01, (i / 5, (0, 0, 0.045))) for i in (2, 3, 4)]
    collar = (0, (-0.035, 0, 0.04)), (0.22, (0, 0, 0.04)), (0, (0.035, 0, 0.04))
    bib = [(t, (x, 0, 0.045)) for t, w in ((0.08, 0.06), (0.85, 0.045)) for x in (-w, w)]
    pack = [(t, (x, 0, -0.045)) for t in (0.12, 0.75) for x in (-0.06, 0.06)]
    flap = [(t, (x, 0, -0.045)) for t in (0.15, 0.4) for x in (-0.055, 0.055)]
    face, bun = _on_head(0.375, (0, 0, 0.02)), _on_head(0.42, (0, -0.03, -0.14))
    chin, nape = _on_head(0.24, (0, 0.35, 0.1)), _on_head(0.28, (0, 0.2, -0.2))
    locks = _on_head(0.2, (-0.22, 0.6, -0.2), (0.22, 0.6, -0.2))
    fringe = (-0.28, -0.14, 0.2), (0.28, -0.14, 0.2), (-0.18, -0.3, 0.14), (0.18, -0.3, 0.14)
    mouth = (-0.09, 0.36, 0.32), (0, 0.41, 0.32), (0.09, 0.36, 0.32)
    return [
        Part("hips", (*waist, *seat), "trousers", ("pelvis", "right_hip", "left_hip")),
        Part("chest", (*shoulders, *waist), "shirt", ("thorax", "right_shoulder", "left_shoulder")),
        Part("bib", _on_chest(0.012, *bib), "white", (), "chest", True),
        Part("collar", _on_chest(0.008, *collar), "skin", (), "chest", True),
        Part("pack", _on_chest(0.022, *pack), "ink", (), "chest", True),
        Part("flap", _on_chest(0.016, *flap), "leather", (), "chest", True),
        *(Part(f"stripe {i}", spheres, "trim", (), "chest") for i, spheres in enumerate(stripes)),
        *(Part(f"button {i}", spheres, "ink", (), "chest", True) for i, spheres in enumerate(buttons)),
        Part("neck", _capsule("thorax", 0.038, "neck", 0.036), "skin", ("thorax", "neck")),
        Part("head", face + chin, "skin", ("neck", "head_top")),
        Part("hair", bun + nape, "hair", ("neck", "head_top")),
        Part("long hair", bun + locks, "hair", ("neck", "head_top", "thorax"), "hair"),
        Part("fringe", _on_head(0.07, *fringe), "hair", (), "head", True),
        Part("mouth", _on_head(0.025, *mouth), "mouth", (), "head", True),
        Part("nose", _on_head(0.05, FACE["nose"]), "cheek", ("nose",), "head", True),
    ]  # fmt: skip


def _side(s: str) -> list[Part]:
    ankle, knee, hip, wrist, elbow, shoulder, eye, ear = (
        f"{s}_{name}" for name in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder", "eye", "ear")
    )
    upper, thigh = f"{s} upper arm", f"{s} thigh"
    cheek = (0.23 if s == "left" else -0.23, 0.27, 0.28)
    return [
        Part(f"{s} shoe", _capsule(f"{s}_heel", 0.027, f"{s}_toe", 0.022), "shoes", (ankle,)),
        Part(f"{s} shin", _capsule(knee, 0.042, ankle, 0.028), "trousers", (knee, ankle)),
        Part(thigh, _capsule(hip, 0.06, knee, 0.044), "trousers", ("pelvis", hip, knee)),
        Part(f"{s} shorts", _capsule(hip, 0.063, knee, 0.055, 0.6), "trousers", ("pelvis", hip), thigh),
        Part(upper, _capsule(shoulder, 0.041, elbow, 0.032), "shirt", (shoulder, elbow)),
        Part(f"{s} sleeve", _capsule(shoulder, 0.046, elbow, 0.042, 0.55), "shirt", (shoulder,), upper),
        Part(f"{s} forearm", _capsule(elbow, 0.032, wrist, 0.025), "shirt", (elbow, wrist)),
        Part(f"{s} hand", _capsule(wrist, 0.023, f"{s}_fingers", 0.028, 0.75), "skin", (wrist,)),
        Part(f"{s} ear", _on_head(0.09, FACE[ear]), "skin", (ear,)),
        Part(f"{s} eyeball", _on_head(0.085, FACE[eye]), "white", (eye,), "head", True),
        Part(f"{s} eye", _on_head(0.048, FACE[eye]), "ink", (eye,), "head", True),
        Part(f"{s} cheek", _on_head(0.08, cheek), "cheek", (), "head", True),
    ]  # fmt: skip


PARTS = (*_trunk(), *_side("right"), *_side("left"))
_NAMES = [part.name for part in PARTS]
# (M, 4) each: a part of fewer spheres repeats its last, which leaves the hull as it is.
_SPHERES = [part.spheres + part.spheres[-1:] * (4 - len(part.spheres)) for part in PARTS]
_RADIUS, _SHARE, _FRAME, _OFFSET = (
    np.array([[getattr(s, field) for s in row] for row in _SPHERES])
    for field in ("radius", "share", "frame", "offset")
)
_FIRST = np.array([[POINT[s.first] for s in row] for row in _SPHERES])
_SECOND = np.array([[POINT[s.second or s.first] for s in row] for row in _SPHERES])
_MATERIAL = np.array([MATERIALS.index(part.material) for part in PARTS])
_PARENT = np.array([_NAMES.index(part.parent or part.name) for part in PARTS])
_SURFACE = np.array([part.surface for part in PARTS])
# (21, M): does this part end at this joint? What decorates a part hides nothing that the part does not.
ENDS = np.array([[joint in part.ends for part in PARTS] for joint in JOINTS])
ENDS |= ENDS[:, _PARENT]
SHADED = np.array([not part.surface and part.material != "trim" for part in PARTS])
# Decorations are painted after their parent, and arms after a trunk that is as near.
_LAYER = np.array([1e-4 * ((part.parent is not None) + 2 * part.surface) for part in PARTS])
_NUDGE = np.array([0.008 * part.name.endswith(("arm", "hand")) for part in PARTS])


def _named(*words: str) -> np.ndarray:
    return np.array([any(word in name for word in words) for name in _NAMES])


_SLEEVES, _SHORTS, _LONG_HAIR = _named("sleeve"), _named("shorts"), _named("long hair")
_FRINGE, _STRIPES, _BUTTONS = _named("fringe"), _named("stripe"), _named("button")
_ARM, _LEG = _named("upper arm", "forearm"), _named("thigh", "shin")


@dataclass(frozen=True)
class Body:
    """A puppet as the viewer sees it: its T painted parts, farthest first.

    joints : (21, 2). circles : (T, 4, 3), x, y, radius; a part is the hull of its circles.
    part, material : (T,) numbers in PARTS and MATERIALS.
    """

    joints: np.ndarray
    circles: np.ndarray
    part: np.ndarray
    material: np.ndarray

    @classmethod
    def of(cls, pose: Pose, build: Build) -> Body:
        """In body heights, with the pelvis at 0."""
        points, frames = kinematics(pose, build)
        size = np.array([build.limbs, build.girth, build.girth, build.head])[_FRAME]
        lever = size[..., None] * (frames[_FRAME] @ _OFFSET[..., None])[..., 0]
        spheres = points[_FIRST] + _SHARE[..., None] * (points[_SECOND] - points[_FIRST]) + lever
        circles = np.concatenate((spheres[..., :2], (_RADIUS * size)[..., None]), axis=2)

        lever = lever.mean(axis=1)
        shown = ~_SURFACE | (lever[:, 2] > 0.2 * np.sqrt((lever**2).sum(axis=1)))
        for parts, wanted in (
            (_SLEEVES, build.sleeve == 1), (_SHORTS, build.shorts), (_LONG_HAIR, build.long_hair),
            (_FRINGE, build.fringe), (_STRIPES, build.stripes), (_BUTTONS, not build.stripes),
        ):  # fmt: skip
            shown &= ~parts | wanted
        bare = _ARM & (build.sleeve < 2) | _LEG & build.shorts
        material = np.where(bare, MATERIALS.index("skin"), _MATERIAL)
        depth = spheres[..., 2].mean(axis=1) + _NUDGE
        order = np.argsort(depth[_PARENT] + _LAYER, kind="stable")
        order = order[shown[order]]
        return cls(points[: len(JOINTS), :2], circles[order], order, material[order])

    def placed(self, height: float, origin: np.ndarray) -> Body:
        """Scaled so that a body height is `height`, then moved by `origin` (2,)."""
        moved = self.circles * height
        moved[..., :2] += origin
        return replace(self, joints=self.joints * height + origin, circles=moved)


_TURNS = np.arange(28) * (2 * np.pi / 28)
_AROUND = np.stack((np.cos(_TURNS), np.sin(_TURNS)), axis=1)


def outlines(circles: np.ndarray) -> np.ndarray:
    """Convex polygons (..., 28, 2) around sets of circles (..., K, 3): the farthest point each way."""
    reach = circles[..., :2] @ _AROUND.T + circles[..., 2:]  # (..., K, 28)
    first = np.arange(0, circles.size // 3, circles.shape[-2]).reshape(*circles.shape[:-2], 1)
    far = circles.reshape(-1, 3)[first + reach.argmax(axis=-2)]  # (..., 28, 3)
    return far[..., :2] + far[..., 2:] * _AROUND


def inside(polygons: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P, T) bool: which of the points (P, 2) lie in which of the convex polygons (T, N, 2)."""
    edges = np.roll(polygons, -1, axis=1) - polygons
    normals = np.stack((-edges[..., 1], edges[..., 0]), axis=-1)  # inwards, as outlines run clockwise
    depth = points @ normals.reshape(-1, 2).T - (normals * polygons).sum(axis=-1).ravel()
    return (depth.reshape(len(points), *edges.shape[:2]) >= -1e-12).all(axis=2)
