"""The sample assignment: its checks, its notebooks, and the grader on good, poor, empty and broken work."""

import ast
import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import grade as grader
import handout
import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from submission import Submission
from test_notebooks import MYST

from minipose.models.hourglass import StackedHourglass
from minipose_book.checks import assignment
from minipose_book.checks.assignment import ITEMS, PARTS, WRITTEN, items, networks
from minipose_book.checks.core import compare

FOLDER = Path(handout.SOURCE).parent
HANDED_OUT = handout.SOURCE.with_suffix(".ipynb")
NAME = HANDED_OUT.name
# Those whose verdict is a score or a comparison of two answers have no table of mistakes.
TABLED = [name for name, item in ITEMS.items() if item.asks != "predict"]


def cells(text: str) -> list:
    return nbformat.reads(text, as_version=4).cells


def write(path: Path, codes: list[str], texts: list[str] | None = None) -> Path:
    """A notebook of some cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [*map(new_code_cell, codes), *map(new_markdown_cell, texts or [])]
    path.write_text(nbformat.writes(new_notebook(cells=made)), encoding="utf-8")
    return path


def points(made: grader.Grade) -> dict[str, int]:
    return {each.name: each.points for each in made.results if each.points}


def says(made: grader.Grade) -> dict[str, str]:
    return {each.name: each.says for each in made.results if not each.points}


# The checks


def test_points_and_parts_add_up():
    by_part = {part: sum(item.points for item in ITEMS.values() if item.part == part) for part in PARTS}
    assert by_part == {1: 15, 2: 20, 3: 15, 4: 15, 5: 20, 6: 0}
    assert sum(by_part.values()) + WRITTEN == 100
    assert all(getattr(assignment, name) is item for name, item in ITEMS.items())


@pytest.mark.parametrize("name", TABLED)
def test_likely_mistakes_are_recognised(name, monkeypatch):
    """Each wrong answer that a check knows gets its own sentence, whatever the seed."""
    item, seen = ITEMS[name], {}

    def spy(got, want, likely=(), on=None, tolerance=1e-4):
        seen.update(want=want, likely=dict(likely))
        return compare(got, want, likely, on, tolerance)

    monkeypatch.setattr(sys.modules[item.check.__module__], "compare", spy)
    for seed in range(4):
        item.check(len, **item.given(seed))
        table = seen["likely"]
        assert table and len(set(table.values())) == len(table)
        assert item.check(seen["want"], **item.given(seed)).right
        for wrong, sentence in table.items():
            assert item.check(wrong, **item.given(seed)).says == f"Not yet. {sentence}", seed


def test_other_seeds_give_other_numbers():
    for name in (*TABLED, "finds_joints"):
        drawn = [repr(ITEMS[name].given(seed)) for seed in (0, 0, 1, 2)]
        assert drawn[0] == drawn[1] and len(set(drawn)) > 1, name


def test_parameters_are_those_of_the_network():
    hourglass = StackedHourglass(joints=16, stacks=1, features=256, depth=4).hourglasses[0]
    assert networks._parameters(4, 256) == 13 * 214_528 == sum(p.numel() for p in hourglass.parameters())


def test_scores_of_predictions_that_are_known():
    images, truth, heads = items.puppets(8, seed=5)
    assert images.shape == (8, 3, 64, 64) and images.min() >= 0 and images.max() <= 1
    beside = truth + torch.tensor([0.3, 0.4]) * heads[:, None, None]  # half a head away
    nearly = (truth + beside) / 2
    given = {"images": images, "points": truth, "heads": heads}
    assert networks.pckh_of(nearly, truth, heads) == 1
    assert networks.pckh_of(truth + 2 * (beside - truth), truth, heads) == 0
    assert assignment.finds_joints.check(lambda pictures: nearly.nan_to_num(), **given)
    poor = torch.where(torch.arange(16)[:, None] % 2 == 0, truth, torch.nan)
    assert not assignment.finds_joints.check(lambda pictures: poor, **given)
    assert assignment.beats_zeros.check(lambda pictures: poor, **given)
    verdict = assignment.beats_zeros.check(lambda pictures: truth[:, 0], **given)
    assert verdict.says == "predict gives the shape (8, 2); asked is (8, 16, 2)."
    verdict = assignment.evaluation_mode.check(lambda few: few.mean() + torch.zeros(len(few), 16, 2), **given)
    assert verdict.says == "Not yet. A picture is answered differently in company: call eval() first."


def test_what_a_cell_prints_and_returns(capsys):
    assert assignment.parameter_formula.earned(lambda depth, features: 0) == 0
    assert "Not yet." in capsys.readouterr().out
    assert assignment.parameter_formula.earned(networks._parameters) == 5
    assert capsys.readouterr().out == "Right.\n"


def test_a_check_called_in_a_notebook_prints_no_warning(recwarn):
    def noisy(points, labelled, size, sigma):
        np.array(0.0) / 0
        return handout

    assert not assignment.one_gaussian(noisy)
    assert assignment.one_gaussian(3).says == "target_maps is to be called; yours is of type int."
    assert not recwarn.list


# The notebooks


def test_the_handout_is_current():
    assert HANDED_OUT.read_text(encoding="utf-8") == handout.notebook(), "run make notebooks"


def test_the_handout_is_plain_and_has_no_solution():
    made = cells(handout.notebook())
    text = "\n".join(cell.source for cell in made)
    assert "BEGIN" not in text and "END SOLUTION" not in text
    prose = "\n\n".join(cell.source for cell in made if cell.cell_type == "markdown")
    assert not MYST.findall(re.sub(r"`[^`\n]*`", "", prose))
    solutions = re.findall(r"BEGIN SOLUTION.*?END SOLUTION", handout.SOURCE.read_text(encoding="utf-8"), re.S)
    assert len(solutions) == 15
    lines = {line.strip() for each in solutions for line in each.splitlines()[1:-1] if len(line.strip()) > 30}
    assert len(lines) > 40 and not lines & {line.strip() for line in text.splitlines()}


def test_no_page_and_no_chapter_has_the_solution():
    line = "maps = torch.exp(-(down[..., :, None] + across[..., None, :]) / (2 * sigma**2))"
    assert line in handout.SOURCE.read_text(encoding="utf-8")
    book = FOLDER.parent
    assert not [path for path in [*book.glob("*.md"), *book.rglob("*.ipynb")] if line in path.read_text()]


def test_metadata_are_nbgraders():
    """The rules of nbgrader's schema, version 3."""
    for seed in (None, 1):
        marked = [cell for cell in cells(handout.notebook(seed)) if "nbgrader" in cell.metadata]
        kinds = {}
        for cell in marked:
            meta = cell.metadata["nbgrader"]
            kinds[meta["grade_id"]] = (meta["grade"], meta["solution"], cell.cell_type)
            assert meta["schema_version"] == 3 and meta["task"] is False
            assert meta["locked"] is not meta["solution"] and ("points" in meta) is meta["grade"]
            assert re.fullmatch(r"[\w-]+", meta["grade_id"])
            if meta["grade"] and not meta["solution"]:
                item = ITEMS[meta["grade_id"].replace("-", "_")]
                assert meta["points"] == item.points
                assert cell.source.splitlines()[0] == f"assignment.{item.name}.earned({item.asks})"
                assert ("HIDDEN" in cell.source) is (seed is not None)
        assert len(kinds) == len(marked), "an id is used once"
        assert kinds.pop("analysis") == (True, True, "markdown")
        checks = [name for name, kind in kinds.items() if kind == (True, False, "code")]
        answers = [name for name, kind in kinds.items() if kind == (False, True, "code")]
        assert sorted(checks) == sorted(name.replace("_", "-") for name in ITEMS)
        asked = {item.asks.replace("_", "-") for item in ITEMS.values()}
        assert set(answers) == asked | {"fit"}


def test_a_check_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no such check: assignment.one_gaussian"):
        handout.check_cell("assignment.one_gaussian.earned(brightest)", None)


# The grader


def answered(**answers: str) -> list[str]:
    """The handout's code, with other definitions in the place of some of its cells."""
    made = []
    for cell in cells(handout.notebook()):
        if cell.cell_type == "code" and cell.source != handout.notebooks.INSTALL:
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "").replace("-", "_")
            made.append(answers.pop(name, cell.source))
    assert not answers
    return made


POOR = {
    "target_maps": """
from minipose import encode_heatmaps as given

def target_maps(points, labelled, size, sigma):  # rounds
    x, y = points.nan_to_num(99).round().unbind(-1)
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])
    off = (columns - x[..., None, None]) ** 2 + (rows - y[..., None, None]) ** 2
    return torch.exp(-off / 2 / sigma**2)
""",
    "brightest": """
def brightest(maps):
    cell = maps.flatten(2).argmax(-1)
    return torch.stack((cell % maps.shape[-1], cell // maps.shape[-1]), -1).float()
""",
    "quarter": """
def quarter(maps):
    return brightest(maps)
""",
    "round_trip": """
def round_trip(draw, decode, points, stride):
    return (decode(draw(points / stride)) * stride - points).norm(dim=-1).mean()
""",
    "pckh": """
def pckh(predicted, target, heads, threshold):
    return ((predicted - target).norm(dim=-1) <= threshold * heads[:, None]).float().mean(0)
""",
    "MyHourglass": """
from minipose.models.hourglass import Hourglass

class MyHourglass(Hourglass):
    def __init__(self, depth, features, block=residual):
        super().__init__(depth, 1, features)
""",
    "parameters": """
def parameters(depth, features):
    return (3 * depth + 1) * (13 * features**2 // 4 + 6 * features)
""",
    "TwoStacks": "class Stacks(nn.Module):\n    pass",
    "stages_loss": """
def stages_loss(stages, target):
    return functional.mse_loss(stages[-1], target)
""",
    "predict": """
def predict(images):
    return torch.full((len(images), 16, 2), 31.5)
""",
}
POOR_POINTS = {
    "one_gaussian": 6, "brightest_cell": 5, "heads_and_threshold": 5, "parameter_formula": 5,
    "evaluation_mode": 2, "beats_zeros": 2,
}  # fmt: skip
POOR_SAYS = {
    "between_cells": "Not yet. The joint was rounded to a whole cell.",
    "quarter_cell": "Not yet. That is the brightest cell, and not moved.",
    "parabola_peak": "yours raises NotImplementedError:",
    "round_trip_error": "Not yet. The half cell is missing on both ways.",
    "missing_labels": "Not yet. A missing label was counted as a miss.",
    "recursion": "MyHourglass is to be your own; this takes Hourglass from minipose.",
    "own_modules": "MyHourglass is to be your own; this takes Hourglass from minipose.",
    "feeds_back": "The notebook defines no TwoStacks. It defines ",
    "loss_of_stages": "Not yet. Only the last stage counts in yours.",
    "beats_one_pose": "one mean pose has 0.",
    "finds_joints": "what is asked for has 0.",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The command on a class: a good, a poor and an empty submission, and a file that is no notebook."""
    folder = tmp_path_factory.mktemp("class")
    for student in ("good", "poor", "empty", "broken"):
        (folder / student).mkdir()
    (folder / "good" / NAME).write_text(handout.notebook(7), encoding="utf-8")
    (folder / "good" / grader.WEIGHTS).write_bytes((FOLDER / grader.WEIGHTS).read_bytes())
    write(folder / "poor" / NAME, answered(**POOR), ["I wrote something."])
    (folder / "empty" / NAME).write_text(handout.notebook(), encoding="utf-8")
    (folder / "broken" / NAME).write_text("{not json", encoding="utf-8")
    files = [folder / student / NAME for student in ("good", "poor", "empty", "broken")]
    wanted = ["--json", folder / "all.json", "--csv", folder / "all.csv"]
    command = [sys.executable, FOLDER / "grade.py", *files, *wanted]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def graded_as(folder: Path, student: str) -> grader.Grade:
    records = json.loads((folder / "all.json").read_text(encoding="utf-8"))
    [record] = [each for each in records if each["student"] == student]
    results = [grader.Result(**each) for each in record["results"]]
    made = grader.Grade(
        **{k: record[k] for k in ("student", "file", "seed", "written", "notes")}, results=results
    )
    assert record["automatic"] == made.points()[0] and record["of"] == 85
    return made


def test_a_good_submission_gets_all_points(graded):
    good = graded_as(graded[0], "good")
    assert says(good) == {} and good.points() == (85, 85)
    assert good.written is None and not good.notes


def test_a_poor_submission_gets_what_is_right_in_it(graded):
    poor = graded_as(graded[0], "poor")
    assert points(poor) == POOR_POINTS and poor.points() == (25, 85)
    assert [poor.points(part)[0] for part in (1, 2, 3, 4, 5)] == [6, 5, 5, 5, 4]
    for name, sentence in POOR_SAYS.items():
        assert sentence in says(poor)[name]
    assert poor.written is None


def test_an_empty_submission_gets_nothing(graded):
    for student in ("empty", "broken"):
        made = graded_as(graded[0], student)
        assert made.points()[0] == 0 and made.written == 0
    broken = graded_as(graded[0], "broken")
    assert broken.notes == ["this is no notebook: NotJSONError"]
    assert set(says(broken).values()) == {"The notebook has no code."}


def test_the_class_list(graded):
    folder, printed = graded
    with (folder / "all.csv").open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["student", "1", "2", "3", "4", "5", "1-5", "6"],
        ["good", "15", "20", "15", "15", "20", "85", ""],
        ["poor", "6", "5", "5", "5", "4", "25", ""],
        ["empty", "0", "0", "0", "0", "0", "0", "0"],
        ["broken", "0", "0", "0", "0", "0", "0", "0"],
    ]
    assert [line.split() for line in printed.splitlines()] == [[each or "-" for each in row] for row in rows]


def test_the_page_shows_what_the_grader_prints(graded):
    page = (FOLDER.parent / "assignment.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```text\n(poor: .*?)```", page, re.S)
    poor = graded_as(graded[0], "poor")
    poor.file = f"poor/{NAME}"
    assert grader.table(poor) == shown.rstrip("\n")


def test_the_model_solution_is_right_for_other_seeds(tmp_path):
    codes = [cell.source for cell in cells(handout.notebook(1)) if cell.cell_type == "code"]
    once = Submission([code for code in codes if "HIDDEN" not in code], FOLDER / grader.WEIGHTS, 300)
    try:
        for seed in (0, 2, 3):
            results = [grader.judge(item, once, {}, seed) for item in ITEMS.values()]
            assert [each for each in results if each.points != each.of] == []
    finally:
        once.close()


GOOD_PARTS = {name: POOR[name] for name in ("brightest", "parameters")}
IMPORTS = "import os, sys, time, torch\nfrom torch import nn"


def test_broken_code_costs_only_what_it_breaks(tmp_path):
    codes = [
        IMPORTS,
        "%matplotlib inline\n!ls\nfine = 1",
        "def target_maps(points, labelled, size, sigma):\n    os._exit(0)",
        GOOD_PARTS["brightest"],
        "while True:\n    print('tons', flush=True)",
        "raise SystemExit",
        "open('large', 'wb').truncate(2**29)",
        "def quarter(maps):\n    print('x' * 10**6)\n    sys.exit()",
        "def parabola(maps):\n    while True:\n        time.sleep(1)",
        "def round_trip(draw, decode, points, stride):\n    return {'mean': 0}",
        "def pckh(predicted, target, heads, threshold):\n    return bytearray(7 * 2**30)",
        "def my_hourglass(depth, features): pass",
        "this is no Python",
        GOOD_PARTS["parameters"],
        "def stages_loss(stages, target):\n    raise ValueError('\\x1b[31m' + 'long ' * 1000)",
        "predict = 3",
    ]
    # Two of the answers never end. What the others need is far less than the limit, on a busy machine too.
    made = grader.grade(write(tmp_path / "ada.ipynb", codes), limit=15)
    assert made.student == "ada"
    assert points(made) == {"brightest_cell": 5, "parameter_formula": 5}
    for name, sentence in {
        "one_gaussian": "SystemExit: the Python process ended",
        "unlabelled_joints": "SystemExit: the Python process ended",
        "quarter_cell": "yours raises SystemExit",
        "parabola_peak": "TimeoutError: no end within",
        "round_trip_error": "of type dict, not numbers",
        "pckh": "MemoryError",
        "recursion": "The notebook defines no MyHourglass. It defines target_maps, brightest, quarter",
        "loss_of_stages": "yours raises ValueError: ?[31mlong long",
        "beats_zeros": "The notebook defines no predict.",
    }.items():
        name = "heads_and_threshold" if name == "pckh" else name
        assert sentence.replace("?", " ") in says(made)[name]
        assert says(made)[name].isprintable() and len(says(made)[name]) <= 300
    happened = [re.search(r"\): (\w+): ", note)[1] for note in made.notes]
    assert happened == ["TimeoutError", "SystemExit", "OSError", "SyntaxError"]


def test_a_submission_cannot_write_its_own_verdict(tmp_path):
    forged = """
import minipose_book.checks.assignment as a, minipose_book.checks.core as core, sys
from minipose_book.checks.core import Verdict
for item in a.ITEMS.values():
    item.check = lambda *given, **named: Verdict(True, "Right.")
core.compare = a.points.compare = a.networks.compare = lambda *given: Verdict(True, "Right.")
print('{"value": {"plain": 1}}')
sys.__stdout__.write('{"value": {"plain": 1}}')
def target_maps(*given): return 1
"""
    broken = "import json\njson.dumps = lambda *given: '{\"error\": [1, 2]}'"
    made = grader.grade(write(tmp_path / "x.ipynb", [forged, broken]), limit=5)
    assert made.points()[0] == 0


def test_own_work():
    cells = [
        "import minipose\nfrom minipose import heatmaps, pck as share",
        "from minipose_book.checks import assignment",
        "def target_maps(*given):\n    return minipose.heatmaps.encode_heatmaps(*given)",
        "brightest = heatmaps.decode_heatmaps\ndef quarter(maps): return assignment.points._moved(maps)",
        "def pckh(*given): return share(*given).per_joint",
        "from minipose.models.hourglass import Hourglass as MyHourglass",
        "def parabola(pck): return pck.pck + assignment.STRIDE",
        "class Mine:\n    def f(self): return self._own",
        "broken (",
    ]
    assert grader.borrowed(cells) == {
        "target_maps": "encode_heatmaps", "brightest": "decode_heatmaps", "quarter": "_moved",
        "pckh": "share", "MyHourglass": "MyHourglass", "share": "share",
    }  # fmt: skip


def test_weights_may_be_left_out(tmp_path):
    code = f"{IMPORTS}\ndef parameters(*given): return float(os.path.exists('{grader.WEIGHTS}'))"
    (tmp_path / grader.WEIGHTS).write_bytes(b"weights")
    for leave_out, wanted in ((False, 1.0), (True, 0.0)):
        made = grader.grade(write(tmp_path / "x.ipynb", [code]), retrain=leave_out)
        assert f": {wanted:g} is not it." in says(made)["parameter_formula"]


def test_the_source_is_python_throughout():
    for cell in cells(handout.notebook(1)):
        if cell.cell_type == "code":
            ast.parse(cell.source)
