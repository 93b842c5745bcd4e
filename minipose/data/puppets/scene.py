"""Puppets, part 2: the picture. A room, the people and things in it, painted far to near.

Everything is measured in scene units: the square picture is 1 x 1 with y downwards, so that one
scene can be painted at any resolution. All shapes are hulls of circles, painted as a dark rim, a
body and a highlight towards the light. Colours and clutter follow from a seed of their own and are
drawn only when the picture is asked for: labels never wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from minipose.data.puppets.body import JOINTS, MATERIALS, SHADED, Body, outlines

SKINS = np.array(
    [(255, 219, 190), (241, 194, 155), (224, 172, 125), (198, 134, 90), (150, 95, 60), (112, 72, 50)]
)
HAIRS = np.array([(40, 30, 28), (78, 46, 26), (122, 76, 36), (214, 165, 80), (170, 72, 36), (150, 150, 155)])
CLOTHES = np.array(
    [(214, 60, 56), (236, 130, 45), (242, 196, 60), (80, 160, 75), (38, 135, 130), (50, 108, 195),
     (62, 62, 135), (132, 70, 152), (224, 112, 152), (240, 240, 235), (62, 64, 72), (128, 86, 60)]
)  # fmt: skip
WALLS = np.array(
    [(236, 222, 194), (200, 220, 228), (208, 226, 196), (238, 208, 200), (212, 206, 230), (184, 200, 188),
     (118, 142, 154), (160, 138, 122), (92, 102, 124), (230, 230, 224)]
)  # fmt: skip
WOODS = np.array([(150, 105, 68), (190, 146, 100), (104, 76, 58), (222, 210, 190)])

# From the rim inwards: size of the hull's circles, shift towards the light, brightness, white mixed in.
_TONES = ((1.0, 0.0, 0.5, 0.0), (0.86, 0.08, 0.86, 0.0), (0.66, 0.2, 1.0, 0.03), (0.34, 0.36, 1.0, 0.24))

_LAMPSHADE = ((-0.05, 0), (0.05, 0), (0.03, 0.07), (-0.03, 0.07))

# OpenCV's anti-aliased polygons come out this much too large all round, in px.
_BLEED = 0.6


@dataclass(frozen=True)
class Scene:
    """Who and what is to be seen, in scene units.

    people : the labelled person, perhaps a second one. front : is the second one the nearer?
    things : circles (T, 4, 3) of the pieces of an object before everybody, and their colours (T, 3).
    ground : y of the person's lowest point. seated : does the person need a stool?
    looks : seed of everything that the labels do not depend on. yaw : where the person is turned, in degrees;
    0 faces the viewer, 180 away.
    """

    people: tuple[Body, ...]
    front: bool
    things: np.ndarray
    colours: np.ndarray
    ground: float
    seated: bool
    looks: int
    yaw: float

    @property
    def painted(self) -> tuple[Body, ...]:
        """The people, farthest first."""
        return self.people if self.front else self.people[::-1]

    def image(self, side: int) -> np.ndarray:
        """The picture, (side, side, 3) uint8 RGB."""
        rng = np.random.default_rng(self.looks)
        light = np.array([rng.choice([-1, 1]) * rng.uniform(0.3, 0.8), -rng.uniform(0.4, 0.9)])
        tint = rng.uniform(0.85, 1.08) * (1 + 0.05 * rng.uniform(-1, 1, 3))
        wall, floor = WALLS[rng.choice(len(WALLS), 2, replace=False)] * rng.uniform(0.9, 1.05, (2, 1))
        horizon = self.ground - rng.uniform(0.05, 0.16)
        picture = _room(rng, side, wall * tint, floor * tint, horizon)
        circles, colours = _furniture(rng, horizon, wall)
        paint(picture, circles, colours * tint, np.ones(len(circles), bool), light)
        if self.seated:
            circles = _stool(self.people[0].joints[JOINTS.index("pelvis")], self.ground)
            wood = np.repeat(WOODS[rng.integers(len(WOODS)), None], len(circles), axis=0)
            paint(picture, circles, wood * tint, np.ones(len(circles), bool), light)
        for body in self.painted:
            _shadow(picture, body)
        for body in self.painted:
            paint(picture, body.circles, wardrobe(rng)[body.material] * tint, SHADED[body.part], light)
        paint(picture, self.things, self.colours * tint, np.ones(len(self.things), bool), light)
        noise, (x, y) = _noise(side), rng.integers(0, 64, 2)
        return cv2.add(picture, noise[y : y + side, x : x + side], dtype=cv2.CV_8U)


def wardrobe(rng: np.random.Generator) -> np.ndarray:
    """Colours (11, 3) of a person's MATERIALS; both sides of the body wear the same."""
    shirt, trousers, shoes, trim = CLOTHES[rng.choice(len(CLOTHES), 4, replace=False)]
    skin, hair = SKINS[rng.integers(len(SKINS))], HAIRS[rng.integers(len(HAIRS))]
    worn = {
        "skin": skin, "shirt": shirt, "trousers": trousers, "shoes": 0.75 * shoes, "hair": hair, "trim": trim,
        "ink": (46, 32, 36), "cheek": skin * (0.98, 0.76, 0.72), "mouth": skin * (0.72, 0.3, 0.3),
        "white": (250, 248, 244), "leather": (150, 96, 56),
    }  # fmt: skip
    return np.array([worn[name] for name in MATERIALS], dtype=float)


def paint(
    picture: np.ndarray, circles: np.ndarray, colours: np.ndarray, shaded: np.ndarray, light: np.ndarray
):
    """Paint hulls of circles (T, 4, 3) in this order, colours (T, 3) RGB; `light` (2,) points to the light.

    Hulls that are not `shaded` (T,) are flat.
    """
    layers, shades = np.repeat(circles[None], len(_TONES), axis=0), []
    for layer, (size, shift, brightness, white) in zip(layers, _TONES, strict=True):
        layer[..., :2] += shift * circles[..., 2:] * light
        layer[..., 2] = np.maximum(size * circles[..., 2] - _BLEED / len(picture), 0)
        shades.append(brightness * colours + white * (255 - colours))
    shades[0] = np.where(shaded[:, None], shades[0], colours)
    shades = np.clip(shades, 0, 255).tolist()
    polygons = outlines(layers)
    # OpenCV takes sub-pixel corners as whole sixteenths; pixel 0 has its centre half a pixel in.
    polygons = np.rint((polygons * len(picture) - 0.5) * 16).astype(np.int32)
    for number, tones in enumerate(np.where(shaded, len(_TONES), 1).tolist()):
        for tone in range(tones):
            cv2.fillConvexPoly(picture, polygons[tone, number], shades[tone][number], cv2.LINE_AA, 4)


def box(x: float, y: float, width: float, height: float, radius: float = 0.005) -> list:
    """Circles (4, 3) at the corners of an upright box with its upper left corner at (x, y)."""
    return [(x, y, radius), (x + width, y, radius), (x + width, y + height, radius), (x, y + height, radius)]


def _room(rng, side, wall, floor, horizon):
    """Wall and floor, unevenly lit."""
    patches = wall * rng.uniform(0.9, 1.06, (4, 4, 1))
    patches = np.clip(patches, 0, 255).astype(np.uint8)
    picture = cv2.resize(patches, (side, side), interpolation=cv2.INTER_LINEAR)
    top = round(min(max(horizon, 0), 1) * side)
    if top < side:
        fade = np.clip(np.linspace(0.78, 1.02, 6)[:, None, None] * floor, 0, 255).astype(np.uint8)
        picture[top:] = cv2.resize(fade, (side, side - top))
        skirting = (0, top, side, max(side // 64, 1))
        cv2.rectangle(picture, skirting, np.clip(0.75 * wall, 0, 255).tolist(), -1)
    return picture


def _furniture(rng, horizon, wall):
    """Clutter: circles (T, 4, 3) and colours (T, 3). Bent sticks in colours of skin and cloth mimic limbs."""
    shapes, colours = [], []

    def add(shape, palette, shade=1.0):
        shapes.append(shape)
        colours.append(shade * palette[rng.integers(len(palette))])

    for kind in rng.integers(0, 5, rng.integers(2, 5)):
        x, y = rng.uniform((-0.05, -0.05), (0.95, max(horizon - 0.2, 0.1)))
        w, h = rng.uniform(0.1, 0.22, 2)
        if kind == 0:  # a picture
            add(box(x, y, w, h), WOODS)
            add(box(x + 0.015, y + 0.015, w - 0.03, h - 0.03), WALLS)
            add([(x + w * rng.uniform(0.3, 0.7), y + h / 2, 0.025)] * 4, CLOTHES)
        elif kind == 1:  # a window
            add(box(x, y, w, h), WOODS[3:])
            for left in (x + 0.01, x + w / 2 + 0.004):
                add(box(left, y + 0.01, w / 2 - 0.014, h - 0.02, 0.002), WALLS[1:2])
        elif kind == 2:  # a shelf with books
            add(box(x, y, w, 0.008), WOODS)
            for left in np.arange(x, x + w - 0.02, 0.024):
                tall = rng.uniform(0.04, 0.075)
                add(box(left, y - 0.006 - tall, 0.014, tall, 0.003), CLOTHES, 0.85)
        elif kind == 3:  # a floor lamp
            top = horizon - 2 * h
            add([(x, horizon + 0.02, 0.008)] * 2 + [(x, top, 0.006)] * 2, WOODS)
            add([(x + wide, top - high, 0.004) for wide, high in _LAMPSHADE], CLOTHES)
        else:  # a table
            for leg in (x + 0.01, x + w - 0.01):
                add([(leg, horizon + 0.03, 0.008)] * 2 + [(leg, horizon - h * 0.7, 0.012)] * 2, WOODS)
            add(box(x - 0.01, horizon - h * 0.7 - 0.01, w + 0.02, 0.014), WOODS)
    # What stands in the room is paler than the people in it.
    colours = [0.7 * colour + 0.3 * wall for colour in colours]
    for _ in range(rng.integers(0, 3)):
        start, angle = rng.random(2), rng.uniform(0, 2 * np.pi)
        palette, shade = (SKINS, CLOTHES)[rng.integers(2)], rng.uniform(0.8, 1.0)
        for thick, turn in ((0.017, 0), (0.014, rng.uniform(-1.5, 1.5))):
            turned = angle + turn
            end = start + rng.uniform(0.05, 0.09) * np.array([np.cos(turned), np.sin(turned)])
            add([(*start, thick)] * 2 + [(*end, thick * 0.8)] * 2, palette, shade)
            colours[-1] = colours[-1 - (turn != 0)]
            start = end
    return np.array(shapes), np.array(colours)


def _stool(pelvis, ground):
    """Circles (3, 4, 3) of a stool under a pelvis."""
    (x, y), height = pelvis, max(ground - pelvis[1] - 0.03, 0.03)
    legs = [[(x + 0.05 * s, y + 0.04, 0.009)] * 2 + [(x + 0.065 * s, y + height, 0.007)] * 2 for s in (-1, 1)]
    return np.array([*legs, box(x - 0.065, y + 0.025, 0.13, 0.02, 0.008)])


def _shadow(picture, body):
    """Darken the floor under a person, softly."""
    side, ground = len(picture), (body.circles[..., 1] + body.circles[..., 2]).max()
    x, width = body.joints[:, 0].mean(), 0.7 * np.ptp(body.joints[:, 0]) + 0.1
    corners = np.array([[x - width / 2, ground - 0.028], [x + width / 2, ground + 0.022]]) * side
    (left, top), (right, bottom) = np.rint(corners).astype(int).tolist()
    region = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if region.size:
        blob = cv2.resize(_blob(), (right - left, bottom - top))[max(-top, 0) :, max(-left, 0) :]
        region[:] = region * blob[: region.shape[0], : region.shape[1]]


@lru_cache(maxsize=1)
def _blob():
    """(32, 32, 3): how much light is left in a soft round shadow."""
    across = np.linspace(-1, 1, 32)
    near = np.clip(1 - across[:, None] ** 2 - across**2, 0, 1)
    return (1 - 0.45 * near)[..., None].repeat(3, axis=2)


@lru_cache(maxsize=4)
def _noise(side):
    """A tile of sensor noise, 64 px larger than the picture."""
    noise = np.random.default_rng(0).normal(0, 3, (side + 64, side + 64, 3))
    return np.rint(noise).clip(-12, 12).astype(np.int8)
