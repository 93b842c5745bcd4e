"""Every page in a real browser, wide and narrow, light and dark, from a server and from the disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from books import ROOT, built, serve
from browsing import PATIENCE, chromium
from notebooks import pages
from playwright.sync_api import Page

AXE = ROOT / "tests/vendor/axe-core/axe.min.js"
PROJECT = [f"{path.relative_to(ROOT).with_suffix('')}.html" for path, _ in pages(ROOT)]
SAMPLE = ["book/intro.html", "book/first.html", "book/pieces.html"]
# What axe may not look at, and why: nothing in a page can name these.
ACCEPTED = [".jupyter-widgets"]  # ipywidgets draws sliders and buttons without names

# Elements of the text that stick out of a page, unless they scroll inside something that does not.
STICKING_OUT = """() => {
    const scrolls = (e) => e && e !== document.body &&
        (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
    return [...document.querySelectorAll("main *")]
        .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e))
        .map((e) => e.outerHTML.slice(0, 120));
}"""
# Formulas that MathJax did not set, and TeX that is no formula at all.
RAW_TEX = """() => {
    const untouched = [...document.querySelectorAll("main .math")]
        .filter((e) => e.checkVisibility() && !e.querySelector("mjx-container")).map((e) => e.textContent);
    const text = document.querySelector("main").cloneNode(true);
    text.querySelectorAll("pre, code, script, mjx-container").forEach((e) => e.remove());
    return untouched.concat(text.textContent.match(/\\$\\$|\\\\[([]|\\\\(frac|sum|sigma|begin)\\b/g) ?? []);
}"""
# After a change of size the theme takes a moment to let code that now scrolls take the keyboard.
KEYBOARD_READY = """() => [...document.querySelectorAll("pre")]
    .every((e) => e.tabIndex === 0 || e.scrollWidth <= e.clientWidth || !e.checkVisibility())"""
SILENT_IMAGES = """() => [...document.querySelectorAll("img")]
    .filter((e) => !e.alt.trim() || e.alt.startsWith("../_images")).map((e) => e.src)"""
SERIOUS = """async ([excluded, rules]) => {
    const run = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
    const found = await axe.run({ include: [["html"]], exclude: excluded.map((each) => [each]) }, run);
    return found.violations.filter((each) => ["serious", "critical"].includes(each.impact))
        .map((each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}"""


class Tab:
    """One tab of the browser; it remembers what the page asked for and what went wrong."""

    def __init__(self, page: Page):
        self.page = page
        page.set_default_timeout(PATIENCE)
        self.requests: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on(
            "console", lambda said: said.type == "error" and self.problems.append(f"console: {said.text}")
        )

    def open(self, address: str) -> None:
        self.page.goto("about:blank")  # so that nothing late from the page before counts for this one
        self.requests.clear()
        self.problems.clear()
        self.page.goto(address, wait_until="networkidle")
        self.page.wait_for_selector("[aria-busy=true]", state="detached")
        self.page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
        # Colours change at once, and what opens is there at once.
        self.page.add_style_tag(content="* { transition: none !important; animation: none !important }")


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as browser:
        yield Tab(browser.new_page(reduced_motion="reduce"))


@pytest.fixture(scope="module")
def project() -> Iterator[tuple[Path, str]]:
    with serve(built()) as address:
        yield built(), address


@pytest.fixture(scope="module")
def sample(sample_book) -> Iterator[tuple[Path, str]]:
    with serve(sample_book) as address:
        yield sample_book, address


@pytest.fixture(
    params=[("project", name) for name in [*PROJECT, "search.html", "genindex.html"]]
    + [("sample", name) for name in SAMPLE],
    ids="/".join,
)
def book_page(request) -> tuple[Path, str, str]:
    """Folder, address and name of a page."""
    book, name = request.param
    return *request.getfixturevalue(book), name


def test_page_is_whole_at_every_size_and_in_both_colours(tab, book_page):
    _, address, name = book_page
    tab.page.set_viewport_size({"width": 1300, "height": 900})
    tab.page.emulate_media(color_scheme="light")
    tab.open(f"{address}/{name}")
    assert not tab.page.evaluate(RAW_TEX)
    assert not tab.page.evaluate(SILENT_IMAGES)
    tab.page.add_script_tag(path=AXE)
    for width in (1300, 390):
        tab.page.set_viewport_size({"width": width, "height": 900})
        tab.page.wait_for_function(KEYBOARD_READY)
        for colours in ("light", "dark"):
            tab.page.emulate_media(color_scheme=colours)
            tab.page.wait_for_function(f"() => document.documentElement.dataset.theme === '{colours}'")
            rules = None if colours == "light" else ["color-contrast"]  # nothing else can change
            serious = tab.page.evaluate(SERIOUS, [ACCEPTED, rules])
            assert not serious, f"{width} px, {colours}"
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} px"
        assert not tab.page.evaluate(STICKING_OUT), f"{width} px"
    assert not tab.problems
    outside = [each for each in tab.requests if not each.startswith((f"{address}/", "data:", "blob:"))]
    assert not outside


def test_page_opens_from_the_disk(tab, book_page):
    folder, _, name = book_page
    tab.open((folder / name).as_uri())
    assert not tab.page.evaluate(RAW_TEX)
    assert not tab.problems
    assert not [each for each in tab.requests if not each.startswith((folder.as_uri(), "data:", "blob:"))]


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_widgets_and_formulas_show_without_kernel_and_network(tab, sample, scheme):
    folder, address = sample
    tab.page.set_viewport_size({"width": 1300, "height": 900})
    tab.open(f"{address if scheme == 'http' else folder.as_uri()}/book/pieces.html")
    assert tab.page.locator(".widget-slider").is_visible()
    assert tab.page.locator(".widget-slider").inner_text().split() == ["stage", "7"]
    assert tab.page.locator("#equation-eq-loss mjx-container").is_visible()
    # \cancel is a TeX package that MathJax loads when it is first used.
    assert tab.page.locator("#equation-eq-wide mjx-menclose").count() == 1


def test_a_wide_figure_scrolls_on_a_phone(tab, sample):
    tab.page.set_viewport_size({"width": 390, "height": 900})
    tab.open(f"{sample[1]}/book/pieces.html")
    strip = tab.page.locator("figure#fig-second .wide-figure")
    assert strip.evaluate("(e) => e.scrollWidth > 1.5 * e.clientWidth")
    strip.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("() => document.querySelector('#fig-second .wide-figure').scrollLeft > 0")


def test_the_checks_of_a_page_see_faults(tab, sample):
    tab.page.set_viewport_size({"width": 390, "height": 900})
    tab.open(f"{sample[1]}/book/intro.html")
    tab.page.evaluate(
        """document.querySelector("article").insertAdjacentHTML("beforeend",
            "<p style='width: 900px'>wide</p><p>$$ \\\\frac{1}{2} $$</p><img src=x.png><button></button>")"""
    )
    tab.page.add_script_tag(path=AXE)
    tab.page.wait_for_load_state("networkidle")
    assert "wide" in tab.page.evaluate(STICKING_OUT)[0]
    assert len(tab.page.evaluate(RAW_TEX)) == 3
    assert len(tab.page.evaluate(SILENT_IMAGES)) == 1
    assert [each.split(":")[0] for each in tab.page.evaluate(SERIOUS, [ACCEPTED, None])] == [
        "button-name",
        "image-alt",
    ]
    assert any("404" in each for each in tab.problems)
