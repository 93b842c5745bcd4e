"""The ledger and the map as Markdown: a card a row, because a table of sentences is no use on a phone.

The cards' few lines of style are in book/_static/book.css; without it they are plain paragraphs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import groupby

from minipose_book.experiments import records
from minipose_book.figures.moving import PAGES
from minipose_book.papers.claims import FAILS, OPEN, UNMEASURED, VERDICTS, Paper, Place, judge


def ledger(paper: Paper) -> str:
    """Every claim of a paper with its verdict, under the paper's sections."""
    judged = [(n, claim, judge(claim)) for n, claim in enumerate(paper.claims, 1)]
    lines = []
    for section, rows in groupby(judged, key=lambda row: section_of(row[1].where)):
        lines.append(_heading(paper, section))
        for n, claim, found in rows:
            kind = found.verdict.replace(" ", "-")
            lines += [
                f'<div class="paper-card" id="{paper.key}-{n}">',
                f'**Section {claim.where}** <span class="verdict {kind}">{found.verdict}</span>',
                f"*The paper:* {claim.says}",
                found.here if found.verdict == UNMEASURED else f"*Here:* {found.here}",
                *([f"<small>{found.source}</small>"] if found.source else []),
                "</div>",
            ]
    return "\n\n".join(lines)


def summary(paper: Paper) -> str:
    """How many claims got each verdict, and which do not hold or stay open, each with a link to its card."""
    judged = [(n, claim, judge(claim).verdict) for n, claim in enumerate(paper.claims, 1)]
    lines = []
    for verdict in VERDICTS:
        rows = [(n, claim) for n, claim, found in judged if found == verdict]
        lines.append(f"- **{verdict}**: {len(rows)} of {len(judged)}")
        if verdict in (FAILS, OPEN):
            lines += [f"  - {claim.says} [{claim.where}](#{paper.key}-{n})" for n, claim in rows]
    return "\n".join(lines)


def paper_to_code(paper: Paper) -> str:
    """Every place of a paper with code, tests and chapter, under the paper's sections."""
    lines = []
    for section, places in groupby(paper.places, key=lambda place: section_of(place.where)):
        lines.append(_heading(paper, section))
        for place in places:
            lines += [
                '<div class="paper-card">',
                f"**Section {place.where}**: {place.what}",
                f"*Code:*\\\n{_names(name.replace(':', '.') for name in place.code)}",
                f"*Tests:*\\\n{_names(place.tests)}",
                f"*Chapter:* {link(place)}",
                "</div>",
            ]
    return "\n\n".join(lines)


def section_of(where: str) -> str:
    """The section that a row stands under: what is before the first comma."""
    return where.split(",")[0]


def link(place: Place) -> str:
    """The chapter's section: on the built pages its anchor, in Jupyter the chapter's notebook."""
    page = records.folder().parent / f"{place.chapter}.md"
    title = next(line[2:] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    target = (
        f"{place.chapter}.html#{anchor(place.section)}" if os.environ.get(PAGES) else page.stem + ".ipynb"
    )
    return f"[{title}: {place.section}]({target})"


def anchor(heading: str) -> str:
    """A heading's id on the built page, as docutils makes it of plain letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def _heading(paper: Paper, section: str) -> str:
    return f'<h3 id="{paper.key}-section-{anchor(section)}">Section {section}</h3>'


def _names(names: Iterable[str]) -> str:
    return "\\\n".join(f"`{name}`" for name in names)  # each on its own line
