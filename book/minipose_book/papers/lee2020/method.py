"""Claims of section 3: the data, the three levels of augmentation, the network, and the scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from minipose import augmentation
from minipose.models.hourglass import StackedHourglass
from minipose.optimization import LRSchedule
from minipose_book.experiments.lee2020.augmentation import LEVELS, Photometric
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, at, percent
from minipose_book.papers.lee2020.tables import NO_COCO, NO_TRAINING, TABLE_1, TABLE_2, TABLE_3, kind
from minipose_book.papers.newell2016.training import default

DRAWS = 1500
NO_PCK = f"the PCK of the report's published program is none, and {NO_TRAINING}"

# What each row of Table 1 measures on one draw, in the row's unit.
AMOUNTS: tuple[Callable[[Photometric], float], ...] = (
    lambda draw: draw.blur,
    lambda draw: abs(draw.lightness - 1),
    lambda draw: draw.blending,
    lambda draw: max(abs(255 * draw.hue), abs(draw.saturation)),
    lambda draw: abs(draw.brightness),
    lambda draw: abs(draw.contrast - 1),
    lambda draw: 100 * draw.dropout,
    lambda draw: 100 * draw.noise,
    lambda draw: 100 * abs(1 / draw.scale - 1),
    lambda draw: abs(draw.angle),
    lambda draw: draw.mirror,
)


@cache
def drawn(level: str) -> list[Photometric]:
    """Draws of one level."""
    draws = [augmentation.draw(level, 0, 0, number) for number in range(DRAWS)]
    return [draw for draw in draws if isinstance(draw, Photometric)]


def _row(number: int) -> Claim:
    name, (unit, limits) = list(TABLE_1.items())[number]
    amount = AMOUNTS[number]

    def look(_) -> Found:
        found, fits = [], []
        for level, limit in zip(("heavy", "medium", "light"), limits, strict=True):
            amounts = [float(amount(draw)) for draw in drawn(level)]
            if name.endswith("probability"):
                reached = sum(amounts) / len(amounts)
                fits.append(abs(reached - limit) < 0.03)
            else:
                reached = max(amounts)
                fits.append(0.95 * limit <= reached <= limit * (1 + 1e-9))
            if name.startswith("Blur"):
                fits.append(abs(sum(each > 0 for each in amounts) / len(amounts) - 0.3) < 0.03)
            found.append(f"{reached:.3g}")
        of = "Shares" if name.endswith("probability") else "Largest amounts"
        return Found(f"{of} in {DRAWS:,} draws of each level: {', '.join(found)}{unit}.", all(fits))

    shown = ", ".join(f"{limit:g}" if limit else "none" for limit in limits)
    return Claim("3.2.3, Table 1", f"{name} {shown}{unit} (heavy, medium, light).", look)


def _never_together(_) -> Found:
    pairs = {
        "brightness and contrast": lambda draw: draw.brightness != 0 and draw.contrast != 1,
        "dropout and noise": lambda draw: draw.dropout > 0 and draw.noise > 0,
        "scale and rotation": lambda draw: draw.scale != 1 and draw.angle != 0,
    }
    counts = {
        name: sum(both(draw) for level in LEVELS for draw in drawn(level)) for name, both in pairs.items()
    }
    shown = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Found(f"Together in {3 * DRAWS:,} draws: {shown}.", not any(counts.values()))


def _uses_hourglass(_) -> Found:
    count = list(TABLE_3.values()).count("Hourglass")
    return Found(f"Counted in its table: {count} of {len(TABLE_3)}.", (count, len(TABLE_3)) == (7, 12))


@cache
def _cells() -> list[int]:
    """Sides of the maps that the halvings of a network for 256 px see, the largest first."""
    sides = [default("size") // 4]
    with torch.device("meta"):
        levels = StackedHourglass(stacks=1).multiple // 4  # 2 to the depth
    while levels > 1:
        sides, levels = [*sides, sides[-1] // 2], levels // 2
    return sides


def _sizes(_) -> Found:
    size, cells = default("size"), _cells()[0]
    return Found(f"{size} px and {cells}x{cells} cells by default.", (size, cells) == (256, 64))


def _lowest(_) -> Found:
    side = _cells()[-1]
    return Found(f"Ours goes from {_cells()[0]}x{_cells()[0]} down to {side}x{side} cells.")


def _rate(_) -> Found:
    epochs = 107  # Table 2's
    rate = LRSchedule("step", 5e-3, epochs, 0)
    rates = [rate.at(epoch, []) for epoch in range(epochs)]
    first = next(epoch for epoch, value in enumerate(rates, 1) if value < rates[0])
    return Found(
        f'Schedule "step" from {rates[0]:g}, over {epochs} epochs: {rates[-1]:g} from epoch {first} on.',
        abs(rates[-1] - 5e-4) < 1e-9 and 65 <= first <= 75,
    )


def _early(record: Record) -> Found:
    values = record.curves["4 stacks"]["watched_oks"]
    share = values[4] / values[-1] if values[-1] else 0.0
    return Found(f"After 5 of {len(values)} epochs four stacks have {percent(share)}% of their last OKS.")


def _average(_) -> Found:
    rows = [value for joint, value in TABLE_2.items() if joint != "average"]
    mean = sum(rows) / len(rows)
    # Each row is rounded to four places, and so is their average.
    return Found(f"The mean of the {len(rows)} rows is {mean:.4f}.", abs(mean - TABLE_2["average"]) <= 1e-4)


def _order(record: Record) -> Found:
    """The shipped networks for puppets, by a PCK that counts labels alone."""
    networks = {name: row for name, row in at(record, "shipped").items() if name.endswith("-puppets")}
    joints = ("ankle", "knee", "hip")
    rows = [
        [sum(row["per_joint"][f"{side}_{joint}"] for side in ("left", "right")) / 2 for joint in joints]
        for row in networks.values()
    ]
    shown = ", ".join(
        f"{joint}s {percent(sum(column) / len(rows))}"
        for joint, column in zip(joints, zip(*rows, strict=True), strict=True)
    )
    same = [ankle > knee > hip for ankle, knee, hip in rows]
    return Found(
        f"By a PCK that counts labels alone: {shown}, the mean of {len(rows)} networks for puppets.",
        True if all(same) else None if any(same) else False,
    )


METHOD = (
    Claim("3.2.1", "COCO has 66808 images with 273469 annotations.", because=NO_COCO),
    Claim("3.2.1, Figure 1a", "48.86% of the annotations have 0 to 4 keypoints.", because=NO_COCO),
    Claim("3.2.2, Figure 1b", "61.28% of the images show more than one annotated person.", because=NO_COCO),
    *map(_row, range(len(TABLE_1))),
    Claim(
        "3.2.3",
        "Never together: brightness and contrast, noise and dropout, cropping and rotation.",
        _never_together,
    ),
    Claim("3.3, Table 3", "Seven of twelve detection-based works use the hourglass.", _uses_hourglass),
    Claim("3.3", "The input is 256x256 px, the hourglasses work at 64x64.", _sizes),
    Claim(
        "3.3",
        "The smallest resolution in an hourglass is 4x4.",
        _lowest,
        because="the report's published program halves three times and stops at 8x8",
    ),
    Claim("3.3.2", "The learning rate falls from 5e-3 to 5e-4 at about epoch 70.", _rate),
    Claim(
        "3.4.2, Figure 8",
        "OKS improves rapidly in the first 5 epochs.",
        _early,
        "depth",
        because="an epoch here has far fewer people",
    ),
    Claim("3.4.2", "OKS, primary challenge metric: 0.575.", because=NO_TRAINING),
    Claim("3.4.2", "OKS, loose metric: 0.795.", because=NO_TRAINING),
    Claim(
        "3.4.2",
        "That is competitive with COCO's leaderboard of 2016.",
        because="whoever is on a leaderboard has to find the people first, and this network was given their "
        "boxes",
    ),
    Claim("3.4.2, Figure 11", "PCK@0.2, mean over the joints: 0.787.", because=NO_PCK),
    Claim("3.4.2, Table 2", "The average of the 17 joints is 0.7872.", _average),
    Claim(
        "3.4.2, Table 2",
        f"Of the legs, ankles score best ({kind('ankle'):.3f}), then knees ({kind('knee'):.3f}), then hips "
        f"({kind('hip'):.3f}).",
        _order,
        "reference",
    ),
)
