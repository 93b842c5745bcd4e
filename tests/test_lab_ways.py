"""The live lab by link, with another runtime, without any, and for those who cannot see or point."""

import pytest
from books import ROOT, built
from browsing import PATIENCE
from labs import linked, move, opened, ready, running, seen
from test_pages import SERIOUS, STICKING_OUT

AXE = ROOT / "tests/vendor/axe-core/axe.min.js"
VIEWS = ".views"


@pytest.fixture(scope="module")
def browser():
    with running() as pair:
        yield pair


def test_a_link_shows_another_reader_the_same(browser):
    with opened(browser, "scene=4&joint=neck&angle=25&second=2") as page:
        move(page, "Crop down", "PageUp")
        view = seen(page, VIEWS)
        page.get_by_role("button", name="Copy a link").click()
        link = page.get_by_role("textbox", name="Link").input_value()
        linked(page, link[link.index("#") :])
    with opened(browser, link.split("#lab&")[1]) as page:
        assert seen(page, VIEWS) == view and page.problems == []


def test_a_runtime_that_fails_is_not_used(browser):
    """A browser that promises WebGPU and does not keep it: WebAssembly goes on, and the page says so."""
    chromium, address = browser
    page = chromium.new_page()
    page.add_init_script(
        "Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => ({ info: {} }) } })"
    )
    page.goto(f"{address}/book/live-lab.html")
    ready(page)
    before = seen(page, VIEWS)
    page.get_by_role("combobox", name="Computed with").select_option("WebGPU")
    page.wait_for_selector(".lab [role=alert]:has-text('WebAssembly goes on')", timeout=PATIENCE)
    ready(page)
    assert page.get_by_role("combobox", name="Computed with").input_value() == "0"
    assert seen(page, VIEWS) == before
    move(page, "Zoom", "PageUp")
    assert seen(page, VIEWS) != before
    page.close()


@pytest.mark.parametrize("reason", ["file", "wasm", "other"])
def test_where_no_network_runs_there_is_a_recording(browser, reason):
    chromium, address = browser
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    if reason == "wasm":
        page.add_init_script("Object.defineProperty(window, 'WebAssembly', { value: undefined })")
    elif reason == "other":
        page.add_init_script("window.Worker = class { constructor() { throw new Error('none'); } }")
    where = (built() / "book/live-lab.html").as_uri() if reason == "file" else f"{address}/book/live-lab.html"
    page.goto(where)
    page.wait_for_selector(f"[data-reason={reason}]:visible")
    assert page.locator("[data-reason]:visible").count() == 1
    if reason == "file":
        assert "python -m http.server" in page.locator("#lab").inner_text()
    page.wait_for_function("() => document.querySelector('.recording input').max > 10")
    window = page.locator(".window")
    first = window.screenshot()
    page.get_by_role("slider", name="Place of the crop").focus()
    page.keyboard.press("End")
    last = window.screenshot()
    assert first != last
    if reason == "file":
        page.keyboard.press("Home")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(
            """() => {
                const { value, max } = document.querySelector(".recording input");
                return value === max;
            }"""
        )
        assert window.screenshot() == last
    assert not page.evaluate(STICKING_OUT)
    assert problems == []
    page.close()


@pytest.mark.parametrize("width", [1300, 390])
def test_nothing_serious_for_those_who_cannot_see_or_point(browser, width):
    """With everything open that can be opened."""
    with opened(browser, "joint=neck&truth=1", viewport={"width": width, "height": 844}) as page:
        page.get_by_role("button", name="Start the tour").click()
        page.get_by_text("All joints in numbers").click()
        empty = {"name": "x.png", "mimeType": "image/png", "buffer": b""}
        page.get_by_label("Your photo").set_input_files(empty)
        page.wait_for_selector(".lab [role=alert]:has-text('x.png is empty')")
        page.get_by_role("button", name="Copy a link").click()
        page.wait_for_selector("input[readonly]:visible")
        page.add_style_tag(content="* { transition: none !important; animation: none !important }")
        page.add_script_tag(path=AXE)
        for view, colours in (("side by side", "dark"), ("difference", "light")):
            page.get_by_role("combobox", name="View").select_option(view)
            page.emulate_media(color_scheme=colours)
            page.wait_for_function(f"() => document.documentElement.dataset.theme === '{colours}'")
            ready(page)
            assert page.evaluate(SERIOUS, [[], None]) == []
        assert not page.evaluate(STICKING_OUT)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("width", "height"), [(1300, 720), (390, 844), (844, 390)])
def test_what_has_the_focus_is_in_sight(browser, width, height):
    """The pictures stay in sight above the controls, and hide none that the keyboard comes to."""
    code = """() => {
        const at = document.activeElement;
        const { x, y, width, height } = at.getBoundingClientRect();
        const there = document.elementFromPoint(x + width / 2, y + height / 2);
        return [at.ariaLabel ?? at.innerText, at.contains(there)];
    }"""
    with opened(browser, viewport={"width": width, "height": height}) as page:
        page.get_by_role("button", name="Copy a link").focus()
        met = {}
        while "View" not in met and len(met) < 30:
            page.keyboard.press("Shift+Tab")
            name, hit = page.evaluate(code)
            met[name] = hit
        assert [name for name, hit in met.items() if not hit] == [] and "Zoom" in met
