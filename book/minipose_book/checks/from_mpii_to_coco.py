"""Checks of chapter 13, "From MPII to COCO": counting, OKS, ranking, labels on nothing, and the mirror."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "from-mpii-to-coco"
# COCO's ten thresholds of OKS, and its recalls.
LIMITS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def _a_data_set(rng: np.random.Generator) -> dict:
    """How many photos and people there are, and the share of photos with more than one person."""
    photos, share = 1000 * int(rng.integers(2, 6)), float(rng.choice([0.5, 0.6, 0.75]))
    each = int(rng.integers(4, 9))  # people in a photo with more than one, on average
    return {"photos": photos, "people": round(photos * (share * each + 1 - share)), "share": share}


@exercise(CHAPTER, "warm-up", _a_data_set)
def people_in_company(answer, photos, people, share) -> Verdict:
    """The mean number of people in photos with more than one, and the share of people in such photos."""
    together, several = people - (1 - share) * photos, share * photos
    return compare(answer, (together / several, together / people), {
        (people / several, together / people): "Who stands alone is in none of these photos.",
        (together / photos, together / people): "By how many photos? Only some of them have several people.",
        (together / several, share): "That is a share of photos. How many people are in them?",
        (together / several, together / photos): "A share of the people is asked for.",
    })  # fmt: skip


def _one_person(rng: np.random.Generator) -> dict:
    """Labelled joints, how many of them are lost, the others being exact; a joint's sigma and the area."""
    labelled, lost = [(8, 2), (10, 3), (12, 3), (16, 4)][rng.integers(4)]
    name, sigma = [("eye", 0.025), ("wrist", 0.062), ("ankle", 0.089), ("hip", 0.107)][rng.integers(4)]
    root = 10 * int(rng.integers(6, 15))
    return {"labelled": labelled, "lost": lost, "joint": name, "sigma": sigma, "area": float(root**2)}


@exercise(CHAPTER, "warm-up", _one_person)
def what_oks_forgives(answer, labelled, lost, joint, sigma, area) -> Verdict:
    """A person's OKS, at how many of ten limits that is found, and the px at which a joint has exp(-1/2)."""
    oks, px = 1 - lost / labelled, 2 * sigma * area**0.5
    of_17 = (labelled - lost) / 17
    reached, of_these = (int((value + 1e-9 >= LIMITS).sum()) for value in (oks, of_17))
    return compare(answer, (oks, reached, px), {
        (of_17, of_these, px): "A person's OKS is the mean over the labelled joints only.",
        (1 - lost / 17, reached, px): "Joints without a label count neither above nor below the line.",
        (lost / labelled, reached, px): "Those are the joints that were lost.",
        (oks, reached / 10, px): "At how many of the ten? That is a share.",
        (oks, int((oks - 1e-9 > LIMITS).sum()), px): "Begin at 0.5 and end at 0.95; OKS at the limit counts.",
        (oks, reached, px / 2): "k is not sigma itself.",
        (oks, reached, 2 * sigma * area): "An area is in square px. What goes with a distance?",
    })  # fmt: skip


def _turned(rng: np.random.Generator) -> dict:
    """Calls (points (9, 2) px, size px, angle in degrees, factor < 1): those where mistakes show."""
    calls: list[tuple] = []
    while len(calls) < 2:
        size = int(rng.choice([64, 100]))
        points = rng.uniform(0, size - 1, (9, 2)).round(1)
        call = (points, size, float(rng.choice([-25, -20, 20, 25])), float(rng.choice([0.75, 0.8])))
        answers = [rule(*call).tolist() for rule in (_on_nothing(), *NOT_ON_NOTHING)]
        if all(a != b for a, b in itertools.combinations(answers, 2)):
            calls.append(call)
    return {"calls": calls}


def _on_nothing(turn=1, about=0.5, beside=0.0, gone=lambda cut, back: cut & back) -> Callable:
    """Which points are cut off by a turn of the square and come back by shrinking, (J,) bool."""

    def on_nothing(points, size, angle, factor) -> np.ndarray:
        middle = about * (size - 1) + beside
        cosine, sine = np.cos(np.radians(turn * angle)), np.sin(np.radians(turn * angle))
        turned = (points - middle) @ np.array([[cosine, sine], [-sine, cosine]])
        half = size / 2
        low, high = -0.5 - middle, size - 0.5 - middle  # the square, seen from the centre of the turn
        cut = ((turned < low) | (turned > high)).any(axis=1)
        back = (np.abs(factor * (turned + middle - (size - 1) / 2)) <= half).all(axis=1)
        return gone(cut, back)

    return on_nothing


NOT_ON_NOTHING = {
    _on_nothing(turn=-1): "Clockwise on the screen, where y points down.",
    _on_nothing(about=0.0): "About which point is a picture turned?",
    _on_nothing(beside=0.5): "Where is the middle of the pixels 0 ... size - 1?",
    _on_nothing(
        gone=lambda cut, back: cut
    ): "Some of these are still outside after shrinking: no harm is done.",
    _on_nothing(
        gone=lambda cut, back: back
    ): "Most of these lie on the picture. Where were they after the turn?",
    _on_nothing(gone=lambda cut, back: ~(cut & back)): "True where the label lies on nothing.",
}


@exercise(CHAPTER, "practice", _turned)
def labels_on_nothing(answer, calls) -> Verdict:
    """A function (points (J, 2), size, angle, factor) -> (J,) bool: whose label lies on emptied picture."""
    return compare(answer, _on_nothing(), NOT_ON_NOTHING, on=calls)


def _answers(rng: np.random.Generator) -> dict:
    """Calls (OKS (N,) of answers, each about another person; number of labelled people, > N)."""
    calls = []
    for count in (6, 9):
        oks = rng.permutation(np.concatenate(([0.97, 0.72, 0.5, 0.3], rng.uniform(0.35, 0.95, count - 4))))
        calls.append((oks.round(3), count + int(rng.integers(1, 4))))
    return {"calls": calls}


def _precision(found, people, envelope=True, recalls=RECALLS) -> float:
    """Average precision of answers (N,) in the order of their scores."""
    hits = np.cumsum(found)
    precision = hits / np.arange(1, len(found) + 1)
    if envelope:  # the best precision at this recall or a higher one
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / people, recalls - 1e-12)
    return float(np.append(precision, 0.0)[np.minimum(at, len(found))].mean())


def _ranked(best=-1, limits=LIMITS, everybody=True, reached=np.greater_equal, **how) -> Callable:
    """AP by the best order of some answers and by the worst."""

    def ranked(oks, people) -> tuple[float, float]:
        count = people if everybody else len(oks)
        orders = (np.sort(oks)[::best], np.sort(oks)[::-best])
        found = [[_precision(reached(order, limit), count, **how) for limit in limits] for order in orders]
        return float(np.mean(found[0])), float(np.mean(found[1]))

    return ranked


@exercise(CHAPTER, "practice", _answers)
def what_ranking_is_worth(answer, calls) -> Verdict:
    """A function (oks (N,), people) -> AP with the answers in the best order, and in the worst."""
    return compare(answer, _ranked(), {
        _ranked(best=1): "The best order comes first.",
        _ranked(limits=LIMITS[:1]): "That is AP50. AP is the mean over ten limits.",
        _ranked(everybody=False): "Recall is a share of the people who are labelled, not of the answers.",
        _ranked(envelope=False): "At each recall take the best precision that is reached there or later.",
        _ranked(recalls=np.linspace(0, 1, 11)): "COCO looks at 101 recalls: 0, 0.01, ... 1.",
    }, on=calls)  # fmt: skip


def _measured(rng: np.random.Generator) -> dict:
    """Calls (distances (N, J), torsos (N,), heads (N,)), px; NaN without a label, torso or head."""
    calls = []
    for people in (7, 9):
        heads = rng.integers(20, 60, people).astype(float)
        torsos = (heads * rng.uniform(1.6, 3.0, people)).round()
        distances = (heads[:, None] * rng.uniform(0.1, 1.0, (people, 4))).round()
        distances[0, 0] = distances[2, 3] = np.nan
        torsos[[1, 2]], heads[[2, 4]] = np.nan, np.nan
        distances[1] = np.array([0.36, 0.41, 0.46, 0.6]) * heads[1]  # where the two yardsticks differ
        distances[2] = [1, 2, 3, np.nan]  # found by any yardstick, if there is one
        calls.append((distances, torsos, heads))
    return {"calls": calls}


def _yardstick(swap=True, left_out=True, labels=True) -> Callable:
    """PCK@0.2 over labels, where heads stand in for torsos that are missing."""

    def one_yardstick(distances, torsos, heads) -> float:
        factor = np.nanmedian(torsos / heads) if swap else 1.0
        size = np.where(np.isfinite(torsos), torsos, factor * heads)
        size = size if left_out else np.where(np.isfinite(size), size, np.nanmedian(torsos))
        counted = np.isfinite(size)[:, None] & (np.isfinite(distances) | (not labels))
        return float((distances <= 0.2 * size[:, None])[counted].mean())

    return one_yardstick


@exercise(CHAPTER, "project", _measured)
def one_yardstick(answer, calls) -> Verdict:
    """A function (distances (N, J), torsos (N,), heads (N,)) -> PCK@0.2 over labels, by torsos or what
    stands in for them."""
    return compare(answer, _yardstick(), {
        _yardstick(swap=False): "A head is shorter than a torso. By which factor?",
        _yardstick(left_out=False): "Who has neither torso nor head has no yardstick, and is left out.",
        _yardstick(labels=False): "A joint without a label is neither found nor missed.",
    }, on=calls)  # fmt: skip


# Flip gains in points at a share of people who face left: level, rising from nothing, or some of both.
LINES = ((1.2, 0.0), (0.0, 6.0), (0.6, 4.0))
NOISE = np.array([[1, -1, 0], [-1, 0, 1], [0, 1, -1], [1, 0, -1]])


def _gains(rng: np.random.Generator) -> dict:
    """Calls (shares (4,) of people who face left, gains (4, seeds) of averaging with the mirror, points)."""
    calls = []
    for level, slope in LINES:
        shares = np.array([0.5, 0.6, 0.75, 0.9])
        noise = 0.1 * rng.uniform(0.8, 1.2) * NOISE + rng.normal(0, 0.02, (4, 3))
        gains = level + rng.uniform(0, 0.1) + slope * np.abs(shares - 0.5)[:, None] + noise
        order = rng.permutation(4)
        # A set that faces right as often is as one-sided as one that faces left.
        calls.append((np.where(np.arange(4) == 2, 1 - shares, shares)[order], gains[order].round(3)))
    return {"calls": calls}


def _explained(
    one_sided=lambda shares: np.abs(shares - 0.5), errors=True, seeds=lambda gains: gains, share=True
) -> Callable:
    """Gain at no bias, its standard error, and the share of the most biased set's gain that it is."""

    def explained(shares, gains) -> tuple[float, float, float]:
        gains = np.asarray(seeds(gains))
        x = np.repeat(one_sided(np.asarray(shares)), gains.shape[1])
        design = np.column_stack((np.ones_like(x), x))
        fit, rest, *_ = np.linalg.lstsq(design, gains.ravel(), rcond=None)
        variance = rest[0] / (len(x) - 2) * np.linalg.inv(design.T @ design)[0, 0]
        top = fit[0] + fit[1] * x.max()
        third = fit[0] / top if share else fit[1] * x.max() / top
        return fit[0], variance**0.5 if errors else gains.std(ddof=1), third

    return explained


@exercise(CHAPTER, "research", _gains)
def why_mirrors_help(answer, calls) -> Verdict:
    """A function (shares (K,), gains (K, seeds)) -> gain without bias, its standard error, its part."""
    return compare(answer, _explained(), {
        _explained(one_sided=lambda s: s): "At which share of people who face left is a set not biased?",
        _explained(one_sided=lambda s: s - 0.5): "0.25 is as one-sided as 0.75.",
        _explained(errors=False): "That is the spread of all gains. How sure is the start of the line?",
        _explained(share=False): "That is the part that bias explains. Which part is there without it?",
    }, on=calls)  # fmt: skip
