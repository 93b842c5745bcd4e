"""The built pages: `make test` builds the book first where they are missing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "_build" / "html"


def chapters() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for chapter in toc["chapters"])]


class Links(HTMLParser):
    """Collects what a page shows and where it leads."""

    def __init__(self):
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "img" and found.get("src"):
            self.images.append(found["src"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


@pytest.fixture(params=chapters())
def page(request) -> Path:
    if not (ROOT / "_build" / "built").exists():
        pytest.skip("the book is not built: run make book")
    return PAGES / f"{request.param}.html"


def test_every_chapter_has_a_page_without_errors(page):
    html = page.read_text(encoding="utf-8")
    assert "<h1" in html
    assert "Traceback" not in html
    assert not re.search(r'class="[^"]*\b(system-message|problematic)\b', html)


def test_pictures_and_links_lead_somewhere(page):
    found = Links()
    found.feed(page.read_text(encoding="utf-8"))
    inside = [link for link in found.images + found.links if not re.match(r"[a-z]+:|#|//", link)]
    assert inside
    missing = {link for link in inside if not (page.parent / re.sub(r"[?#].*", "", link)).resolve().exists()}
    assert not missing


def test_the_first_chapter_shows_what_it_promises():
    if not (ROOT / "_build" / "built").exists():
        pytest.skip("the book is not built: run make book")
    html = (PAGES / "book" / "intro.html").read_text(encoding="utf-8")
    # Labels, predictions and heatmaps are drawn when the page is built; both stages are measured.
    assert len(re.findall(r'<img[^>]+src="\.\./_images/[0-9a-f]{20,}\.png"', html)) == 3
    first, second = (float(v) for v in re.findall(r"stage [12]: PCKh@0.5 ([0-9.]+)", html))
    assert 0.5 < first <= 1
    assert 0.5 < second <= 1
