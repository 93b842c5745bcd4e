"""Checks of chapter 1, "Where is the elbow?": what counts as correct."""

from __future__ import annotations

import numpy as np

from minipose.checks.core import Verdict, compare, exercise


def _four_wrists(rng: np.random.Generator) -> dict:
    """Offsets (4, 2) in px of predictions from labels; NaN where there is no label. Heads (4,) in px."""
    offsets = rng.integers(2, 12, (4, 2)).astype(float) * [[1, 0.1], [0.5, 0.5], [1, 3], [1, 1]]
    offsets[3] = np.nan
    return {"offsets": offsets, "heads": np.full(4, 2 * np.hypot(*offsets[1]))}


@exercise("where-is-the-elbow", "warm-up", _four_wrists)
def pckh_by_hand(answer, offsets, heads) -> Verdict:
    """PCKh@0.5 of one joint over four people, of whom one has no label."""
    share = np.linalg.norm(offsets, axis=-1) / heads
    return compare(answer, (share <= 0.5).sum() / 3, {
        (share <= 0.5).sum() / 4: "Whoever has no label is not in the sum, neither above nor below the line.",
        (share < 0.5).sum() / 3: "A distance of exactly half a head counts.",
    })  # fmt: skip
