"""Checks of chapter 9, "Reading the results": what a score is made of."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np

from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "results"
# The paper's Table 2, in per cent.
TABLE_2 = {
    "head": 98.2, "shoulder": 96.3, "elbow": 91.2, "wrist": 87.1, "hip": 90.1, "knee": 87.4, "ankle": 83.6
}  # fmt: skip


def _eight_ankles(rng: np.random.Generator) -> dict:
    """Activations (8,) of ankles, falling; whether each has a label; a threshold that one of them equals."""
    activations = np.sort(rng.choice(np.arange(1, 20), 8, replace=False))[::-1] / 20
    labelled = np.array([True, False, *rng.permutation(np.arange(6) < rng.choice([2, 4]))])
    threshold = float(activations[rng.choice([3, 5])])
    return {"activations": activations, "labelled": labelled, "threshold": threshold}


@exercise(CHAPTER, "warm-up", _eight_ankles)
def one_threshold_then_all(answer, activations, labelled, threshold) -> Verdict:
    """Precision and recall at a threshold, the area, and what a guess would reach."""
    precision, recall = labelled.cumsum() / np.arange(1, 9), labelled.cumsum() / labelled.sum()
    at, area, guess = int((activations >= threshold).sum()) - 1, precision[labelled].mean(), labelled.mean()
    return compare(answer, [precision[at], recall[at], area, guess], [
        ([recall[at], precision[at], area, guess], "Precision is a share of what was called present."),
        ([precision[at - 1], recall[at - 1], area, guess], "An activation that equals the threshold counts."),
        ([precision[at], recall[at], precision.mean(), guess], "Where recall stands still, no area comes."),
        ([precision[at], recall[at], area, 0.5], "A guess finds labels as often as there are labels."),
    ])  # fmt: skip


def _labels(rng: np.random.Generator) -> dict:
    """Scores by joint as the paper's Table 2 prints them, and how many labels 1000 people have of each."""
    missing = rng.integers([0, 0, 1, 3, 2, 14, 26], [1, 1, 3, 6, 4, 19, 32]) * 20
    return {"scores": TABLE_2, "labels": dict(zip(TABLE_2, (2000 - missing).tolist(), strict=True))}


@exercise(CHAPTER, "warm-up", _labels)
def mean_of_what(answer, scores, labels) -> Verdict:
    """The mean over the joints and the mean over the labels, in per cent."""
    each, count = (np.array(list(row.values())) for row in (scores, labels))
    plain, weighted = each.mean(), np.average(each, weights=count)
    return compare(answer, (plain, weighted), {
        (weighted, plain): "The mean in which every joint counts the same comes first.",
        (plain, np.average(each, weights=2000 - count)): "A joint weighs by the labels that it has.",
        (plain, (each * count).sum() / 14000): "Divide by the labels that there are, not that could be.",
    })  # fmt: skip


def _three_scores(rng: np.random.Generator) -> dict:
    """PCKh@0.5 in per cent of all, visible and hidden joints of a sort, rounded to one decimal."""
    visible, hidden = rng.integers(930, 975) / 10, rng.integers(550, 750) / 10
    total = round(float(visible - rng.uniform(0.12, 0.4) * (visible - hidden)), 1)
    return {"total": total, "visible": float(visible), "hidden": float(hidden)}


@exercise(CHAPTER, "practice", _three_scores)
def hidden_share(answer, total, visible, hidden) -> Verdict:
    """The share of labels that are hidden, and the least and the largest that the rounding allows."""
    share = _hidden(total, visible, hidden)
    shares = [_hidden(*np.add((total, visible, hidden), off)) for off in product((-0.05, 0.05), repeat=3)]
    alone = [_hidden(total + off, visible, hidden) for off in (0.05, -0.05)]
    return compare(answer, (share, min(shares), max(shares)), {
        (1 - share, 1 - max(shares), 1 - min(shares)): "That is the share of the visible ones.",
        (share, *alone): "The visible and the hidden score have been rounded as well.",
        (100 * share, 100 * min(shares), 100 * max(shares)): "As a share, between 0 and 1.",
    })  # fmt: skip


def _hidden(total, visible, hidden) -> float:
    return (visible - total) / (visible - hidden)


def _five_thresholds(rng: np.random.Generator) -> dict:
    """Precision and recall (5,) at falling thresholds, measured at one share of labels, and another share."""
    right, wrong = np.array([100, 200, 280, 340, 380]) + rng.integers(-3, 4, 5), np.array([0, 1, 2, 6, 30])
    return {
        "thresholds": np.array([0.9, 0.7, 0.5, 0.3, 0.1]) - rng.integers(0, 9) / 100,
        "precision": (right / (right + wrong)).round(4), "recall": right / 400,
        "share": 0.8, "new_share": float(rng.choice([0.1, 0.2, 0.25])), "least": 0.9,
    }  # fmt: skip


@exercise(CHAPTER, "practice", _five_thresholds)
def behind_the_bar(answer, thresholds, precision, recall, share, new_share, least) -> Verdict:
    """The lowest threshold with enough precision at another share of labels; recall and precision there."""
    lowest = partial(_lowest, thresholds, precision, recall, least)
    odds = (1 / new_share - 1) / (1 / share - 1)
    return compare(answer, lowest(odds), {
        lowest(1): "That holds at the share of the test. Behind the bar there are fewer feet to be found.",
        lowest(1 / odds): "Joints without a label become more frequent there, and the precision falls.",
        lowest((1 - new_share) / (1 - share)): "The joints with a label become fewer at the same time.",
    })  # fmt: skip


def _lowest(thresholds, precision, recall, least, odds) -> tuple[float, float, float]:
    """Threshold, recall and precision, once there are `odds` times as many joints without a label."""
    changed = precision / (precision + odds * (1 - precision))
    k = np.flatnonzero(changed >= least)[-1]
    return thresholds[k], recall[k], changed[k]


# Of pairs of labels at (0, 0) and (apart, 0): apart and both predictions, everything in units of reach.
SCENES = [
    (5, (0, 1), (5, -1)), (1, (1, 0), (0, 0)), (5, (5, 1), (0, -1)), (5, (5, 0), (0, 0)), (5, (0, 0), (0, 1)),
    (5, (5, 0), (6, 0)), (5, (0, 8), (5, 8)), (5, (2, 8), (2, 8)), (5, (0, 0), (9, 9)), (5, (5, 0), (9, 9)),
]  # fmt: skip


def _bodies(rng: np.random.Generator) -> dict:
    """Two poses as (predicted (J, 2), truth (J, 2) with NaN, pairs of joints, reach in px)."""
    poses = []
    for scenes in (rng.permutation(10)[:7], rng.permutation(10)):
        reach, joints = int(rng.integers(4, 9)), rng.permutation(2 * len(scenes)).reshape(-1, 2)
        predicted, truth = np.zeros((2, joints.size, 2))
        for (a, b), scene in zip(joints, scenes, strict=True):
            apart, *found = SCENES[scene]
            corner = rng.integers(20, 90, 2)
            truth[[a, b]] = corner + reach * np.array([(0, 0), (apart, 0)])
            predicted[[a, b]] = corner + reach * np.array(found)
        truth[joints[0, 0]] = np.nan
        poses.append((predicted, truth, [tuple(pair) for pair in joints.tolist()], reach))
    return {"poses": poses}


@exercise(CHAPTER, "project", _bodies)
def swapped_or_doubled(answer, poses) -> Verdict:
    """A function (predicted, truth, pairs, reach) -> pairs right, swapped, doubled, otherwise wrong."""
    return compare(answer, _sides(), {
        _sides(unlabelled=True): "A pair of which a joint has no label is not counted at all.",
        _sides(within=np.less): "A distance that equals the reach is within it.",
        _sides(both=np.logical_or): "Swapped takes two: each joint lies on the label of the other.",
        _sides(order=(1, 0, 2)): "Crossed legs: a joint may lie on both labels. First ask what is right.",
        _sides(order=(0, 1)): "Two joints on one label are a kind of their own.",
    }, on=poses)  # fmt: skip


def _sides(within=np.less_equal, both=np.logical_and, order=(0, 1, 2), unlabelled=False):
    """What is asked for, or with a mistake; 0 is right, 1 swapped, 2 doubled, 3 otherwise wrong."""

    def sides(predicted, truth, pairs, reach):
        counts = [0, 0, 0, 0]
        for pair in map(list, pairs):
            gaps = np.linalg.norm(predicted[pair][:, None] - truth[pair], axis=-1)
            on = within(gaps, reach)  # [prediction, label]; NaN is on nothing
            is_so = (on[0, 0] and on[1, 1], both(on[0, 1], on[1, 0]), on.all(axis=0).any())
            if unlabelled or np.isfinite(gaps).all():
                counts[next((kind for kind in order if is_so[kind]), 3)] += 1
        return counts

    return sides


def _heights(rng: np.random.Generator) -> dict:
    """Two lists of joints as (heights of the heatmaps, whether each joint is right); heights may be equal."""
    lists = []
    for joints in (12, 60):
        right = rng.permutation(np.arange(joints) % 4 > 0)
        heights = np.clip(rng.integers(2, 10, joints) + 2 * right, 0, 10) / 10
        heights[:2], right[:2] = 0.5, (True, False)
        lists.append((heights, right))
    return {"lists": lists}


@exercise(CHAPTER, "research", _heights)
def sure_and_wrong(answer, lists) -> Verdict:
    """A function (heights, right) -> how often a right joint's heatmap is higher than a wrong one's."""
    return compare(answer, _surer(), {
        _surer(tie=0): "Two of the same height: toss a coin.",
        _surer(tie=1): "Two of the same height do not speak for the right one.",
        (lambda heights, right: _surer()(-heights, right)): "Asked is how often the right one is higher.",
        _mean_ahead: "Asked is how often, not by how much.",
        _above_mean: "Every right joint meets every wrong one, not their mean.",
    }, on=lists)  # fmt: skip


def _surer(tie=0.5):
    def surer(heights, right):
        ahead = heights[right][:, None] - heights[~right]
        return (ahead > 0).mean() + tie * (ahead == 0).mean()

    return surer


def _mean_ahead(heights, right):
    return heights[right].mean() - heights[~right].mean()


def _above_mean(heights, right):
    return (heights[right] > heights[~right].mean()).mean()
