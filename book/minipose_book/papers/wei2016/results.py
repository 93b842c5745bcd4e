"""Claims of section 4.2: data, augmentation, and what the machine reaches."""

from __future__ import annotations

import torch

from minipose import augmentation
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, at, compare, percent
from minipose_book.papers.newell2016.tables import NO_FLIC, NO_MPII

NO_LSP = "the 2000 photographs of LSP itself were not at hand, nor all of its extended set"


def recipe(_) -> Found:
    """Of the augmentation that this paper and part heatmap regression have."""
    draws = [augmentation.draw("cpm", 0, 0, number) for number in range(2000)]
    angles, scales = ([getattr(each, name) for each in draws] for name in ("angle", "scale"))
    return Found(
        f'2,000 draws of the recipe "cpm" turn by {min(angles):.0f}° to {max(angles):+.0f}° and scale by '
        f"{min(scales):.2f} to {max(scales):.2f}.",
        39 < max(map(abs, angles)) <= 40 and 0.7 <= min(scales) < 0.71 and 1.29 < max(scales) <= 1.3,
    )


def _merged(record: Record) -> Found:
    rows = {name: at(record, f"misjudged/{name}") for name in ("one scale", "merged")}
    found = compare([rows["merged"]], [rows["one scale"]])
    return Found(f"Where the scale is misjudged, merged against one: {found.figure}", found.holds)


def _asked(_) -> Found:
    """One part, two people: how many of them has either target a peak for?"""
    machine = ConvolutionalPoseMachine(joints=1, stages=2, features=4)
    person, other = torch.tensor([[[27.5, 59.5]]]), torch.tensor([[[[99.5, 59.5, 2.0]]]])  # cells 3 and 12
    maps = machine.targets(person, torch.ones(1, 1), other, (128, 128))
    peaks = [int((each[0, 0, 7, [3, 12]] > 0.9).sum()) for each in maps]
    return Found(
        f"Of two people's elbows the target of stage 1 shows {peaks[0]}, the later ones' {peaks[1]}.",
        peaks == [2, 1],
    )


def _samples(record: Record) -> Found:
    people = sum(at(record, f"{split}/people") for split in ("train", "validation"))
    return Found(f"{people:,} people in the list with the usual split.")


def _views(record: Record) -> Found:
    views = at(record, "views")
    gaps = [row["pose machine"] - row["stacked hourglass"] for row in views.values()]
    return Found(
        f"Against a stacked hourglass, in {len(gaps)} ranges of directions: "
        f"{', '.join(f'{100 * gap:+.1f}' for gap in gaps)} points. Least in the machine's hardest: "
        f"{percent(min(row['pose machine'] for row in views.values()))}."
    )


RESULTS = (
    Claim(
        "4.2",
        "Merging the beliefs of several scales handles the inaccuracy of the given one.",
        _merged,
        "multi-scale",
    ),
    Claim(
        "4.2",
        "MPII has more than 28000 samples to train on.",
        _samples,
        "labels",
        because="that list leaves out people without labelled joints",
    ),
    Claim("4.2", "Augmentation turns by up to ±40°, scales by 0.7 to 1.3, and flips.", recipe),
    Claim("4.2", "Stage 1 is asked for everybody in the crop, later stages for the primary person.", _asked),
    Claim(
        "4.2",
        "A map with a peak at the person's centre, given to all later stages, helps.",
        because="no machine was trained without it",
    ),
    Claim("4.2, Figure 8", "MPII: 87.95 in total, PCKh@0.5.", because=NO_MPII),
    Claim("4.2, Figure 8", "MPII: 88.52 in total with LSP's people to train on.", because=NO_MPII),
    Claim("4.2, Figure 8", "MPII: 6.11 points better than the closest competitor.", because=NO_MPII),
    Claim("4.2, Figure 8", "MPII, ankles: 78.28, with LSP's people 79.41.", because=NO_MPII),
    Claim("4.2, Figure 8", "MPII, ankles: 10.76 points better than the closest competitor.", because=NO_MPII),
    Claim(
        "4.2, Figure 11",
        "MPII: better than the others in every direction from which a person is seen.",
        _views,
        "viewpoints",
        because="the others of the paper are not here, and a stacked hourglass is not among them",
    ),
    Claim("4.2, Figure 9", "LSP, person-centric: 84.32, PCK@0.2.", because=NO_LSP),
    Claim("4.2, Figure 9", "LSP, person-centric: 90.5 with MPII's people to train on.", because=NO_LSP),
    Claim("4.2", "LSP has 11000 images to train on and 1000 to test on.", because=NO_LSP),
    Claim("4.2, Figure 12", "FLIC: elbows 97.59, wrists 95.03, PCK@0.2.", because=NO_FLIC),
    Claim(
        "4.2, Figure 12",
        "FLIC at PCK@0.05: 14.8 points ahead on wrists, 12.7 on elbows.",
        because=NO_FLIC,
    ),
    Claim(
        "4.2, Figure 12", "FLIC at PCK@0.1: 8.9 points ahead on wrists, 9.3 on elbows.", because=NO_FLIC
    ),
    Claim("4.2", "FLIC has 3987 images to train on and 1016 to test on.", because=NO_FLIC),
)  # fmt: skip
