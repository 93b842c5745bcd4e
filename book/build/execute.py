"""Run every page that has cells, several at a time, for the build to set.

python book/build/execute.py [--jobs N]

The outputs go into Jupyter's cache (_build/.jupyter_cache), where `jupyter-book build` finds them. A line is
printed for each page. What a solution defines is forgotten after it: a student's notebook has no
solutions, so no later cell may need one.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebooks import BOOK, hidden_cells, pages

ROOT = BOOK.parent
CACHE = ROOT / "_build/.jupyter_cache"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TIMES = BOOK / "run-times.json"
# In the kernel: keep a copy of all names where no cell sees it, and go back to it.
REMEMBER = '__import__("builtins").before_solution = dict(get_ipython().user_ns)'
FORGET = """(lambda names, kept: (names.clear(), names.update(kept)))(
    get_ipython().user_ns, __import__("builtins").before_solution
)"""


class Client(NotebookClient):
    """Runs a chapter's cells; the names that solutions define last until the next cell that is none."""

    def __init__(self, notebook, hidden: set[int], **options):
        super().__init__(notebook, **options)
        self.hidden = hidden  # indices of the cells that students do not get
        self.remembered = False

    async def async_execute_cell(self, cell, cell_index, *arguments, **options):
        if cell.cell_type == "code" and (cell_index in self.hidden) != self.remembered:
            self.remembered = not self.remembered
            self.kc.execute(REMEMBER if self.remembered else FORGET, silent=True, store_history=False)
        return await super().async_execute_cell(cell, cell_index, *arguments, **options)


def executed(root: Path) -> list[Path]:
    """Pages with cells, in the order of _toc.yml."""
    return [page for page, _ in pages(root) if "{code-cell}" in page.read_text(encoding="utf-8")]


def read(page: Path):
    """The page as MyST-NB reads it, so that the build recognises it in the cache."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    extensions = MdParserConfig(enable_extensions=config["parse"]["myst_enable_extensions"])
    text = page.read_text(encoding="utf-8")
    return read_myst_markdown_notebook(text, config=extensions, add_source_map=True, path=page)


def run(page: Path, threads: int) -> tuple[object, float]:
    """A page's notebook with its outputs, and how long it took in seconds, the kernel's start included.

    threads : of the kernel, where the environment does not say how many.
    """
    notebook = read(page)
    # What moves on a page has no kernel to ask (minipose_book/figures).
    environment = {"OMP_NUM_THREADS": str(threads)} | os.environ | {"MINIPOSE_PAGES": "1"}
    where = {"metadata": {"path": str(page.parent)}}
    quiet = ["--log-level=40"]  # a kernel warns that it is not encrypted; it talks to this process alone
    client = Client(
        notebook, hidden_cells(notebook.cells), timeout=None, resources=where, extra_arguments=quiet,
        record_timing=False,  # the cache would not recognise the cells
    )  # fmt: skip
    started = time.perf_counter()
    client.execute(env=environment)
    return notebook, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=CORES, help=f"pages at a time ({CORES})")
    jobs = parser.parse_args().jobs
    usual = json.loads(TIMES.read_text(encoding="utf-8"))["seconds"] if TIMES.exists() else {}
    # The longest first, or the last page would run alone.
    todo = sorted(executed(ROOT), key=lambda page: -usual.get(page.stem, 0))
    print(f"Running the cells of {len(todo)} pages, {jobs} at a time", flush=True)
    cache = get_cache(str(CACHE))
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run, page, max(1, CORES // jobs)): page for page in todo}
        for count, done in enumerate(as_completed(waiting), 1):
            page = waiting[done]
            try:
                notebook, seconds = done.result()
            except CellExecutionError as error:
                pool.shutdown(cancel_futures=True)
                sys.exit(f"{page.relative_to(ROOT)} failed:\n{error}")
            print(f"  page {count} of {len(todo)}: {page.stem}, {seconds:.0f} s", flush=True)
            bundle = CacheBundleIn(notebook, str(page), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


if __name__ == "__main__":
    main()
