"""The live lab in a reader's hands: every control moves what it says, by mouse, finger and key."""

import numpy as np
import pytest
from labs import linked, made, move, number, opened, ready, running, seen, set_to, show, told


@pytest.fixture(scope="module")
def browser():
    with running() as pair:
        yield pair


@pytest.fixture(scope="module")
def shared(browser):
    """One tab for tests that leave no trace: each opens a state of its own."""
    with opened(browser) as page:
        yield page
        assert page.problems == []


# Controls

# Control, key, what stands in the link then, what of the page must change, and what must not.
VIEWS, SMALL, WHOLE, CONTROLS = ".views", ".all-stages", ".aside", ".lines"
SLIDERS = [
    ("Crop to the right", "PageUp", "right=", [VIEWS, SMALL, WHOLE, CONTROLS], []),
    ("Crop down", "PageUp", "down=", [VIEWS, SMALL, WHOLE, CONTROLS], []),
    ("Zoom", "PageUp", "zoom=", [VIEWS, SMALL, WHOLE, CONTROLS], []),
    ("Turn", "ArrowLeft", "angle=-5", [VIEWS, SMALL, WHOLE, CONTROLS], []),
    ("Stage of B", "ArrowLeft", "second=3", [VIEWS, CONTROLS], [WHOLE]),
    ("Draw joints that score", "End", "threshold=100", [VIEWS, CONTROLS], [SMALL, WHOLE]),
    ("Heatmap", "Home", "heat=0", [VIEWS], [SMALL, WHOLE, CONTROLS]),
    ("Patch to the right", "PageUp", "across=", [VIEWS, SMALL, WHOLE, CONTROLS], []),
    ("Patch down", "PageUp", "along=", [VIEWS, SMALL, WHOLE, CONTROLS], []),
    ("Patch size", "End", "width=60", [VIEWS, SMALL, WHOLE, CONTROLS], []),
]


@pytest.mark.parametrize(("name", "key", "link", "moved", "still"), SLIDERS, ids=lambda value: str(value))
def test_a_slider_moves_what_it_says(shared, name, key, link, moved, still):
    show(shared, "scene=1&joint=left_wrist&patch=1")
    before = {part: seen(shared, part) for part in (*moved, *still)}
    move(shared, name, key)
    assert [part for part in moved if seen(shared, part) == before[part]] == []
    assert [part for part in still if seen(shared, part) != before[part]] == []
    linked(shared, link)


BOXES = [
    ("skeleton", "skeleton=0", "limb", True),
    ("truth", "truth=1", "truth", False),
]


@pytest.mark.parametrize(("name", "link", "mark", "there"), BOXES)
def test_a_box_draws_what_it_says(shared, name, link, mark, there):
    show(shared, "scene=1")
    marks = shared.locator(f".views [data-mark={mark}]")
    assert bool(marks.count()) == there
    move(shared, name, "Space", role="checkbox")
    assert bool(marks.count()) != there
    linked(shared, link)


def test_mirror_patch_and_the_way_back(shared):
    show(shared, "scene=3")
    start = seen(shared, VIEWS)

    def corners() -> np.ndarray:
        points = shared.locator(".aside [data-mark=crop]").last.get_attribute("points")
        return np.array([point.split(",") for point in points.split(" ")], float)

    square = corners()
    move(shared, "mirror", "Space", role="checkbox")
    np.testing.assert_allclose(corners(), square[[1, 0, 3, 2]], atol=1e-6)  # its left side is right
    move(shared, "Turn", "ArrowRight", times=3)
    move(shared, "Back to the start", "Enter", role="button")
    assert seen(shared, VIEWS) == start
    move(shared, "patch", "Space", role="checkbox")
    assert seen(shared, VIEWS) != start
    linked(shared, "patch=1")


def test_the_views_and_the_joints(shared):
    show(shared, "scene=1")
    assert shared.locator(".views figure:visible").count() == 2
    assert shared.locator(".views [data-mark=found]").count() == 0
    move(shared, "Joint", "ArrowDown", role="combobox")
    assert told(shared, "A").count("right ankle: score") == 1
    assert shared.locator(".views [data-mark=found]").count() in (2, 4)  # each ring is drawn twice
    move(shared, "View", "ArrowDown", role="combobox")
    assert shared.locator(".views figure:visible").count() == 1
    linked(shared, "joint=right_ankle")
    linked(shared, "difference=1")


def test_small_pictures_choose_a_stage(shared):
    show(shared, "scene=1")
    before = told(shared, "B")
    thumbs = shared.locator(".thumbs button")
    assert thumbs.count() == 5
    thumbs.nth(1).focus()
    shared.keyboard.press("Enter")
    ready(shared)
    assert thumbs.nth(1).get_attribute("aria-pressed") == "true" and told(shared, "B") != before
    assert shared.get_by_role("slider", name="Stage of B").input_value() == "1"


def test_the_whole_picture_moves_the_square(shared):
    """The pointer is where the crop's middle goes; the sliders do the same by keyboard."""
    show(shared, "scene=1")
    view = shared.locator(".aside .stage")
    view.scroll_into_view_if_needed()
    points = shared.locator(".aside [data-mark=crop]").last.get_attribute("points").split(" ")
    left, top = np.array([point.split(",") for point in points], float).min(axis=0)
    side = 192  # the view's own pixels, as its marks are
    box = view.bounding_box()
    shared.mouse.click(
        box["x"] + (left + 0.5) / side * box["width"], box["y"] + (top + 0.5) / side * box["height"]
    )
    ready(shared)
    assert (set_to(shared, "Crop to the right"), set_to(shared, "Crop down")) == (-50, -50)


def test_keys_may_be_faster_than_the_networks(shared):
    """What comes back late moves no slider from where the reader has it meanwhile."""
    show(shared, "scene=1&second=2")
    for name in ("Stage of B", "Zoom"):
        before = set_to(shared, name)
        for key in ["ArrowLeft", "ArrowRight"] * 10:
            shared.get_by_role("slider", name=name).press(key)
            shared.wait_for_timeout(12)
        ready(shared)
        assert set_to(shared, name) == before


def test_all_joints_in_numbers(shared):
    show(shared, "scene=1&joint=left_wrist")
    shared.get_by_text("All joints in numbers").click()
    row = shared.locator(".sheet tr", has_text="left wrist")
    row.wait_for()
    cells = row.locator("td").all_inner_texts()
    assert cells[0] == "visible" and float(cells[1]) == number(told(shared, "A"), "left wrist: score ")
    assert float(cells[4]) == number(told(shared, "B"), "of the crop = ")
    shared.get_by_text("All joints in numbers").click()


# The picture in the reader's hands


def drag(page, start, end, steps: int = 8) -> None:
    """From one place of A's picture to another, in shares of its side."""
    box = page.locator(".views .stage").first.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=steps)
    page.mouse.up()
    page.mouse.move(0, 0)  # after the button nothing follows
    ready(page)


def test_dragging_moves_the_crop_and_the_patch(shared):
    show(shared, "scene=1&patch=1&zoom=200")
    shared.locator(".views").scroll_into_view_if_needed()
    drag(shared, (0.2, 0.2), (0.4, 0.1))
    # A fifth of the crop, which is half the start's side: the crop goes the other way.
    assert (set_to(shared, "Crop to the right"), set_to(shared, "Crop down")) == (-10, 5)
    assert (set_to(shared, "Patch to the right"), set_to(shared, "Patch down")) == (50, 50)
    show(shared, "scene=1&patch=1&width=60&zoom=200")
    drag(shared, (0.5, 0.5), (0.7, 0.5))
    crop = made()["scenes"][1]["side"]
    moved = set_to(shared, "Patch to the right")
    assert moved == pytest.approx(50 + 0.2 * 100 * crop / 2 / 384, abs=0.6)
    assert (set_to(shared, "Crop to the right"), set_to(shared, "Patch down")) == (0, 50)


@pytest.mark.parametrize(
    ("key", "control", "value"),
    [
        ("ArrowRight", "Crop to the right", -2), ("ArrowUp", "Crop down", 2), ("+", "Zoom", 105),
        ("-", "Zoom", 95), ("]", "Turn", 5), ("[", "Turn", -5),
    ],
)  # fmt: skip
def test_keys_move_the_picture(shared, key, control, value):
    show(shared, "scene=1")
    shared.locator(".views .stage").nth(1).focus()
    shared.keyboard.press(key)
    ready(shared)
    assert set_to(shared, control) == value
    shared.locator(".views .stage").nth(1).focus()
    shared.keyboard.press("m")
    ready(shared)
    assert shared.get_by_role("checkbox", name="mirror").is_checked()


@pytest.mark.parametrize(("mirror", "turn"), [(0, 30), (1, -30)])
def test_two_fingers_zoom_and_turn(shared, mirror, turn):
    show(shared, f"scene=1&mirror={mirror}")
    shared.locator(".views").scroll_into_view_if_needed()
    box = shared.locator(".views .stage").first.bounding_box()
    session = shared.context.new_cdp_session(shared)

    def touch(kind: str, *places) -> None:
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": k}
            for k, (x, y) in enumerate(places)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.4, 0.5))
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    for share in (0.25, 0.5, 0.75, 1):  # the second finger goes round and outward, the first stays
        angle = np.deg2rad(30 * share)
        reach = 0.2 * (1 + share)
        touch("touchMove", (0.4, 0.5), (0.4 + reach * np.cos(angle), 0.5 + reach * np.sin(angle)))
    touch("touchEnd")
    ready(shared)
    assert set_to(shared, "Zoom") == pytest.approx(200, abs=4)
    assert set_to(shared, "Turn") == turn


def test_the_crop_decides_whom_they_mean(shared):
    """Figure 10: on a scene of two people, sliding the crop changes the person."""
    whom = made()["tour"]["whom"]
    scene = made()["scenes"][whom["scene"]]
    show(shared, f"scene={whom['scene']}")
    assert all("the person of the start" in told(shared, name) for name in "AB")
    shared.locator(".views").scroll_into_view_if_needed()
    x, y = (np.array(whom["to"]) - scene["center"]) / scene["side"]
    drag(shared, (0.5, 0.5), (0.5 - x, 0.5 - y))
    assert all("the other person" in told(shared, name) for name in "AB")


def test_the_other_pair(shared):
    show(shared, "scene=1")
    shared.get_by_role("combobox", name="Networks").press("ArrowDown")
    shared.wait_for_selector("text=The picture: a photo")
    ready(shared)
    assert "of 14 joints" in told(shared, "A")
    linked(shared, "pair=people")
    shared.get_by_role("combobox", name="Networks").select_option("trained on puppets")
    shared.wait_for_selector("text=The picture: two people")
    ready(shared)
    assert "of 16 joints" in told(shared, "B")
    shared.get_by_role("button", name="a photo: Grace Hopper").press("Enter")
    shared.wait_for_selector("text=The picture: a photo")
    linked(shared, f"scene={len(made()['scenes']) - 1}")
