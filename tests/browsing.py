"""Chromium for tests of figures, and what a reader sees of a figure."""

import contextlib
import shutil

import pytest

# ms to wait for something on a page before it counts as missing; a busy machine takes its time.
PATIENCE = 300_000
NO_BROWSER = "no browser: install the system package chromium"
# Every pixel, mark and sentence of a figure, but no control, which says its own value.
SEEN = """(root) => [...root.querySelectorAll("canvas")].map((each) => each.toDataURL()).join()
    + [...root.querySelectorAll("svg")].map((each) => each.innerHTML).join()
    + [...root.querySelectorAll("p")].map((each) => each.innerText).join()"""


@contextlib.contextmanager
def chromium(*flags: str):
    """A running browser, or a skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install '.[test]'")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(NO_BROWSER)
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])
        yield browser
        browser.close()


@contextlib.contextmanager
def watched(browser, **options):
    """A page that remembers what went wrong on it."""
    page = browser.new_page(**{"viewport": {"width": 800, "height": 900}} | options)
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.problems.append(said.text))
    page.on("requestfailed", lambda request: page.problems.append(request.url))
    yield page
    page.close()


def settled(page) -> str:
    """What the page's figure shows, once it has drawn what it was last told."""
    page.wait_for_selector(".minipose[aria-busy=false]", timeout=PATIENCE)
    return page.locator(".minipose").evaluate(SEEN)
