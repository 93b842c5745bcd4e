"""Claims of sections 5 to 7: the mirror, and what was left to try."""

from __future__ import annotations

import numpy as np

from minipose.data.puppets.dataset import Puppets
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, ahead, at, percent


def _oks(record: Record) -> Found:
    gains = {way: 100 * at(record, f"quarter/{way}/oks_gain") for way in ("locations", "heatmaps")}
    shown = ", ".join(f"averaged {way} {gain:+.1f}" for way, gain in gains.items())
    return Found(f"Points of OKS: {shown}.", 2.5 <= gains["locations"] <= 5.5)


def _pck(record: Record) -> Found:
    gain = list(at(record, "quarter/locations/gain").values())[-1]
    low, high = (100 * (gain["mean"] + sign * gain["error"]) for sign in (-2, 2))
    return Found(
        f"Averaged locations: between {low:+.2f} and {high:+.2f} points, by two standard errors.",
        low < 1.5 and high > 0.5,
    )


def _bias(record: Record) -> Found:
    puppets = Puppets(400, 7)
    turned = np.sin(np.radians([puppets.scene(number).yaw for number in range(len(puppets))])) > 0
    gain = list(at(record, "quarter/heatmaps/gain").values())[-1]
    return Found(
        f"On puppets, {percent(turned.mean())}% of which are turned to one side, averaging is worth "
        f"{100 * gain['mean']:+.1f} points (standard error {100 * gain['error']:.1f})."
    )


def _centre(record: Record) -> Found:
    mass, highest = (at(record, f"pck/{how}") for how in ("centre of mass", "argmax"))
    gaps = {mark: 100 * (mass[mark] - highest[mark]) for mark in mass}
    ahead = [gap > 0 for gap in gaps.values()]
    return Found(
        f"Points over the highest cell: {', '.join(f'at {mark} {gap:+.1f}' for mark, gap in gaps.items())}.",
        True if all(ahead) else None if any(ahead) else False,
    )


DISCUSSION = (
    Claim(
        "5",
        "Averaging with the mirror helps because COCO's people face one side more often.",
        _bias,
        "flip",
        because="puppets have no such bias; a gain without it shows that bias is not needed, and no more",
    ),
    Claim("6, Figures 8 and 9", "Averaging with the mirrored picture is worth 3 to 5% of OKS.", _oks, "flip"),
    Claim("6", "Averaging with the mirrored picture is worth 1% of PCK.", _pck, "flip"),
    Claim(
        "7",
        "Training with hidden blocks may teach to find joints that are not visible.",
        ahead("block/behind a block, occluded", "none/behind a block, occluded"),
        "block-occlusion",
    ),
    Claim(
        "7",
        "The centre of mass of the brightest island may be more accurate than its brightest pixel.",
        _centre,
        "decoding",
    ),
)
