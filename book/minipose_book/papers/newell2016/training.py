"""Claims of section 3.4: the data, the training, and how the network is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from minipose import augmentation, training
from minipose.heatmaps import decode_heatmaps, encode_heatmaps
from minipose.models.hourglass import StackedHourglass
from minipose.optimization import LRSchedule
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, at, percent
from minipose_book.papers.newell2016.tables import NO_FLIC


def default(name: str, function: Callable[..., Any] = training.train) -> Any:
    """What an argument is if nobody names another value."""
    return inspect.signature(function).parameters[name].default


def _labels(record: Record) -> Found:
    people = [at(record, f"{split}/people") for split in ("train", "validation")]
    photos = sum(at(record, f"{split}/photos") for split in ("train", "validation"))
    return Found(
        f"The list with the usual split has {sum(people):,} people to train and validate on, in {photos:,} "
        "photographs."
    )


def _held_out(record: Record) -> Found:
    people = at(record, "validation/people")
    return Found(f"{people:,} people in the usual split.", round(people, -3) == 3000)


def _size(_) -> Found:
    return Found(f"{default('size')} px is the default.", default("size") == 256)


def _recipe(record: Record) -> Found:
    draws = [augmentation.draw("paper", 0, 0, number) for number in range(2000)]
    angles, scales = ([getattr(each, name) for each in draws] for name in ("angle", "scale"))
    gain = at(record, "paper/unseen/mean") - at(record, "none/unseen/mean")
    return Found(
        f'2,000 draws of the recipe "paper" turn by {min(angles):.0f}° to {max(angles):+.0f}° and scale by '
        f"{min(scales):.2f} to {max(scales):.2f}. On few people it was worth {100 * gain:+.1f} points.",
        max(map(abs, angles)) <= 30 and min(scales) >= 0.75 and max(scales) <= 1.25,
    )


def _optimizer(_) -> Found:
    name, rate = default("optimizer"), default("learning_rate")
    return Found(f"{name} and {rate:g} are the defaults.", (name, rate) == ("rmsprop", 2.5e-4))


def _days(record: Record) -> Found:
    hours = {name: each["training_seconds"] / 3600 for name, each in at(record, "shipped").items()}
    longest = max(hours, key=lambda name: hours[name])
    return Found(f"{longest}, the longest of those that we ship, took {hours[longest]:.1f} hours.")


def _drop(_) -> Found:
    rate = LRSchedule("plateau", 1.0, 100, 5)
    learned = [{"loss": 1.0, "pck": 0.1 * n} for n in range(5)]
    stuck = [{"loss": 1.0, "pck": 0.0}] * 20
    # Learns, rests, learns again, rests again.
    rates = [rate.at(0, history) for history in (learned, learned + stuck, (learned + stuck) * 2)]
    return Found(f"Rates before, after and after a second rest: {rates}.", rates == [1.0, 0.2, 0.2])


def _forward(record: Record) -> Found:
    rows = [row for row in at(record, "table/8 stacks").values() if "forward" in row]
    took = min(rows, key=lambda row: row["batch"])
    return Found(
        f"{took['forward']['ms'] / took['batch']:.0f} ms a picture, 8 stacks of "
        f"{record.settings['features']} features, {took['batch']} at a time."
    )


def _flip(record: Record) -> dict[str, float]:
    """Gain at the usual threshold, and its standard error."""
    return list(at(record, "quarter/heatmaps/gain").values())[-1]


def _flip_helps(record: Record) -> Found:
    gain = _flip(record)
    low, high = gain["mean"] - 2 * gain["error"], gain["mean"] + 2 * gain["error"]
    return Found(
        f"{100 * gain['mean']:+.2f} points, standard error {100 * gain['error']:.2f}.",
        True if low > 0 else False if high < 0 else None,
    )


def _flip_is_worth_one(record: Record) -> Found:
    gain = _flip(record)
    low, high = 100 * (gain["mean"] - 2 * gain["error"]), 100 * (gain["mean"] + 2 * gain["error"])
    return Found(
        f"Between {low:+.2f} and {high:+.2f} points, by two standard errors.", low < 1.5 and high > 0.5
    )


def _highest(_) -> Found:
    heatmap = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    (x, y), _score = decode_heatmaps(heatmap, "argmax")
    return Found(
        "On a map of noise the location found is that of its highest cell.",
        bool(heatmap[int(y), int(x)] == heatmap.max()),
    )


def _sigma(record: Record) -> Found:
    width = default("sigma", StackedHourglass)
    map_ = encode_heatmaps([[[8.0, 8.0]]], [[2]], (17, 17))[0, 0]
    spread = float((map_.sum(dim=0) * (torch.arange(17) - 8.0) ** 2).sum() / map_.sum()) ** 0.5
    best = list(record.results["best"].values())[-1]
    return Found(
        f"{width:g} cell by default, and {spread:.2f} measured on a map that it draws. Of the widths that "
        f"were tried, {best:g} did best at the usual threshold.",
        width == 1 and abs(spread - 1) < 0.01,
    )


def _quarter(record: Record) -> Found:
    fine = next(iter(at(record, "pck/quarter")))
    plain, moved = at(record, f"pck/argmax/{fine}"), at(record, f"pck/quarter/{fine}")
    return Found(
        f"At {fine} of the {record.settings['normalizer']}: {percent(moved)} with it, {percent(plain)} "
        "without.",
        moved > plain,
    )


def _zeros(_) -> Found:
    highest = float(encode_heatmaps([[[8.0, 8.0]]], [[0]], (17, 17)).max())
    return Found(f"The highest cell of such a target is {highest:g}.", highest == 0)


TRAINING = (
    Claim("3.4", "FLIC has 5003 images, 3987 to train on and 1016 to test on.", because=NO_FLIC),
    Claim(
        "3.4",
        "MPII has about 25k images and 40k people with labels, 28k to train on and 11k to test on.",
        _labels,
        "labels",
        because="that list leaves out the test people, and people without labelled joints",
    ),
    Claim("3.4", "About 3000 people are held out to validate on.", _held_out, "labels"),
    Claim("3.4", "All pictures are resized to 256x256.", _size),
    Claim("3.4", "Augmentation turns by up to ±30° and scales by .75 to 1.25.", _recipe, "augmentation"),
    Claim("3.4", "RMSprop with a learning rate of 2.5e-4.", _optimizer),
    Claim(
        "3.4",
        "Training takes about 3 days on a TitanX with 12 GB.",
        _days,
        "reference",
        because="ours are other networks on other data and another device",
    ),
    Claim("3.4", "The learning rate drops once, by a factor of 5, when accuracy has stopped rising.", _drop),
    Claim(
        "3.4",
        "A forward pass takes 75 ms.",
        _forward,
        "speed",
        because="the paper's time is that of its own device and its full network",
    ),
    Claim("3.4", "Averaging with the mirrored picture helps.", _flip_helps, "flip"),
    Claim(
        "3.4", "Averaging with the mirrored picture is worth 1 point on average.", _flip_is_worth_one, "flip"
    ),
    Claim("3.4, Figure 2", "The prediction is the location of a heatmap's maximum.", _highest),
    Claim("3.4", "The target is a Gaussian with a standard deviation of 1 px.", _sigma, "sigma"),
    Claim(
        "3.4",
        "An offset of a quarter of a pixel toward the next highest neighbour helps at high precision.",
        _quarter,
        "decoding",
    ),
    Claim("3.4", "A joint without a label has a target of all zeros.", _zeros),
)
