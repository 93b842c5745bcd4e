"""Claims of section 4, and of the conclusion on it: what the network reaches, and what stacking is worth."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from minipose.models.hourglass import StackedHourglass
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, ahead, at, compare, percent
from minipose_book.papers.newell2016.tables import NO_FLIC, NO_MPII, OTHERS, OURS, TABLE_1, TABLE_2, row


def _by_joint(record: Record) -> Found:
    """The best shipped network of a record, joint by joint, left and right averaged."""
    shipped = at(record, "shipped")
    name = max(shipped, key=lambda each: list(shipped[each]["means"].values())[-1])
    found: dict[str, list[float]] = {}
    for joint, value in shipped[name]["per_joint"].items():
        kind = joint.removeprefix("left_").removeprefix("right_").removesuffix("_top")
        if kind in TABLE_2[OURS] and value is not None:
            found.setdefault(kind, []).append(value)
    shown = ", ".join(
        f"{kind} {percent(sum(found[kind]) / len(found[kind]))}" for kind in TABLE_2[OURS] if kind in found
    )
    plan = record.settings.get(name, record.settings)
    return Found(f"{name}, {'PCK@0.2' if plan['data'] == 'lspet' else 'PCKh@0.5'}: {shown}.")


@cache
def _shapes() -> dict[str, StackedHourglass]:
    """Stacksxresidual modules of one capacity, as shapes without memory."""
    with torch.device("meta"):
        return {f"{n}x{8 // n}": StackedHourglass(stacks=n, residuals=8 // n) for n in (1, 2, 4, 8)}


def _equal_capacity(_) -> Found:
    sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in _shapes().items()}
    spread = max(sizes.values()) / min(sizes.values()) - 1
    return Found(
        f"{', '.join(f'{name}: {size / 1e6:.2f} million' for name, size in sizes.items())}; the largest has "
        f"{100 * spread:.1f}% more than the smallest.",
        spread < 0.05,
    )


def _equal_layers(_) -> Found:
    layers = {
        name: sum(isinstance(m, nn.Conv2d) for m in network.modules()) for name, network in _shapes().items()
    }
    spread = max(layers.values()) / min(layers.values()) - 1
    return Found(
        f"Convolutions: {', '.join(f'{name}: {count}' for name, count in layers.items())}; up to "
        f"{100 * spread:.1f}% more, in predictions and merges.",
        spread < 0.1,
    )


def _places(record: Record) -> Found:
    found = at(record, "placements")
    best = max(found, key=lambda name: found[name])
    shown = ", ".join(f'{percent(share)} for "{place}"' for place, share in found.items())
    return Found(
        f"After a third of the training, one seed: {shown}.",
        best == "upsampled 16 and 8",
    )


def _faster(record: Record) -> Found:
    """Accuracy on the watched people, averaged over the whole training: who learns sooner has more."""
    course = {
        name: [_mean(record.curves[f"{name} seed {seed}"]["pck"]) for seed in record.seeds]
        for name in ("HG", "HG-Int", "HG-Stacked", "HG-Stacked-Int")
    }
    both = course.pop("HG-Stacked-Int")
    found = compare(both, [max(each) for each in zip(*course.values(), strict=True)])
    return Found(
        f"Averaged over all epochs, and against the best of the other three: {found.figure}", found.holds
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _difference(better: list[float], worse: list[float]) -> list[float]:
    return [a - b for a, b in zip(better, worse, strict=True)]


def _more_in_a_stack(record: Record) -> Found:
    each = {name: spread["each"] for name, spread in at(record, "final").items()}
    stack = _difference(each["HG-Stacked-Int"], each["HG-Stacked"])
    found = compare(stack, _difference(each["HG-Int"], each["HG"]))
    return Found(f"Points gained in a stack, against in a single hourglass: {found.figure}", found.holds)


def _notable_halfway(record: Record) -> Found:
    gains = {
        when: _difference(at(record, f"{when}/8")["each"], at(record, f"{when}/2")["each"])
        for when in ("halfway", "final")
    }
    found = compare(gains["halfway"], gains["final"])
    return Found(f"Points from 2 to 8 stacks, halfway against at the end: {found.figure}", found.holds)


def _grows_inside(record: Record) -> Found:
    gains = {
        stacks: _difference(at(record, f"final/{stacks}")["each"], at(record, f"halfway/{stacks}")["each"])
        for stacks in ("2", "4", "8")
    }
    every = [gain for each in gains.values() for gain in each]
    shown = ", ".join(f"{stacks} stacks {100 * _mean(each):+.1f}" for stacks, each in gains.items())
    return Found(
        f"{shown} points on average, from {100 * min(every):+.1f} to {100 * max(every):+.1f} by seed.",
        True if min(every) > 0 else False if max(every) < 0 else None,
    )


def _table(number: int, table: dict[str, dict[str, float]], unlike: str) -> tuple[Claim, ...]:
    where = f"4.1, Table {number}"
    others = [Claim(where, f"{who}: {row(table, who)}.", because=OTHERS) for who in table if who != OURS]
    says = f"The paper's network: {row(table, OURS)}."
    last = (
        Claim(where, says, _by_joint, "reference", because=unlike)
        if "total" in table[OURS]
        else Claim(where, says, because=unlike)
    )
    return (*others, last)


RESULTS = (
    Claim("4.1, Figure 6", "Curves of PCK on FLIC above those of all others.", because=NO_FLIC),
    *_table(1, TABLE_1, NO_FLIC),
    Claim("4.1, Figure 5", "Poses on MPII's test set, as examples.", because=NO_MPII),
    Claim("4.1, Figure 7", "Curves of PCKh on MPII above those of all others.", because=NO_MPII),
    *_table(2, TABLE_2, "it is another network on other people"),
    Claim(
        "4.1",
        "On wrists, elbows, knees and ankles 3.5 points better than the best before: an error of 12.8 down "
        "from 16.3.",
        because=NO_MPII,
    ),
    Claim(
        "4.2",
        "1, 2, 4 and 8 hourglasses of one capacity have nearly the same number of parameters.",
        _equal_capacity,
    ),
    Claim(
        "4.2", "They have the same number of layers too, but for the intermediate predictions.", _equal_layers
    ),
    Claim(
        "4.2, Figure 8",
        "Two hourglasses do a little better than one of the same size.",
        ahead("final/HG-Stacked", "final/HG"),
        "stacking",
    ),
    Claim(
        "4.2, Figure 8",
        "Intermediate supervision helps a single hourglass.",
        ahead("final/HG-Int", "final/HG"),
        "stacking",
    ),
    Claim(
        "4.2, Figure 8",
        "A single hourglass is best supervised after upsampling, at the two resolutions below the output.",
        _places,
        "stacking",
        scale="cpu",
    ),
    Claim(
        "4.2, Figure 8",
        "Intermediate supervision helps a stack of two.",
        ahead("final/HG-Stacked-Int", "final/HG-Stacked"),
        "stacking",
    ),
    Claim(
        "4.2, Figure 8",
        "A stack with intermediate supervision ends above a single hourglass with it.",
        ahead("final/HG-Stacked-Int", "final/HG-Int"),
        "stacking",
    ),
    Claim("4.2, Figure 8", "Stacking and supervision together speed up the training.", _faster, "stacking"),
    Claim(
        "4.2, Figure 9",
        "At the end 4 stacks beat 2: 87.8 against 87.4.",
        ahead("final/4", "final/2"),
        "stages",
    ),
    Claim(
        "4.2, Figure 9",
        "At the end 8 stacks beat 4: 88.1 against 87.8.",
        ahead("final/8", "final/4"),
        "stages",
    ),
    Claim(
        "4.2, Figure 9",
        "Halfway 4 stacks beat 2: 86.5 against 84.6.",
        ahead("halfway/4", "halfway/2"),
        "stages",
    ),
    Claim(
        "4.2, Figure 9",
        "Halfway 8 stacks beat 4: 87.1 against 86.5.",
        ahead("halfway/8", "halfway/4"),
        "stages",
    ),
    Claim("4.2, Figure 9", "More stacks gain more halfway than at the end.", _notable_halfway, "stages"),
    Claim(
        "4.2, Figure 9",
        "8 stacks halfway stay below 2 stacks at the end: 87.1 against 87.4.",
        ahead("final/2", "halfway/8"),
        "stages",
    ),
    Claim(
        "4.2, Figure 9",
        "The second half of a network improves what the first half found, by 2.8, 1.3 and 1.0 points.",
        _grows_inside,
        "stages",
    ),
)

CONCLUSION = (
    Claim(
        "6",
        "Intermediate supervision works best in a stack.",
        _more_in_a_stack,
        "stacking",
    ),
)
