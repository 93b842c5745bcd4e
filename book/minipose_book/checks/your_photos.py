"""Checks of chapter 10, "Your own photos": labels, splits and fine-tuning."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import torch
from torch import nn

from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "your-photos"
VISIBILITY = {"skipped": 0, "hidden": 1, "seen": 2}


def _clicks(rng: np.random.Generator) -> dict:
    """A right arm as (joint, x, y, how it was answered), in px."""
    points, answers = rng.integers((20, 60), (50, 90), (3, 2)), rng.permutation(list(VISIBILITY))
    joints = ("right_wrist", "right_elbow", "right_shoulder")
    rows = zip(joints, points.tolist(), answers.tolist(), strict=True)
    return {"clicks": [(joint, *point, answer) for joint, point, answer in rows]}


@exercise(CHAPTER, "warm-up", _clicks)
def label_row(answer, clicks) -> Verdict:
    """The `keypoints` of an arm in COCO's format, nine numbers."""
    table = _table(clicks)
    return compare(answer, table.ravel(), [
        (_table(clicks, codes=(0, 2, 1)).ravel(), "Which of 1 and 2 is the hidden joint?"),
        (_table(clicks, somewhere=True).ravel(), "A joint that was skipped has no place."),
        (table.T.ravel(), "Joint after joint: x, y and v of the first, then of the second."),
        (table[:, [1, 0, 2]].ravel(), "x comes before y."),
    ])  # fmt: skip


def _table(clicks, codes=(0, 1, 2), somewhere=False) -> np.ndarray:
    """x, y and visibility of each joint, (3, 3)."""
    visibility = np.array([codes[VISIBILITY[answer]] for *_, answer in clicks])
    points = np.array([(x, y) for _, x, y, _ in clicks])
    return np.column_stack((points * ((visibility > 0) | somewhere)[:, None], visibility))


def _row(rng: np.random.Generator) -> dict:
    """The `keypoints` of one person: six joints, one of them skipped."""
    width, height = 20 * rng.permutation([rng.integers(3, 6), rng.integers(7, 12)])
    inner = rng.integers(1, (width - 1, height - 1), (3, 2))
    ends = [(0, inner[0, 1]), (width - 1, inner[1, 1]), (inner[0, 0], 0), (inner[1, 0], height - 1), inner[2]]
    rows = np.column_stack((np.array(ends) + rng.integers(20, 60, 2), rng.integers(1, 3, 5)))
    return {"keypoints": np.insert(rows, rng.integers(6), 0, axis=0).ravel().tolist()}


@exercise(CHAPTER, "practice", _row)
def box_and_crops(answer, keypoints) -> Verdict:
    """A person's box (x, y, width, height), the side of the file's crop, and that of the puppets' rule."""
    rows = np.reshape(keypoints, (-1, 3))
    labelled = rows[rows[:, 2] > 0]
    return compare(answer, _box(labelled), [
        (_box(rows), "A joint that was skipped is not at (0, 0). It is nowhere."),
        (_box(labelled, both=0), "From the first pixel to the last one, both counted."),
        (_box(labelled, half=0), "The box covers the pixels x ... x + width - 1."),
        (_box(labelled, longer=min), "A square crop has to hold the longer side."),
    ])  # fmt: skip


def _box(rows, both=1, half=1, longer=max) -> list[float]:
    low, high = rows[:, :2].min(axis=0), rows[:, :2].max(axis=0)
    size = 1.1 * (high - low + both)
    return [*((low + high - size + half) / 2), *size, 1.25 * longer(size), 1.5 * longer(high - low)]


def _pilot(rng: np.random.Generator) -> dict:
    """Share of joints found (people, photos): rows are people, columns photos of the same person."""
    people = 0.65 + rng.permutation([-0.24, -0.11, 0.05, 0.1, 0.2]) * rng.choice([1.0, 1.2, 1.4])
    photos = np.stack([rng.permutation([-0.06, -0.02, 0.02, 0.06]) for _ in people])
    return {"scores": (people[:, None] + photos * rng.choice([0.6, 0.8, 1.0])).round(3), "error": 0.05}


@exercise(CHAPTER, "practice", _pilot)
def how_many_people(answer, scores, error) -> Verdict:
    """The standard error of the mean by photos and by people, and how many people make it small enough."""
    photos, people = scores.std(ddof=1), scores.mean(axis=1).std(ddof=1)
    alone, together = photos / scores.size**0.5, people / len(scores) ** 0.5
    return compare(answer, (alone, together, math.ceil((people / error) ** 2)), {
        (photos, people, math.ceil((people / error) ** 2)): "These are spreads, not errors of a mean.",
        (alone, together, math.ceil((photos / error) ** 2)): "So many photos, if each were of somebody else.",
        (alone, together, math.ceil(people / error)): "Four times as many people halve the error.",
        (together, alone, math.ceil((people / error) ** 2)): "Photos as if nobody came twice: that is first.",
    })  # fmt: skip


# Who is in each photo.
CHAIN = ["F", "F", "AB", "BC", "CD", "DE", "F", "G", "G", "F", "F"]
PARTY = ["AB", "C", "BD", "E", "E", "F", "FG", "G", "H", "AD", "I", "I", "I", "D", "BA"]


def _albums(rng: np.random.Generator) -> dict:
    """Albums as (who is in each photo, how many photos to hold out)."""
    albums = []
    for photos, count in ((CHAIN, 3), (rng.permutation(PARTY), 4), (rng.permutation(PARTY), 5)):
        names = dict(zip("ABCDEFGHI", rng.permutation(list("abcdefghi")).tolist(), strict=True))
        albums.append(([[names[each] for each in people] for people in photos], count))
    return {"albums": albums}


@exercise(CHAPTER, "project", _albums)
def hold_out(answer, albums) -> Verdict:
    """A function (photos, count) -> numbers of the photos that are held out, rising."""
    return compare(answer, _held_out, {
        (lambda photos, count: list(range(count))): "Is anybody of these in a photo that is trained on?",
        partial(_held_out, who=slice(1)): "A photo may show two people, and ties both to one side.",
        partial(_held_out, rounds=1): "A knows B, B knows D: then A and D go together as well.",
        partial(_held_out, exact=True): "Whole circles: do not cut the last one to the wanted number.",
        partial(_held_out, sign=-1): "Small circles first, so that many different people are held out.",
    }, on=albums)  # fmt: skip


def _held_out(photos, count, who=slice(None), rounds=99, exact=False, sign=1) -> list[int]:
    """Circles of people who share photos, the smallest first, until there are `count` photos."""
    circle = list(range(len(photos)))
    for _ in range(rounds):
        before = list(circle)
        for a, people in enumerate(photos):
            near = [b for b, others in enumerate(photos) if set(people[who]) & set(others[who])]
            circle[a] = min(before[b] for b in near)
    held: list[int] = []
    for first in sorted(set(circle), key=lambda each: (sign * circle.count(each), each)):
        if len(held) < count:
            held += [k for k, each in enumerate(circle) if each == first]
    return sorted(held[:count] if exact else held)


class Small(nn.Module):
    """A network small enough to look into: a stem and a head, (N, 3, h, w) -> (N, 1, h, w)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU())
        self.head = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 1, 1))

    def forward(self, images):
        return self.head(self.stem(images))

    def __repr__(self) -> str:
        return "a small network"


def _batches(rng: np.random.Generator) -> dict:
    """A network, images (steps, N, 3, 6, 6), targets (steps, N, 1, 6, 6), and a learning rate."""
    network = Small()
    for weight in network.parameters():
        weight.data = torch.from_numpy(rng.normal(0.3, 0.5, weight.shape)).float()
    images, targets = (torch.from_numpy(rng.random((4, 3, c, 6, 6))).float() for c in (3, 1))
    return {"network": network, "images": images, "targets": targets, "rate": 0.2}


@exercise(CHAPTER, "project", _batches)
def what_moved(answer, **given) -> Verdict:
    """A function (network, images, targets, rate) -> how far fine-tuning the head moves each number."""
    return compare(answer, _moved(), {
        _moved(apart=False): "Nothing moves, it seems. Of how many networks are there before and after?",
        _moved(still=False, falling=False): "The head learns. Two mistakes are left.",
        _moved(still=False): "Something of the stem moves. It is no weight.",
        _moved(falling=False): "With which rate does the optimizer take its last step? Print what it uses.",
        _moved(learning=False): "The head is not frozen: it should measure its batches.",
    }, on=[tuple(given.values())])  # fmt: skip


def _moved(apart=True, still=True, falling=True, learning=True):
    """Fine-tuning of the head as it should be, or with mistakes."""

    def moved(network, images, targets, rate):
        tuned = copy.deepcopy(network) if apart else network
        optimizer = torch.optim.SGD(tuned.head.parameters(), rate)
        for k in range(len(images)):
            optimizer.param_groups[0]["lr"] = rate * (1 - k / len(images)) if falling else rate
            tuned.train(learning)
            tuned.stem.train(not still)
            optimizer.zero_grad()
            (tuned(images[k]) - targets[k]).square().mean().backward()
            optimizer.step()
        return _numbers(tuned) - _numbers(network)

    return moved


def _numbers(network: nn.Module) -> torch.Tensor:
    """Everything that a network keeps: weights, and the statistics of its BatchNorms."""
    return torch.cat([each.flatten() for each in network.state_dict().values()])


def _learning_curve(rng: np.random.Generator) -> dict:
    """Numbers of labelled photos (4,), PCK (seeds, 4) on others after fine-tuning, and an error to reach."""
    counts, slope = np.array([5, 10, 20, 40]), rng.uniform(0.25, 0.5)
    error = rng.uniform(0.3, 0.45) * (counts / 5) ** -slope
    scores = 1 - error * np.exp(rng.normal(0, 0.06, (3, 4)))
    return {"counts": counts, "scores": scores.round(3), "goal": float(rng.choice([0.08, 0.1]))}


@exercise(CHAPTER, "research", _learning_curve)
def learning_curve(answer, counts, scores, goal) -> Verdict:
    """How the error falls with the number of photos: the exponent, and the photos until a goal is reached."""
    error = 1 - scores.mean(axis=0)
    return compare(answer, _power(counts, error, goal), [
        (_power(counts, 1 - error, goal), "It is the error that falls like a power, not the score."),
        (_power(counts[-2:], error[-2:], goal), "These are the last two points alone. Fit all of them."),
        (_power(counts, error, goal, (np.asarray, np.asarray)), "Both axes are logarithmic."),
        (_power(counts, error, 1 - goal), "The goal is an error, too."),
        (_power(counts, error, goal) * [-1, 1], "The error is a constant times n to the power -b."),
    ], tolerance=2e-3)  # fmt: skip


def _power(counts, error, goal, along=(np.log, np.exp)) -> np.ndarray:
    """Exponent b and number n of the line through log error against log counts."""
    there, back = along
    slope, start = np.polyfit(there(counts), np.log(error), 1)
    return np.array([-slope, math.ceil(back((np.log(goal) - start) / slope))])
