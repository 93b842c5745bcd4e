"""Claims of section 4: depth, augmentation, activation, target, optimizer."""

from __future__ import annotations

import cv2
import numpy as np

from minipose.heatmaps import encode_heatmaps
from minipose_book.experiments.lee2020.augmentation import LEVELS
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, ahead, at, compare, percent


def _slower(record: Record) -> Found:
    epoch = len(record.curves["4 stacks"]["watched_oks"]) // 4
    four, eight = (record.curves[f"{n} stacks"]["watched_oks"][epoch - 1] for n in (4, 8))
    return Found(f"OKS after {epoch} epochs: 8 stacks {eight:.3f}, 4 stacks {four:.3f}.", eight < four)


def _reached(record: Record) -> Found:
    epoch, epochs = at(record, "reached_best_of_four"), len(record.curves["8 stacks"]["watched_oks"])
    when = f"in epoch {epoch}" if epoch else "at no time"
    return Found(f"Eight stacks reach the best OKS of four {when} of {epochs}.", epoch is not None)


def _deeper(record: Record) -> Found:
    return compare(at(record, "8 stacks/oks/each"), at(record, "4 stacks/oks/each"))


def _crowded(record: Record) -> Found:
    gaps = {
        row: at(record, f"8 stacks/{row}") - at(record, f"4 stacks/{row}")
        for row in ("beside somebody", "alone")
    }
    shown = ", ".join(f"{row} {100 * gap:+.1f}" for row, gap in gaps.items())
    return Found(
        f"Eight stacks against four, points of PCKh, by whether the person is: {shown}.",
        gaps["beside somebody"] > 0,
    )


def _gains(record: Record) -> dict[str, float]:
    """Points of OKS over nothing varied."""
    return {level: 100 * (at(record, f"{level}/oks/mean") - at(record, "none/oks/mean")) for level in LEVELS}


def _helps(record: Record) -> Found:
    return compare(at(record, "medium/oks/each"), at(record, "none/oks/each"))


def _five(record: Record) -> Found:
    gains = _gains(record)
    shown = ", ".join(f"{level} {gain:+.1f}" for level, gain in gains.items())
    return Found(f"Points of OKS over nothing varied: {shown}.", 3 <= gains["medium"] <= 7)


def _medium(record: Record) -> Found:
    best = max(_gains(record).items(), key=lambda item: item[1])[0]
    return Found(f"The best by OKS is {best}.", best == "medium")


def _cells(sigma: float) -> float:
    """Median number of cells above a tenth, of Gaussians at 256 px that are shrunk to 64 cells."""
    places = np.random.default_rng(0).uniform(80, 170, (200, 1, 2))
    maps = encode_heatmaps(places, np.ones((200, 1)), (256, 256), sigma)[:, 0].numpy()
    shrunk = [cv2.resize(each, (64, 64), interpolation=cv2.INTER_AREA) for each in maps]
    return float(np.median([(each > 0.1).sum() for each in shrunk]))


def _single(_) -> Found:
    narrow, wide = _cells(1.0), _cells(4.0)
    return Found(
        f"Cells above a tenth of the height, the median: {narrow:.0f} with sigma 1, {wide:.0f} with sigma 4.",
        narrow == 1,
    )


def _widened(_) -> Found:
    large = encode_heatmaps([[[127.5, 127.5]]], [[2]], (256, 256), 4.0)[0, 0].numpy()
    shrunk = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA).sum(axis=0)
    spread = float((shrunk * (np.arange(64) - 31.5) ** 2).sum() / shrunk.sum()) ** 0.5
    return Found(f"A sigma of {spread:.2f} cells is left.", abs(spread - 1) < 0.1)


def _cloud(_) -> Found:
    map_ = encode_heatmaps([[[8.0, 8.0]]], [[2]], (17, 17))[0, 0]
    share = float(map_[5:12, 5:12].sum() / map_.sum())
    return Found(f"With sigma 1, 7x7 cells hold {percent(share)}% of it.", share > 0.99)


def _calmer(record: Record) -> Found:
    rough = {name: row["roughness"] for name, row in record.results.items()}
    pairs = [(rough[f"adam {rate}"], rough[f"rmsprop {rate}"]) for rate in _rates(record)]
    calmer = [adam < rmsprop for adam, rmsprop in pairs]
    shown = ", ".join(f"{name} {value:.3f}" for name, value in rough.items())
    return Found(
        f"How far the loss climbs back from epoch to epoch, of its mean: {shown}.",
        True if all(calmer) else None if any(calmer) else False,
    )


def _rates(record: Record) -> list[str]:
    return [name.split()[1] for name in record.results if name.startswith("adam")]


EXPERIMENTS = (
    Claim("4.2, Figures 8 and 10", "Eight stacks take longer in the beginning than four.", _slower, "depth"),
    Claim(
        "4.2, Figures 8 and 10",
        "Eight stacks reach the best OKS of four (at about epoch 70).",
        _reached,
        "depth",
    ),
    Claim("4.2", "Fully trained, eight stacks are expected to be more accurate.", _deeper, "depth"),
    Claim("4.2, Figures 12 to 17", "Eight stacks tell people apart who overlap.", _crowded, "depth"),
    Claim("4.3, Figure 21", "Data augmentation improves results.", _helps, "augmentation-levels"),
    Claim("4.3, Figure 21", "It improves them by about 5%.", _five, "augmentation-levels"),
    Claim("4.4", "ReLU performs poorly.", ahead("linear/pck", "relu/pck"), "activations"),
    Claim(
        "4.4", "Sigmoid is narrowly better than linear.", ahead("sigmoid/pck", "linear/pck"), "activations"
    ),
    Claim("4.5", "Sigma 1 gives heatmap clouds of 7x7.", _cloud),
    Claim(
        "4.5, Figure 18",
        "With sigma 1 at 256 px, shrunk to 64, a heatmap has a single activated pixel.",
        _single,
    ),
    Claim("4.5, Figure 18", "Sigma 1 * 256/64 = 4 accounts for the shrinking.", _widened),
    Claim("4.7, Figure 20", "Adam's loss is more stable than RMSprop's.", _calmer, "optimizers"),
    Claim("4.8", "Of the levels of augmentation, medium is the best.", _medium, "augmentation-levels"),
)
