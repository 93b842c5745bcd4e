"""Claims of section 4: what the networks reach on MPII and LSP."""

from __future__ import annotations

from minipose_book.papers.bulat2016.tables import OVERALL, TABLE_5, TABLE_6, TABLE_7
from minipose_book.papers.claims import Claim
from minipose_book.papers.newell2016.tables import NO_MPII, OTHERS, row

NO_LSP = "LSP's own photographs were not at hand"


def _table(number: int, table: dict[str, dict[str, float]], because: str) -> tuple[Claim, ...]:
    own = {*OVERALL.values(), *TABLE_5}
    where = f"{'4.2' if number == 5 else '4.3'}, Table {number}"
    return tuple(
        Claim(where, f"{who}: {row(table, who)}.", because=because if who in own else OTHERS) for who in table
    )


RESULTS = (
    *_table(5, TABLE_5, NO_MPII),
    *_table(6, TABLE_6, NO_MPII),
    *_table(7, TABLE_7, NO_LSP),
    Claim("4.3, Figure 7", "Poses on MPII and LSP, as examples.", because=NO_MPII),
)
