"""Make what the live lab shows: networks as ONNX, pictures with truth, a recording: python book/build/lab.py.

`make book` calls this, and it is all to do after better weights have come. Everything follows from the
shipped networks and fixed seeds; it goes into book/_static/lab/made, and nothing of it is committed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.cbook import get_sample_data

import minipose
from minipose import heatmaps, plots
from minipose.crops import Crop
from minipose.data import Puppets
from minipose.data.puppets.body import JOINTS
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, Sample
from minipose.export import description, export_onnx
from minipose.io.images import read_photo
from minipose.skeletons import LSP, MPII, Skeleton
from minipose_book.figures.moving import SCENES, UNSEEN, rounded
from minipose_book.pretrained import load, names

MADE = Path(__file__).resolve().parents[1] / "_static/lab/made"
# One hourglass with four residual modules at each box, and four hourglasses with one: equal capacity.
PAIRS = {
    "puppets": ("hg1x4-puppets", "hg4x1-puppets"),
    "people": ("hg1x4-lspet", "hg4x1-lspet"),
}
SIZE = 256  # px of a person's crop: more than the networks see, for a reader who looks closer
FOUND = 0.5  # heads: PCKh@0.5
SEARCHED = 200  # scenes among which those of the tour are looked for
FRAMES, TILE = 20, 240  # of the recording: pictures, one below the other; px of one network


@dataclass
class Person:
    """Somebody in a scene: joints (J, 3) picture px with visibility, and the head's length."""

    joints: np.ndarray
    head: float

    def errors(self, points: np.ndarray) -> np.ndarray:
        """Distances of points (..., J, 2) from the truth in heads, NaN without a label."""
        return np.linalg.norm(points - self.joints[:, :2], axis=-1) / self.head


@dataclass
class Look:
    """A scene, and what both networks make of it: points (stages, J, 2) picture px, scores (J,) at last."""

    number: int
    sample: Sample
    people: list[Person]
    points: list[np.ndarray]
    scores: list[np.ndarray]

    @property
    def seen(self) -> np.ndarray:
        return self.sample.visibility


def people(puppets: Puppets, number: int) -> list[Person]:
    sample, bodies = puppets[number], puppets.scene(number).people
    joints = [np.column_stack((sample.keypoints, sample.visibility)), *sample.others]
    ends = [JOINTS.index(name) for name in ("neck", "head_top")]
    heads = [float(np.linalg.norm(np.diff(body.joints[ends], axis=0))) * puppets.side for body in bodies]
    return [Person(*each) for each in zip(joints, heads, strict=True)]


def stages(network, photo: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """Joints that each stage finds, (stages, J, 2) picture px, and the last stage's scores."""
    pose = minipose.predict(network, photo, crop, flip=False)
    found = []
    for stage, stride in zip(pose.heatmaps, network.strides, strict=True):
        points, scores = heatmaps.decode_heatmaps(stage)
        found.append(crop.inverse(heatmaps.to_crop(points, stride), network.size).numpy())
    return np.stack(found), scores.numpy()


def looks(networks) -> Iterator[Look]:
    puppets = Puppets(SCENES, UNSEEN, SIZE, networks[0].skeleton.name)
    for number in range(SEARCHED):
        sample = puppets[number]
        found = [stages(network, sample.image, sample.crop) for network in networks]
        yield Look(number, sample, people(puppets, number), *map(list, zip(*found, strict=True)))


def share(person: Person, points: np.ndarray) -> float:
    """Of the person's labelled joints, how many the last stage finds."""
    labelled = person.joints[:, 2] > 0
    return float((person.errors(points[-1]) <= FOUND)[labelled].mean())


# The tour's scenes: for each step a test whether a scene shows what the step asks about. It returns what
# the step has to know, or None.


def whom(look: Look, networks) -> dict | None:
    """Two people, and a slide of the crop makes both networks mean the other."""
    if len(look.people) < 2 or (look.people[1].joints[:, 2] == UNLABELLED).sum() > 4:
        return None
    aim = Crop.around_joints(look.people[1].joints[look.people[1].joints[:, 2] > 0, :2])
    crop = replace(look.sample.crop, center=aim.center)
    moved = [stages(network, look.sample.image, crop)[0] for network in networks]
    shares = [
        share(person, points)
        for person, found in zip(look.people, (look.points, moved), strict=True)
        for points in found
    ]
    return {"to": rounded(aim.center)} if min(shares) >= 0.75 else None


def covered(look: Look, networks) -> dict | None:
    """A wrist in plain view that both networks find."""
    for joint in ("left_wrist", "right_wrist"):
        at = networks[0].skeleton.index(joint)
        if len(look.people) == 1 and look.seen[at] == VISIBLE and (look.seen > 0).all():
            errors = [look.people[0].errors(points[-1])[at] for points in look.points]
            if max(errors) < 0.2:
                return {"joint": joint, "at": beside(look)}
    return None


def beside(look: Look) -> dict:
    """Where a patch lies in sight and on no joint, in percent of the picture: the crop's emptiest corner."""
    crop, (height, width) = look.sample.crop, look.sample.image.shape[:2]
    reach = 0.36 * crop.side
    corners = np.array(crop.center) + reach * np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])
    gaps = np.linalg.norm(corners[:, None] - look.people[0].joints[:, :2], axis=-1).min(axis=1)
    x, y = corners[gaps.argmax()]
    return {"across": round(100 * (x + 0.5) / width), "along": round(100 * (y + 0.5) / height)}


def decided(look: Look, networks) -> dict | None:
    """A joint that the first stage of the stack misses, and a later one, not the last, finds for good."""
    right = look.people[0].errors(look.points[1]) <= FOUND  # (stages, J); false without a label
    first = len(right) - np.logical_and.accumulate(right[::-1]).sum(axis=0)  # of those that stay right
    for at in np.flatnonzero((first >= 1) & (first < len(right) - 1)):
        return {"joint": networks[1].skeleton.joints[at], "stage": int(first[at]) + 1}
    return None


def turned(look: Look, networks) -> dict | None:
    """Somebody whom both networks find upright and lose head down."""
    if len(look.people) > 1 or not (look.seen == VISIBLE).all():
        return None
    crop = replace(look.sample.crop, angle=180.0)
    down = [stages(network, look.sample.image, crop)[0] for network in networks]
    before, after = ([share(look.people[0], points) for points in found] for found in (look.points, down))
    return {} if min(before) > 0.9 and max(after) < 0.4 else None


def absent(look: Look, networks) -> dict | None:
    """Somebody cut by the border, whose missing joints score lower than most of the others."""
    missing = look.seen == UNLABELLED
    if len(look.people) > 1 or not 2 <= missing.sum() <= 6:
        return None
    clear = all(scores[missing].max() < np.median(scores[~missing]) - 0.1 for scores in look.scores)
    return {"missing": int(missing.sum())} if clear else None


def plain(kind: Callable[[Look], bool]) -> Callable:
    """A scene that no step asks about."""
    return lambda look, networks: {} if kind(look) else None


WANTED: dict[str, Callable] = {
    "whom": whom, "covered": covered, "decided": decided, "turned": turned, "absent": absent,
    "crowded": plain(lambda look: len(look.people) == 2 and (look.seen == OCCLUDED).sum() >= 4),
    "hidden": plain(lambda look: len(look.people) == 1 and (look.seen == OCCLUDED).sum() >= 5),
    "any": plain(lambda look: (look.seen > 0).all()),
}  # fmt: skip


def choose(networks) -> dict[str, tuple[Look, dict]]:
    """The first scene that serves each purpose, no scene twice."""
    found: dict[str, tuple[Look, dict]] = {}
    for look in looks(networks):
        for name, test in WANTED.items():
            if name not in found and (facts := test(look, networks)) is not None:
                found[name] = look, facts
                break
        if len(found) == len(WANTED):
            return {name: found[name] for name in WANTED}
    lacking = ", ".join(WANTED.keys() - found.keys())
    raise SystemExit(f"Among {SEARCHED} scenes none serves the lab's {lacking}: search more, or ask for less")


def write_scene(look: Look, folder: Path) -> dict:
    """The scene's picture as a file, and what the page must know of it."""
    name = f"scene-{look.number}.jpg"
    write(folder / name, look.sample.image)
    hidden, outside = ((look.seen == kind).sum() for kind in (OCCLUDED, UNLABELLED))
    said = ["one person", "two people"][len(look.people) - 1]
    said += f", {counted(hidden)} hidden" if hidden else ""
    said += f", {counted(outside)} outside the picture" if outside else ""
    truth: dict[str, list] = {}
    for skeleton in (MPII, LSP):
        everybody = people(Puppets(SCENES, UNSEEN, SIZE, skeleton.name), look.number)
        truth[skeleton.name] = [placed(person, skeleton) for person in everybody]
    crop = look.sample.crop
    return {
        "file": name, "says": said, "center": rounded(crop.center), "side": round(float(crop.side), 2),
        "people": truth,
    }  # fmt: skip


def counted(count: int) -> str:
    return f"{count} joint{'s' if count > 1 else ''}"


def placed(person: Person, skeleton: Skeleton) -> dict:
    """A person as JSON: a place and a visibility for each joint, or null."""
    joints = [[*rounded((x, y)), int(seen)] if seen != UNLABELLED else None for x, y, seen in person.joints]
    assert len(joints) == len(skeleton)
    return {"joints": joints, "head": round(person.head, 2)}


def write_photo(folder: Path) -> dict:
    """The one photograph of a person that comes with matplotlib; nobody has labelled it."""
    photo = read_photo(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    write(folder / "photo.jpg", photo)
    # Where the whole person would be: these networks have learned from people who are seen whole.
    height, width = photo.shape[:2]
    crop = Crop((width / 2, height), 2.7 * height)
    says = "a photo: Grace Hopper, by the U.S. Navy, in the public domain"
    return {
        "file": "photo.jpg", "says": says, "center": rounded(crop.center), "side": crop.side, "people": {},
    }  # fmt: skip


def write(path: Path, pixels: np.ndarray) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
        raise SystemExit(f"cannot write {path}")


def record(networks, look: Look, to, folder: Path) -> None:
    """The crop slides from one person to the other, seen by both networks: pictures in one file."""
    tiles = []
    figure = plt.figure(figsize=(2 * TILE / 100, TILE / 100), dpi=100)
    for share in np.linspace(0, 1, FRAMES):
        center = (1 - share) * np.array(look.sample.crop.center) + share * np.array(to)
        crop = replace(look.sample.crop, center=tuple(center))
        figure.clear()
        for side, network in enumerate(networks):
            pose = minipose.predict(network, look.sample.image, crop, flip=False)
            points = crop.forward(pose.keypoints, network.size).numpy()
            axes = figure.add_axes((side / 2, 0, 0.5, 1))
            plots.draw_pose(crop.image(look.sample.image, network.size), points, network.skeleton, axes=axes)
        figure.canvas.draw()
        tiles.append(np.array(figure.canvas.buffer_rgba())[..., :3])
    plt.close(figure)
    write(folder / "recorded.jpg", np.vstack(tiles))


def main() -> None:
    torch.set_num_threads(1)
    fresh = MADE.with_name("made.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    made: dict = {"found": FOUND, "pairs": [], "scenes": [], "tour": {}}
    for name, pair in PAIRS.items():
        if not set(pair) <= set(names()):
            continue
        loaded = [load(each) for each in pair]
        files = [f"{each}.onnx" for each in pair]
        for network, file in zip(loaded, files, strict=True):
            export_onnx(network, fresh / file)
        shared = description(loaded[0])
        del shared["strides"]
        networks = [
            {"name": each, "file": file, "strides": description(network)["strides"]}
            for each, file, network in zip(pair, files, loaded, strict=True)
        ]
        # The scenes come in the order of WANTED, and behind them the photo.
        start = len(WANTED) if name == "people" else 0
        made["pairs"].append({"name": name, "scene": start, "networks": networks, **shared})
    networks = [load(name) for name in PAIRS["puppets"]]
    for number, (name, (look, facts)) in enumerate(choose(networks).items()):
        made["scenes"].append(write_scene(look, fresh))
        made["tour"][name] = {"scene": number, **facts}
        if name == "whom":
            record(networks, look, facts["to"], fresh)
    made["scenes"].append(write_photo(fresh))
    (fresh / "lab.json").write_text(json.dumps(made, allow_nan=False), encoding="utf-8")
    shutil.rmtree(MADE, ignore_errors=True)
    fresh.rename(MADE)


if __name__ == "__main__":
    main()
