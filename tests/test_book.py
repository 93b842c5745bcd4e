"""The built pages as files: `make test` builds the book first where they are missing."""

import hashlib
import re
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import execute
import pytest
from books import PAGES, REPOSITORY, ROOT, built
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


def test_each_page_ran_once():
    """The build found in the cache what book/build/execute.py had run, and ran nothing itself."""
    cached = built().parent / ".jupyter_cache/executed"
    assert len(list(cached.iterdir())) == len(execute.executed(ROOT))


def test_the_first_chapter_shows_what_it_promises():
    html = (built() / "book" / "intro.html").read_text(encoding="utf-8")
    # Labels, predictions and heatmaps are drawn when the page is built; both stages are measured.
    assert len(re.findall(r'<img[^>]+src="\.\./_images/[0-9a-f]{20,}\.png"', html)) == 3
    first, second = (float(v) for v in re.findall(r"stage [12]: PCKh@0.5 ([0-9.]+)", html))
    assert 0.5 < first <= 1
    assert 0.5 < second <= 1


def test_two_hundred_readers_at_once():
    """The server that live-lab.md names, and 200 who ask it at the same time, each for three files."""
    built()
    files = ["book/intro.html", "book/live-lab.html", "_static/book.css"]
    line = re.search(
        r"python (-m http.server --bind 127.0.0.1) 8000", (ROOT / "book/live-lab.md").read_text()
    )
    command = [sys.executable, "-u", *line[1].split(), "0"]
    with subprocess.Popen(command, cwd=PAGES, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            address = re.search(rb"http://[\d.:]+/", server.stdout.readline())[0].decode()

            def ask(number: int, again: int = 20) -> tuple[str, str]:
                name = files[number % len(files)]
                try:
                    with urllib.request.urlopen(address + name, timeout=120) as answer:
                        return name, hashlib.sha256(answer.read()).hexdigest()
                except OSError:  # a busy machine's queue of connections was full; a browser asks again, too
                    if not again:
                        raise
                    time.sleep(0.5)
                    return ask(number, again - 1)

            with ThreadPoolExecutor(200) as readers:
                answers = list(readers.map(ask, range(600)))
        finally:
            server.terminate()
    assert len(answers) == 600
    assert set(answers) == {(name, hashlib.sha256((PAGES / name).read_bytes()).hexdigest()) for name in files}


def test_every_page_has_the_policy(page):
    """Nothing but what the book itself serves; evaluating text as a script only where ipywidgets need it."""
    html = page.read_text(encoding="utf-8")
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    # What stands before the policy would not be under it.
    assert not re.search(r"<(script|link|img|style)\b", html[: found.start()])
    policy = dict(part.strip().split(" ", 1) for part in found[1].split(";"))
    widgets = "application/vnd.jupyter.widget-" in html
    assert ("'unsafe-eval'" in policy["script-src"]) is widgets
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'self'"
    assert policy["object-src"] == "'none'"
    named = {word for where in policy.values() for word in where.split()}
    own = {"'self'", "'none'", "data:", "blob:"}
    assert named - own == {"'unsafe-inline'", "'wasm-unsafe-eval'"} | (
        {"'unsafe-eval'"} if widgets else set()
    )


def test_no_script_from_elsewhere(page):
    html = page.read_text(encoding="utf-8")
    loaded = re.findall(r"<(?:script|iframe|img|source)\b[^>]*\bsrc=\"([^\"]+)", html)
    loaded += re.findall(
        r"<link\b[^>]*\brel=\"(?:stylesheet|preload|modulepreload)\"[^>]*\bhref=\"([^\"]+)", html
    )
    assert loaded
    assert not [address for address in loaded if re.match(r"(?!data:)[a-z]+:|//", address)]


# What sends something, or keeps it for the next visit.
TELLING = re.compile(
    r"\b(localStorage|sessionStorage|indexedDB|document\.cookie|sendBeacon|WebSocket|XMLHttpRequest)\b"
)


def test_our_scripts_send_and_keep_nothing():
    ours = [
        *ROOT.glob("book/minipose_book/*/**/*.js"),
        *ROOT.glob("book/_static/*.js"),
        *ROOT.glob("book/_static/lab/*.js"),
    ]
    assert len(ours) > 15
    for path in ours:
        text = path.read_text(encoding="utf-8")
        assert not TELLING.search(text), path
        # The lab asks for its own networks and pictures, by relative addresses.
        assert not re.search(r"fetch\(\s*[\"'`](https?:)?//", text), path
