"""The live lab for tests: its page in Chromium, what it shows, and the same from the package."""

import base64
import contextlib
import json
import re

import numpy as np
from books import ROOT, built, serve
from browsing import PATIENCE, SEEN, chromium, watched

MADE = ROOT / "book/_static/lab/made"
READY = ".lab[aria-busy=false]"
# A camera that shows a moving pattern, and no question whether it may be used.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
NETWORKS = "AB"


def made() -> dict:
    """What book/build/lab.py wrote for the built pages."""
    return json.loads((built() / "_static/lab/made/lab.json").read_text(encoding="utf-8"))


@contextlib.contextmanager
def running():
    """A browser with a camera, and the address of the book."""
    with serve(built()) as address, chromium(*CAMERA) as browser:
        yield browser, address


@contextlib.contextmanager
def opened(running, state: str = "", **options):
    """The lab in a tab of its own, ready; `asked` are the addresses that the tab has asked for."""
    browser, address = running
    # The theme scrolls slowly for those who did not ask for less motion, and nothing can be hit meanwhile.
    with watched(browser, reduced_motion="reduce", **options) as page:
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{address}/book/live-lab.html{state and '#lab&' + state}")
        ready(page)
        yield page


def ready(page) -> None:
    """Once the networks have looked at what the page was last told."""
    page.wait_for_selector(READY, timeout=PATIENCE)


def move(page, control: str, key: str, times: int = 1, role: str = "slider") -> None:
    page.get_by_role(role, name=control, exact=True).focus()
    for _ in range(times):
        page.keyboard.press(key)
    ready(page)


def set_to(page, name: str) -> float:
    return float(page.get_by_role("slider", name=name, exact=True).input_value())


def told(page, network: str) -> str:
    """The sentences on a network."""
    return " ".join(page.locator(".lines > div").nth(NETWORKS.index(network)).locator("p").all_inner_texts())


def number(text: str, before: str) -> float:
    """The number that follows some words."""
    return float(re.search(re.escape(before) + r"\D*?(-?\d+(\.\d+)?)", text)[1])


def packed(pixels: np.ndarray) -> str:
    """Pixels (H, W, 3) as a canvas has them, in base64."""
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    return base64.b64encode(np.concatenate((pixels, opaque), axis=2).tobytes()).decode()


def unpacked(text: str, kind=np.float32) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def show(page, state: str) -> None:
    """Another state in the same tab, as a link opens it."""
    code = """(state) => new Promise((told) => {
        // After the lab's own listener, which makes it busy.
        addEventListener("hashchange", () => told(), { once: true });
        history.replaceState(null, "", "#"); // so that the next one is another
        location.hash = `#lab&${state}`;
    })"""
    page.evaluate(code, state)
    ready(page)


def linked(page, part: str) -> None:
    """Once what was set stands in the address."""
    page.wait_for_function("(part) => location.hash.includes(part)", arg=part)


def seen(page, part: str = ".lab") -> str:
    return page.locator(part).first.evaluate(SEEN)


# In the page: bytes and base64.
BYTES = """
    const pack = (array) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        let text = "";
        const piece = 4096;
        for (let k = 0; k < bytes.length; k += piece) {
            text += String.fromCharCode(...bytes.subarray(k, k + piece));
        }
        return btoa(text);
    };
    const unpack = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
"""
