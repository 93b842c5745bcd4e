"""Student notebooks: what is committed is the chapters, readable, without solutions, and it runs."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import execute
import jupytext
import nbformat
import notebooks
import pytest
from books import ROOT, built, serve
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from pybtex.database import parse_file
from readable import Book, NotReadable, Reader

COMMITTED = sorted((ROOT / "book").glob("*.ipynb"))
MYST = re.compile(r"^[\s>]*(`{3,}|:{3,})\{|\{[\w:.-]+\}`[^`]|^\([\w-]+\)=|^\+\+\+|\]\(#", re.MULTILINE)


def shown(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_committed_notebooks_are_the_chapters():
    current = notebooks.build(ROOT)
    assert sorted(current) == COMMITTED, "run make notebooks"
    stale = [path.name for path in COMMITTED if path.read_text(encoding="utf-8") != current[path]]
    assert not stale, "run make notebooks"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_plain(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source == notebooks.INSTALL
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    prose = re.sub(r"^[> ]*```.*?^[> ]*```|`[^`\n]*`", "", shown(path), flags=re.MULTILINE | re.DOTALL)
    assert not MYST.findall(prose)


def code(path: Path) -> list[str]:
    book = jupytext.read(path, fmt="md:myst" if path.suffix == ".md" else "ipynb")
    return [
        cell.source for cell in book.cells if cell.cell_type == "code" and cell.source != notebooks.INSTALL
    ]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_has_the_code_of_its_chapter(path):
    whole = iter(code(path.with_suffix(".md")))
    assert all(cell in whole for cell in code(path)), "in the same order, and no more"


# The book's build runs every chapter, and forgets what a solution defined before the next cell of students
# (book/build/execute.py). So a notebook, whose cells are the chapter's without solutions,
# runs too; one is tried.
def test_a_notebook_runs(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    path = min(COMMITTED, key=lambda path: path.stat().st_size)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}).execute()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_hidden_cells_are_those_that_a_notebook_lacks(path):
    cells = execute.read(path.with_suffix(".md")).cells
    hidden = notebooks.hidden_cells(cells)
    kept = [c.source for n, c in enumerate(cells) if c.cell_type == "code" and n not in hidden]
    assert kept == code(path)


PAGE = """---
kernelspec: {name: python3, display_name: Python 3}
jupytext: {text_representation: {format_name: myst}}
---

```{code-cell}
known, line = 1, [1]
```

````{solution-start} x
````

```{code-cell}
answer, known = 42, 2
```

```{code-cell}
answer + known
```

````{solution-end}
````

```{code-cell}
CELL
```
"""


@pytest.mark.parametrize("cell, whole", [("assert known == 1 and line == [1]", True), ("answer", False)])
def test_the_build_forgets_what_a_solution_defined(tmp_path, cell, whole):
    (tmp_path / "page.md").write_text(PAGE.replace("CELL", cell))
    if whole:
        notebook, _ = execute.run(tmp_path / "page.md", 1)
        outputs = [each.outputs for each in notebook.cells if each.cell_type == "code"]
        assert outputs[2][0]["data"]["text/plain"] == "44"
    else:
        with pytest.raises(CellExecutionError, match="name 'answer' is not defined"):
            execute.run(tmp_path / "page.md", 1)


def test_every_piece_has_a_plain_form(sample_book):
    pieces = sample_book.parent.parent / "book" / "pieces.ipynb"
    text = shown(pieces)
    for expected in (
        "follows [The first chapter](first.ipynb), its section A section with a label, and Fig. 1.1",
        "that of\nNewell et al. [2016]; others came before [Tompson et al., 2014; Toshev and Szegedy, 2014].",
        "Code stays code: `{numref}`.",
        "> **In this chapter**\n>\n> A list in a box, with a formula, $\\sigma = 1$:\n>\n> - one\n> - two\n",
        "> ```python\n> x = 1\n> ```",
        "> A short note with $x^2$ and a named section.",
        "A loss, (2.1), and a wide one, (2.2):\n\n$$\nL = ",
        "\\rVert^2\n\\tag{2.1}\n$$\n\n$$\na_1 + ",
        "nor is\n\n$$ a^2 + b^2 = c^2 $$\n",
        "![Four painted figures with skeletons drawn over them.](_static/puppets.png)\n\n**Fig. 2.1** Four",
        "**Fig. 2.2** A second line, see (2.1).",
        "Figure 2.1 and Fig. 2.2 are on this page, Table 2.1 is below.\n\n**Table 2.1** A wide table\n\n|",
        "**Listing 2.1** The forward pass of a residual module.\n\n```python\n    def forward(self, x",
        "```bash\nminipose train",
        "> **CPU**\n>\n> Four minutes.",
        "> **Algorithm 2.1: Decode**\n>\n> Take the brightest cell.\n\nSee Algorithm 2.1.",
        "> **Exercise 2.1: Add**\n>\n> How much",
        "**Exercise 2.2: Draw**\n\nDraw a line, as in Exercise 2.1.",
        "A remark at the side.\n\n**heatmap**\\\nA grey picture of the place of one joint, ",
        "as in A section with a label.\n\nA heatmap, or several maps.\n\nThe end.",
        "## References\n\n- Alejandro Newell, Kaiyu Yang, and Jia Deng",
    ):
        assert expected in text
    assert "comment" not in text
    assert "secret" not in pieces.read_text(encoding="utf-8")
    kept = {cell.source[:10]: cell.metadata for cell in nbformat.read(pieces, as_version=4).cells}
    assert kept["line = ..."] == {"tags": ["raises-exception"]}
    assert kept["import mat"] == {}


def test_what_has_no_plain_form_is_refused():
    reader = Reader(Book(parse_file(ROOT / "book/references.bib"), first_reading=False), Path("x.md"), 1)
    for text in (
        "{raw}`x`",
        "```{mermaid}\na\n```",
        "{numref}`nowhere`",
        "{cite}`nobody1900`",
        "[](none.md)",
    ):
        with pytest.raises(NotReadable, match=r"x\.md"):
            reader.read(text)


def test_numbers_are_those_of_the_pages(sample_book):
    checked = 0
    for root, html in ((ROOT, built()), (sample_book.parent.parent, sample_book)):
        book = Book(parse_file(ROOT / "book/references.bib"))
        for page, chapter in notebooks.pages(root):
            notebooks.student_cells(page, chapter, book)
        numbers = {label.lower().replace("_", "-"): text for label, text in book.labels.items()}
        for page, _ in notebooks.pages(root):
            text = (html / page.relative_to(root).with_suffix(".html")).read_text(encoding="utf-8")
            links = r'href="[^"]*#(?:equation-)?([\w-]+)"[^>]*>(?:<span[^>]*>)?([^<]*\d+\)?)<'
            for label, printed in re.findall(links, text):
                if re.search(r"\d\)?$", numbers.get(label, "")):
                    assert label.startswith("ex-") or printed.split()[-1] == numbers[label].split()[-1], label
                    checked += 1
    assert checked >= 12


def test_ids_follow_the_text():
    cells = [notebooks.new_markdown_cell(text) for text in ("one", "two", "one")]
    before = [cell.id for cell in notebooks.notebook(cells).cells[1:]]
    changed = [notebooks.new_markdown_cell(text) for text in ("new", "one", "two", "one")]
    assert [cell.id for cell in notebooks.notebook(changed).cells[2:]] == before
    assert len(set(before)) == 3


def test_the_install_cell_acts_only_in_colab(monkeypatch, tmp_path):
    calls, asked = [], []
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    monkeypatch.setattr(os, "chdir", lambda folder: calls.append(folder))
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "https://typed")
    exec(notebooks.INSTALL, {})
    assert not calls

    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    (tmp_path / "api").mkdir()
    opened = '[{"path": "fileId=https%3A%2F%2Fgithub.com%2Fowner%2Fname%2Fblob%2Fmain%2Fbook%2Fx.ipynb"}]'
    (tmp_path / "api" / "sessions").write_text(opened)
    with serve(tmp_path) as address:
        host, port = address.removeprefix("http://").split(":")
        monkeypatch.setenv("COLAB_JUPYTER_IP", host)
        monkeypatch.setenv("KMP_TARGET_PORT", port)
        exec(notebooks.INSTALL, {})
    clone, install, folder = calls
    assert clone == ["git", "clone", "--depth", "1", "https://github.com/owner/name", "/content/repository"]
    # Editable, so that the records in book/results are found from the package.
    assert install[1:] == ["-m", "pip", "install", "--quiet", "--editable", "/content/repository"]
    assert sys.path[:2] == ["/content/repository", "/content/repository/book"]
    assert folder == "/content/repository/book"
    assert not asked

    calls.clear()
    monkeypatch.delenv("COLAB_JUPYTER_IP")
    exec(notebooks.INSTALL, {})
    assert asked and calls[0][4] == "https://typed"
