"""The comparison with a kernel: what it asks, what is answered, and a real JupyterLab."""

import base64
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import zlib

import nbformat
import notebooks
import numpy as np
import pytest
from books import ROOT
from browsing import PATIENCE, chromium, settled, watched

import minipose
import minipose_book
from minipose import InputError
from minipose.crops import Crop
from minipose.data import Puppets
from minipose_book.figures import hourglass as figures
from minipose_book.figures import moving as widgets


@pytest.fixture(scope="module")
def figure():
    return widgets.compare([48, 167], ("stages-1x8", "stages-8x1"))


@pytest.fixture
def page():
    with chromium() as browser, watched(browser) as page:
        yield page


def test_a_figure_asks_its_kernel(page, figure):
    """The widget's side of the same figure: a puppet that was not computed beforehand."""
    page.expose_function("answer", lambda question: figure.answer(question))
    page.set_content("<div id=el></div>")
    code = widgets.bundle("compare") + (widgets.STATIC / "live.js").read_text().replace("FIGURE", "compare")
    page.evaluate(
        """async ([code, data]) => {
            const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
            window.asked = [];
            let take;
            const send = async ({ number, ...question }) => {
                asked.push(question);
                const reply = question.zoom === 2 ? { error: "no such place" } : await answer(question);
                take({ number, reply });
            };
            const model = { get: () => data, on: (_, heard) => (take = heard), send };
            (await import(address)).default.render({ model, el: document.getElementById("el") });
        }""",
        [code, json.loads(json.dumps(figure.data))],
    )
    before = settled(page)
    assert page.evaluate("asked") == []  # what came with the figure is not asked for
    page.get_by_role("slider", name="Puppet").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("asked.length >= 2")
    assert settled(page) != before
    question = {"network": 1, "picture": 0, "scene": 49, "right": 0, "down": 0, "zoom": 1}
    assert page.evaluate("asked.at(-1)") == question
    points = figure.answer(question)["stages"][-1]["points"]
    sample, network = Puppets(widgets.SCENES, widgets.UNSEEN, 64)[49], minipose_book.load("stages-8x1")
    pose = minipose.predict(network, sample.image, sample.crop, flip=False)
    np.testing.assert_allclose(points, sample.crop.forward(pose.keypoints, 64), atol=0.006)
    page.get_by_label("Zoom").focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('[role=alert]').textContent === 'no such place'")
    assert page.problems == []


def test_the_crop_of_a_question_is_moved():
    comparison = widgets.Comparison([5], ["stages-1x8"], seed=1)
    still, _ = comparison.look(0, 0)
    moved, _ = comparison.look(0, 0, right=0.25, down=-0.125, zoom=2.0)
    before, after = (
        np.array([at for at in view["truth"] if at]) for view in (still, moved)
    )  # fmt: skip
    # Seen from the middle of 64 px: 16 px to the right and 8 up, and then twice as large.
    np.testing.assert_allclose(after - 31.5, 2 * (before - 31.5 - (16, -8)), atol=0.03)
    assert moved["head"] == pytest.approx(2 * still["head"], abs=0.02)


def test_a_readers_own_photo():
    photo = np.full((40, 60, 3), 90, np.uint8)
    figure = widgets.compare([photo, (photo, Crop((30, 20), 20))], ["hg2-lspet-small"], joint="neck")
    first, second = figure.data["pictures"]
    assert (first["label"], first["scene"]) == ("photo 1", None)
    assert first["views"]["128"]["truth"] is None
    assert first["views"] != second["views"]
    assert len(figure.data["joints"]) == 14
    maps = zlib.decompress(base64.b64decode(first["frames"][0][0]["maps"]))
    assert len(maps) == 14 * 32 * 32
    assert "accuracy" not in figure.data["networks"][0] and "chart" not in figure.data["source"]
    json.dumps(figure.data, allow_nan=False)


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match=r"trained networks of the same joints, found 1 pictures and"):
        widgets.compare([0], ["stages-1x8", "hg2-lspet-small"])
    with pytest.raises(InputError, match="found 0 pictures"):
        widgets.compare([], ["stages-1x8"])
    with pytest.raises(InputError, match="joint: expected one of right_ankle, .*, found 'tail'"):
        widgets.compare([0], ["stages-1x8"], joint="tail")


def test_pages_have_no_widget_and_notebooks_do(figure, monkeypatch):
    pytest.importorskip("anywidget", reason="no anywidget: pip install '.[book]'")
    live = "application/vnd.jupyter.widget-view+json"
    assert set(figure._repr_mimebundle_()) == {"text/plain", "text/html", live}
    assert set(figures.sigma()._repr_mimebundle_()) == {"text/plain", "text/html"}
    monkeypatch.setenv(widgets.PAGES, "1")
    assert set(figure._repr_mimebundle_()) == {"text/plain", "text/html"}
    monkeypatch.delenv(widgets.PAGES)
    window, sent = figure._widget(), []
    monkeypatch.setattr(window, "send", sent.append)
    question = {"network": 0, "picture": 0, "scene": 49, "right": 0, "down": 0, "zoom": 1}
    window._handle_custom_msg(question | {"number": 7}, [])
    window._handle_custom_msg(question | {"number": 8, "scene": widgets.SCENES}, [])
    assert [each["number"] for each in sent] == [7, 8]
    assert sent[0]["reply"]["view"]["head"] > 0
    assert "there are 1000 samples" in sent[1]["reply"]["error"]


@pytest.fixture
def lab(tmp_path):
    """The address of a real JupyterLab in which a notebook with one comparison lies."""
    pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install '.[book]'")
    cell = nbformat.v4.new_code_cell(
        "from minipose_book.figures.moving import compare\ncompare([48], ('stages-1x8', 'stages-8x1'))"
    )
    nbformat.write(notebooks.notebook([cell]), tmp_path / "live.ipynb")
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
        f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=", "--ServerApp.password=",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME")}
    environment = os.environ | own | {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    environment.pop(widgets.PAGES, None)
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(300):
            if found := list((tmp_path / "RUNTIME").glob("jpserver-*.json")):
                break
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        yield json.loads(found[0].read_text())["url"]
    finally:
        server.send_signal(signal.SIGINT)
        server.send_signal(signal.SIGINT)
        server.wait(30)


def test_the_comparison_in_jupyterlab(page, lab):
    """The kernel's networks look at a puppet that nobody computed beforehand."""
    page.goto(f"{lab}lab/tree/live.ipynb?reset")
    page.wait_for_selector("text=(ipykernel) | Idle", timeout=PATIENCE)
    page.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.press("Shift+Enter")
    before = settled(page)
    assert page.locator(".minipose").count() == 1  # the widget alone, and not the page's form as well
    page.get_by_role("slider", name="Puppet").focus()
    page.keyboard.press("ArrowRight")
    assert (puppet := settled(page)) != before
    page.get_by_role("slider", name="Zoom").focus()
    page.keyboard.press("PageUp")
    assert settled(page) != puppet
    sample, network = Puppets(widgets.SCENES, widgets.UNSEEN, 64)[49], minipose_book.load("stages-8x1")
    crop = dataclasses.replace(sample.crop, side=sample.crop.side / 1.15)
    pose = minipose.predict(network, sample.image, crop, flip=False)
    at = crop.forward(pose.keypoints, 64)[network.skeleton.index("left_ankle")].tolist()
    ring = page.locator(".pair > div").nth(1).locator("[data-mark=found]").last
    assert [float(ring.get_attribute(name)) for name in ("cx", "cy")] == pytest.approx(at, abs=0.006)
    assert page.locator(".minipose [role=alert]").inner_text() == ""
