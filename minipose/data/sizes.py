"""How large a person is, from the labels alone."""

from __future__ import annotations

import numpy as np

from minipose.skeletons import Skeleton


def person_sizes(keypoints: np.ndarray, visibility: np.ndarray, skeleton: Skeleton) -> dict[str, float]:
    """Head, torso and box size in px from a person's labelled joints; NaN where they are missing."""
    labelled = visibility > 0

    def distance(first: str, second: str) -> float:
        if first not in skeleton.joints or second not in skeleton.joints:
            return float("nan")
        a, b = skeleton.index(first), skeleton.index(second)
        return (
            float(np.hypot(*(keypoints[a] - keypoints[b]))) if labelled[a] and labelled[b] else float("nan")
        )

    box = float(np.ptp(keypoints[labelled], axis=0).max()) if labelled.any() else float("nan")
    return {"head": distance("neck", "head_top"), "torso": distance("right_shoulder", "left_hip"), "box": box}
