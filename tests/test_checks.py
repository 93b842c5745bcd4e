"""The exercises of the book: asked in a chapter, solved there, and checked by minipose_book.checks."""

import re
import sys
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

import minipose
from minipose_book import checks
from minipose_book.checks import EXERCISES, Exercise, compare

BOOK = Path(__file__).parents[1] / "book"
NAMES = sorted(EXERCISES)
SEEDS = (0, 1, 2)


def test_compare_names_the_likely_mistake():
    likely = {0.25: "The threshold was not doubled.", 4: "That is the number of joints."}
    assert compare(0.5, 0.5, likely)
    assert compare(0.25, 0.5, likely).says == "Not yet. The threshold was not doubled."
    assert compare(4.0, 0.5, likely).says == "Not yet. That is the number of joints."
    assert compare(7, 0.5, likely).says == "Not yet. 7 is not it."
    assert compare("B ", "b")
    assert not compare("a", "b") and not compare(1, "b")


def test_compare_says_where_arrays_differ_but_not_what_is_right():
    want = np.array([[1.0, 2.0], [3.0, np.nan]])
    assert compare(torch.tensor([[1.0, 2.0], [3.0, torch.nan]]), want)
    assert compare([[1, 2], [3, float("nan")]], want)
    assert compare([[1, 2], [4, 5]], want).says == (
        "Not yet. 2 of 4 values are wrong, the first at index (1, 0): 4."
    )
    assert compare([1, 2], want).says == "Not yet. The answer has the shape (2, 2); yours has (2,)."
    assert compare("two", want).says == "Not yet. The answer is made of numbers; yours is of type str."


def test_compare_calls_functions():
    def double(x):
        return 2 * x

    def spoils(x):
        x *= 2
        return x

    on = [(np.array([1.0, 2.0]),), (3,)]
    likely = {(lambda x: x**2): "That is the square."}
    assert compare(double, lambda x: x + x, likely, on)
    assert compare(spoils, lambda x: x + x, likely, on), "its argument is its own"
    assert compare(lambda x: x * x, double, likely, on).says == "Not yet. That is the square."
    assert "raises ZeroDivisionError" in compare(lambda x: 1 / 0, double, likely, on).says
    assert "returns nothing" in compare(lambda x: None, double, likely, on).says
    assert compare(lambda x: 5 if np.ndim(x) == 0 else 2 * x, double, likely, on).says.endswith(
        "5 is not it."
    )
    assert compare(6, double, likely, on).says == "The answer is a function; yours is of type int."


def test_there_are_exercises_of_every_size_in_every_chapter():
    chapters = {exercise.chapter for exercise in EXERCISES.values()}
    assert len(EXERCISES) >= 40 and len(chapters) >= 10
    assert {exercise.level for exercise in EXERCISES.values()} == set(checks.LEVELS)
    for chapter in chapters:
        own = [exercise for exercise in EXERCISES.values() if exercise.chapter == chapter]
        assert len(own) >= 3 and "warm-up" in {exercise.level for exercise in own}, chapter
        asked = re.findall(r"^:label: ex-(\S+)", (BOOK / f"{chapter}.md").read_text(encoding="utf-8"), re.M)
        assert asked == [exercise.name.replace("_", "-") for exercise in own], chapter


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_is_no_mistake(name):
    assert EXERCISES[name](...).says == "No answer yet: put yours in the place of the dots."


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_likely_mistakes_are_recognised(name, seed, monkeypatch):
    """Each wrong answer that a check knows gets its own sentence, for other seeds too."""
    seen = {}

    def spy(got, want, likely=(), on=None, tolerance=1e-4):
        seen.update(want=want, likely=list(likely.items() if isinstance(likely, dict) else likely))
        return compare(got, want, likely, on, tolerance)

    exercise = EXERCISES[name]
    monkeypatch.setattr(sys.modules[exercise.check.__module__], "compare", spy)
    exercise(0, seed)
    assert exercise(seen["want"], seed).right
    table = list(seen["likely"])
    assert table, "a check knows at least one likely mistake"
    assert len({sentence for _, sentence in table}) == len(table)
    for wrong, sentence in table:
        assert exercise(wrong, seed).says == f"Not yet. {sentence}"


def solution(name: str) -> str:
    """The code of an exercise's folded solution in its chapter."""
    inside, code = False, []
    label = "ex-" + name.replace("_", "-")
    for cell in jupytext.read(BOOK / f"{EXERCISES[name].chapter}.md", fmt="md:myst").cells:
        if cell.cell_type == "markdown":
            for directive, target in re.findall(r"\{(solution-start|solution-end)\}[ \t]*(\S*)", cell.source):
                inside = directive == "solution-start" and target == label
        elif inside:
            code.append(cell.source)
    return "\n".join(code)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_solution_is_right(name, seed, monkeypatch):
    """On its own, for the book's numbers and for others."""
    monkeypatch.setattr(Exercise.given, "__defaults__", (seed,))
    monkeypatch.setattr(Exercise.__call__, "__defaults__", (seed,))
    lines = solution(name).rstrip().rsplit("\n", 1)
    assert lines[-1] == f"checks.{name}(answer)"
    space = {"checks": checks, "minipose": minipose, "np": np, "torch": torch}
    exec(lines[0], space)
    assert eval(lines[-1], space), eval(lines[-1], space)
