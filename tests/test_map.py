"""The paper-to-code map: every function, test and section that it names exists."""

import ast
import importlib
import re
from dataclasses import replace
from functools import cache

import pytest
import yaml
from books import ROOT
from docutils.nodes import make_id

from minipose_book.papers import PAPERS, cards, paper_to_code
from minipose_book.papers.claims import Paper

PLACES = [place for paper in PAPERS.values() for place in paper.places]


@cache
def names_in(file: str) -> set[str]:
    """Names of the tests in a file, without running it."""
    path = ROOT / "tests" / file
    if not path.is_file():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@cache
def headings_of(page: str) -> list[str]:
    """Sections of a page, code left out."""
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    prose = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^##+ (.+)$", prose, re.MULTILINE)


@cache
def chapters() -> set[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]} | {toc["root"]}


def missing(place) -> list[str]:
    """What a place names and nobody has."""
    lost = []
    for name in place.code:
        module, _, path = name.partition(":")
        try:
            found = importlib.import_module(module)
            for step in path.split("."):
                found = getattr(found, step)
        except (ImportError, AttributeError):
            lost.append(name)
        else:
            # An imported name is not where it lives.
            lost += [name] if getattr(found, "__module__", module) != module else []
    for name in place.tests:
        file, _, test = name.partition("::")
        lost += [name] if not test.startswith("test_") or test not in names_in(file) else []
    if f"book/{place.chapter}" not in chapters():
        return [*lost, place.chapter]
    # Of two sections of one name the second has another anchor.
    lost += [place.section] if headings_of(place.chapter).count(place.section) != 1 else []
    return lost


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.where}: {place.what}")
def test_what_the_map_names_exists(place):
    assert place.code and place.tests
    assert not missing(place)


@pytest.mark.parametrize(
    "change",
    [
        {"code": ("minipose.metrics:pkc",)},
        {"code": ("minipose.metric:pck",)},
        {"code": ("minipose.evaluation:precision_recall",)},  # imported there, from presence
        {"tests": ("test_metrics.py::test_hand_worked_tables",)},
        {"tests": ("test_metric.py::test_hand_worked_table",)},
        {"tests": ("test_data.py::real_data",)},
        {"chapter": "result"},
        {"section": "Seen and hiden"},
    ],
    ids=str,
)
def test_what_does_not_exist_is_seen(change):
    place = next(each for each in PLACES if each.section == "Seen and hidden")
    assert not missing(place) and missing(replace(place, **change))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.where}: {place.what}")
def test_links_lead_to_sections_on_pages_and_to_notebooks_in_jupyter(place, monkeypatch):
    assert cards.anchor(place.section) == make_id(place.section)
    monkeypatch.setenv("MINIPOSE_PAGES", "1")
    assert f"]({place.chapter}.html#{make_id(place.section)})" in cards.link(place)
    monkeypatch.delenv("MINIPOSE_PAGES")
    assert cards.link(place).endswith(f"]({place.chapter}.ipynb)")
    assert (ROOT / "book" / f"{place.chapter}.ipynb").is_file()


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_the_page_shows_every_place(paper: Paper):
    shown = paper_to_code(paper)
    assert shown.count('<div class="paper-card">') == shown.count("</div>") == len(paper.places)
    for place in paper.places:
        for name in (*(code.replace(":", ".") for code in place.code), *place.tests):
            assert f"`{name}`" in shown
    page = (ROOT / "book/paper-to-code.md").read_text(encoding="utf-8")
    assert f'papers.paper_to_code(papers.PAPERS["{paper.key}"])' in page, (
        "give the paper a heading and a cell"
    )


def test_every_figure_and_table_of_the_paper_has_a_place():
    where = " ".join(place.where for place in PAPERS["newell2016"].places)
    named = re.findall(r"(Figure|Table)s? (\d+)(?: and (\d+))?", where)
    numbers = {(kind, int(n)) for kind, *several in named for n in several if n}
    assert numbers == {("Figure", n) for n in range(1, 12)} | {("Table", 1), ("Table", 2)}
