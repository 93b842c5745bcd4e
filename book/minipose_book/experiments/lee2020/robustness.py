"""Two more questions of the student report: hidden blocks (its section 7) and pictures of no person (4.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from minipose.data import InMemory, Puppets
from minipose.data.puppets import UNSEEN_SEED
from minipose.data.puppets.body import JOINTS, PARTS, Body, Build, Pose
from minipose.data.puppets.dataset import random_build, random_pose
from minipose.data.puppets.scene import Scene
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE, PoseDataset, Sample
from minipose.evaluation import Evaluation, evaluate
from minipose_book.experiments.bench import Bench, Findings, Run, experiment
from minipose_book.experiments.lee2020.augmentation import BLOCK
from minipose_book.experiments.lee2020.training import (
    LARGE_REPORT,
    LIMBS,
    SMALL_REPORT,
    curves,
    outcome,
    plain,
    seeds_of,
    variant,
)
from minipose_book.experiments.measures import limbs, settings, spread
from minipose_book.experiments.trained_networks import asked, number, reader, timed

# Of each kind so many are asked about. A cartoon's head is no measure, so distances are in torsos.
ASKED, MEASURE = 500, ("torso", 0.25)
ARM_PARTS = np.array([part.name.endswith(("arm", "sleeve", "hand")) for part in PARTS])
ARM_JOINTS = [j for j, name in enumerate(JOINTS) if name.endswith(("elbow", "wrist"))]


@experiment(
    "large blocks taken out of the pictures to learn from", "student report, section 7", cpu=4, gpu=10
)
def block_occlusion(bench: Bench) -> Findings:
    """Section 7: a large block of the picture is taken away and the joints behind it stay labelled."""
    plan, seeds = bench.plan(SMALL_REPORT, LARGE_REPORT), seeds_of(bench)
    varied = replace(plan, augment="block")
    runs: dict[str, list[Run]] = {
        "none": [plain(bench, plan, seed) for seed in seeds],
        "block": [
            variant(bench, "report-block", partial(bench.hourglass, plan, 2), varied, seed) for seed in seeds
        ],
    }
    hidden = Hidden(bench.people(plan, "unseen"))
    results: dict[str, Any] = {}
    for name, several in runs.items():
        rows: dict[str, list[float]] = {}
        for run in several:
            with timed(bench):
                found = evaluate(run.network, hidden, plan.size, False, batch_size=32, device=bench.device)
            by = {"as they are": run.unseen, "behind a block": found}
            for title, each in by.items():
                for kind, result in each.by_visibility(*plan.measure).items():
                    rows.setdefault(f"{title}, {kind}", []).append(result.weighted_mean)
        results[name] = outcome(bench, plan, several) | {title: spread(row) for title, row in rows.items()}

    def gain(title: str) -> str:
        return f"{100 * (results['block'][title]['mean'] - results['none'][title]['mean']):+.1f}"

    verdict = (
        f"With blocks in training, joints behind a block are found {gain('behind a block, occluded')} points "
        f"of PCKh more often ({results['none']['behind a block, occluded']['mean']:.3f} without), those "
        f"beside it {gain('behind a block, visible')}. In pictures as they are, occluded joints "
        f"{gain('as they are, occluded')}, visible ones {gain('as they are, visible')}. The report hoped for "
        "the first and did not try."
    )
    return Findings(
        settings(plan, stacks=2, joints="all that are scored", flip=False, block=list(BLOCK)),
        results, verdict,
        curves(bench, plan, (run for several in runs.values() for run in several)),
        {"student report, section 7": "we could randomly remove a large block of the image, while preserving "
         "the keypoint ground truth label"},
        seeds,
    )  # fmt: skip


class Hidden(PoseDataset):
    """The same people behind a grey block around one of their limb joints.

    Visibility says what the block hides: 1 is behind it, 2 is beside it, whether or not the body hides it.
    """

    def __init__(self, people: PoseDataset):
        self.people, self.skeleton, self.has_occlusion = people, people.skeleton, True
        self.normalizer, self.threshold = people.normalizer, people.threshold

    def __len__(self) -> int:
        return len(self.people)

    def _sample(self, number: int) -> Sample:
        sample = self.people[number]
        random = np.random.default_rng((UNSEEN_SEED, number))
        labelled = [j for j in limbs(self.skeleton) if sample.visibility[j] > UNLABELLED]
        half = random.uniform(*BLOCK, size=2) * float(sample.crop.side) / 2
        middle = sample.keypoints[random.choice(labelled)]
        low, high = (np.rint(middle + sign * half).astype(int).clip(0) for sign in (-1, 1))
        pixels = np.rint(sample.keypoints)
        behind = ((pixels >= low) & (pixels <= high)).all(axis=1)
        seen = np.where(behind, OCCLUDED, VISIBLE)

        def read() -> np.ndarray:
            picture = sample.image.copy()
            picture[low[1] : high[1] + 1, low[0] : high[0] + 1] = 127
            return picture

        visibility = np.where(sample.visibility > UNLABELLED, seen, UNLABELLED)
        return replace(sample, visibility=visibility, read=read)


@experiment(
    "cartoons, apes, four legs, four arms: figures that nobody learned",
    "student report, section 4.6",
    cpu=2,
    gpu=3,
)
def non_human(bench: Bench) -> Findings:
    """Section 4.6: figures that nobody learned, from people with other proportions to extra arms."""
    network, plan, name = reader(bench, ASKED)
    results: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        figures = InMemory(Figures(kind, ASKED, plan.size))
        with timed(bench):
            found = evaluate(network, figures, flip=True, batch_size=32, device=bench.device)
        row = results[kind] = {
            "pck": accuracy_in_torsos(found),
            "score": round(float(found.scores[:, limbs(found.skeleton)].mean()), 4),
            "by_joint": {
                joint: number(value)
                for joint, value in zip(
                    found.skeleton.joints, found.pck(*MEASURE).per_joint.tolist(), strict=True
                )
            },
        }
        if kind == FOUR_ARMS:
            row["either arm"] = accuracy_in_torsos(nearer_arm(found, figures))
    usual = results["people"]
    strange = {kind: row for kind, row in results.items() if kind != "people"}
    hardest = min(strange, key=lambda kind: strange[kind]["pck"])
    warned = [kind for kind, row in strange.items() if row["score"] < 0.9 * usual["score"]]
    shown = ", ".join(f"{kind} {row['pck']:.3f} (score {row['score']:.2f})" for kind, row in results.items())
    verdict = (
        f"PCK@{MEASURE[1]} (torso) of limbs, and mean score: {shown}. The hardest is {hardest}. With four "
        f"arms {results[FOUR_ARMS]['either arm']:.3f} of the limb joints are found if an arm's answer may "
        f"lie on either arm of its side. The scores warn (a tenth lower) of {len(warned)} of {len(strange)}"
        f" kinds{': ' + ', '.join(warned) if warned else ''}."
    )
    return Findings(
        asked(network, plan, name, ASKED, flip=True, normalizer=MEASURE[0], threshold=MEASURE[1],
              joints=LIMBS, kinds={kind: each.says for kind, each in KINDS.items()}),
        results, verdict, {},
        {"student report, section 4.6": "While these examples do not reflect the intended application of the "
         "model, the results were nonetheless interesting"},
    )  # fmt: skip


def accuracy_in_torsos(found: Evaluation) -> float:
    return round(found.pck(*MEASURE).of(limbs(found.skeleton)).mean, 4)


@dataclass(frozen=True)
class Kind:
    """How a kind of figure differs from people: in words, in its pose, in its build."""

    says: str
    pose: Callable[[Pose], Pose] = lambda pose: pose
    build: Callable[[Build], Build] = lambda build: build


def _stretched(**factors: float) -> Callable[[Build], Build]:
    return lambda build: replace(build, **{name: getattr(build, name) * f for name, f in factors.items()})


def _on_all_fours(pose: Pose) -> Pose:
    """Turned sideways, the trunk level, arms and legs down."""
    step = pose.spine[1]  # up to 10 degrees, which nothing else is made of here
    yaw = np.copysign(90.0, np.sin(np.deg2rad(pose.yaw))) + step
    arms = np.array([(90.0 + step, 90.0, 0.0, 8.0), (90.0 - step, 90.0, 0.0, 4.0)])
    legs = np.array([(step, 4.0, 0.0, 12.0), (-step, 4.0, 0.0, 12.0)])
    spine, head = (84.0, 0.0, 0.0), (-70.0, 0.0, 0.0)
    return Pose(float(yaw), arms, legs, camera=4.0, spine=spine, head=head)


FOUR_ARMS = "four arms"
KINDS = {
    "people": Kind("as in training, alone in the picture"),
    "cartoon": Kind(
        "a head 1.8 times as long, arms and legs 0.6 times",
        build=_stretched(head=1.8, upper_arm=0.6, forearm=0.6, thigh=0.6, shin=0.6, limbs=1.2),
    ),
    "stick figure": Kind("limbs a third as thick", build=_stretched(limbs=0.33, girth=0.4)),
    "ape": Kind(
        "arms 1.5 times as long, legs 0.6 times",
        build=_stretched(upper_arm=1.5, forearm=1.5, thigh=0.6, shin=0.6, girth=1.2),
    ),
    "long neck": Kind("a neck 5 times as long, a small head", build=_stretched(neck=5.0, head=0.8)),
    "on all fours": Kind(
        "the trunk level, hands and feet on the ground, legs 0.7 times as long",
        pose=_on_all_fours,
        build=_stretched(thigh=0.7, shin=0.7),
    ),
    "upside down": Kind("turned by 180 degrees", pose=lambda pose: replace(pose, tilt=pose.tilt + 180)),
    FOUR_ARMS: Kind("a second pair of arms in a pose of its own; the first is labelled"),
}


class Figures(Puppets):
    """Puppets of a kind of `KINDS`, each alone in its picture.

    `other_arms(number)` gives where elbows and wrists of a second pair are, in photo px.
    """

    def __init__(
        self, kind: str, count: int, size: int = 128, seed: int = UNSEEN_SEED, skeleton: str = "mpii"
    ):
        super().__init__(count, seed, size, skeleton)
        self.kind = kind

    def scene(self, number: int) -> Scene:
        return self._figure(number)[0]

    def other_arms(self, number: int) -> np.ndarray:
        """(J, 2) photo px, NaN for joints that are no elbow or wrist, or with two arms."""
        joints = np.full((len(JOINTS), 2), np.nan)
        other = self._figure(number)[1]
        if other is not None:
            joints[ARM_JOINTS] = other.joints[ARM_JOINTS] * self.side - 0.5
        return joints[self._chosen]

    def _figure(self, number: int) -> tuple[Scene, Body | None]:
        random = np.random.default_rng((self.seed, int(number)))
        kind, pose, build = KINDS[self.kind], random_pose(random), random_build(random)
        pose, build = kind.pose(pose), kind.build(build)
        body, other = Body.of(pose, build), None
        if self.kind == FOUR_ARMS:
            other = Body.of(replace(pose, arms=random_pose(random).arms), build)
            arms = ARM_PARTS[other.part]
            # The second pair is painted first, behind everything else.
            body = Body(
                body.joints, np.concatenate((other.circles[arms], body.circles)),
                np.concatenate((other.part[arms], body.part)),
                np.concatenate((other.material[arms], body.material)),
            )  # fmt: skip
        low, high = body.circles[..., :2].min(axis=(0, 1)), body.circles[..., :2].max(axis=(0, 1))
        height = min(0.55, 0.8 / float((high - low).max()))
        at = 0.5 - (low + high) / 2 * height
        body = body.placed(height, at)
        ground = float((body.circles[..., 1] + body.circles[..., 2]).max())
        looks = int(random.integers(2**62))
        nothing = np.zeros((0, 4, 3)), np.zeros((0, 3))
        scene = Scene((body,), False, *nothing, ground, pose.seated, looks, float(pose.yaw))
        return scene, None if other is None else other.placed(height, at)


def nearer_arm(found: Evaluation, figures: PoseDataset) -> Evaluation:
    """The same answers beside whichever arm of their side is nearer, joint by joint."""
    whole = figures.whole if isinstance(figures, InMemory) else figures
    assert isinstance(whole, Figures)
    other = torch.from_numpy(np.stack([whole.other_arms(n) for n in range(len(whole))]))
    away = [(found.predicted - each).square().sum(-1) for each in (other, found.target)]
    target = torch.where((away[0] < away[1])[..., None], other, found.target)
    return replace(found, target=target)
