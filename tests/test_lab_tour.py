"""The live lab's tour: what a reader moves answers each question, and the page sees it."""

import numpy as np
import pytest
from books import ROOT
from labs import made, move, opened, ready, running, set_to


@pytest.fixture(scope="module")
def browser():
    with running() as pair:
        yield pair


def patch(page) -> float:
    """How much of A's large picture is the patch, under no heatmap."""
    opacity = set_to(page, "Heatmap")
    move(page, "Heatmap", "Home")
    code = """() => {
        const canvas = document.querySelector(".views canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const grey = (cell) => [0, 1, 2].every((colour) => data[4 * cell + colour] === 0x77);
        return [...Array(data.length / 4).keys()].filter(grey).length / (data.length / 4);
    }"""
    share = page.evaluate(code)
    move(page, "Heatmap", "ArrowRight", round(opacity / 5))
    return share


def inside(page, part: str) -> bool:
    """Whether a part of the lab is in sight as a whole."""
    code = """(part) => {
        const { top, bottom } = document.querySelector(part).getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
    }"""
    return page.evaluate(code, part)


def test_every_question_of_the_tour_is_answered_by_moving(browser):
    tour = made()["tour"]
    scene = made()["scenes"]
    with opened(browser) as page:
        yes = page.locator(".tour [role=status]")

        def begin(name: str, of: str = "Next question") -> None:
            if of:
                page.get_by_role("button", name=of).click()
            page.wait_for_function(
                f"() => document.querySelector('.tour .title').innerText.startsWith('Question {name}')"
            )
            page.wait_for_timeout(50)
            ready(page)
            assert yes.inner_text() == ""

        begin("1", "Start the tour")
        x, y = (np.array(tour["whom"]["to"]) - scene[0]["center"]) / scene[0]["side"]
        move(page, "Crop to the right", "ArrowRight" if x > 0 else "ArrowLeft", round(abs(100 * x)))
        move(page, "Crop down", "ArrowDown" if y < 0 else "ArrowUp", round(abs(100 * y)))
        assert yes.inner_text().startswith("Yes. Both mean the other person")
        begin("2")
        assert patch(page) > 0.01  # it is in sight, to be dragged
        pair = made()["pairs"][0]
        at = scene[1]["people"]["mpii"][0]["joints"][pair["joints"].index(tour["covered"]["joint"])]
        for name, place in (("Patch to the right", at[0]), ("Patch down", at[1])):
            steps = round(100 * place / 384 - set_to(page, name))
            move(page, name, "ArrowRight" if steps > 0 else "ArrowLeft", abs(steps))
        assert yes.inner_text().startswith("Yes. It is covered.")
        begin("3")
        move(page, "Stage of B", "Home")
        assert yes.inner_text() == ""
        move(page, "Stage of B", "ArrowRight", tour["decided"]["stage"] - 1)
        assert yes.inner_text().startswith("Yes. From this stage on")
        begin("4")
        line = page.locator(".views button")
        assert line.inner_text() == "Question 4 of 5: not yet"
        move(page, "Turn", "Home")
        assert yes.inner_text().startswith("Yes. A network knows what it has been shown.")
        # The slider stands far below the question: the pictures say it too, and lead back.
        assert not inside(page, ".tour") and inside(page, ".views button")
        assert line.inner_text() == "Question 4 of 5: yes! Read on"
        line.press("Enter")
        assert inside(page, ".tour") and inside(page, ".views")
        page.keyboard.press("Enter")  # the next question is at hand
        begin("5", of="")
        assert inside(page, ".tour") and inside(page, ".views")
        # There is no next one, and the focus is not lost with its button.
        assert page.evaluate("document.activeElement.innerText") == "Again"
        for _ in range(20):
            move(page, "Draw joints that score", "ArrowRight", 5)
            if yes.inner_text():
                break
        assert yes.inner_text().startswith("Yes. PCK asks where a joint is")
        assert (ROOT / "book" / yes.locator("a").get_attribute("href")).with_suffix(".md").is_file()
        page.get_by_role("button", name="Again").click()
        ready(page)
        page.wait_for_function("() => document.querySelector('.tour [role=status]').innerText === ''")
        assert page.problems == []
