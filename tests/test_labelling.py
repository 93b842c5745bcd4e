"""Labelling: every step by hand, the file it writes, and the way from clicks to a trained network."""

import base64
import json

import cv2
import numpy as np
import pytest
import torch
from browsing import chromium

import minipose
from minipose import COCO, MPII, InputError, StackedHourglass
from minipose.data import COCO as COCOData
from minipose.data import InMemory, Puppets
from minipose_book.labelling import Labeller, Labels
from minipose_book.labelling.labelling import MODULE


@pytest.fixture
def folder(tmp_path):
    """Three photos, 60 px wide and 40 high, and something that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for grey, name in ((50, "b.png"), (90, "a.JPG"), (130, "c.jpeg")):
        cv2.imwrite(str(folder / name), np.full((40, 60, 3), grey, np.uint8))
    (folder / "notes.txt").write_text("no photo")
    return folder


def written(labels: Labels) -> dict:
    return json.loads(labels.out.read_text())


def test_steps(folder, tmp_path):
    labels = Labels(folder, tmp_path / "labels.json")
    assert labels.names == ["a.JPG", "b.png", "c.jpeg"]
    assert (labels.name, labels.joint, labels.photo.shape) == ("a.JPG", "nose", (40, 60, 3))
    assert not labels.out.exists()

    labels.click(10, 20.5)
    assert labels.joint == "left_eye"
    labels.skip()
    labels.occluded()
    assert labels.hidden
    labels.click(30, 8)
    assert (labels.joint, labels.hidden) == ("left_ear", False)
    assert labels.answers["a.JPG"] == [(10, 20.5, 2), (0, 0, 0), (30, 8, 1)]

    labels.occluded()
    labels.occluded()  # a second time takes it back
    assert not labels.hidden
    labels.occluded()
    labels.undo()  # the mark alone
    assert len(labels.answers["a.JPG"]) == 3 and not labels.hidden
    labels.undo()
    assert labels.joint == "right_eye"
    assert written(labels)["images"][0]["answered"] == 2
    for _ in range(5):
        labels.undo()
    assert labels.joint == "nose"
    assert written(labels)["images"] == []


def test_going_from_photo_to_photo(folder, tmp_path):
    labels = Labels(folder, tmp_path / "labels.json")
    labels.occluded()
    labels.go(1)
    assert (labels.name, labels.hidden) == ("b.png", False)
    labels.click(1, 1)
    labels.go(labels.number - 5)
    assert (labels.name, labels.joint) == ("a.JPG", "nose")
    labels.go(99)
    assert labels.name == "c.jpeg"
    labels.go(1)
    assert labels.joint == "left_eye"
    for _ in range(30):  # more than there are joints
        labels.click(5, 5)
    assert labels.joint is None
    labels.occluded()
    assert not labels.hidden
    assert len(labels.answers["b.png"]) == 17


def test_the_file_by_hand(folder, tmp_path):
    labels = Labels(folder, tmp_path / "out" / "labels.json", "lsp")
    labels.skip()  # of the first photo, nothing is labelled
    labels.go(2)
    labels.click(10, 20)
    labels.occluded()
    labels.click(29.123, 11)
    content = written(labels)
    assert content["images"] == [
        {"id": 1, "file_name": "a.JPG", "width": 60, "height": 40, "answered": 1},
        {"id": 3, "file_name": "c.jpeg", "width": 60, "height": 40, "answered": 2},
    ]
    (person,) = content["annotations"]
    assert person["keypoints"] == [10, 20, 2, 29.12, 11, 1] + [0] * 36
    # 20.12 x 10 px with the last pixel; 1.1 times that is 22.13 x 11, about the middle (19.56, 15.5).
    assert person["bbox"] == pytest.approx([8.99, 10.5, 22.13, 11.0], abs=0.011)
    assert person["area"] == pytest.approx(22.13 * 11, abs=0.2)
    assert (person["id"], person["image_id"], person["category_id"]) == (3, 3, 1)
    assert (person["num_keypoints"], person["iscrowd"]) == (2, 0)
    (category,) = content["categories"]
    assert category["keypoints"] == list(minipose.LSP.joints)
    assert category["skeleton"][0] == [1, 2]  # right ankle to right knee, counted from 1


def test_a_single_joint_has_a_box(folder, tmp_path):
    labels = Labels(folder, tmp_path / "labels.json")
    labels.click(20, 30)
    assert written(labels)["annotations"][0]["bbox"] == [16.5, 26.5, 8, 8]
    assert COCOData(labels.out, folder)[0].crop.center == (20, 30)


def test_continuing(folder, tmp_path):
    out = tmp_path / "labels.json"
    labels = Labels(folder, out)
    for _ in range(17):
        labels.skip()
    labels.go(1)
    labels.click(3, 4)
    labels.skip()
    again = Labels(folder, out)
    assert again.answers == labels.answers
    assert (again.name, again.joint) == ("b.png", "right_eye")
    again.save()
    assert json.loads(out.read_text()) == labels.content()


def test_files_of_others_are_left_alone(folder, tmp_path):
    out = tmp_path / "labels.json"
    Labels(folder, out).click(1, 2)
    own = out.read_text()
    foreign = json.loads(own)
    del foreign["images"][0]["answered"]
    for text in (json.dumps(foreign), "[]", "{", "", own.replace('"keypoints"', '"points"')):
        out.write_text(text)
        with pytest.raises(
            InputError, match=r"labels.json: labels: expected a file written by Labels"
        ) as error:
            Labels(folder, out)
        assert "\n" not in str(error.value)
        assert out.read_text() == text
    out.write_text(own)
    with pytest.raises(InputError, match="categories: expected the joints of mpii, found nose, left_eye"):
        Labels(folder, out, "mpii")
    (folder / "a.JPG").unlink()
    with pytest.raises(InputError, match=r"images: expected photos in .*, found a.JPG"):
        Labels(folder, out)


def test_bad_input(folder, tmp_path):
    out = tmp_path / "labels.json"
    with pytest.raises(InputError, match="skeleton: expected one of mpii, lsp, flic, coco, found 'dog'"):
        Labels(folder, out, "dog")
    with pytest.raises(InputError, match="nowhere: photos: expected a folder with files"):
        Labels(tmp_path / "nowhere", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: photos: expected a folder with files .jpg, .*, found none"):
        Labels(tmp_path / "empty", out)
    labels = Labels(folder, out)
    for x, y in ((60, 5), (5, -1), (float("nan"), 5)):
        with pytest.raises(InputError, match="a.JPG: click: expected x, y within 60 x 40 px"):
            labels.click(x, y)
    (folder / "b.png").write_text("no photo any more")
    with pytest.raises(InputError, match=r"b.png: photo"):
        labels.go(1)
    assert labels.name == "a.JPG"


def test_a_failed_save_keeps_the_file(folder, tmp_path, monkeypatch):
    labels = Labels(folder, tmp_path / "labels.json")
    labels.click(1, 1)
    before = labels.out.read_text()
    monkeypatch.setattr(
        "os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(InputError, match="labels.json: saving: .*No space left"):
        labels.click(2, 2)
    monkeypatch.undo()
    assert labels.out.read_text() == before
    labels.click(3, 3)  # nothing was lost on the way
    assert written(labels)["annotations"][0]["keypoints"][:9] == [1, 1, 2, 2, 2, 2, 3, 3, 2]


def test_widget_messages(folder, tmp_path):
    pytest.importorskip("anywidget", reason="no anywidget: pip install '.[book]'")
    labeller = Labeller(folder, tmp_path / "labels.json", "mpii")
    widget = labeller.widget

    def tell(step, *arguments):
        widget._handle_custom_msg({"step": step, "arguments": list(arguments)}, [])
        return widget.state

    assert (widget.state["joint"], widget.state["size"]) == ("right_ankle", (60, 40))
    photos = []
    widget.observe(photos.append, "photo")
    assert cv2.imdecode(np.frombuffer(widget.photo, np.uint8), cv2.IMREAD_COLOR).shape == (40, 60, 3)
    assert tell("occluded")["hidden"]
    state = tell("click", 10.25, 20)
    assert (state["answers"], state["joint"], state["hidden"]) == ([(10.25, 20, 1)], MPII.joints[1], False)
    assert tell("skip")["joint"] == MPII.joints[2]
    assert tell("undo")["joint"] == MPII.joints[1]
    assert photos == []  # the same picture is not sent again
    assert "click: expected x, y within" in tell("click", 500, 5)["error"]
    assert tell("go", 1)["error"] == "" and widget.state["name"] == "b.png"
    assert len(photos) == 1
    assert written(labeller.labels)["annotations"][0]["keypoints"][:3] == [10.25, 20, 1]
    assert "application/vnd.jupyter.widget-view+json" in labeller._repr_mimebundle_()[0]


@pytest.fixture
def page():
    """A page of Chromium, where the machine has it."""
    with chromium() as browser:
        yield browser.new_page(viewport={"width": 1000, "height": 900})


def test_the_browsers_side(page, folder):
    """Clicks arrive in the photo's own pixels although the window shows it larger, keys as steps."""
    state = dict(
        name="a.JPG", number=1, count=3, size=(60, 40), joint="left_wrist", hidden=True, error="",
        answers=[(10, 20, 2), (0, 0, 0), (30, 8, 1)], limbs=[(0, 1), (0, 2), (2, 3)],
    )  # fmt: skip
    photo = base64.b64encode((folder / "a.JPG").read_bytes()).decode()
    page.set_content("<div id=el></div>")
    page.evaluate(
        """async ({code, state, photo}) => {
            const bytes = Uint8Array.from(atob(photo), (c) => c.charCodeAt(0));
            const values = { state, photo: new DataView(bytes.buffer) };
            window.sent = [];
            const model = { get: (name) => values[name], on: () => {}, send: (step) => sent.push(step) };
            const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
            (await import(address)).default.render({ model, el: document.getElementById("el") });
        }""",
        dict(code=MODULE.read_text(), state=state, photo=photo),
    )
    assert "Click the person's left wrist, hidden" in page.inner_text("#el")
    assert "a.JPG, photo 2 of 3" in page.inner_text("#el")
    page.wait_for_function("document.querySelector('img').naturalWidth === 60")
    window = page.locator("svg").bounding_box()
    assert window["width"] == pytest.approx(900, abs=1) and window["height"] == pytest.approx(600, abs=1)
    # Joint 0 is drawn where a click on it is read: pixel (10, 20), whose centre is 10.5 of 60 across.
    x, y = window["x"] + 900 * 10.5 / 60, window["y"] + 600 * 20.5 / 40
    drawn = page.locator("circle").first.bounding_box()
    assert drawn["x"] + drawn["width"] / 2 == pytest.approx(x, abs=0.5)
    assert drawn["y"] + drawn["height"] / 2 == pytest.approx(y, abs=0.5)
    assert page.locator("circle").count() == 2 and page.locator("line").count() == 1
    page.mouse.click(x, y)
    for key in ("o", "S", "u", "ArrowRight", "ArrowLeft", "x"):  # a click gives the window the keyboard
        page.keyboard.press(key)
    page.click("text=next")
    page.click("text=skip")
    click, *rest = page.evaluate("window.sent")
    assert click["step"] == "click"
    assert click["arguments"] == pytest.approx([10, 20], abs=0.05)
    assert [(message["step"], *message["arguments"]) for message in rest] == [
        ("occluded",), ("skip",), ("undo",), ("go", 2), ("go", 0), ("go", 2), ("skip",),
    ]  # fmt: skip


def test_from_clicks_to_a_fine_tuned_network(tmp_path):
    truth = Puppets(10, seed=5, size=128, skeleton="coco")
    photos, out = tmp_path / "photos", tmp_path / "labels.json"
    photos.mkdir()
    for number in range(10):
        cv2.imwrite(str(photos / f"{number}.png"), truth[number].image[..., ::-1])
    labels = Labels(photos, out)
    for number in range(10):
        labels.go(number)
        sample = truth[number]
        for (x, y), visibility in zip(sample.keypoints.tolist(), sample.visibility, strict=True):
            if visibility == 0:
                labels.skip()
                continue
            if visibility == 1:
                labels.occluded()
            labels.click(x, y)

    ten = InMemory(COCOData(out, photos))
    assert (len(ten), ten.skeleton) == (10, COCO)
    for number in range(10):
        found, sample = ten[number], truth[number]
        np.testing.assert_array_equal(found.visibility, sample.visibility)
        np.testing.assert_allclose(found.keypoints, sample.keypoints, atol=0.5)  # NaN where not labelled
        np.testing.assert_array_equal(found.image, sample.image)
        assert found.crop.center == pytest.approx(sample.crop.center, abs=0.02)

    torch.manual_seed(0)
    network = StackedHourglass(joints=17, stacks=2, features=16, depth=2)
    settings = dict(size=64, learning_rate=2e-3, schedule="constant", augment="none", progress=False)
    others = InMemory(Puppets(60, seed=1, size=128, skeleton="coco"))
    minipose.train(network, others, epochs=8, batch_size=10, **settings)
    before = minipose.evaluate(network, ten, flip=False).pck("box", 0.1).mean
    history = minipose.train(network, ten, epochs=60, batch_size=5, **settings)
    after = minipose.evaluate(network, ten, flip=False).pck("box", 0.1).mean
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    # An empty map, which every network learns first, finds nothing: the joints must be found as well.
    assert after > before + 0.3
