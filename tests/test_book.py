"""The built pages as files: `make test` builds the book first where they are missing."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from books import REPOSITORY, ROOT, built
from notebooks import pages

NAMES = [str(path.relative_to(ROOT).with_suffix("")) for path, _ in pages(ROOT)]


class Links(HTMLParser):
    """Collects what a page shows, where it leads, and what may be led to."""

    def __init__(self, page: Path):
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []
        self.anchors = {"", "top"}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found.get("id", ""), found.get("name", "")}
        if tag == "img" and found.get("src"):
            self.images.append(found["src"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


@pytest.fixture(params=NAMES)
def page(request) -> Path:
    return built() / f"{request.param}.html"


def test_every_chapter_has_a_page_without_errors(page):
    html = page.read_text(encoding="utf-8")
    assert "<h1" in html
    assert "Traceback" not in html
    assert not re.search(r'class="[^"]*\b(system-message|problematic)\b', html)


def test_pictures_and_links_lead_somewhere(page):
    found = Links(page)
    inside = [link for link in found.images + found.links if not re.match(r"[a-z]+:|//", link)]
    assert inside
    anchors = {page.resolve(): found.anchors}
    for link in inside:
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / re.sub(r"\?.*", "", path)).resolve() if path else page.resolve()
        assert target.exists(), link
        if anchor:
            anchors.setdefault(target, Links(target).anchors if target not in anchors else set())
            assert anchor in anchors[target], link


def test_no_address_of_a_repository_without_one(page):
    html = page.read_text(encoding="utf-8")
    assert not re.search(r'href="[^"]*(colab\.research|mybinder|/issues/new)', html)


def test_launch_buttons_lead_to_files_that_exist(sample_book):
    root = sample_book.parent.parent
    for name in ("book/intro", "book/first", "book/pieces", "book/bibliography"):
        links = Links(sample_book / f"{name}.html").links
        assert REPOSITORY in links, "the repository's own button"
        launched = [link for link in links if re.search(r"colab\.research|mybinder", link)]
        if name in ("book/first", "book/pieces"):
            assert sorted(launched) == [
                f"https://colab.research.google.com/github/owner/name/blob/main/{name}.ipynb",
                f"https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/{name}.ipynb",
            ]
            assert (root / f"{name}.ipynb").exists()
        else:
            assert not launched


def test_downloads_hold_no_solution(sample_book):
    assert Links(sample_book / "book/pieces.html").links.count("pieces.ipynb") == 1
    offered = [path for path in sample_book.rglob("*") if path.suffix in (".md", ".ipynb", ".txt")]
    assert {path.name for path in offered} >= {"first.ipynb", "pieces.ipynb"}
    assert not [path for path in offered if "secret" in path.read_text(encoding="utf-8")]
    assert "secret" in (sample_book / "book/pieces.html").read_text(encoding="utf-8")


def test_the_first_chapter_shows_what_it_promises():
    html = (built() / "book" / "intro.html").read_text(encoding="utf-8")
    # Labels, predictions and heatmaps are drawn when the page is built; both stages are measured.
    assert len(re.findall(r'<img[^>]+src="\.\./_images/[0-9a-f]{20,}\.png"', html)) == 3
    first, second = (float(v) for v in re.findall(r"stage [12]: PCKh@0.5 ([0-9.]+)", html))
    assert 0.5 < first <= 1
    assert 0.5 < second <= 1
