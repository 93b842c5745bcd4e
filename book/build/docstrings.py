"""The package's docstrings as reStructuredText, for the page api.md.

They are written to be read in the source: `code` in single backticks, `name : text` for what a function
takes, several of them in a line where they are short. Sphinx's autodoc asks here for what it can set.
"""

import re

CODE = re.compile(r"`([^`]+)`")
NAMED = re.compile(r"(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*) : (?P<text>.*)")
# `center : ... . side : ...` are two entries, in one line to save room.
NEXT = re.compile(r"(?<=[.;]) (?=[a-z_]\w*(?:, [a-z_]\w*)* : )")
RULE = re.compile(r"-{3,}\s*")


def plain(text: str) -> str:
    """Text with its code marked as reStructuredText does, and nothing else taken for a mark."""
    pieces = CODE.split(text)
    pieces[::2] = [re.sub(r"([*|@\\]|_(?!\w))", r"\\\1", piece) for piece in pieces[::2]]
    # An escaped space is none: it lets a letter follow the marks.
    pieces[1::2] = [rf"\ ``{' '.join(piece.split())}``\ " for piece in pieces[1::2]]
    return "".join(pieces)


def paragraph(lines: list[str]) -> list[str]:
    """One paragraph: examples as they are, text as text, `name : text` as a list of definitions."""
    if lines[0].startswith(">>> "):
        return [*lines, ""]
    text = ""
    entries: list[list[str]] = []
    for piece in (piece for line in lines for piece in NEXT.split(line.strip())):
        if found := NAMED.fullmatch(piece):
            entries.append([found["names"], found["text"]])
        elif entries:
            entries[-1][1] += f" {piece}"
        else:
            text += f"{piece} "
    written = [plain(text), ""] if text else []
    for names, what in entries:
        written += [", ".join(f"``{name}``" for name in names.split(", ")), f"    {plain(what)}"]
    return [*written, ""]


def to_rst(lines: list[str]) -> list[str]:
    """A docstring's lines, without common indentation, as lines of reStructuredText."""
    written: list[str] = []
    gathered: list[str] = []
    for line in [*lines, ""]:
        if RULE.fullmatch(line) and len(gathered) == 1:
            written += [f"**{gathered.pop()}**", ""]
        elif line.strip():
            gathered.append(line)
        elif gathered:
            written += paragraph(gathered)
            gathered = []
    return written


def process(app, what, name, value, options, lines) -> None:
    lines[:] = to_rst(lines)
