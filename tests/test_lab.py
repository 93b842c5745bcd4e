"""What the live lab is made of: the files of book/build/lab.py, and the browser's arithmetic."""

import gzip
import json

import cv2
import lab
import numpy as np
import onnx
import pytest
import torch
from books import built
from labs import BYTES, MADE, made, move, number, opened, packed, running, show, told, unpacked

import minipose_book
from minipose import heatmaps
from minipose.crops import Crop
from minipose.data import Puppets
from minipose.export import description
from minipose.inference import stage_heatmaps, unmirror
from minipose_book.figures.moving import SCENES, UNSEEN

PAIRS = list(lab.PAIRS)


@pytest.fixture(scope="module")
def browser():
    with running() as pair:
        yield pair


@pytest.fixture(scope="module")
def page(browser):
    with opened(browser) as page:
        yield page
        assert page.problems == []


# The files


def test_the_made_files_are_those_of_the_shipped_networks():
    told = made()
    assert [pair["name"] for pair in told["pairs"]] == PAIRS
    for pair in told["pairs"]:
        for network in pair["networks"]:
            file = built() / "_static/lab/made" / network["file"]
            assert file.stat().st_size <= 3.5 * 2**20
            (entry,) = onnx.load(str(file)).metadata_props
            said = json.loads(entry.value)
            assert said == description(minipose_book.load(network["name"]))
            assert {
                name: pair[name] for name in ("skeleton", "joints", "limbs", "size")
            }.items() <= said.items()
            assert network["strides"] == said["strides"]


def test_the_first_pair_and_its_runtime_are_light():
    """Over the wire, compressed as servers do it: at most 10 MB."""
    static = built() / "_static"
    runtime = static / "vendor/onnxruntime-web"
    files = [runtime / "ort.wasm.bundle.min.mjs", runtime / "ort-wasm-simd-threaded.wasm"]
    files += [static / "lab/made" / network["file"] for network in made()["pairs"][0]["networks"]]
    assert sum(len(gzip.compress(file.read_bytes(), 6)) for file in files) <= 10e6


def test_the_scenes_have_the_truth_of_both_skeletons():
    told = made()
    crowded = [scene for scene in told["scenes"] if len(scene["people"].get("mpii", [])) == 2]
    puppets = [scene["people"]["mpii"][0]["joints"] for scene in told["scenes"][:-1]]
    hidden = [joints for joints in puppets if sum(bool(at) and at[2] == 1 for at in joints) >= 5]
    assert crowded and hidden
    for scene in told["scenes"][:-1]:
        picture = cv2.imread(str(MADE / scene["file"]))
        assert picture.shape == (1.5 * lab.SIZE, 1.5 * lab.SIZE, 3)
        puppet = int(scene["file"].split("-")[1].split(".")[0])
        for skeleton, people in scene["people"].items():
            sample = Puppets(SCENES, UNSEEN, lab.SIZE, skeleton)[puppet]
            assert scene["center"] == pytest.approx(sample.crop.center, abs=0.006) or skeleton != "mpii"
            for joint, at, seen in zip(people[0]["joints"], sample.keypoints, sample.visibility, strict=True):
                assert (joint is None) == (seen == 0)
                assert joint is None or joint == pytest.approx([*at, seen], abs=0.006)
            assert people[0]["head"] == pytest.approx(sample.sizes["head"], abs=0.006)
            assert len(people) == 1 + len(sample.others)


def test_a_purpose_without_a_scene_is_said(monkeypatch):
    monkeypatch.setattr(lab, "SEARCHED", 1)
    with pytest.raises(SystemExit, match=r"Among 1 scenes none serves the lab's .*\bcrowded\b"):
        lab.choose([minipose_book.load(name) for name in lab.PAIRS["puppets"]])


# The browser's arithmetic


def fixed_inputs(size: int) -> list[np.ndarray]:
    """Ten pictures: puppets, a flat one, noise, stripes."""
    rng = np.random.default_rng(0)
    puppets = Puppets(6, 99, size)
    pictures = [sample.crop.image(sample.image, size) for sample in (puppets[k] for k in range(6))]
    noise = rng.integers(0, 256, (2, size, size, 3), np.uint8)
    stripes = np.tile(np.arange(size, dtype=np.uint8)[:, None, None] * 16, (1, size, 3))
    return [*pictures, *noise, stripes, np.full((size, size, 3), 255, np.uint8)]


@pytest.mark.parametrize("name", PAIRS)
def test_heatmaps_are_pytorchs(browser, name):
    pair = next(pair for pair in made()["pairs"] if pair["name"] == name)
    inputs = fixed_inputs(pair["size"])
    code = f"""async ([files, inputs, size]) => {{
        {BYTES}
        const {{ engine }} = await import("/_static/lab/engine.js");
        const networks = await engine();
        const found = [];
        for (const file of files) {{
            const address = new URL(`/_static/lab/made/${{file}}`, location);
            for (const input of inputs) {{
                const image = new ImageData(unpack(input), size, size);
                const [{{ stages }}] = await networks.run(image, [address]);
                found.push(stages.map(pack));
            }}
        }}
        networks.end();
        return found;
    }}"""
    chromium, address = browser
    page = chromium.new_page()
    page.goto(f"{address}/_static/lab/lab.css")  # any address of the book: the modules alone are asked
    files = [network["file"] for network in pair["networks"]]
    found = page.evaluate(code, [files, [packed(each) for each in inputs], pair["size"]])
    page.close()
    images = torch.from_numpy(np.stack(inputs)).permute(0, 3, 1, 2).float() / 255
    for k, network in enumerate(pair["networks"]):
        loaded = minipose_book.load(network["name"])
        with torch.no_grad():
            ours = loaded.heatmaps(loaded(images))
        assert ours[-1].max() > 0.5
        for at in range(len(inputs)):
            theirs = found[k * len(inputs) + at]
            assert len(theirs) == len(ours)
            for stage, text in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(unpacked(text), stage[at].flatten().numpy(), atol=1e-3)


def test_two_runtimes_are_told_apart_by_their_furthest_cells(page):
    code = """async ([ours, theirs]) => {
        const { furthest } = await import("/_static/lab/speed.js");
        const stage = (map) => Float32Array.from(map);
        const looks = (networks) => networks.map((stages) => ({ stages: stages.map(stage) }));
        return furthest(looks(ours), looks(theirs));
    }"""
    ours = [[[0, 1]], [[2, 3], [4, 5]]]
    assert page.evaluate(code, [ours, ours]) == 0
    assert page.evaluate(code, [ours, [[[0, 1]], [[2, 3], [4.5, 4.75]]]]) == 0.5


PLACES = ["", "zoom=60&right=10&down=-20", "angle=30", "mirror=1&angle=-75&zoom=150", "patch=1&across=60"]
CUT = f"""async ([fragment, size, kind]) => {{
    {BYTES}
    const [{{ crop, cutter }}, {{ clean, read }}, {{ scene }}] = await Promise.all(
        ["crops", "state", "pictures"].map((name) => import(`/_static/lab/${{name}}.js`)));
    const folder = new URL("/_static/lab/made/", location);
    const made = await (await fetch(new URL("lab.json", folder))).json();
    const state = clean(read(`#lab&${{fragment}}`), made);
    const picture = await scene(made.scenes[state.scene], folder);
    const place = crop(picture, state);
    return [pack(cutter(size)(picture, place, state).pixels.data), place];
}}"""


def cut(page, fragment: str, size: int):
    """The pixels that the networks get (S, S, 3), and the crop, as the page's modules make them."""
    text, place = page.evaluate(CUT, [fragment, size, ""])
    return unpacked(text, np.uint8).reshape(size, size, 4)[..., :3], Crop(**place)


@pytest.mark.parametrize("place", PLACES)
def test_the_crop_shows_what_the_packages_shows(page, place):
    told = made()
    scene, size = told["scenes"][1], told["pairs"][0]["size"]
    pixels, crop = cut(page, f"scene=1&{place}", size)
    photo = cv2.cvtColor(cv2.imread(str(MADE / scene["file"])), cv2.COLOR_BGR2RGB)
    if "patch" in place:
        middle, side = np.array([0.6, 0.5]) * 384 - 0.5, 0.15 * 384
        low, high = (
            np.round(middle - side / 2 + 0.5).astype(int),
            np.round(middle + side / 2 + 0.5).astype(int),
        )
        photo[low[1] : high[1], low[0] : high[0]] = 0x77
    ours = crop.image(photo, size).astype(float)

    def off(right: int, down: int) -> float:
        return float(np.abs(np.roll(pixels.astype(float), (down, right), (0, 1)) - ours).mean())

    # Two ways to interpolate differ a little; half a pixel of displacement would be more.
    assert off(0, 0) < 2.5
    assert off(0, 0) < 0.5 * min(off(1, 0), off(-1, 0), off(0, 1), off(0, -1))


@pytest.mark.parametrize(
    ("network", "stage", "place"), [("A", 1, ""), ("B", 4, "mirror=1&angle=20"), ("B", 2, "zoom=130&right=5")]
)
def test_what_the_page_says_is_what_the_package_finds(page, network, stage, place):
    """Point, score, presence and error of a wrist, read from the page, for the pixels that it looked at."""
    told_ = made()
    pair, scene = told_["pairs"][0], told_["scenes"][1]
    joint = pair["joints"].index("left_wrist")
    show(page, f"scene=1&joint=left_wrist&second={stage}&{place}")
    text = told(page, network)
    pixels, crop = cut(page, f"scene=1&{place}", pair["size"])
    loaded = minipose_book.load(pair["networks"]["AB".index(network)]["name"])
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    maps = stage_heatmaps(loaded, images, loaded.skeleton, flip=False)[stage - 1][0]
    points, scores = heatmaps.decode_heatmaps(maps)
    matrix = crop.matrix(pair["size"])
    at = crop.inverse(heatmaps.to_crop(points, 4), pair["size"])
    at = unmirror(at, matrix, loaded.skeleton, axis=0)[joint].numpy()
    score = unmirror(scores, matrix, loaded.skeleton, axis=0)[joint].item()
    assert number(text, "left wrist: score ") == pytest.approx(score, abs=0.006)
    assert ("so there" in text) == (score >= 0.3)
    assert number(text, "at (") == pytest.approx(at[0], abs=0.06)
    truth = scene["people"]["mpii"][0]
    away = np.linalg.norm(at - truth["joints"][joint][:2])
    assert number(text, "of the crop = ") == pytest.approx(away / truth["head"], abs=0.006)
    assert number(text, "In truth visible, ") == pytest.approx(away * pair["size"] / crop.side, abs=0.06)


def test_the_threshold_decides_on_presence(page):
    show(page, "scene=1&joint=left_wrist")
    dots = page.locator(".views figure").nth(1).locator("[data-mark=joint]")  # each is drawn twice
    assert number(told(page, "B"), "left wrist: score ") >= 0.3 and "so there" in told(page, "B")
    assert dots.count() == 2 * number(told(page, "B"), "Network B ")
    move(page, "Draw joints that score", "End")
    assert "score 1.00 or more" in told(page, "B") and "so not there" in told(page, "B")
    assert dots.count() == 2 * number(told(page, "B"), "Network B ")


def test_a_state_goes_through_a_link_and_nothing_beyond_the_possible(page):
    code = """async (fragment) => {
        const { clean, read, write } = await import("/_static/lab/state.js");
        const made = await (await fetch("/_static/lab/made/lab.json")).json();
        const state = clean(read(fragment) ?? {}, made);
        return [state, write(state, made), clean(read(write(state, made)), made)];
    }"""
    start, link, again = page.evaluate(code, "#what-you-see")
    assert link == "#lab&" and start == again
    said = "#lab&zoom=150&angle=-30&mirror=1&joint=neck&scene=2&skeleton=0&threshold=55"
    state, link, again = page.evaluate(code, said)
    assert state == again and set(link[1:].split("&")) == set(said[1:].split("&"))
    wild = "#lab&zoom=1e9&right=NaN&angle=x&joint=<b>&scene=99&pair=toString&first=-3&mirror=maybe"
    state, _, _ = page.evaluate(code, wild)
    assert state == start | {"zoom": 400, "first": 1}
