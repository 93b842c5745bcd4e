"""Write the student notebook of every chapter that has code, beside it: python book/build/notebooks.py.

A student notebook is the chapter without solutions and outputs, readable where MyST is not (Colab,
JupyterLab without extensions). `make notebooks` writes them, and the sample assignment's (handout.py); a test
compares them with what is committed.
"""

import hashlib
import itertools
import re
import sys
from pathlib import Path

import jupytext
import nbformat
import yaml
from citations import AuthorYear
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.database import parse_file
from readable import Book, NotReadable, Reader

BOOK = Path(__file__).resolve().parents[1]
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
# The sources know no address, so Colab is asked which file it has open; should it not tell, the reader is.
INSTALL = """
# Google Colab only: fetch the repository of this notebook, and install minipose from it.
import os, re, subprocess, sys, urllib.parse, urllib.request

if "google.colab" in sys.modules:
    if not os.path.isdir("/content/repository"):
        try:
            sessions = "http://{COLAB_JUPYTER_IP}:{KMP_TARGET_PORT}/api/sessions".format(**os.environ)
            opened = urllib.parse.unquote(urllib.request.urlopen(sessions, timeout=10).read().decode())
        except (KeyError, OSError):
            opened = ""
        found = re.search(r"https://github\\.com/[\\w.-]+/[\\w.-]+", opened)
        address = found[0] if found else input("Address of the repository that this notebook is from: ")
        subprocess.run(["git", "clone", "--depth", "1", address, "/content/repository"], check=True)
        install = ["pip", "install", "--quiet", "--editable", "/content/repository"]
        subprocess.run([sys.executable, "-m", *install], check=True)
    # An editable install is seen from the next start on.
    sys.path[:0] = ["/content/repository", "/content/repository/book"]
    os.chdir("/content/repository/book")
""".strip()


def pages(root: Path) -> list[tuple[Path, int | None]]:
    """Every page in the order of _toc.yml, with its chapter number where its part is numbered."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    found: list[tuple[Path, int | None]] = [(root / f"{toc['root']}.md", None)]
    numbers = itertools.count(1)
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            found.append((root / f"{chapter['file']}.md", next(numbers) if part.get("numbered") else None))
    return found


def is_solution(cell) -> bool:
    return "solution" in cell.metadata.get("tags", [])


def hidden_cells(cells: list) -> set[int]:
    """Indices of the code cells that students do not get: solutions by their tag, or between the marks."""
    found, inside = set(), False
    for index, cell in enumerate(cells):
        if cell.cell_type != "code":
            marks = re.findall(r"^(?:`{3,}|:{3,})\{solution-(start|end)\}", cell.source, flags=re.MULTILINE)
            inside = marks[-1] == "start" if marks else inside
        elif inside or is_solution(cell):
            found.add(index)
    return found


def student_cells(page: Path, chapter: int | None, book: Book) -> list:
    """The chapter's cells in plain Markdown, without solutions."""
    reader = Reader(book, page, chapter)
    cells = []
    hidden = False  # between {solution-start} and {solution-end}
    for cell in jupytext.read(page, fmt="md:myst").cells:
        if cell.cell_type == "code":
            shown = not hidden and not is_solution(cell)
            tags = [tag for tag in cell.metadata.get("tags", []) if tag == "raises-exception"]
            code = new_code_cell(cell.source, metadata={"tags": tags} if tags else {})
            # What is left out is read all the same: it may hold a figure that the page counts.
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            texts = [reader.caption("figure", figure.get("name"), figure["caption"])] if figure else []
            cells += [code, *map(new_markdown_cell, texts)] if shown else []
            continue
        for part in re.split(r"^(`{3,}|:{3,})\{(solution-start|solution-end)\}[^\n]*\n(?:.*\n)*?\1\s*$",
                             cell.source, flags=re.MULTILINE):  # fmt: skip
            if part in ("solution-start", "solution-end"):
                hidden = part == "solution-start"
            elif not re.fullmatch(r"`{3,}|:{3,}", part):
                text = reader.read(part)
                cells += [new_markdown_cell(text)] if text and not hidden else []
    entries = [book.bibliography.entries[key] for key in sorted(reader.cited)]
    if entries:
        works = [entry.text.render_as("markdown") for entry in AuthorYear().format_entries(entries)]
        lines = [f"- {' '.join(work.split())}" for work in works]
        cells.append(new_markdown_cell("\n".join(["## References", "", *lines])))
    return cells


def notebook(cells: list):
    """Cells with the install cell before them, and ids that change only with their text."""
    cells = [new_code_cell(INSTALL), *cells]
    taken: set[str] = set()
    for cell in cells:
        copies = (hashlib.sha256(f"{cell.source}{n}".encode()).hexdigest()[:12] for n in itertools.count())
        cell.id = next(name for name in copies if name not in taken)
        taken.add(cell.id)
    return new_notebook(cells=cells, metadata=KERNEL)


def build(root: Path) -> dict[Path, str]:
    """Path and text of every student notebook of the book at `root`."""
    book = Book(parse_file(root / "book/references.bib"))
    listed = pages(root)
    executed = [page for page, _ in listed if "{code-cell}" in page.read_text(encoding="utf-8")]
    book.notebooks = {page.stem for page in executed}
    for page, chapter in listed:
        student_cells(page, chapter, book)
    book.first_reading = False
    book.unnumbered.clear()
    written = {}
    for page, chapter in listed:
        cells = student_cells(page, chapter, book)
        if page in executed:
            written[page.with_suffix(".ipynb")] = nbformat.writes(notebook(cells)) + "\n"
    return written


def main() -> None:
    import handout  # which is made with what stands above

    try:
        notebooks = build(BOOK.parent) | {handout.SOURCE.with_suffix(".ipynb"): handout.notebook()}
    except NotReadable as error:
        sys.exit(str(error))
    for path, text in notebooks.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print("wrote", path.relative_to(BOOK.parent))


if __name__ == "__main__":
    main()
