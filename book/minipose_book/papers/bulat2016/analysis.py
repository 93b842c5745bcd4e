"""Claims of sections 1 and 4.2: what detecting first is worth, and what it says of hidden parts."""

from __future__ import annotations

from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, Look, ahead, at, compare

FIRST, SECOND = "detection + regression", "regression + regression"


def _weaker(record: Record) -> Found:
    found = at(record, "confidence/detection")
    seen, hidden = (found[kind]["at the part"] for kind in ("visible", "occluded"))
    return Found(
        f"At visible joints the detections are {seen:.2f} on average, at occluded ones {hidden:.2f}.",
        hidden < seen,
    )


def _above_background(record: Record) -> Found:
    found = at(record, "confidence/detection")
    hidden, everywhere = found["occluded"]["at the part"], found["everywhere"]
    return Found(f"At occluded joints {hidden:.2f}, over whole maps {everywhere:.3f}.", hidden > everywhere)


def _recovers(record: Record) -> Found:
    found = {
        stage: at(record, f"confidence/{stage}")["occluded"]["at the part"]
        for stage in ("detection", "regression")
    }
    hits = {stage: at(record, f"pckh@0.5/{stage}")["limbs"]["occluded"] for stage in found}
    row = at(record, "recovered")["occluded"]
    return Found(
        f"At occluded joints regression has {found['regression']:.2f}, detection {found['detection']:.2f}. "
        f"Found are {hits['regression']:.3f} and {hits['detection']:.3f}; of {row['missed']} that the "
        f"detection misses, {row['found']}.",
        found["regression"] > found["detection"] and hits["regression"] > hits["detection"],
    )


def _row(better: str, worse: str, form: str = "residual") -> Look:
    return ahead(f"final/{form}/{better}", f"final/{form}/{worse}")


def _residual(record: Record) -> Found:
    return compare(at(record, f"final/residual/{FIRST}")["each"], at(record, f"final/VGG/{FIRST}")["each"])


def _gaps(record: Record) -> Found:
    gaps = {
        form: [
            a - b
            for a, b in zip(
                at(record, f"final/{form}/{FIRST}")["each"],
                at(record, f"final/{form}/{SECOND}")["each"],
                strict=True,
            )
        ]
        for form in ("VGG", "residual")
    }
    found = compare(gaps["VGG"], gaps["residual"])
    return Found(f"Points gained with VGG, against residual: {found.figure}", found.holds)


OCCLUSION = (
    Claim(
        "1, Figure 2",
        "Detections of occluded parts are much weaker than of visible ones.",
        _weaker,
        "part-occlusion",
    ),
    Claim(
        "1, Figure 2", "They are still higher than on the background.", _above_background, "part-occlusion"
    ),
    Claim(
        "1, Figure 2",
        "The regression is confident of the occluded parts, and at the right place.",
        _recovers,
        "part-occlusion",
    ),
)

ANALYSIS = (
    Claim(
        "4.2, Table 5",
        "Residual networks are far ahead of VGG: 88.2 against 83.2.",
        _residual,
        "part-heatmaps",
    ),
    Claim(
        "4.2, Table 5",
        "The regression adds much to the detection alone: 88.2 against 82.6.",
        _row(FIRST, "detection only"),
        "part-heatmaps",
    ),
    Claim(
        "4.2, Table 5",
        "Regression alone is better than detection alone: 84.2 against 82.6.",
        _row("regression only", "detection only"),
        "part-heatmaps",
    ),
    Claim(
        "4.2, Table 5",
        "Detection before regression beats two regressions: 88.2 against 85.7.",
        _row(FIRST, SECOND),
        "part-heatmaps",
    ),
    Claim(
        "4.2, Table 5",
        "So it does with VGG: 83.2 against 76.7.",
        _row(FIRST, SECOND, "VGG"),
        "part-heatmaps",
    ),
    Claim("4.2, Table 5", "That gap is much larger with VGG than with residual networks.", _gaps,
          "part-heatmaps"),
    Claim(
        "4.2",
        "Part heatmap regression is considerably easier to train than two regressions.",
        because="the paper does not say by which measure",
    ),
)  # fmt: skip
