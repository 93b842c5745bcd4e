"""Claims of section 3: what the machine is and how far it sees."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from minipose.data import Puppets
from minipose.models.convolutional_pose_machine import (
    NORMAL_SIZE,
    ConvolutionalPoseMachine,
    receptive_field,
)
from minipose_book.experiments.records import Record
from minipose_book.experiments.wei2016.stages import sees
from minipose_book.papers.claims import Claim, Found, at, percent

# Steps of the receptive field that gain less than so much are taken for level.
LEVEL = 0.01


@cache
def machine() -> ConvolutionalPoseMachine:
    """The paper's machine, as shapes without memory."""
    with torch.device("meta"):
        return ConvolutionalPoseMachine()


def _first_layers(_) -> Found:
    sides = [m.kernel_size[0] for m in machine().first.modules() if isinstance(m, nn.Conv2d)]
    return Found(
        f"Sides of its filters: {', '.join(map(str, sides))}.",
        len(sides) == 7 and sides[5:] == [1, 1] and 1 not in sides[:4],
    )


def _crop(_) -> Found:
    return Found(f"{NORMAL_SIZE} px is what targets are defined for.", NORMAL_SIZE == 368)


def _sees_first(_) -> Found:
    side, _step = receptive_field(machine().first)
    return Found(f"{side} px, by the layers.", side == 160)


def _maps(_) -> Found:
    stages = machine()(torch.empty(1, 3, 368, 368, device="meta"))
    shapes = {tuple(stage.shape[1:]) for stage in stages}
    return Found(
        f"For {machine().joints} parts every stage has {stages[0].shape[1]} maps of "
        f"{stages[0].shape[2]}x{stages[0].shape[3]} cells.",
        shapes == {(machine().joints + 1, 46, 46)},
    )


def _sees_beliefs(_) -> Found:
    side, _step = receptive_field(machine().later.get_submodule("0.layers"))
    return Found(f"{side}x{side} cells, by the layers.", side == 31)


def _sees_later(_) -> Found:
    return Found(f"{sees(machine())} px.", sees(machine()) == 400)


def _covers_pairs(_) -> Found:
    """Of puppets in the package's crops, at the paper's size: pairs within half of 400 px."""
    near = total = 0
    puppets = Puppets(100, 4321, NORMAL_SIZE)
    for sample in map(puppets.__getitem__, range(len(puppets))):
        points = sample.crop.forward(sample.keypoints, NORMAL_SIZE).numpy()[sample.visibility > 0]
        apart = np.abs(points[:, None] - points[None]).max(axis=-1)[np.triu_indices(len(points), 1)]
        near, total = near + int((apart <= 200).sum()), total + len(apart)
    return Found(
        f"In our crops of 100 puppets {percent(near / total)}% of the pairs lie within 200 px.",
        near > 0.9 * total,
    )


def _field(record: Record) -> tuple[list[int], list[float]]:
    found = {int(side): value for side, value in at(record, "pck").items()}
    return sorted(found), [found[side] for side in sorted(found)]


def _improves(record: Record) -> Found:
    sides, values = _field(record)
    rising = all(a < b for a, b in pairwise(values))
    shown = ", ".join(f"{side} px {percent(value)}" for side, value in zip(sides, values, strict=True))
    return Found(
        f"{shown}.", True if rising else False if values[-1] <= values[0] else None
    )  # with one seed, a line that rises on the whole and not everywhere stays open


def _saturates(record: Record) -> Found:
    sides, values = _field(record)
    body, size = at(record, "body"), record.settings["size"]
    level = next(
        (side for side, (a, b) in zip(sides, pairwise(values), strict=False) if b - a < LEVEL), sides[-1]
    )
    return Found(
        f"The first step that gains less than {100 * LEVEL:.0f} point starts at {level} px of {size}; half "
        f"of the bodies are longer than {body} px.",
        0.5 * body <= level <= 1.5 * body,
    )


def _stride(record: Record) -> Found:
    fine = next(name for name in record.results if name.startswith("at "))
    gaps = {name: at(record, f"{name}/8") - at(record, f"{name}/4") for name in ("final", fine)}
    return Found(
        f"Stride 8 less stride 4: {100 * gaps['final']:+.1f} points, and {100 * gaps[fine]:+.1f} {fine}.",
        min(gaps.values()) >= -LEVEL,
    )


def _shared(_) -> Found:
    names = [name for name, _value in machine().named_parameters()]
    shared = sum(name.startswith("features.") and name.endswith("weight") for name in names)
    return Found(
        f"{shared} convolutions of image features for {len(machine().later)} later stages; stage 1 has its "
        "own.",
        shared == 3,
    )


def _every_stage(_) -> Found:
    stages = machine().supervised
    return Found(f"By default {len(stages)} of {len(machine().strides)} stages.", stages == list(range(6)))


NETWORK = (
    Claim("3.2.1, Figure 2", "Stage 1 is five convolutions and two of 1x1.", _first_layers),
    Claim("3.2.1", "Crops are normalised to 368x368 px.", _crop),
    Claim("3.2.1", "Stage 1 sees 160x160 px.", _sees_first),
    Claim("3.2.1", "At every place there are P + 1 scores, one of them of the background.", _maps),
    Claim("3.2.2", "A stride of 8 does as well as one of 4, at high precision too.", _stride, "cpm-stride"),
    Claim("3.2.2, Figure 4", "Accuracy rises with the receptive field.", _improves, "cpm-receptive-field"),
    Claim(
        "3.2.2, Figure 4",
        "It starts to saturate at about 250 px of 304, which is about the size of the person.",
        _saturates,
        "cpm-receptive-field",
    ),
    Claim("3.2.2, Figure 2", "Stage 2 sees 31x31 cells of the beliefs of stage 1.", _sees_beliefs),
    Claim("3.2.2, Figure 2", "These are 400x400 px.", _sees_later),
    Claim("3.2.2", "The radius can usually cover any pair of the parts.", _covers_pairs),
    Claim("3.3", "Every stage has a loss; the objective is their sum.", _every_stage),
    Claim("3.3", "Image features are shared by all stages from the second on.", _shared),
)
