"""Figures that move: they compute what the package does, and the keyboard moves each, on any surface."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from books import serve
from browsing import chromium, settled, watched

import minipose
import minipose_book
from minipose.crops import Crop
from minipose.data import Puppets
from minipose.heatmaps import REFINEMENTS, decode_heatmaps, encode_heatmaps, to_crop, to_map
from minipose.metrics import pck
from minipose.presence import precision_recall
from minipose_book.experiments import records
from minipose_book.figures import hourglass as figures
from minipose_book.figures import moving as widgets
from minipose_book.figures.occluder import covering
from minipose_book.figures.oks_tolerance import tolerance

FIGURES = {
    "compare": lambda: widgets.compare([48, 167], ("stages-1x8", "stages-8x1", "stacking-hg-int")),
    "sigma": figures.sigma,
    "crop": figures.crop,
    "threshold": figures.threshold,
    "presence": figures.presence,
    "training": figures.training,
    "flip": figures.flip,
    "features": figures.features,
    "receptive": figures.receptive,
    "beliefs": figures.beliefs,
    "covering": covering,
    "tolerance": tolerance,
}
# The key that changes a control, wherever it stands.
KEY = """(each) => each.type === "checkbox" ? "Space"
    : each.tagName === "SELECT" ? (each.selectedIndex < each.length - 1 ? "ArrowDown" : "ArrowUp")
    : (each.value === each.max ? "ArrowLeft" : "PageUp")"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def made():
    """Every figure, made once."""
    return {name: make() for name, make in FIGURES.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, made):
    """A page for each figure."""
    folder = tmp_path_factory.mktemp("figures")
    head = "<!doctype html><html lang=en><meta charset=utf-8><title>figure</title><link rel=icon href=data:,>"
    for name, figure in made.items():
        (folder / f"{name}.html").write_text(f"{head}<body>{figure.html()}", encoding="utf-8")
    return folder


@pytest.fixture(params=["http", "file"])
def address(request, folder):
    if request.param == "file":
        yield folder.as_uri()
    else:
        with serve(folder) as served:
            yield served


@pytest.fixture
def page(browser):
    with watched(browser) as page:
        yield page


@pytest.mark.parametrize("name", FIGURES)
def test_every_control_moves_the_picture(page, address, name):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{name}.html")
    page.wait_for_selector(".minipose[aria-busy=false]")
    controls = page.locator(".minipose input:enabled, .minipose select")
    settled(page)
    for number in range(controls.count()):
        control = controls.nth(number)
        before = settled(page)
        page.keyboard.press("Tab")  # from one control to the next, in the order of the page
        assert control.evaluate("(each) => each === document.activeElement")
        assert control.evaluate("(each) => getComputedStyle(each).outlineStyle") == "solid"
        page.keyboard.press(control.evaluate(KEY))
        assert settled(page) != before, f"control {number} of {name}"
    assert page.problems == []
    assert [each for each in asked if not each.startswith((address, "data:", "blob:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_have_names_and_nothing_sticks_out_of_a_phone(browser, folder, scheme, made):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    for name in made:
        page.goto(f"{(folder / name).as_uri()}.html")
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        nameless = """() => [...document.querySelectorAll(".minipose input, .minipose select")]
            .filter((each) => !each.labels[0].innerText.trim()).length"""
        assert page.evaluate(nameless) == 0
        silent = """() => [...document.querySelectorAll(".minipose [role=img]")]
            .filter((each) => !each.getAttribute("aria-label")).length"""
        assert page.evaluate(silent) == 0, name
    page.close()


def test_one_figure_shown_twice_and_two_on_a_page(page, made):
    page.set_content(made["sigma"].html() * 2 + made["crop"].html())
    page.wait_for_selector(".minipose[aria-busy=false] >> nth=2")
    assert page.problems == []


def run(page, module: str, code: str, argument=None):
    """What `code`, a function that sees a module's names, makes of an argument."""
    page.set_content("<p></p>")
    return page.evaluate(
        f"(given) => {{ {widgets.bundle(module)}\n return ({code})(given); }}", argument
    )  # fmt: skip


def test_decoding_is_the_packages(page):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(40, 1, 7, 5, generator=generator)
    places = torch.rand(60, 1, 2, generator=generator) * torch.tensor([4.0, 6.0])
    maps[10:12] = -maps[10:12].abs()  # nowhere positive
    maps[12:14] = 0.25  # all equal
    gaussians = encode_heatmaps(places, torch.ones(60, 1), (7, 5), sigma=0.8)
    maps = torch.cat((maps, gaussians))
    for rule in REFINEMENTS:
        code = "([maps, rule]) => maps.map((map) => decode(Float32Array.from(map), 5, 7, rule))"
        found = run(page, "codec", code, [maps.flatten(1).tolist(), rule])
        points, scores = decode_heatmaps(maps, rule)
        got = torch.tensor([[each["x"], each["y"], each["score"]] for each in found])
        torch.testing.assert_close(got[:, :2], points[:, 0], atol=2e-5, rtol=0)
        torch.testing.assert_close(got[:, 2], scores[:, 0], atol=1e-6, rtol=0)
    code = "(places) => places.map(([x, y]) => [...encode(x, y, 0.8, 5, 7)])"
    drawn = torch.tensor(run(page, "codec", code, places[:, 0].tolist()))
    torch.testing.assert_close(drawn, gaussians.flatten(1), atol=1e-5, rtol=0)
    moved = run(page, "codec", "(x) => [toMap(x, 4), toCrop(x, 8)]", 3.3)
    assert moved == pytest.approx([to_map(torch.tensor(3.3), 4).item(), to_crop(torch.tensor(3.3), 8).item()])


def test_maps_arrive_as_they_were_packed(page):
    maps = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1)) - 0.3
    found = run(page, "codec", "async (text) => [...(await unpack(text))]", widgets.pack(maps))
    highest = maps.amax(dim=(1, 2), keepdim=True)
    assert (torch.tensor(found).view(3, 4, 5) - 255 * maps.clamp(min=0) / highest).abs().max() <= 0.5


@pytest.mark.parametrize("mirror", [False, True])
def test_the_crop_is_the_packages(page, mirror):
    crop = Crop((50.5, 31.0), 40.0, 25.0, mirror)
    code = f"() => matrix([50.5, 31], 40, 25, {str(mirror).lower()}, 64)"
    there = run(page, "crop", code)
    np.testing.assert_allclose(there, crop.matrix(64)[:2], atol=1e-9)
    back = run(page, "crop", "(there) => apply(inverse(there), [10, 20.5])", there)
    np.testing.assert_allclose(back, crop.inverse([[10, 20.5]], 64)[0], atol=1e-9)


def test_shares_and_presence_are_the_packages(page, made):
    distances = made["threshold"].data["distances"]["wrists"]
    target = torch.zeros(len(distances), 1, 2)
    predicted = target + torch.tensor(distances)[:, None, None] * torch.tensor([1.0, 0.0])
    for limit in (0.0, 0.13, 0.5):
        package = pck(predicted, target, torch.ones(len(distances)), limit).mean
        assert run(page, "threshold", "([all, at]) => share(all, at)", [distances, limit]) == package
    knees = made["presence"].data["joints"]["knee"]
    curve = precision_recall(knees["max"], knees["labelled"])
    for k in (0, len(curve.recall) // 2, -1):
        code = "([values, there, at]) => tell(values, there, at)"
        found = run(page, "presence", code, [knees["max"], knees["labelled"], curve.thresholds[k].item()])
        assert found["precision"] == pytest.approx(curve.precision[k].item())
        assert found["recall"] == pytest.approx(curve.recall[k].item())


def test_a_map_is_shifted_as_a_row_is(page):
    found = run(page, "flip", "(map) => [1, -1, 0].map((by) => shifted(map, 3, by))", [1, 2, 3, 4, 5, 6])
    assert found == [[0, 1, 2, 0, 4, 5], [2, 3, 0, 5, 6, 0], [1, 2, 3, 4, 5, 6]]


def test_what_compare_says_is_what_the_package_finds(page, folder, made):
    """Error, verdict and accuracy of each stage of the stack of eight, read from the page."""
    network, sample = minipose_book.load("stages-8x1"), Puppets(widgets.SCENES, widgets.UNSEEN, 64)[48]
    pose = minipose.predict(network, sample.image, sample.crop, flip=False)
    joint = network.skeleton.index("left_ankle")
    truth = sample.crop.forward(sample.keypoints, 64)[joint]
    measured = records.read("stages", "cpu").results["shipped"]["stages-8x1"]["eight_joints_by_stage"]
    page.goto(f"{(folder / 'compare').as_uri()}.html")
    text = page.locator(".pair > div").nth(1).locator("p")
    stage = page.get_by_role("slider", name="Stage").nth(1)
    verdicts = set()
    for number in range(8, 0, -1):
        settled(page)
        point, score = decode_heatmaps(pose.heatmaps[number - 1][joint : joint + 1])
        away = (to_crop(point, 4)[0] - truth).norm().item()
        heads = away * sample.crop.side / 64 / sample.sizes["head"]
        verdicts.add(verdict := "found" if heads <= 0.5 else "missed")
        said = text.inner_text()
        assert float(said.split(" px")[0].split(", ")[1]) == pytest.approx(away, abs=0.06)
        assert float(said.split(" heads")[0].split("= ")[1]) == pytest.approx(heads, abs=0.011)
        assert float(said.split("peak ")[1].split(",")[0]) == pytest.approx(score.item(), abs=0.006)
        assert f"{verdict}. Accuracy of this stage: {measured[number - 1]:.3f}" in said
        ring = page.locator(".pair > div").nth(1).locator("[data-mark=found]").last
        at = to_crop(point, 4)[0].tolist()
        assert [float(ring.get_attribute(a)) for a in ("cx", "cy")] == pytest.approx(at, abs=0.006)
        stage.focus()
        page.keyboard.press("ArrowLeft")
    assert verdicts == {"found", "missed"}  # a joint that the stack mends


@pytest.mark.parametrize("edit", ["erased", "moved"])
def test_what_beliefs_shows_is_what_the_stage_makes(page, folder, made, edit):
    """Stage 3 and a hip, edited by hand: the knee's belief, its ring and its height, read from the page."""
    machine, sample = minipose_book.load("cpm3-puppets"), Puppets(widgets.SCENES, widgets.UNSEEN, 96)[48]
    pixels = torch.from_numpy(sample.crop.image(sample.image, 96)).permute(2, 0, 1)[None] / 255
    hip, knee = (machine.skeleton.index(f"right_{joint}") for joint in ("hip", "knee"))
    grid = made["beliefs"].data["grid"]
    with torch.no_grad():
        given = machine(pixels)[1]
        if edit == "erased":
            given[0, hip] = 0
        else:  # the grid's first column and last row
            at = torch.tensor([[[grid[0], grid[-1]]]]).float()
            given[:, hip] = encode_heatmaps(at, torch.ones(1, 1), (24, 24), 21 * 96 / 368 / 4)[0]
        belief = machine.later[1](machine.features(pixels - 0.5), given, machine.center(pixels))[:, [knee]]
    point, height = decode_heatmaps(belief)
    page.goto(f"{(folder / 'beliefs').as_uri()}.html")
    settled(page)
    page.get_by_label("Peak of the").select_option("right hip")
    page.get_by_label("where it enters").select_option("stage 3")
    if edit == "erased":
        page.get_by_label("is", exact=True).select_option("erased")
    else:
        page.get_by_label("Peak's column").press("Home")
        page.get_by_label("Peak's row").press("End")
    settled(page)
    said = page.locator("[aria-live=polite]").inner_text()
    assert float(said.split("highest ")[1].split(",")[0]) == pytest.approx(height.item(), abs=0.011)
    ring = page.locator("[data-mark=found]").last
    found = [float(ring.get_attribute(name)) for name in ("cx", "cy")]
    # 8 bits a cell may tell another neighbour as the larger: by half a cell then, which is 2 px.
    assert found == pytest.approx(to_crop(point, 4)[0, 0].tolist(), abs=2.01)


# What the regression is given instead of (detections, picture), with the elbow's number.
EDITS = {
    "all": lambda maps, image, elbow: (maps, image),
    "all but this part's detections": lambda maps, image, elbow: (
        maps.index_fill(1, torch.tensor(elbow), 0), image
    ),
    "all but the other parts'": lambda maps, image, elbow: (
        torch.where(torch.arange(16).view(16, 1, 1) == elbow, maps, 0), image
    ),
    "all but the image": lambda maps, image, elbow: (maps, 0 * image),
}  # fmt: skip


@pytest.mark.parametrize("given", EDITS)
def test_what_covering_shows_is_what_both_networks_make(page, folder, made, given):
    """An elbow, and a box in the second column and the last but one row, painted by hand."""
    network, sample = minipose_book.load("phr-puppets"), Puppets(widgets.SCENES, widgets.UNSEEN, 96)[48]
    x, y = (made["covering"].data["places"][k] for k in (1, -2))
    pixels = sample.crop.image(sample.image, 96).copy()
    pixels[y - 12 : y + 12, x - 12 : x + 12] = 38, 135, 130
    elbow = network.skeleton.index("right_elbow")

    def edit(_, seen):
        return (torch.cat(EDITS[given](seen[0][:, :16], seen[0][:, 16:], elbow), dim=1),)

    network.regressor.register_forward_pre_hook(edit)
    with torch.no_grad():
        images = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        stages = [each[0, [elbow]] for each in network.heatmaps(network(images))]
    truth = sample.crop.forward(sample.keypoints, 96)[elbow]
    page.goto(f"{(folder / 'covering').as_uri()}.html")
    settled(page)
    page.get_by_label("Part", exact=True).select_option("right elbow")
    page.get_by_label("The regressor is given").select_option(given)
    for slider, key in (("Box, across", "Home"), ("Box, down", "End")):
        page.get_by_label(slider).press(key)
        page.get_by_label(slider).press("ArrowRight" if key == "Home" else "ArrowLeft")
    settled(page)
    assert page.get_by_label("a box stands before the puppet").is_checked(), "who moves it puts it there"
    said = page.locator("[aria-live=polite]").inner_text()
    for number, (verb, maps) in enumerate(zip(("detected", "regressed"), stages, strict=True), start=1):
        point, height = decode_heatmaps(maps)
        point = to_crop(point, network.strides[number - 1])[0]
        away = (point - truth).norm().item()
        shown = page.locator(".trio p").nth(number).inner_text()
        assert float(shown.split("highest ")[1]) == pytest.approx(height.item(), abs=0.006)
        assert float(said.split(f"{verb} ")[1].split(" px")[0]) == pytest.approx(away, abs=0.06)
        ring = page.locator(f"[data-mark={verb}]").last
        found = [float(ring.get_attribute(name)) for name in ("cx", "cy")]
        assert found == pytest.approx(point.tolist(), abs=0.01)


def test_a_box_hides_what_is_behind_it(page):
    """A box of 4 px around the corner (10, 20) covers the pixels 8 to 11 and 18 to 21."""
    places = [[8, 18], [11, 21], [7.4, 20], [11.6, 20], [10, 21.6], None]
    found = run(page, "covering", "(all) => all.map((at) => hides([10, 20], 4, at))", places)
    assert found == [True, True, False, False, False, False]
    assert run(page, "covering", "() => [frame(false, 2, 1, 5), frame(true, 2, 1, 5)]") == [0, 8]


def test_what_tolerance_says_is_the_packages(page, folder, made):
    """A hip off by hand: its OKS by COCO's own program, PCK by the package, both as the page says them."""
    from pycocotools.cocoeval import Params

    given = made["tolerance"].data
    sigmas = dict(zip(minipose.COCO.joints, Params("keypoints").kpt_oks_sigmas, strict=True))
    page.goto(f"{(folder / 'tolerance').as_uri()}.html")
    settled(page)
    page.get_by_label("Joint", exact=True).select_option("left hip")
    for right, down, times in ((20, 15, 1), (3, 4, 0.5), (0, 0, 2)):
        sliders = (("off to the right", right), ("off downwards", down), ("area", times))
        for name, value in sliders:
            page.get_by_label(name).fill(str(value))
        settled(page)
        said = page.locator("[aria-live=polite]").inner_text()
        away = float(np.hypot(right, down))
        # e = d^2 / (2 sigma)^2 / (area + eps) / 2, as in pycocotools.
        oks = np.exp(-(away**2) / (2 * sigmas["left_hip"]) ** 2 / (times * given["area"]) / 2)
        joint = pck([[[away, 0.0]]], [[[0.0, 0.0]]], [given["torso"]], given["threshold"]).mean
        assert f"left hip: {away:.1f} px off" in said
        assert float(said.split("OKS of this joint ")[1].split(",")[0]) == pytest.approx(oks, abs=0.006)
        assert ("found" in said) == bool(joint)
        person = (given["labelled"] - 1 + oks) / given["labelled"]
        assert float(said.split("OKS is ")[1].rstrip(".")) == pytest.approx(person, abs=0.006)


def test_dragging_moves_the_joint_of_sigma(page, folder):
    page.goto(f"{(folder / 'sigma').as_uri()}.html")
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])  # after the button nothing follows
    values = [float(page.get_by_label(name).input_value()) for name in ("x, in cells", "y, in cells")]
    assert values == pytest.approx([2.5, 5.5], abs=0.06)


def test_nothing_in_the_data_ends_the_script():
    assert "</script><b>" not in widgets.Moving("sigma", {"text": "</script><b>"}).html()


def test_every_module_is_a_module():
    """What the live lab loads by itself: each parses, and imports only what the others export."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: install the system package nodejs")
    paths = [str(path.as_uri()) for path in widgets.STATIC.glob("*.js") if path.name != "live.js"]
    code = f"for (const path of {json.dumps(paths)}) await import(path)"
    done = subprocess.run([node, "--input-type=module", "-e", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
