"""Tables 5 to 7, in per cent: PCKh on MPII's validation set, PCKh on MPII, PCK on LSP."""

from __future__ import annotations

COLUMNS = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "total")
OVERALL = {"residual": "Part heatmap regression (Res)", "VGG": "Part heatmap regression (VGG)"}


def _table(rows: dict[str, tuple[float, ...]]) -> dict[str, dict[str, float]]:
    return {who: dict(zip(COLUMNS, row, strict=True)) for who, row in rows.items()}


TABLE_5 = _table({
    OVERALL["residual"]: (97.3, 95.2, 89.9, 85.3, 89.4, 85.7, 81.9, 88.2),
    OVERALL["VGG"]: (95.6, 92.2, 83.5, 78.3, 84.5, 77.3, 70.0, 83.2),
    "Detection only (Res)": (96.2, 91.3, 83.4, 74.5, 83.1, 76.6, 71.3, 82.6),
    "Regression only (Res)": (96.4, 92.8, 84.5, 77.3, 84.5, 79.9, 74.0, 84.2),
    "Regression+regression (Res)": (96.7, 93.6, 86.1, 80.1, 88.1, 80.5, 76.7, 85.7),
    "Regression+regression (VGG)": (92.8, 85.6, 77.5, 70.4, 73.5, 69.3, 66.5, 76.7),
})  # fmt: skip
TABLE_6 = _table({
    OVERALL["residual"]: (97.9, 95.1, 89.9, 85.3, 89.4, 85.7, 81.9, 89.7),
    OVERALL["VGG"]: (96.8, 91.3, 82.9, 77.5, 83.2, 74.4, 67.5, 82.7),
    "Newell et al.": (97.6, 95.4, 90.0, 85.2, 88.7, 85.0, 80.6, 89.4),
    "Wei et al.": (97.8, 95.0, 88.7, 84.0, 88.4, 82.8, 79.4, 88.5),
    "Insafutdinov et al.": (96.6, 94.6, 88.5, 84.4, 87.6, 83.9, 79.4, 88.3),
    "Gkioxari et al.": (96.2, 93.1, 86.7, 82.1, 85.2, 81.4, 74.1, 86.1),
    "Lifshitz et al.": (97.8, 93.3, 85.7, 80.4, 85.3, 76.6, 70.2, 85.0),
    "Pishchulin et al.": (94.1, 90.2, 83.4, 77.3, 82.6, 75.7, 68.6, 82.4),
    "Hu and Ramanan": (95.0, 91.6, 83.0, 76.6, 81.9, 74.25, 69.5, 82.4),
    "Carreira et al.": (95.7, 91.7, 81.7, 72.4, 82.8, 73.2, 66.4, 81.3),
    "Tompson et al. 2014": (95.8, 90.3, 80.5, 74.3, 77.6, 69.7, 62.8, 79.6),
    "Tompson et al. 2015": (96.1, 91.9, 83.9, 77.8, 80.9, 72.3, 64.8, 82.0),
})  # fmt: skip
TABLE_7 = _table({
    OVERALL["residual"]: (96.3, 92.2, 88.2, 85.2, 92.2, 91.5, 88.6, 90.7),
    OVERALL["VGG"]: (94.8, 86.6, 79.5, 73.5, 88.1, 83.2, 78.5, 83.5),
    "Wei et al.": (97.8, 92.5, 87.0, 83.9, 91.5, 90.8, 89.9, 90.5),
    "Insafutdinov et al.": (97.4, 92.7, 87.5, 84.4, 91.5, 89.9, 87.2, 90.1),
    "Pishchulin et al.": (97.0, 91.0, 83.8, 78.1, 91.0, 86.7, 82.0, 87.1),
    "Lifshitz et al.": (96.8, 89.0, 82.7, 79.1, 90.9, 86.0, 82.5, 86.7),
    "Yang et al.": (90.6, 78.1, 73.8, 68.8, 74.8, 69.9, 58.9, 73.6),
    "Carreira et al.": (90.5, 81.8, 65.8, 59.8, 81.6, 70.6, 62.0, 73.1),
    "Tompson et al. 2014": (90.6, 79.2, 67.9, 63.4, 69.5, 71.0, 64.2, 72.3),
    "Fan et al.": (92.4, 75.2, 65.3, 64.0, 75.7, 68.3, 70.4, 73.0),
    "Chen and Yuille": (91.8, 78.2, 71.8, 65.5, 73.3, 70.2, 63.4, 73.4),
})  # fmt: skip
