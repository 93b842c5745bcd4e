"""python -m benchmarks.lab: how fast the live lab of the built book is in Chromium, printed as measured.

Build the book first. A quiet machine matters: the browser, its networks' thread and this program share it.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import shutil
import statistics
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.__main__ import row

PAGES = Path(__file__).resolve().parents[2] / "_build/html"
LAB = PAGES / "_static/lab"
READY = ".lab[aria-busy=false]"
PASSES = """async ([files, size, times]) => {
    const { engine } = await import("/_static/lab/engine.js");
    const networks = await engine();
    const noise = Uint8ClampedArray.from({ length: 4 * size * size }, (_, k) => (k * 7919) % 256);
    const image = new ImageData(noise, size, size);
    const found = files.map(() => []);
    const addresses = files.map((file) => new URL(`/_static/lab/made/${file}`, location));
    for (let time = 0; time < times; time++) {
        const passes = await networks.run(image, addresses);
        passes.forEach(({ milliseconds }, k) => found[k].push(milliseconds));
    }
    networks.end();
    return found;
}"""
# A frame writes the figures once.
COUNT = """() => {
    window.frames_ = 0;
    window.counter_?.disconnect();
    window.counter_ = new MutationObserver(() => (window.frames_ += 1));
    window.counter_.observe(document.querySelector(".figures"), { childList: true });
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


def interactive(page: Page, address: str) -> float:
    """Seconds from the call of the page until both networks have looked at the first picture."""
    start = time.perf_counter()
    page.goto(f"{address}/book/live-lab.html", wait_until="commit")
    page.wait_for_selector(READY)
    return time.perf_counter() - start


def dragging(page: Page, seconds: float = 4) -> float:
    """Frames per second while the crop is dragged to and fro."""
    page.locator(".views").scroll_into_view_if_needed()
    box = page.locator(".views .stage").first.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.evaluate(COUNT)
    start, share = time.perf_counter(), 0.3
    while time.perf_counter() - start < seconds:
        # Each step waits until the page has heard of it, as often as a screen is drawn.
        page.mouse.move(box["x"] + share * box["width"], middle, steps=30)
        share = 1 - share
    frames = page.evaluate("window.frames_")
    rate = frames / (time.perf_counter() - start)
    page.mouse.up()
    page.wait_for_selector(READY)
    return rate


def main() -> None:
    made = json.loads((LAB / "made/lab.json").read_text(encoding="utf-8"))
    handler = functools.partial(Quiet, directory=str(PAGES))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    print("| the live lab | ours | baseline | aim |\n|---|---|---|---|", flush=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        times = []
        for _ in range(5):
            with browser.new_context() as fresh:  # with nothing in its cache
                times.append(interactive(fresh.new_page(), address))
        spread = f"{min(times):.1f} to {max(times):.1f}"
        row("page called to interactive", f"{statistics.median(times):.1f} s ({spread})", "-", "<= 3 s")
        page = browser.new_page()
        interactive(page, address)
        for pair in made["pairs"]:
            files = [network["file"] for network in pair["networks"]]
            for file, passes in zip(files, page.evaluate(PASSES, [files, pair["size"], 60]), strict=True):
                figure = f"{statistics.median(passes[5:]):.1f} ms (fastest {min(passes):.1f})"
                row(f"forward pass, {file}", figure, "-", "<= 25 ms")
        for width, height in ((1280, 720), (390, 844)):
            page = browser.new_page(viewport={"width": width, "height": height})
            interactive(page, address)
            rates = [dragging(page) for _ in range(4)]
            figure = (
                f"{statistics.median(rates[1:]):.0f} /s"  # the first, while code is still compiled, apart
            )
            row(f"frames while dragging, {width} px wide", figure, f"at first {rates[0]:.0f} /s", ">= 20 /s")
        browser.close()
    server.shutdown()
    runtime = PAGES / "_static/vendor/onnxruntime-web"
    files = [runtime / "ort.wasm.bundle.min.mjs", runtime / "ort-wasm-simd-threaded.wasm"]
    files += [LAB / "made" / network["file"] for network in made["pairs"][0]["networks"]]
    megabytes = sum(len(gzip.compress(file.read_bytes(), 6)) for file in files) / 1e6
    row("first pair and runtime, compressed", f"{megabytes:.1f} MB", "-", "<= 10 MB")


if __name__ == "__main__":
    main()
