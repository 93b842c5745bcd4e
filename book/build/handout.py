"""The sample assignment as notebooks: python book/build/handout.py TEACHER.ipynb [--seed N]

book/assignment/from-heatmap-to-score.md holds the whole assignment with its model solution. `make notebooks`
writes the students' notebook beside it, without solutions. This program writes the teacher's: with solutions,
and with checks of another seed that students do not get. It is what nbgrader calls the source version.
"""

import argparse
import re
from pathlib import Path

import jupytext
import nbformat
import notebooks
from nbformat.v4 import new_code_cell, new_markdown_cell
from pybtex.database import parse_file
from readable import Book, Reader

from minipose_book.checks.assignment import ITEMS, WRITTEN

BOOK = Path(__file__).resolve().parents[1]
SOURCE = BOOK / "assignment/from-heatmap-to-score.md"
# nbgrader's own words, so that what it makes of the teacher's notebook is the students' notebook.
CODE, TEXT = "# YOUR CODE HERE\nraise NotImplementedError()", "YOUR ANSWER HERE"


def nbgrader(name: str, points: int | None, solution: bool) -> dict:
    """nbgrader's metadata of a cell (schema version 3): an answer, a check, or both: what a reader marks."""
    graded = {} if points is None else {"points": points}
    return {
        "nbgrader": {
            "schema_version": 3,
            "grade_id": name.replace("_", "-"),
            "grade": points is not None,
            "solution": solution,
            "locked": not solution,
            "task": False,
            **graded,
        }
    }


def without_solution(source: str, stub: str) -> str:
    """What stands between BEGIN SOLUTION and END SOLUTION becomes the stub, as far indented."""

    def replaced(found: re.Match) -> str:
        return "\n".join(found["indent"] + line for line in stub.split("\n"))

    region = r"^(?P<indent>[ \t]*)[^\n]*BEGIN SOLUTION.*?END SOLUTION[^\n]*$"
    return re.sub(region, replaced, source, flags=re.MULTILINE | re.DOTALL)


def check_cell(source: str, seed: int | None):
    """A check with its points; for teachers also with the numbers of their seed."""
    item = next((each for each in ITEMS.values() if each.cell == source.strip()), None)
    if item is None:
        raise ValueError(f"{SOURCE.name}: no such check: {source}")
    if seed is not None:
        hidden = f"assignment.{item.name}.earned({item.asks}, seed={seed})"
        source += f"\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    return new_code_cell(source, metadata=nbgrader(item.name, item.points, solution=False))


def cells(seed: int | None = None) -> list:
    """The assignment's cells: the students', or with a seed the teacher's."""
    reader = Reader(Book(parse_file(BOOK / "references.bib")), SOURCE, None)
    made = []
    for cell in jupytext.read(SOURCE, fmt="md:myst").cells:
        tags = cell.metadata.get("tags", [])
        source = cell.source
        if cell.cell_type == "code" and "check" in tags:
            made.append(check_cell(source, seed))
        elif cell.cell_type == "code" and "answer" in tags:
            name = re.match(r"(?:def|class) (\w+)", source)[1]
            source = source if seed is not None else without_solution(source, CODE)
            made.append(new_code_cell(source, metadata=nbgrader(name, None, solution=True)))
        elif cell.cell_type == "code":
            made.append(new_code_cell(source))
        elif "written" in tags:
            source = source if seed is not None else without_solution(source, TEXT)
            made.append(new_markdown_cell(source, metadata=nbgrader("analysis", WRITTEN, solution=True)))
        else:
            made.append(new_markdown_cell(reader.read(source)))
    return made


def notebook(seed: int | None = None) -> str:
    """The text of the students' notebook, or with a seed the teacher's."""
    return nbformat.writes(notebooks.notebook(cells(seed))) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path, help="the file to write")
    parser.add_argument("--seed", type=int, default=1, help="of the checks that students do not get (1)")
    options = parser.parse_args()
    options.notebook.write_text(notebook(options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
