"""Experiments in which the crop moves: at random while learning (3.4), on purpose while asking (5.1)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from minipose import heatmaps as codec
from minipose.crops import Crop
from minipose.data.sample import PoseDataset, Sample
from minipose.evaluation import evaluate
from minipose.inference import (
    evaluating,
    stage_heatmaps,
    to_channels_last,
    to_float,
    to_photo,
)
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork
from minipose.skeletons import Skeleton
from minipose_book.experiments.bench import (
    LARGE,
    SMALL,
    Bench,
    Findings,
    Run,
    experiment,
)
from minipose_book.experiments.measures import accuracy, curve, openings, settings, spread
from minipose_book.experiments.trained_networks import POOL, asked, cut, reader, timed

RECIPES = ("none", "paper", "code")
# Few people and many epochs: where there are always new ones, augmentation has little to add.
FEW = replace(SMALL, people=300, epochs=100, watched=100)
FEW_PHOTOS = replace(LARGE, people=1000, epochs=100)

PAIRS = 250
# Of the way from one person's centre to the other's; magnification over the first person's own crop.
SHIFTS = [k / 8 for k in range(9)]
ZOOMS = [0.8, 1.0, 1.25]
# A joint belongs to nobody when it is further from both than so many of that person's head sizes.
REACH = 0.5
# A pose is committed to one person when so much of what it gives to anybody is theirs.
COMMITTED = 0.9
FIRST, SECOND, NOBODY, UNCOUNTED = 0, 1, 2, 3


@experiment("nothing varied, the paper's recipe and its code's, on few people", "section 3.4", cpu=15, gpu=10)
def augmentation(bench: Bench) -> Findings:
    """Nothing varied, what the paper says, what its code does: on the people learned from, and on others."""
    plan = bench.plan(FEW, FEW_PHOTOS)
    seeds = [0, 1] if bench.scale == "cpu" else [0]
    runs: dict[str, list[Run]] = {name: [] for name in RECIPES}
    known: dict[str, list[float]] = {name: [] for name in RECIPES}
    for seed in seeds:
        for name in RECIPES:
            varied = replace(plan, augment=name)
            run = bench.train(f"augmentation-{name}", lambda: bench.hourglass(plan, 2), varied, seed)
            with timed(bench):
                seen = evaluate(
                    run.network, bench.people(varied, "train"), flip=False, batch_size=32, device=bench.device
                )
            runs[name].append(run)
            known[name].append(accuracy(seen, plan))
    unseen = {name: [accuracy(run.unseen, plan) for run in several] for name, several in runs.items()}
    results = {
        name: {
            "trained_on": spread(known[name]),
            "unseen": spread(unseen[name]),
            "gap": spread(a - b for a, b in zip(known[name], unseen[name], strict=True)),
        }
        for name in RECIPES
    }
    shown = "; ".join(
        f"{name} {row['unseen']['mean']:.3f} (gap to the people trained on {row['gap']['mean']:+.3f})"
        for name, row in results.items()
    )
    gained = {name: results[name]["unseen"]["mean"] - results["none"]["unseen"]["mean"] for name in RECIPES}
    verdict = (
        f"On unseen people: {shown}. Section 3.4's rotation and scale are worth {100 * gained['paper']:+.1f} "
        f"points, the authors' code's recipe {100 * gained['code']:+.1f}; a student report found 5."
    )
    people = len(bench.people(plan, "train"))
    return Findings(
        settings(plan, stacks=2, augment=list(RECIPES), flip=False, joints="wrists, elbows, knees, ankles"),
        results, verdict,
        {f"{name} seed {run.seed}": curve(run.history, plan, people)
         for name, several in runs.items() for run in several}
        | openings(run for several in runs.values() for run in several),
        {"section": "3.4", "recipe": "rotation (+/- 30 degrees), and scaling (.75-1.25)",
         "student report, section 4.3": "data augmentation improved results by 5%"},
        seeds,
    )  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two people in one picture; crops, heads (px) and keypoints (2, J, 2) photo px of the first and second.

    A joint is NaN where it is not labelled.
    """

    sample: Sample
    crops: tuple[Crop, Crop]
    heads: tuple[float, float]
    keypoints: np.ndarray

    def crop(self, shift: float, zoom: float) -> Crop:
        """Shifted from the first's centre (0) to the second's (1), and the first's side divided by `zoom`."""
        a, b = (np.asarray(crop.center, dtype=float) for crop in self.crops)
        return Crop(tuple(a + shift * (b - a)), float(self.crops[0].side) / zoom)

    @property
    def own_zoom(self) -> float:
        """The zoom at which the crop is as large as the second person's own."""
        return float(self.crops[0].side) / float(self.crops[1].side)


@experiment(
    "who gets the joints as the crop moves from one person to another", "Figure 10, section 5.1", cpu=4, gpu=8
)
def two_people(bench: Bench) -> Findings:
    """Section 5.1, Figure 10: who gets the joints as the crop shifts from one person to another."""
    network, plan, name = reader(bench, POOL)
    skeleton = network.skeleton
    assert skeleton is not None  # it was loaded, or trained
    pairs = find_pairs(bench.people(plan, "unseen"), skeleton, PAIRS)

    def ask(chosen: list[Pair], crops: list[Crop]) -> torch.Tensor:
        predicted = look(network, [pair.sample for pair in chosen], crops, bench.device)
        return torch.stack([given_to(p, pair) for p, pair in zip(predicted, chosen, strict=True)])

    with timed(bench):
        owners = {
            zoom: torch.stack([ask(pairs, [pair.crop(shift, zoom) for pair in pairs]) for shift in SHIFTS])
            for zoom in ZOOMS
        }  # each (shifts, pairs, J)
        scale = _scale_alone(ask, pairs)
        example = _example(ask, pairs, owners[1.0])
    curves = {
        f"zoom {zoom}": {"shift": SHIFTS} | {
            axis: [shares(row)[axis] for row in given] for axis in ("first", "second", "nobody", "committed")
        } for zoom, given in owners.items()
    }  # fmt: skip
    curves["example"] = example.pop("curve")
    minds = turning_points(owners[1.0])
    own, middle, other = (shares(owners[1.0][k]) for k in (0, len(SHIFTS) // 2, -1))
    verdict = (
        f"With the first person in the centre they get {100 * own['first']:.0f}% of the joints and the other "
        f"{100 * own['second']:.0f}%; with the other there, {100 * other['first']:.0f}% and "
        f"{100 * other['second']:.0f}%. It changes its mind at {minds['median']} of the way (median). "
        f"Halfway {100 * middle['committed']:.0f}% of the poses are committed to one person (nine joints in "
        f"ten), against {100 * own['committed']:.0f}% at the start."
    )
    if scale["pairs"]:
        verdict += (
            f" Halfway, the scale alone moves the first person's share from "
            f"{100 * scale['first_person_s_size']['first']:.0f}% to "
            f"{100 * scale['second_person_s_size']['first']:.0f}% where the two differ in size; in Figure 10 "
            f"it decided entirely."
        )
    return Findings(
        asked(network, plan, name, len(pairs), flip=True, refine="quarter", reach_in_heads=REACH,
              committed=COMMITTED, shifts=SHIFTS, zooms=ZOOMS,
              rule="the first pairs with both heads, and at least 6 limb joints of each, labelled",
              given_to="whose same joint lies nearer; joints labelled on both people count"),
        {"turning_point": minds, "scale_alone_halfway": scale, "example": example}, verdict, curves,
        {"figure": "Figure 10, section 5.1",
         "scale": "centres off by just 26 pixels in a 720x1280 image; the change in scale is sufficient for "
                  "the network to change its estimate entirely"},
    )  # fmt: skip


def find_pairs(people: PoseDataset, skeleton: Skeleton, count: int) -> list[Pair]:
    """The first `count` samples with a second person, both heads and 6 limb joints of each labelled."""
    limbs = list(skeleton.limb_joints)
    ends = [skeleton.index("neck"), skeleton.index("head_top")]
    pairs: list[Pair] = []
    for n in range(len(people)):
        sample = people[n]
        if not len(sample.others):
            continue
        first = np.column_stack((sample.keypoints, sample.visibility))
        both = np.stack((first, sample.others[0]))  # (2, J, 3)
        labelled = both[..., 2] > 0
        if not labelled[:, ends].all() or (labelled[:, limbs].sum(axis=1) < 6).any():
            continue
        keypoints = np.where(labelled[..., None], both[..., :2], np.nan)
        heads = np.hypot(*(keypoints[:, ends[0]] - keypoints[:, ends[1]]).T)
        second = Crop.around_joints(keypoints[1][labelled[1]])
        pairs.append(Pair(sample, (sample.crop, second), (float(heads[0]), float(heads[1])), keypoints))
        if len(pairs) == count:
            return pairs
    raise InputError("scenes", "two people", f"{count} pairs that both can be measured", len(pairs))


@torch.no_grad()
def look(
    network: PoseNetwork, samples: Sequence[Sample], crops: Sequence[Crop], device: torch.device
) -> torch.Tensor:
    """What a network finds in a crop of each photo, with the flip test: (N, J, 2) photo px."""
    skeleton, size = network.skeleton, network.size
    assert skeleton is not None and size is not None
    to_channels_last(network, device)
    parts = []
    with evaluating(network):
        for k in range(0, len(samples), 32):
            chosen = crops[k : k + 32]
            images = to_float(cut(samples[k : k + 32], chosen, size), device)
            points, _ = codec.decode_heatmaps(stage_heatmaps(network, images, skeleton)[-1], "quarter")
            in_crop = codec.to_crop(points, network.strides[-1]).cpu()
            matrices = torch.stack([crop.matrix(size) for crop in chosen])
            parts.append(to_photo(in_crop, matrices, skeleton))
    return torch.cat(parts)


def given_to(predicted: torch.Tensor, pair: Pair) -> torch.Tensor:
    """Whom each joint (J, 2) photo px is given to, (J,): FIRST, SECOND or NOBODY.

    The person whose same joint lies nearer, if it is within REACH of that person's head size. UNCOUNTED
    where the joint is not labelled on both.
    """
    truth = torch.from_numpy(pair.keypoints)
    distances = (predicted - truth).square().sum(-1).sqrt()  # (2, J)
    nearest, owner = distances.nan_to_num(torch.inf).min(dim=0)
    owner = torch.where(nearest <= REACH * torch.tensor(pair.heads).double()[owner], owner, NOBODY)
    return torch.where(truth.isfinite().all(dim=-1).all(dim=0), owner, UNCOUNTED)


def shares(owners: torch.Tensor) -> dict[str, float]:
    """Shares of the counted joints (N, J) by owner, and of poses that are committed to one of the two.

    A pose is committed when at least COMMITTED of the joints that it gives to anybody are one person's.
    """
    counted = int((owners != UNCOUNTED).sum())
    names = {"first": FIRST, "second": SECOND, "nobody": NOBODY}
    found = {name: int((owners == owner).sum()) / counted for name, owner in names.items()}
    first, second = (owners == FIRST).sum(dim=1), (owners == SECOND).sum(dim=1)
    given = first + second
    whole = torch.maximum(first, second) >= COMMITTED * given
    found["committed"] = float((whole & (given > 0)).double().mean())
    return {name: round(value, 4) for name, value in found.items()}


def turning_points(owners: torch.Tensor) -> dict[str, Any]:
    """Where along SHIFTS the second person comes to have more joints, of poses (shifts, N, J) that turn.

    Between two shifts the second's lead is taken to grow evenly. "each" is sorted.
    """
    lead = (owners == SECOND).sum(dim=2) - (owners == FIRST).sum(dim=2)  # (shifts, N)
    ahead = lead > 0
    where = []
    for n in (ahead.any(dim=0) & ~ahead[0]).nonzero().flatten().tolist():
        k = int(ahead[:, n].double().argmax())
        before, after = int(lead[k - 1, n]), int(lead[k, n])
        where.append(SHIFTS[k - 1] + (SHIFTS[k] - SHIFTS[k - 1]) * -before / (after - before))
    return {
        "median": round(statistics.median(where), 3) if where else None,
        "each": [round(shift, 3) for shift in sorted(where)],
        "never": int((~ahead.any(dim=0)).sum()),
        "from_the_start": int(ahead[0].sum()),
    }


def _scale_alone(ask, pairs: list[Pair]) -> dict[str, Any]:
    """Figure 10 itself: one centre, halfway, and two scales, for people who differ by a fifth or more."""
    unlike = [pair for pair in pairs if not 1 / 1.2 < pair.own_zoom < 1.2]
    if not unlike:
        return {"pairs": 0}
    return {
        "pairs": len(unlike),
        "first_person_s_size": shares(ask(unlike, [pair.crop(0.5, 1.0) for pair in unlike])),
        "second_person_s_size": shares(ask(unlike, [pair.crop(0.5, pair.own_zoom) for pair in unlike])),
    }


def _example(ask, pairs: list[Pair], owners: torch.Tensor) -> dict[str, Any]:
    """The pair whose joints change owner most completely, the first of equals, at 33 shifts."""
    counted = (owners[0] != UNCOUNTED).sum(dim=1)
    changed = ((owners[0] == FIRST).sum(dim=1) + (owners[-1] == SECOND).sum(dim=1)) / counted
    pair = pairs[int(changed.argmax())]
    fine = [k / 32 for k in range(33)]
    given = ask([pair] * len(fine), [pair.crop(shift, 1.0) for shift in fine])
    first, second, nobody = ((given == owner).sum(dim=1).tolist() for owner in (FIRST, SECOND, NOBODY))
    ahead = [shift for shift, a, b in zip(fine, first, second, strict=True) if b > a]
    return {
        "scene": pair.sample.id,
        "changes_its_mind_at": ahead[0] if ahead else None,
        "joints": int(counted[int(changed.argmax())]),
        "curve": {"shift": fine, "first": first, "second": second, "nobody": nobody},
    }
