"""Grade submissions of "From heatmap to score": python book/assignment/grade.py SUBMISSION.ipynb [...]

Every check of minipose_book.checks.assignment gives all of its points or none. The student's code runs in
another process (submission.py, worker.py) that only answers; references and verdicts stay in this one.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from submission import WEIGHTS, Submission
from worker import without_magics

from minipose_book.checks.assignment import ITEMS, PARTS, WRITTEN, Item

UNWRITTEN = "YOUR ANSWER HERE"  # nbgrader's words, and the handout's
# What minipose has for parts 1 to 4, and what no answer to them may be made of.
BORROWED = {"encode_heatmaps", "decode_heatmaps", "pck", "pck_curve", "Hourglass", "StackedHourglass"}


@dataclass
class Result:
    """What one check gave: `points` out of `of`, and its sentence."""

    name: str
    part: int
    points: int
    of: int
    says: str


@dataclass
class Grade:
    """One submission. written : points of part 6: 0 where nothing stands, None until it is read."""

    student: str
    file: str
    seed: int
    results: list[Result]
    written: int | None
    notes: list[str]

    def points(self, part: int | None = None) -> tuple[int, int]:
        """Points and most points of one part, or of all that need no reader."""
        chosen = [each for each in self.results if part in (None, each.part)]
        return sum(each.points for each in chosen), sum(each.of for each in chosen)

    def record(self) -> dict:
        """For a gradebook, as plain data."""
        points, of = self.points()
        return {**asdict(self), "automatic": points, "of": of, "written_of": WRITTEN}


def borrowed(cells: list[str]) -> dict[str, str]:
    """Names that a notebook makes from what minipose has for parts 1 to 4: name -> what it takes.

    Only what stands in the definition itself is seen, and not what a helper hides.
    """
    statements: list[ast.stmt] = []
    for cell in cells:
        try:
            statements += ast.parse(without_magics(cell)).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    # Names that stand for something to write oneself, and for modules.
    taken: set[str] = set()
    modules: set[str] = set()
    for node in (each for statement in statements for each in ast.walk(statement)):
        if isinstance(node, ast.Import):
            names = [alias.asname or alias.name for alias in node.names if alias.name.startswith("minipose")]
            modules |= {name.split(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minipose"):
            for alias in node.names:
                (taken if own_work(alias.name) else modules).add(alias.asname or alias.name)
    found: dict[str, str] = {}
    for statement in statements:
        uses = {name for node in ast.walk(statement) if (name := used(node, taken, modules))}
        for name in bound(statement):
            if uses or name in taken:
                found[name] = min(uses, default=name)
    return found


def own_work(name: str) -> bool:
    return name in BORROWED or name.startswith("_")


def used(node: ast.AST, taken: set[str], modules: set[str]) -> str | None:
    """The name in `node` that stands for something of minipose that students write themselves."""
    if isinstance(node, ast.Name):
        return node.id if node.id in taken else None
    if not isinstance(node, ast.Attribute) or not own_work(node.attr):
        return None
    root = node.value
    while isinstance(root, ast.Attribute):
        root = root.value
    return node.attr if isinstance(root, ast.Name) and root.id in modules else None


def bound(statement: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def judge(item: Item, submission: Submission, taken: dict[str, str], seed: int) -> Result:
    """One check of one submission."""
    if item.part < 5 and item.asks in taken:
        right, says = False, f"{item.asks} is to be your own; this takes {taken[item.asks]} from minipose."
    elif missing := submission.missing(item):
        right, says = False, missing
    else:
        verdict = item.check(submission.function(item), **item.given(seed))
        right, says = verdict.right, verdict.says
    clean = "".join(each if each.isprintable() else " " for each in says).strip()[:300]
    return Result(item.name, item.part, item.points if right else 0, item.points, clean)


def grade(file: Path, seed: int = 1, limit: float = 300, retrain: bool = False) -> Grade:
    """Grade one notebook.

    seed : of the checks' numbers; 0 is the handout's. limit : seconds for one cell. retrain : leave out the
    weights that were handed in, so that the notebook trains again.
    """
    # Handed in as a folder for each student, or as a file with the student's name.
    student = file.resolve().parent.name if file.stem == "from-heatmap-to-score" else file.stem
    made = Grade(student, str(file), seed, [], None, [])
    try:
        cells = nbformat.read(file, as_version=4).cells
        codes = [str(each.source) for each in cells if each.cell_type == "code"]
    except Exception as error:  # whatever a file may hold
        cells, codes = [], []
        made.notes.append(f"this is no notebook: {type(error).__name__}")
    written = [each.source.strip() for each in cells if each.cell_type == "markdown"]
    made.written = 0 if not cells or UNWRITTEN in written else None
    checks = {item.cell for item in ITEMS.values()}
    weights = file.with_name(WEIGHTS)
    submission = Submission(
        [each for each in codes if each.strip() not in checks],  # the checks are made here, and once
        weights if weights.exists() and not retrain else None,
        limit,
    )
    try:
        taken = borrowed(codes)
        made.results = [judge(item, submission, taken, seed) for item in ITEMS.values()]
    finally:
        submission.close()
    made.notes += [submission.notes[number] for number in sorted(submission.notes)]
    return made


def folded(line: str) -> str:
    return textwrap.fill(line, 76, subsequent_indent=8 * " ")


def table(made: Grade) -> str:
    """Parts and points, and for each lost point why."""
    lines = [f"{made.student}: {made.file}, seed {made.seed}", "", f"{'part':<30}{'points':>7}"]
    for part, title in PARTS.items():
        if part == len(PARTS):
            points = "-" if made.written is None else str(made.written)
            lines.append(f"{part} {title:<28}{points:>7} / {WRITTEN}" + ("  to be read" * (points == "-")))
            continue
        points, of = made.points(part)
        lines.append(f"{part} {title:<28}{points:>7} / {of}")
        lost = [each for each in made.results if each.part == part and not each.points]
        lines += [folded(f"    -{each.of} {each.name}: {each.says}") for each in lost]
    points, of = made.points()
    lines += ["", f"{'parts 1 to 5':<30}{points:>7} / {of}"]
    lines += [folded(f"note: {note}") for note in made.notes]
    return "\n".join(lines)


def row(made: Grade) -> list:
    """A line of the class list: the student, parts 1 to 5, their sum, part 6 (None until it is read)."""
    parts = [made.points(part)[0] for part in list(PARTS)[:-1]]
    return [made.student, *parts, sum(parts), made.written]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("submissions", nargs="+", type=Path, help="notebooks; several give a class list")
    parser.add_argument("--seed", type=int, default=1, help="of the checks' numbers (1; the handout has 0)")
    parser.add_argument("--limit", type=float, default=300, help="seconds that one cell may take (300)")
    parser.add_argument("--retrain", action="store_true", help=f"do not use {WEIGHTS} that were handed in")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--csv", type=Path, help="write the class list to this file")
    options = parser.parse_args()
    for file in options.submissions:
        if not file.is_file():
            parser.error(f"there is no file {file}")

    several = len(options.submissions) > 1
    names = ["student", *map(str, list(PARTS)[:-1]), "1-5", "6"]
    if several:
        print(f"{names[0]:<24}" + "".join(f"{name:>5}" for name in names[1:]))
    grades = []
    for file in options.submissions:
        made = grade(file, options.seed, options.limit, options.retrain)
        student, *points = row(made)
        shown = "".join(f"{'-' if each is None else each:>5}" for each in points)
        print(f"{student:<24}{shown}" if several else table(made), flush=True)
        grades.append(made)
    if options.json:
        text = json.dumps([made.record() for made in grades], indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([names, *map(row, grades)])


if __name__ == "__main__":
    main()
