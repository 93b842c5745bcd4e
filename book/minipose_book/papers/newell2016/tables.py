"""Tables 1 and 2, in per cent, and why they are not measured here."""

from __future__ import annotations

OURS = "Our model"
# PCK@0.2 on FLIC.
TABLE_1 = {
    "Sapp et al.": {"elbow": 76.5, "wrist": 59.1},
    "Toshev et al.": {"elbow": 92.3, "wrist": 82.0},
    "Tompson et al.": {"elbow": 93.1, "wrist": 89.0},
    "Chen et al.": {"elbow": 95.3, "wrist": 92.4},
    "Wei et al.": {"elbow": 97.6, "wrist": 95.0},
    OURS: {"elbow": 99.0, "wrist": 97.0},
}
_COLUMNS = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "total")
_ROWS = {
    "Tompson et al.": (96.1, 91.9, 83.9, 77.8, 80.9, 72.3, 64.8, 82.0),
    "Carreira et al.": (95.7, 91.7, 81.7, 72.4, 82.8, 73.2, 66.4, 81.3),
    "Pishchulin et al.": (94.1, 90.2, 83.4, 77.3, 82.6, 75.7, 68.6, 82.4),
    "Hu et al.": (95.0, 91.6, 83.0, 76.6, 81.9, 74.5, 69.5, 82.4),
    "Wei et al.": (97.8, 95.0, 88.7, 84.0, 88.4, 82.8, 79.4, 88.5),
    OURS: (98.2, 96.3, 91.2, 87.1, 90.1, 87.4, 83.6, 90.9),
}
# PCKh@0.5 on MPII's test set.
TABLE_2 = {who: dict(zip(_COLUMNS, row, strict=True)) for who, row in _ROWS.items()}

NO_FLIC = "FLIC's pictures were not at hand; the reader is tested on files made after the published ones"
NO_MPII = "nothing was trained on MPII: its photographs were not at hand, and its test labels are not public"
OTHERS = "it is another network's figure, which the paper takes over"


def row(table: dict[str, dict[str, float]], who: str) -> str:
    """A row of a table in words: "elbow 99.0, wrist 97.0"."""
    return ", ".join(f"{joint} {value:.1f}" for joint, value in table[who].items())
