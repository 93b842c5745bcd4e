"""What a row of the ledger and of the map is, and how a claim is judged by a record.

A verdict is worked out whenever it is shown: nobody types one beside a figure that may change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minipose_book.experiments import records

HOLDS, FAILS, OPEN = "holds", "does not hold here", "open"
APART, UNMEASURED = "not comparable", "not measured"
VERDICTS = (HOLDS, FAILS, OPEN, APART, UNMEASURED)


@dataclass(frozen=True)
class Found:
    """What we have of a claim: our figure in words, and whether the claim holds (None: it stays open)."""

    figure: str
    holds: bool | None = None


Look = Callable[[Any], Found]


@dataclass(frozen=True)
class Claim:
    """One quantitative claim of a paper.

    where : section first, then figure or table, such as "4.2, Figure 8". says : what the paper says, in our
    words with its figure. look : finds ours in the record, or, without `record`, in the code (it is then
    given None). record : name of the experiment. scale : of the record; None takes the GPU's where there
    is one. because : why nothing was measured; with a `look`, why the two figures cannot be compared.
    """

    where: str
    says: str
    look: Look | None = None
    record: str = ""
    scale: str | None = None
    because: str = ""


@dataclass(frozen=True)
class Place:
    """Where something of a paper is: `where` there, and here its code, its tests and its chapter.

    code : "module:name". tests : "file::name" in tests/. chapter : a page of the book. section : a heading
    of that page.
    """

    where: str
    what: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    chapter: str
    section: str


@dataclass(frozen=True)
class Paper:
    """A paper under its key of book/references.bib, its claims and places in the paper's order."""

    key: str
    claims: tuple[Claim, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Judgement:
    """A claim's verdict (of `VERDICTS`), our figure or the reason, and where it was measured."""

    verdict: str
    here: str
    source: str


def judge(claim: Claim) -> Judgement:
    """Look where a claim says, and word what is found."""
    if claim.look is None:
        return Judgement(UNMEASURED, f"Not measured, because {claim.because}.", "")
    record = records.read(claim.record, claim.scale) if claim.record else None
    found = claim.look(record)
    if claim.because:
        verdict, here = APART, f"{found.figure} Not comparable, because {claim.because}."
    else:
        verdict = {True: HOLDS, False: FAILS, None: OPEN}[found.holds]
        here = found.figure
    return Judgement(verdict, here, origin(record) if record else "Read from the code when this was built.")


def origin(record: records.Record) -> str:
    """Record, data, device and date, for the small print."""
    what = [str(record.settings["data"])] if "data" in record.settings else []
    what += [f"{record.settings['size']} px"] if "size" in record.settings else []
    about = f"{', '.join(what)}; " if what else ""
    return f'Record "{record.name}", {record.scale} scale: {about}{record.where}.'


def at(record: records.Record, path: str) -> Any:
    """What lies in a record's results at a path such as "final/HG"; a number there counts a list."""
    value = record.results
    for step in path.split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def percent(share: float) -> str:
    """0.8746 -> "87.5"."""
    return f"{100 * share:.1f}"


def compare(better: list[float], worse: list[float]) -> Found:
    """Is `better` ahead, seed by seed? Both are in the seeds' order; it stays open unless all seeds agree."""
    gaps = [a - b for a, b in zip(better, worse, strict=True)]
    holds = True if min(gaps) > 0 else False if max(gaps) < 0 else None
    means = " against ".join(percent(sum(each) / len(each)) for each in (better, worse))
    if len(gaps) == 1:
        return Found(f"{means}, a difference of {100 * gaps[0]:+.1f} points with the one seed.", holds)
    shown = ", ".join(f"{100 * gap:+.1f}" for gap in gaps)
    return Found(f"{means} on average; the differences by seed are {shown} points.", holds)


def ahead(better: str, worse: str) -> Look:
    """Is one result of a record, by its path, ahead of another? Each holds its seeds under "each"."""
    return lambda record: compare(at(record, better)["each"], at(record, worse)["each"])
