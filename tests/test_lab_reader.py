"""The live lab with a reader's own pictures, from every address, and whatever is done to it."""

import random
import struct
import zlib

import cv2
import numpy as np
import pytest
from books import ROOT, built
from labs import linked, move, opened, ready, running, seen, told
from test_pages import SERIOUS, STICKING_OUT

AXE = ROOT / "tests/vendor/axe-core/axe.min.js"
VIEWS = ".views"


@pytest.fixture(scope="module")
def browser():
    with running() as pair:
        yield pair


# The reader's own pictures


def photo(folder, name: str = "me.png", width: int = 300, height: int = 200):
    random_ = np.random.default_rng(3)
    path = folder / name
    cv2.imwrite(str(path), cv2.resize(random_.integers(0, 256, (8, 12, 3), np.uint8), (width, height)))
    return path


def elsewhere(page, address: str) -> list[str]:
    return [each for each in page.asked if not each.startswith((f"{address}/", "blob:", "data:"))]


def test_a_photo_is_picked_and_stays_here(browser, tmp_path):
    with opened(browser, "pair=people") as page:
        before = seen(page)
        page.asked.clear()
        page.get_by_label("Your photo").set_input_files(photo(tmp_path))
        page.wait_for_selector("text=The picture: me.png. It stays on your machine.")
        ready(page)
        assert seen(page) != before
        assert "There is no truth" in told(page, "A")
        move(page, "Zoom", "PageUp")
        asked = [each for each in page.asked if not each.startswith("blob:")]
        assert [each for each in asked if not each.endswith("favicon.svg")] == []  # a tab's own picture
        page.get_by_role("button", name="Copy a link").click()
        page.wait_for_selector("text=Your picture is not in it.")
        assert page.problems == []


def test_a_photo_is_dropped(browser, tmp_path):
    data = list(photo(tmp_path).read_bytes())
    with opened(browser) as page:
        transfer = page.evaluate_handle(
            """(data) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(data)], "dropped.png", { type: "image/png" }));
                return transfer;
            }""",
            data,
        )
        page.dispatch_event(".views", "drop", {"dataTransfer": transfer})
        page.wait_for_selector("text=The picture: dropped.png")
        ready(page)
        assert page.problems == [] and elsewhere(page, browser[1]) == []


def test_the_policy_lets_nothing_out(browser):
    """Neither the page nor the thread of the networks can tell another host anything."""
    with opened(browser) as page:
        ask = "(host) => fetch(host).then(() => 'told', (error) => error.name)"
        other = "http://127.0.0.1:9/"  # nobody listens; the policy answers before anybody could
        refused = """(host) => new Promise((resolve) => {
            addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            fetch(host).catch(() => setTimeout(() => resolve("no violation"), 500));
        })"""
        assert page.evaluate(refused, other) == "connect-src"
        (worker,) = page.workers
        assert worker.evaluate(refused, other) == "connect-src"
        assert worker.evaluate(ask, f"{browser[1]}/_static/lab/made/lab.json") == "told"
        image = """(host) => new Promise((resolve) => {
            addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            new Image().src = host + "?picture";
        })"""
        assert page.evaluate(image, other) == "img-src"


def png(width: int, height: int) -> bytes:
    """A grey PNG of any size that takes few bytes."""
    row = zlib.compress(bytes(1 + (width + 7) // 8) * height, 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


# Two frames of 2 x 2 cells.
GIF = bytes.fromhex(
    "47494638396102000200800100ff0000ffffff"
    "21ff0b4e45545343415045322e300301000000"
    + 2 * "21f904000a0000002c000000000200020000020284510 05".replace(" ", "")
    + "3b"
)
FILES = [
    ("words.txt", "text/plain", b"not a picture", "words.txt is no picture that this browser can read."),
    ("cut.png", "image/png", png(40, 40)[:40], "cut.png is no picture that this browser can read."),
    ("empty.jpg", "image/jpeg", b"", "empty.jpg is empty: 0 bytes."),
    ("huge.png", "image/png", png(20000, 20000), "huge.png is too large: 20000 x 20000 pixels."),
    (
        "none.svg",
        "image/svg+xml",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/>",
        "none.svg",
    ),
]


def test_broken_files_get_a_sentence_and_the_page_works_on(browser):
    with opened(browser, "scene=1") as page:
        before = seen(page, VIEWS)
        for name, kind, data, sentence in FILES:
            page.get_by_label("Your photo").set_input_files({"name": name, "mimeType": kind, "buffer": data})
            page.wait_for_selector(f".lab [role=alert]:has-text('{sentence}')")
            assert seen(page, VIEWS) == before, name
            move(page, "Zoom", "ArrowRight")
            move(page, "Zoom", "ArrowLeft")
            assert seen(page, VIEWS) == before, name
        moving = {"name": "moving.gif", "mimeType": "image/gif", "buffer": GIF}
        page.get_by_label("Your photo").set_input_files(moving)
        page.wait_for_selector("text=The picture: moving.gif (it moves: here is its first picture).")
        ready(page)
        assert page.locator(".lab [role=alert]").inner_text() == ""
        assert page.problems == []


def test_the_camera(browser):
    with opened(browser, "pair=people") as page:
        page.get_by_role("button", name="Camera").click()
        page.wait_for_selector("text=The picture: your camera. It stays on your machine.")
        views = set()
        for _ in range(60):
            views.add(seen(page, VIEWS))
            if len(views) >= 3:
                break
            page.wait_for_timeout(100)
        assert len(views) >= 3  # the pattern moves, and nobody touches anything
        page.wait_for_function("() => /moves: [1-9]/.test(document.querySelector('.figures').innerText)")
        page.get_by_role("button", name="Stop the camera").click()
        page.wait_for_selector("text=The picture: two people")
        ready(page)
        assert page.problems == [] and elsewhere(page, browser[1]) == []


def test_without_a_camera_there_is_a_sentence(browser):
    with opened(browser) as page:
        for name, sentence in (
            ("NotAllowedError", "allow it in the address bar"),
            ("NotFoundError", "no camera here"),
        ):
            page.evaluate(
                """(name) => { navigator.mediaDevices.getUserMedia = async () => {
                    throw new DOMException("", name); } }""",
                name,
            )
            page.get_by_role("button", name="Camera").click()
            page.wait_for_selector(f".lab [role=alert]:has-text('{sentence}')")
        move(page, "Zoom", "PageUp")
        assert page.problems == []


# Links, runtimes, other ways to open the page


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
    page.wait_for_selector(".lab [role=alert]:has-text('WebAssembly goes on')", timeout=60_000)
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


# Everything at once


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_nothing_serious_for_those_who_cannot_see_or_point(browser, width, colours):
    options = {
        "viewport": {"width": width, "height": 844},
        "color_scheme": colours,
        "reduced_motion": "reduce",
    }
    with opened(browser, "scene=0&joint=neck&truth=1", **options) as page:
        page.get_by_role("button", name="Start the tour").click()
        page.get_by_text("All joints in numbers").click()
        page.get_by_label("Your photo").set_input_files(
            {"name": "x.png", "mimeType": "image/png", "buffer": b""}
        )
        page.wait_for_selector(".lab [role=alert]:has-text('x.png is empty')")
        page.get_by_role("combobox", name="View").select_option("difference")
        page.get_by_role("button", name="Copy a link").click()
        page.wait_for_selector("input[readonly]:visible")
        ready(page)
        page.add_style_tag(content="* { transition: none !important; animation: none !important }")
        page.add_script_tag(path=AXE)
        assert page.evaluate(SERIOUS, [[], None]) == []
        assert not page.evaluate(STICKING_OUT)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# Of what can be used now one, by chance: a control gets the focus, a button is pressed, a picture is told.
ANY = """([kind, chance]) => {
    const all = [...document.querySelectorAll(kind)].filter((each) => each.checkVisibility() && !each.disabled);
    const chosen = all[Math.floor(chance * all.length)];
    if (chosen.matches("button, summary")) return chosen.click();
    chosen.scrollIntoView({ block: "center" });
    chosen.focus();
    const { x, y, width, height } = chosen.getBoundingClientRect();
    return { type: chosen.type, x, y, width, height };
}"""
CONTROL, BUTTON, PICTURE = (
    ".lab input:not([type=file]), .lab select",
    ".lab button, .lab summary",
    ".lab .drag",
)


def test_five_hundred_interactions(browser, tmp_path):
    """Whatever a reader does, in whatever order: no error, and the memory is that of the beginning."""
    chance = random.Random(5)
    files = [str(photo(tmp_path)), str(photo(tmp_path, "tall.png", 200, 900)), str(tmp_path / "broken.png")]
    (tmp_path / "broken.png").write_bytes(b"x")
    keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]
    with opened(browser) as page:
        session = page.context.new_cdp_session(page)

        def anything() -> None:
            kind = chance.choices(["control", "drag", "key", "button", "file"], [50, 25, 7, 15, 3])[0]
            if kind == "file":
                page.get_by_label("Your photo").set_input_files(chance.choice(files))
                return
            of = {"control": CONTROL, "button": BUTTON}.get(kind, PICTURE)
            found = page.evaluate(ANY, [of, chance.random()])
            if kind == "control":
                page.keyboard.press("Space" if found["type"] == "checkbox" else chance.choice(keys))
            elif kind == "key":
                page.keyboard.press(chance.choice([*keys[:4], "+", "-", "[", "]", "m"]))
            elif kind == "drag":
                for press in (page.mouse.down, page.mouse.up):
                    x = found["x"] + chance.random() * found["width"]
                    page.mouse.move(x, found["y"] + chance.random() * found["height"], steps=2)
                    press()

        def memory() -> int:
            page.locator(".strip button").first.click()  # stops a camera
            page.wait_for_timeout(300)
            ready(page)
            session.send("HeapProfiler.collectGarbage")
            return session.send("Runtime.getHeapUsage")["usedSize"]

        for _ in range(60):
            anything()
        before = memory()
        for _ in range(440):
            anything()
        after = memory(); print("MEM", before, after); assert after <= 1.2 * before
        assert page.problems == []
        assert "stopped" not in page.locator(".lab [role=alert]").inner_text()
