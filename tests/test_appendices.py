"""The appendices: words and signs are the chapters', commands exist, times are whole, plans hold."""

import contextlib
import io
import json
import re
import shlex
import sys
from datetime import date
from pathlib import Path
from unittest.mock import patch

import execute
import jupytext
import numpy as np
import times
import yaml
from books import ROOT
from conftest import real_data
from IPython.display import HTML, Markdown

import minipose
from minipose.cli.arguments import READS, parser
from minipose.data import MPII
from minipose.data.formats.files import GUIDES
from minipose.data.lsp import HELD_OUT
from minipose_book import checks, cli
from minipose_book.checks import EXERCISES, LEVELS, compare
from minipose_book.checks.core import exercise
from minipose_book.experiments import records
from minipose_book.experiments.catalogue import EXPERIMENTS

BOOK = ROOT / "book"


def text(page: str) -> str:
    return (BOOK / f"{page}.md").read_text(encoding="utf-8")


def chapters() -> list[str]:
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    return [Path(each["file"]).name for part in parts if part.get("numbered") for each in part["chapters"]]


def linked(piece: str) -> list[str]:
    return re.findall(r"\]\(([\w-]+)\.md\)", piece)


def cells(page: str) -> list[str]:
    return [
        cell.source
        for cell in jupytext.read(BOOK / f"{page}.md", fmt="md:myst").cells
        if cell.cell_type == "code"
    ]


# Notation and glossary


def entries() -> dict[str, str]:
    """Term -> what the glossary says of it."""
    body = re.search(r"```\{glossary\}\n(.*?)\n```", text("notation"), re.DOTALL)[1]
    pairs = (entry.split("\n", 1) for entry in body.strip().split("\n\n"))
    return {term: " ".join(said.split()) for term, said in pairs}


def test_every_term_is_used_in_the_chapter_that_explains_it():
    assert len(entries()) >= 40
    for term, said in entries().items():
        assert len(linked(said)) == 1 and set(linked(said)) <= set(chapters()), term
        chapter = " ".join(text(linked(said)[0]).split()).lower()
        assert re.search(rf"\b{re.escape(term.lower())}", chapter), f"{term} is not in {linked(said)[0]}"


def test_terms_are_in_order_and_roles_lead_to_them():
    terms = list(entries())
    assert terms == sorted(terms, key=str.lower) and len(set(terms)) == len(terms)
    for page in BOOK.glob("*.md"):
        prose = re.sub(
            r"```\{code-cell\}.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M
        )
        for role in re.findall(r"\{term\}`([^`]+)`", prose):
            assert re.sub(r".*<(.+)>", r"\1", role) in terms, f"{page.name}: {role}"


def test_every_sign_stands_in_the_chapters_that_its_table_names():
    seen = 0
    for section in re.split(r"^### ", text("notation"), flags=re.MULTILINE)[1:]:
        section = section.split("\n## ")[0]
        formulas = "".join(re.findall(r"\$.+?\$+", "\n".join(map(text, linked(section))), re.DOTALL))
        for cell in re.findall(r"^\| (\$.*?) \|", section, re.MULTILINE):
            for sign in re.findall(r"\$(.+?)\$", cell):
                assert sign in formulas, f"{sign} is not in {linked(section)}"
                seen += 1
    assert seen >= 35


# Data sets


def test_every_data_set_has_its_row_and_its_guide():
    page = text("data")
    rows = {row.split("|")[1].strip().lower() for row in page.splitlines() if row.startswith("| ")}
    assert set(GUIDES) | {"your own photos"} <= rows
    assert set(re.findall(r"--data (\w+)", page)) >= set(READS)
    for name in GUIDES:
        assert f'shell("minipose data {name}")' in page


def test_the_counts_of_people():
    assert len(np.loadtxt(HELD_OUT)) == 1000
    assert re.search(r"8,000 to train on\s+and 1,000 that are held out", text("data"))
    folder = real_data("mpii")
    counts = [len(MPII(folder / "mpii_annotations.json.gz", split=split)) for split in ("all", "train")]
    assert "{:,} in the list that projects share, {:,} of them".format(*counts) in text("data")


def test_every_failing_command_says_why_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIPOSE_DATA", "/nowhere")
    monkeypatch.setattr("os.chdir", lambda folder: None)
    monkeypatch.setattr("tempfile.mkdtemp", lambda: None)
    space: dict = {}
    errors = {}
    for source in cells("data"):
        exec(source, space)
        errors[source] = capsys.readouterr().err.splitlines()
    said = [line for lines in errors.values() for line in lines]
    assert [line.split(": ")[1] for line in said] == [
        "lspet", "lsp/images/im0002.jpg", "lsp/images/im0002.jpg", "lsp/joints.mat", "download/joints.mat",
        "mpii", "flic",
    ]  # fmt: skip
    assert "MINIPOSE_DATA" in said[0] and "truncated" in said[2] and "14 x 3 x N" in said[3]


# Commands


def test_every_command_of_the_appendices_is_understood():
    """Their options, choices and numbers; not the files that they name."""
    commands = {name: (lambda options: None) for name in ("predict", "train", "evaluate", "data")}
    understood = 0
    for page in ("data", "run-times", "contributing", "instructors-guide", "many-gpus"):
        blocks = re.findall(r"```(?:bash|\{code-block\} bash)\n(.*?)```", text(page), re.DOTALL)
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            if line.startswith(("minipose ", "minipose-book ")):
                understands = parser(commands) if line.startswith("minipose ") else cli._parser()
                understands.parse_args(shlex.split(line, comments=True)[1:])
                understood += 1
    assert understood >= 4


# Run times


def test_the_record_of_run_times_has_every_page_that_runs():
    record = json.loads(times.TIMES.read_text(encoding="utf-8"))
    assert set(record) == {"device", "cores", "versions", "date", "seconds"}
    expected = [page.stem for page in times.executed(ROOT)]
    assert set(chapters()) | {"intro"} <= set(expected)
    assert list(record["seconds"]) == expected, "run python book/build/times.py"
    assert all(0 < seconds < 600 for seconds in record["seconds"].values())
    assert set(record["versions"]) == set(records.VERSIONS)
    assert record["device"] and record["cores"] >= 1 and date.fromisoformat(record["date"])


def test_times_are_of_the_cells_in_the_pages_own_folder(tmp_path):
    page = tmp_path / "slow.md"
    head = (
        "---\njupytext: {text_representation: {format_name: myst}}\n"
        "kernelspec: {name: python3, display_name: Python 3}\n---\n"
    )
    page.write_text(
        f"{head}\n```{{code-cell}}\nimport time\ntime.sleep(1.5)\nopen('here', 'w').close()\n```\n"
    )
    assert 1.5 <= execute.run(page, 1)[1] < 60
    assert (tmp_path / "here").exists()


def shown(page: str, monkeypatch) -> list[str]:
    """What the cells of a page show last, run here and not in a kernel."""
    monkeypatch.chdir(BOOK)
    monkeypatch.setenv("MINIPOSE_PAGES", "1")
    space: dict = {}
    outputs = []
    for source in cells(page):
        *lines, last = source.rstrip().splitlines()
        # The last expression may span lines: it begins at the last line that is not indented or closing.
        while lines and (last.startswith((" ", ")"))):
            last = f"{lines.pop()}\n{last}"
        with contextlib.redirect_stdout(io.StringIO()):
            exec("\n".join(lines), space)
            try:
                value = eval(last, space)
            except SyntaxError:
                exec(last, space)
                continue
        outputs += [value.data] if isinstance(value, HTML | Markdown) else []
    return outputs


def test_run_times_show_all_pages_and_experiments(monkeypatch):
    pages, experiments = shown("run-times", monkeypatch)
    record = json.loads(times.TIMES.read_text(encoding="utf-8"))
    assert re.findall(r"\]\(([\w-]+)\.html\) \|", pages) == list(record["seconds"])
    assert f"**{sum(record['seconds'].values()):.0f}**" in pages and record["device"] in pages
    recorded = [
        (name, scale)
        for name in EXPERIMENTS
        for scale in records.SCALES
        if records.path(name, scale).is_file()
    ]
    assert re.findall(r"^\| `([\w-]+)` \|", experiments, re.MULTILINE) == [name for name, _ in recorded]
    minutes = [
        float(value) for value in re.findall(r"^\| `[\w-]+` \| ([0-9.]+) \|", experiments, re.MULTILINE)
    ]
    for value, (name, scale) in zip(minutes, recorded, strict=True):
        assert abs(value - records.read(name, scale).seconds / 60) <= 0.5, name


# Instructor's guide


def test_the_guide_lists_every_exercise_by_level_with_a_link_to_it(monkeypatch):
    listed, mistakes = shown("instructors-guide", monkeypatch)
    levels = re.split(r"^\*\*([\w-]+)\*\* \((\d+)\)$", listed, flags=re.MULTILINE)[1:]
    for name, count, body in zip(levels[::3], levels[1::3], levels[2::3], strict=True):
        expected = [each for each in EXERCISES.values() if each.level == name.lower()]
        assert re.findall(r"\((\S+?)\.html#ex-(\S+?)\)", body) == [
            (each.chapter, each.name.replace("_", "-")) for each in expected
        ]
        assert int(count) == len(expected)
    assert [name.lower() for name in levels[::3]] == list(LEVELS)
    assert "Whoever has no label is not in the sum" in mistakes
    assert mistakes.count("<li>") >= len(EXERCISES)


def test_the_guide_hears_both_forms_of_likely_mistakes():
    space = {"sys": sys, "patch": patch, "Verdict": checks.Verdict}
    source = next(cell for cell in cells("instructors-guide") if "def mistakes" in cell)
    exec(source.split("\n\n\n")[0], space)

    @exercise("where-is-the-elbow", "warm-up")
    def made_up(answer):
        return compare(answer, 1, {2: "Twice."}) or compare(answer, 1, [(3, "Thrice.")])

    del EXERCISES["made_up"]
    assert space["mistakes"](made_up) == ["Twice.", "Thrice."]


def test_plans_name_exercises_chapters_and_figures_that_exist():
    plans = text("instructors-guide").split("## Two sessions")[1].split("## All exercises")[0]
    asked = {f"ex-{name.replace('_', '-')}" for name in EXERCISES}
    named = set(re.findall(r"\{ref\}`(?:[^`]*<)?(ex-[\w-]+)>?`", plans))
    assert len(named) >= 20 and named <= asked, named - asked
    assert set(linked(plans)) <= {*chapters(), "intro"} and len(set(linked(plans))) >= 11
    labels = {label for name in chapters() for label in re.findall(r"name: (fig-[\w-]+)", text(name))}
    figures = set(re.findall(r"\{numref\}`(?:[^`]*<)?(fig-[\w-]+)>?`", plans))
    assert figures and figures <= labels, figures - labels
    sessions = [len(re.findall(r"^\*\*Session \d+", part, re.MULTILINE)) for part in plans.split("\n## ")]
    # The last part has a session for each relative.
    assert sessions[:3] == [2, 6, 12] and len(sessions) == 4 and sessions[3] >= 2


# How to contribute


def test_files_that_contributors_are_sent_to_exist():
    page = text("contributing")
    for name in re.findall(r"`((?:book|tests|minipose)/[\w./-]+)`", page):
        assert "NAME" in name or "CHAPTER" in name or (ROOT / name).exists(), name
    from minipose.io import checkpoints

    assert minipose.StackedHourglass in checkpoints.NETWORKS.values()
    assert "FIGURES = {" in (ROOT / "tests/test_widgets.py").read_text(encoding="utf-8")


def test_contributing_names_the_oldest_python():
    page = text("contributing")
    python = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert f"Python {python} or newer" in page
