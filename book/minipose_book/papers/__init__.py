"""What papers say, and where it is here: the book's claims ledger and its paper-to-code map.

A paper is one module or folder with a `Paper`, under its key of book/references.bib; `PAPERS` lists them.
`ledger` and `paper_to_code` write the two pages' cards. Both need the repository: the records, the chapters.
"""

from __future__ import annotations

from minipose_book.papers.bulat2016 import BULAT_2016
from minipose_book.papers.cards import ledger, paper_to_code, summary
from minipose_book.papers.claims import Claim, Found, Paper, Place, judge
from minipose_book.papers.lee2020 import LEE_2020
from minipose_book.papers.newell2016 import NEWELL_2016
from minipose_book.papers.wei2016 import WEI_2016

PAPERS: dict[str, Paper] = {paper.key: paper for paper in (NEWELL_2016, WEI_2016, BULAT_2016, LEE_2020)}

__all__ = ["PAPERS", "Claim", "Found", "Paper", "Place", "judge", "ledger", "paper_to_code", "summary"]
