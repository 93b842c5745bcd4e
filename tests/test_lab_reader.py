"""The live lab with a reader's own pictures, and whatever is done to it."""

import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from labs import move, opened, ready, running, seen, show, told

VIEWS = ".views"


@pytest.fixture(scope="module")
def browser():
    with running() as pair:
        yield pair


@pytest.fixture(scope="module")
def page(browser):
    """One tab for all but the long tests; nothing in it may go wrong or ask another host."""
    with opened(browser) as page:
        yield page
        assert page.problems == []
        home = (f"{browser[1]}/", "blob:", "data:")
        assert [each for each in page.asked if not each.startswith(home)] == []


# The reader's own pictures


def photo(folder, name: str = "me.png", width: int = 300, height: int = 200):
    random_ = np.random.default_rng(3)
    path = folder / name
    cv2.imwrite(str(path), cv2.resize(random_.integers(0, 256, (8, 12, 3), np.uint8), (width, height)))
    return path


def test_a_photo_is_picked_and_stays_here(page, tmp_path):
    show(page, "pair=people")
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


def test_a_photo_is_first_shown_to_the_networks_that_know_people(page, tmp_path):
    """The other pair may look at it too: it stays where it is."""
    show(page, "pair=puppets&joint=pelvis")
    page.get_by_label("Your photo").set_input_files(photo(tmp_path))
    page.wait_for_selector("text=The picture: me.png")
    ready(page)
    assert "of 14 joints" in told(page, "A")
    networks = page.get_by_role("combobox", name="Networks")
    networks.select_option("trained on puppets")
    ready(page)
    assert "of 16 joints" in told(page, "A")
    assert "The picture: me.png" in page.locator(".says").inner_text()
    # Without a file there is nothing to show, and nothing changes.
    empty = {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""}
    page.get_by_label("Your photo").set_input_files(empty)
    page.wait_for_selector(".lab [role=alert]:has-text('empty.jpg')")
    assert networks.locator("option:checked").inner_text() == "trained on puppets"


def test_a_photo_is_dropped(page, tmp_path):
    data = list(photo(tmp_path).read_bytes())
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


def test_the_policy_lets_nothing_out(browser):
    """Neither the page nor the thread of the networks can tell another host anything."""
    elsewhere = "http://127.0.0.1:9/"  # nobody listens there; the policy answers first
    refused = """([how, host]) => new Promise((resolve) => {
        addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        if (how === "image") new Image().src = host;
        else fetch(host).then(() => resolve("told"), () => setTimeout(() => resolve("no rule"), 500));
    })"""
    with opened(browser) as page:  # of its own: what is refused is an error in its console
        (worker,) = page.workers
        assert page.evaluate(refused, ["fetch", elsewhere]) == "connect-src"
        assert page.evaluate(refused, ["image", elsewhere]) == "img-src"
        assert worker.evaluate(refused, ["fetch", elsewhere]) == "connect-src"
        assert worker.evaluate(refused, ["fetch", f"{browser[1]}/_static/lab/made/lab.json"]) == "told"


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
    "21ff0b4e45545343415045322e300301000000" + 2 * "21f904000a0000002c00000000020002000002028451005" + "3b"
)
EMPTY = b"<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/>"
FILES = [
    ("words.txt", "text/plain", b"not a picture", "is no picture that this browser can read."),
    ("cut.png", "image/png", png(40, 40)[:40], "is no picture that this browser can read."),
    ("empty.jpg", "image/jpeg", b"", "is empty: 0 bytes."),
    ("huge.png", "image/png", png(20000, 20000), "is too large: 20000 x 20000 pixels."),
    ("none.svg", "image/svg+xml", EMPTY, "is a picture without width or height."),
]


def test_broken_files_get_a_sentence_and_the_page_works_on(page):
    show(page, "scene=1")
    before = seen(page, VIEWS)
    for name, kind, data, sentence in FILES:
        page.get_by_label("Your photo").set_input_files({"name": name, "mimeType": kind, "buffer": data})
        page.wait_for_selector(f".lab [role=alert]:has-text('{name} {sentence}')")
        assert seen(page, VIEWS) == before, name
        move(page, "Zoom", "ArrowRight")
        assert seen(page, VIEWS) != before, name
        move(page, "Zoom", "ArrowLeft")
        assert seen(page, VIEWS) == before, name
    moving = {"name": "moving.gif", "mimeType": "image/gif", "buffer": GIF}
    page.get_by_label("Your photo").set_input_files(moving)
    page.wait_for_selector("text=The picture: moving.gif (it moves: here is its first picture).")
    ready(page)
    assert page.locator(".lab [role=alert]").inner_text() == ""


def test_the_camera(page):
    show(page, "pair=people")
    page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wish) => (window.stream = await open(wish));
        }"""
    )
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
    page.wait_for_selector("text=The picture: a photo")  # that pair's own
    page.wait_for_timeout(100)
    ready(page)
    still = seen(page, VIEWS)
    page.wait_for_timeout(300)
    assert seen(page, VIEWS) == still
    assert page.evaluate("stream.getTracks().map((each) => each.readyState)") == ["ended"]


def test_without_a_camera_there_is_a_sentence(page):
    refuse = """(name) => {
        navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", name); };
    }"""
    refusals = {"NotAllowedError": "allow it in the address bar", "NotFoundError": "no camera here"}
    for name, sentence in refusals.items():
        page.evaluate(refuse, name)
        page.get_by_role("button", name="Camera").click()
        page.wait_for_selector(f".lab [role=alert]:has-text('{sentence}')")
    before = seen(page, VIEWS)
    move(page, "Zoom", "PageUp")
    assert seen(page, VIEWS) != before


# Everything, in any order

# Of what can be used now one, by chance: a control gets the focus, a button is pressed, a picture is told.
ANY = """([kind, chance]) => {
    const usable = (each) => each.checkVisibility() && !each.disabled;
    const all = [...document.querySelectorAll(kind)].filter(usable);
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
    chromium, _ = browser
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

        def memory() -> list[int]:
            """Bytes of the page's objects, and pages of memory of its whole process, networks and all."""
            page.locator(".strip button").first.click()  # stops a camera
            page.wait_for_timeout(300)
            ready(page)
            session.send("HeapProfiler.collectGarbage")
            all_ = chromium.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
            resident = [int(Path(f"/proc/{each['id']}/statm").read_text().split()[1]) for each in all_]
            return [session.send("Runtime.getHeapUsage")["usedSize"], max(resident)]

        for _ in range(60):
            anything()
        before = memory()
        for _ in range(500):
            anything()
        growth = [now / then for now, then in zip(memory(), before, strict=True)]
        assert max(growth) <= 1.2
        assert page.problems == []
        assert "stopped" not in page.locator(".lab [role=alert]").inner_text()
