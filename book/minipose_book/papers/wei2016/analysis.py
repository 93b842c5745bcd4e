"""Claims of section 4.1: gradients, ways to train, and stages."""

from __future__ import annotations

from itertools import pairwise

from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, Look, at, compare, percent
from minipose_book.papers.wei2016.network import machine

NO_FORESTS = (
    "the older machine's random forests and hand-made features are not built here, and LSP's own "
    "photographs were not at hand"
)
# Points that two results may differ by and still be called close.
CLOSE = 0.02


def _ratio(record: Record, losses: str, epochs: int) -> float:
    return at(record, "machine's first to last stage")[f"{losses}, {epochs} epochs"]


def _vanish(record: Record) -> Found:
    last, every = (_ratio(record, losses, 0) for losses in ("last", "all"))
    return Found(
        f"Before training stage 1 gets {last:.2g} of the last stage's mean gradient with the last loss, "
        f"{every:.2g} with all.",
        last < 0.1 * every,
    )


def _stay_small(record: Record) -> Found:
    epochs = record.settings["epochs"]
    last, every = (_ratio(record, losses, epochs) for losses in ("last", "all"))
    return Found(
        f"After {epochs} epochs stage 1 gets {last:.2g} of the last stage's with the last loss, "
        f"{every:.2g} with all.",
        last < 0.1 * every,
    )


def _joint_against(*others: str) -> Look:
    def look(record: Record) -> Found:
        final = at(record, "final")
        found = compare([final["joint"]], [max(final[name] for name in others)])
        return Found(found.figure, found.holds)

    return look


def _catches_up(record: Record) -> Found:
    final = at(record, "final")
    joint, tuned, wise = (final[n] for n in ("joint", "stage-wise, then joint", "stage-wise"))
    return Found(
        f"Joint {percent(joint)}, stage-wise {percent(wise)}, and then joint {percent(tuned)}.",
        wise < tuned and abs(joint - tuned) < CLOSE,
    )


def _by_count(record: Record) -> list[float]:
    return [
        stages[-1] for _count, stages in sorted(at(record, "by_stage").items(), key=lambda row: int(row[0]))
    ]


def _monotone(record: Record) -> Found:
    final = _by_count(record)
    shown = ", ".join(f"{n} {percent(value)}" for n, value in enumerate(final, 1))
    rising = all(a < b for a, b in pairwise(final[:5]))
    # One seed a machine: a line that rises from 1 to 5 and not at every step decides nothing.
    return Found(
        f"By number of stages: {shown}.", True if rising else False if final[4] <= final[0] else None
    )


def _diminishing(record: Record) -> Found:
    final = _by_count(record)
    mean, last = (final[4] - final[0]) / 4, final[5] - final[4]
    return Found(
        f"The sixth adds {100 * last:+.1f} points; those from the second to the fifth add "
        f"{100 * mean:+.1f} each on average.",
        last < mean,
    )


def _six(_) -> Found:
    return Found(f"{len(machine().strides)} is the default.", len(machine().strides) == 6)


ANALYSIS = (
    Claim(
        "4.1, Figure 5",
        "In early epochs, without intermediate supervision, gradients near the input are tightly around 0.",
        _vanish,
        "gradients",
    ),
    Claim(
        "4.1, Figure 5",
        "At later epochs they stay there, while with intermediate supervision all layers learn.",
        _stay_small,
        "gradients",
    ),
    Claim(
        "4.1, Figure 6a", "On LSP 42.4 points better than the older pose machine, PCK@0.1.",
        because=NO_FORESTS,
    ),
    Claim(
        "4.1, Figure 6a", "On LSP 30.9 points better than the older pose machine, PCK@0.2.",
        because=NO_FORESTS,
    ),
    Claim(
        "4.1, Figure 6b",
        "Joint training with intermediate supervision is better than all other ways.",
        _joint_against("stage-wise", "stage-wise, then joint", "joint, last loss only"),
        "cpm-training",
    ),
    Claim(
        "4.1, Figure 6b",
        "Joint training is better than one stage after the other, which saturates.",
        _joint_against("stage-wise"),
        "cpm-training",
    ),
    Claim(
        "4.1, Figure 6b",
        "Stage after stage and then jointly comes close to joint training, with more steps.",
        _catches_up,
        "cpm-training",
    ),
    Claim(
        "4.1, Figure 6b",
        "Joint training is better with intermediate supervision than without.",
        _joint_against("joint, last loss only"),
        "cpm-training",
    ),
    Claim("4.1, Figure 6c", "Accuracy rises monotonically up to 5 stages.", _monotone, "cpm-stages"),
    Claim("4.1, Figure 6c", "Returns diminish at the sixth stage.", _diminishing, "cpm-stages"),
    Claim("4.1, Figure 6c", "Six stages are chosen for the best results.", _six),
)  # fmt: skip
