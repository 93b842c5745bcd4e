"""Time every page of the book that has cells, and write book/run-times.json.

python book/build/times.py [PAGE ...]

With names of pages (crops, heatmaps, ...) only these are timed, and the others keep their times.
Each page runs as the book's build runs it, but one after the other; its kernel's start is included. Give the
machine nothing else to do meanwhile.
"""

import json
import os
import sys
from datetime import date

from execute import CORES, TIMES, executed, run
from notebooks import BOOK

from minipose.inference import choose_device
from minipose.io.checkpoints import atomic
from minipose_book.experiments import records


def main() -> None:
    names = sys.argv[1:]
    measured = json.loads(TIMES.read_text(encoding="utf-8"))["seconds"] if names else {}
    for page in executed(BOOK.parent):
        if names and page.stem not in names:
            continue
        measured[page.stem] = round(run(page, CORES)[1], 1)
        print(f"{page.stem:<24}{measured[page.stem]:6.1f} s", flush=True)
    record = {
        "device": records.describe(choose_device()),
        "cores": os.cpu_count(),
        "versions": records.versions(),
        "date": date.today().isoformat(),
        "seconds": {page.stem: measured[page.stem] for page in executed(BOOK.parent)},
    }
    with atomic(TIMES) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {TIMES}")


if __name__ == "__main__":
    main()
