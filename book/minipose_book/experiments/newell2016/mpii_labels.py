"""Sections 3.4 and 5.2: how many of MPII's joints have a label, and how many of the labelled are visible."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from minipose.data import MPII
from minipose.data.formats.files import data_root
from minipose.data.sample import UNLABELLED, VISIBLE
from minipose_book.experiments.bench import Bench, Findings, experiment

FILE = "mpii_annotations.json.gz"


@experiment(
    "counts MPII's labels: people, joints without one, joints that are visible",
    "sections 3.4 and 5.2",
    cpu=1,
    gpu=1,
)
def labels(bench: Bench) -> Findings:
    """Count people, photos and labels of MPII's list with the usual split; no network is asked.

    The folder of the list is the bench's root, or mpii in MINIPOSE_DATA.
    """
    started = time.perf_counter()
    file = data_root("mpii", bench.root) / FILE
    people = {split: MPII(file, split=split).people for split in ("train", "validation")}
    results = {split: count(chosen, MPII.skeleton.joints) for split, chosen in people.items()}
    bench.seconds += time.perf_counter() - started
    joints = results["validation"]["joints"]
    knee, ankle = (1 - joints[name]["labelled"] / joints[name]["places"] for name in ("knee", "ankle"))
    visible, labelled = (
        sum(joints[name][kind] for name in ("elbow", "wrist")) for kind in ("visible", "labelled")
    )
    verdict = (
        f"Of the {results['validation']['people']:,} people of the validation set {100 * knee:.1f}% of the "
        f"knees and {100 * ankle:.1f}% of the ankles have no label (16.1% and 28.4% in the paper), and "
        f"{100 * visible / labelled:.1f}% of the labelled elbows and wrists are visible (about 75%)."
    )
    quoted = {
        "section": "3.4, 5.2", "people": 2958, "unlabelled": {"knee": 0.161, "ankle": 0.284},
        "visible_share": "about 75% of the elbows and wrists",
    }  # fmt: skip
    return Findings({"data": "mpii", "file": FILE}, results, verdict, paper=quoted)


def count(people: list[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """People, photos, and by kind of joint: places for a label, labels, and visible ones; both sides.

    people : a "photo" and "joints" (J, 3) of x, y, visibility each. names : of the J joints.
    """
    flags = np.array([person["joints"][:, 2] for person in people])  # (people, J)
    joints: dict[str, dict[str, int]] = {}
    for j, joint in enumerate(names):
        kind = joint.removeprefix("left_").removeprefix("right_")
        row = joints.setdefault(kind, {"places": 0, "labelled": 0, "visible": 0})
        row["places"] += len(flags)
        row["labelled"] += int((flags[:, j] != UNLABELLED).sum())
        row["visible"] += int((flags[:, j] == VISIBLE).sum())
    return {
        "people": len(people),
        "photos": len({person["photo"] for person in people}),
        "joints": joints,
    }
