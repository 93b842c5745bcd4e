"""Checks of chapter 1, "Where is the elbow?": what counts as correct."""

from __future__ import annotations

import numpy as np

from minipose.skeletons import COCO
from minipose_book.checks.core import Verdict, compare, exercise

CHAPTER = "where-is-the-elbow"


def _four_wrists(rng: np.random.Generator) -> dict:
    """Offsets (4, 2) in px of predictions from labels; NaN where there is no label. Heads (4,) in px.

    One is near, one at exactly half a head, one too far in y alone, one without a label.
    """
    near, far = rng.integers(1, 5, 2), (rng.integers(1, 5), rng.integers(11, 16))
    unit = int(rng.integers(1, 4))
    offsets = unit * np.array([near, (6, 8), far, (np.nan, np.nan)])
    return {"offsets": offsets, "heads": np.full(4, 20.0 * unit)}


@exercise(CHAPTER, "warm-up", _four_wrists)
def pckh_by_hand(answer, offsets, heads) -> Verdict:
    """PCKh@0.5 of one joint over four people, of whom one has no label."""
    share = np.linalg.norm(offsets, axis=-1) / heads
    return compare(answer, (share <= 0.5).sum() / 3, {
        (share <= 0.5).sum() / 4: "Whoever has no label is not in the sum, neither above nor below the line.",
        (share < 0.5).sum() / 3: "A distance of exactly half a head counts.",
        (abs(offsets[:, 0]) / heads <= 0.5).sum() / 3: "A distance is made of x and of y.",
        100 * (share <= 0.5).sum() / 3: "As a share, between 0 and 1.",
    })  # fmt: skip


def _one_joint(rng: np.random.Generator) -> dict:
    """A joint, COCO's sigma of it, its offset (2,) px, the trunk's corners, the head's ends, the area."""
    zoom = int(rng.integers(1, 4))
    x, y = rng.integers(30, 90, 2)
    trunk = {"right_shoulder": (0, 0), "left_shoulder": (40, 0), "right_hip": (4, 48), "left_hip": (30, 40)}
    trunk = {name: (int(x) + zoom * a, int(y) + zoom * b) for name, (a, b) in trunk.items()}
    neck = (int(x) + 18 * zoom, int(y) - 4 * zoom)
    offset = zoom * np.array([(6, 8), (5, 12), (9, 12), (8, 15)][rng.integers(4)])
    joint = ("left_elbow", "right_wrist", "left_knee", "right_ankle")[rng.integers(4)]
    head = int(rng.choice([20, 25]))
    top = (neck[0] + (7 * zoom if head == 25 else 0), neck[1] - zoom * (24 if head == 25 else 20))
    more = {"neck": neck, "head_top": top, "area": float(zoom**2 * rng.integers(70, 100) * 100)}
    sigma = dict(zip(COCO.joints, COCO.sigmas or (), strict=True))[joint]
    return {"joint": joint, "sigma": sigma, "offset": offset.tolist(), "trunk": trunk, **more}


@exercise(CHAPTER, "practice", _one_joint)
def three_rules(answer, joint, sigma, offset, trunk, neck, head_top, area) -> Verdict:
    """One error in torsos, in heads and as OKS."""
    error = np.linalg.norm(offset)
    torsos, others, heads = error / _lengths(trunk, neck, head_top)
    oks = {k: np.exp(-(error**2) / (k * area * sigma**2)) for k in (8, 2, 4)}
    return compare(answer, (torsos, heads, oks[8]), {
        (others, heads, oks[8]): "The torso runs from the person's own right shoulder to the left hip.",
        (torsos, heads, oks[2]): "COCO publishes sigma, and k is not sigma itself.",
        (torsos, heads, oks[4]): "There is a 2 in the denominator, besides the one in k.",
    })  # fmt: skip


def _lengths(trunk, neck, head_top) -> np.ndarray:
    """The torso, the trunk's other diagonal and the head, (3,) px."""
    ends = (
        (trunk["right_shoulder"], trunk["left_hip"]),
        (trunk["left_shoulder"], trunk["right_hip"]),
        (neck, head_top),
    )
    return np.linalg.norm(np.diff(ends, axis=1)[:, 0], axis=-1)


def _counted(rng: np.random.Generator) -> dict:
    """Names of five joints, their labels (5,), and how many of these two networks found, (5,) each."""
    labels = np.array([400, 300, 200, 100, 400])
    percent = np.array([90, 80, 70, 60, 95]) + rng.integers(-5, 3, 5)
    hips, pelvis = rng.integers(4, 6), rng.integers(2, 4)
    better = percent + np.array([-hips, 0, 0, 2 * hips + rng.integers(2, 6), -pelvis])
    joints = ("hips", "knees", "wrists", "ankles", "pelvis")
    return {"joints": joints, "labels": labels, "a": labels * better // 100, "b": labels * percent // 100}


@exercise(CHAPTER, "practice", _counted)
def two_winners(answer, joints, labels, a, b) -> Verdict:
    """The advantage of one network over another by two means, in points, without the pelvis."""
    plain, weighted = (100 * np.average((a - b)[:4] / labels[:4], weights=w) for w in (None, labels[:4]))
    everything = 100 * np.mean((a - b) / labels), 100 * (a - b).sum() / labels.sum()
    return compare(answer, (plain, weighted), {
        (weighted, plain): "The mean over joints comes first.",
        (-plain, -weighted): "A minus B: above zero where A is ahead.",
        (plain / 100, weighted / 100): "In points: a share of 0.01 is one point.",
        everything: "The pelvis is not scored, in neither mean.",
    })  # fmt: skip


# What to ask, should a mistake pass for none.
UNSEEN = {
    "S": "Put a prediction off along x and along y at once, near the limit.",
    "F": "Let the second person be much larger than the first.",
    "M": "Ask about two joints, one found and one not.",
    "N": "Ask what becomes of a prediction that is NaN.",
    "Z": "Ask about somebody whose head has the length 0, and be a little off.",
}


class Suspect:
    """A PCK with at most one mistake: (N, J, 2), (N, J, 2), (N,) and a threshold -> (J,), as `my_pck`."""

    def __init__(self, mistake: str):
        self.mistake = mistake

    def __repr__(self) -> str:
        return "a suspect"

    def __call__(self, predicted, target, normalizer, threshold):
        gap = np.abs(np.asarray(predicted, dtype=float) - target)
        sizes = np.asarray(normalizer, dtype=float)[:, None]
        distance = gap.max(axis=-1) if self.mistake == "S" else np.hypot(gap[..., 0], gap[..., 1])
        allowed = threshold * (sizes[:1] if self.mistake == "F" else sizes)
        counts = np.isfinite(target).all(axis=-1) & ((sizes > 0) | (self.mistake == "Z"))
        found = counts & (~(distance > allowed) if self.mistake == "N" else distance <= allowed)
        found, total = found.sum(axis=0), counts.sum(axis=0)
        if self.mistake == "M":
            found, total = np.full_like(found, found.sum()), np.full_like(total, total.sum())
        return np.divide(found, total, out=np.full(len(total), np.nan), where=total > 0)


def _line_up(rng: np.random.Generator) -> dict:
    """Six functions, of which one is right."""
    return {"suspects": [Suspect(mistake) for mistake in rng.permutation(list("RSFMNZ"))]}


@exercise(CHAPTER, "project", _line_up)
def six_suspects(answer, suspects) -> Verdict:
    """Which mistake each of six PCKs has, as a word of six letters."""
    want = "".join(each.mistake for each in suspects)
    swapped = {mistake: str.maketrans("R" + mistake, mistake + "R") for mistake in UNSEEN}
    return compare(answer, want, {want.translate(swapped[each]): says for each, says in UNSEEN.items()})


def _two_networks(rng: np.random.Generator) -> dict:
    """Distances (80, 8) of two networks on the same people, in heads; NaN without a label. Thresholds."""
    hard = rng.gamma(2.0, 0.5, (80, 1))  # some people are difficult for both
    a = 0.09 * hard * rng.gamma(2.0, 0.5, (80, 8)) + (rng.random((80, 8)) < 0.06 * hard) * 2.0
    b = 0.16 * hard * rng.gamma(2.0, 0.5, (80, 8)) + (rng.random((80, 8)) < 0.03 * hard) * 2.0
    a[missing := rng.random((80, 8)) < 0.15] = np.nan
    b[missing] = np.nan
    return {"a": a, "b": b, "strict": float(rng.choice([0.1, 0.15])), "loose": float(rng.choice([0.8, 1.0]))}


@exercise(CHAPTER, "research", _two_networks)
def which_network(answer, a, b, strict, loose) -> Verdict:
    """Gain of A over B at two thresholds and its standard error over people, (2, 2) in points."""
    want, apart, labels = (_gains(a, b, (strict, loose), kind) for kind in ("paired", "apart", "labels"))
    return compare(answer, want, [
        (apart, "Both looked at the same people: take each person's difference first."),
        (labels, "The joints of one person are not independent: average over people, not over labels."),
        (want * [1, len(a) ** 0.5], "That is the spread of people, not the error of their mean."),
        (want * [-1, 1], "A minus B: above zero where A is ahead."),
        (want / 100, "In points: a share of 0.01 is one point."),
    ])  # fmt: skip


def _gains(a, b, thresholds, kind) -> np.ndarray:
    """Gain and standard error at each threshold, (2, 2) in points; "paired" is right."""
    rows = []
    for threshold in thresholds:
        found = np.where(np.isnan([a, b]), np.nan, np.less_equal([a, b], threshold))
        one, two = np.nanmean(found, axis=2)
        spread = {"paired": one - two, "apart": [one, two], "labels": (found[0] - found[1])[~np.isnan(a)]}
        values = np.array(spread[kind])
        gain = values.mean() if kind != "apart" else (one - two).mean()
        rows.append((gain, np.sqrt((values.var(axis=-1, ddof=1) / values.shape[-1]).sum())))
    return 100 * np.array(rows)
