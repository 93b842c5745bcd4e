"""Time every page of the book that has cells, and write book/run-times.json.

python book/build/times.py [PAGE ...]

With names of pages (crops, heatmaps, ...) only these are timed, and the others keep their times.
Each page runs as the book's build runs it, one after the other, its kernel's start included. Give the
machine nothing else to do meanwhile.
"""

import json
import os
import sys
import time
from datetime import date
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from notebooks import BOOK, pages

from minipose.inference import choose_device
from minipose.io.checkpoints import atomic
from minipose_book.experiments import records

FILE = BOOK / "run-times.json"


def executed(root: Path) -> list[Path]:
    """Pages with cells, in the order of _toc.yml."""
    return [page for page, _ in pages(root) if "{code-cell}" in page.read_text(encoding="utf-8")]


def seconds(page: Path) -> float:
    """How long all cells of a page take, in the page's own folder, as in the build."""
    notebook = jupytext.read(page, fmt="md:myst")
    started = time.perf_counter()
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(page.parent)}}).execute()
    return round(time.perf_counter() - started, 1)


def main() -> None:
    os.environ["MINIPOSE_PAGES"] = "1"  # as book/build/pages.py sets it
    names = sys.argv[1:]
    measured = json.loads(FILE.read_text(encoding="utf-8"))["seconds"] if names else {}
    for page in executed(BOOK.parent):
        if names and page.stem not in names:
            continue
        measured[page.stem] = seconds(page)
        print(f"{page.stem:<24}{measured[page.stem]:6.1f} s", flush=True)
    record = {
        "device": records.describe(choose_device()),
        "cores": os.cpu_count(),
        "versions": records.versions(),
        "date": date.today().isoformat(),
        "seconds": {page.stem: measured[page.stem] for page in executed(BOOK.parent)},
    }
    with atomic(FILE) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
