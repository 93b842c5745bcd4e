"""From MyST, which Sphinx reads, to plain Markdown, which Jupyter and Colab show.

Directives become blockquotes, code blocks and captions, references become the numbers and titles that
the page prints. A directive or role that is not listed here is an error: add it, or write without it.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import citations
from myst_parser.parsers.options import options_to_items
from pybtex.database import BibliographyData
from sphinx.directives.code import LiteralInclude, LiteralIncludeReader

ADMONITIONS = {
    "note", "tip", "hint", "important", "warning", "caution", "attention", "danger", "error", "seealso",
}  # fmt: skip
TITLED = {"admonition", "dropdown", "tab-item"}  # their argument is their title
PLAIN = {"tab-set", "margin"}  # only what is inside counts
NUMBERED = {"figure": "Fig.", "table": "Table", "code-block": "Listing"}  # others by their capitalised name
LITERAL_ROLES = {"file", "kbd", "code"}
FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,}|:{3,})(?P<info>.*)$")
DIRECTIVE = re.compile(r"^\{(?P<name>[\w:.-]+)\}\s*(?P<argument>.*)$")
# A role or plain code, or a link. Code stays as it is.
INLINE = re.compile(
    r"(?:\{(?P<role>[\w:.+-]+)\})?(?<!`)(?P<ticks>`+)(?!`)(?P<text>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|(?<!!)\[(?P<shown>[^\]]*)\]\((?P<link>[^)\s]+)\)",
    re.DOTALL,
)


class NotReadable(ValueError):
    """Something in a chapter that has no plain form."""


@dataclass
class Book:
    """What references lead to. Filled by a first reading of every page, used by the second."""

    bibliography: BibliographyData
    labels: dict[str, str] = field(default_factory=dict)  # label -> "Fig. 2.1", "(2.3)", a title
    notebooks: set[str] = field(default_factory=set)  # names of the pages that have one
    # Figures, tables and equations of pages without a chapter number are counted through the book.
    unnumbered: Counter = field(default_factory=Counter)
    first_reading: bool = True


class Reader:
    """Turns one page's text into plain Markdown, and notes its labels in the book."""

    def __init__(self, book: Book, path: Path, chapter: int | None):
        self.book, self.path, self.chapter = book, path, chapter
        self.counts = Counter() if chapter else book.unnumbered
        self.cited: set[str] = set()
        self.targets: list[str] = []  # labels written above what they name

    # Numbers and references

    def number(self, kind: str, label: str | None) -> str:
        """The number of the next figure, table, ... of this page: `2.1`, noted under its label."""
        self.counts[kind] += 1
        number = f"{self.chapter}.{self.counts[kind]}" if self.chapter else str(self.counts[kind])
        text = f"({number})" if kind == "equation" else f"{NUMBERED.get(kind, kind.capitalize())} {number}"
        for each in filter(None, [label, *self.targets]):
            self.book.labels[each] = text
        self.targets.clear()
        return text

    def find(self, label: str) -> str:
        if label not in self.book.labels and not self.book.first_reading:
            raise NotReadable(f"{self.path.name}: nothing has the label {label}")
        return self.book.labels.get(label, "")

    def role(self, name: str, text: str) -> str:
        text = " ".join(text.split())
        titled = re.fullmatch(r"(.*?)\s*<([^<>]+)>", text)
        shown, target = titled.groups() if titled else (None, text)
        if name in ("numref", "prf:ref"):
            found = self.find(target)
            number = found.split()[-1] if found else ""
            if found and not number[-1].isdigit():
                raise NotReadable(f"{self.path.name}: {target} is a section; refer to it by {{ref}}")
            return shown.replace("%s", number).replace("{number}", number) if shown else found
        if name == "eq":
            return self.find(target)
        if name == "ref":
            return shown or self.find(target)
        if name == "doc":
            return self.link(shown or "", f"{target}.md")
        if name == "cite" or name.startswith("cite:"):
            return self.cite(name, target)
        if name == "math":
            return f"${text}$"
        if name in ("sub", "sup"):
            return f"<{name}>{text}</{name}>"
        if name in ("term", "abbr"):
            return shown or target
        if name in LITERAL_ROLES or name.startswith("py:"):
            return f"`{shown or target.removeprefix('~')}`"
        raise NotReadable(f"{self.path.name}: no plain form for the role {{{name}}}`{text}`")

    def cite(self, name: str, keys: str) -> str:
        works = []
        for key in (key.strip() for key in keys.split(",")):
            if key not in self.book.bibliography.entries:
                raise NotReadable(f"{self.path.name}: references.bib has no {key}")
            self.cited.add(key)
            entry = self.book.bibliography.entries[key]
            works.append((citations.authors(entry), entry.fields["year"]))
        if name == "cite:t":
            return ", ".join(f"{authors} [{year}]" for authors, year in works)
        return f"[{'; '.join(f'{authors}, {year}' for authors, year in works)}]"

    def link(self, shown: str, target: str) -> str:
        if target.startswith("#"):
            return shown or self.find(target[1:])
        page = re.fullmatch(r"([\w/.-]+)\.md(#.*)?", target)
        if not page:
            return f"[{shown}]({target})"
        name = page[1].removeprefix("./")
        ending = "ipynb" if name in self.book.notebooks else "md"
        return f"[{shown or self.find(f'{name}.md')}]({name}.{ending})"

    def inline(self, text: str) -> str:
        def plain(found: re.Match) -> str:
            if found["link"]:
                return self.link(found["shown"], found["link"])
            return self.role(found["role"], found["text"]) if found["role"] else found[0]

        return INLINE.sub(plain, text)

    # Blocks

    def read(self, text: str) -> str:
        """The plain form of some Markdown: without runs of empty lines, or any at its ends."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.blocks(text.splitlines()))).strip()

    def blocks(self, lines: list[str]) -> list[str]:
        plain: list[str] = []
        paragraph: list[str] = []  # gathered, since a role may run over a line's end

        def flush() -> None:
            if paragraph:
                plain.extend(self.inline("\n".join(paragraph)).split("\n"))
                paragraph.clear()

        at = 0
        while at < len(lines):
            line = lines[at]
            fence, end = FENCE.match(line), at + 1
            if fence:
                marks = fence["marks"]
                closing = re.compile(rf"^ *{re.escape(marks[0])}{{{len(marks)},}}\s*$")
                while end < len(lines) and not closing.match(lines[end]):
                    end += 1
                body = [each.removeprefix(fence["indent"]) for each in lines[at + 1 : end]]
                found = DIRECTIVE.match(fence["info"].strip())
                flush()
                inside = (
                    self.directive(found["name"], found["argument"], body)
                    if found
                    else [line.strip(), *body, marks]
                )
                plain += [fence["indent"] + each if each else each for each in inside]
                end += 1
            elif line.lstrip().startswith("$$") or line.startswith(r"\begin{"):
                stop = r"\$\$\s*(\([\w:-]+\))?\s*$" if "$$" in line else r"\\end\{"
                rest = line.lstrip().removeprefix("$$")
                if not re.search(stop, rest):
                    while end < len(lines) and not re.search(stop, lines[end]):
                        end += 1
                    end += 1
                flush()
                plain += self.equation(lines[at:end])
            elif re.fullmatch(r"\([\w:.-]+\)=\s*", line):
                flush()
                self.targets.append(line.strip()[1:-2])
            elif line.startswith("%") or line.strip() == "+++":
                flush()
            else:
                heading = re.match(r"(#+)\s+(.*)", line)
                if heading:
                    flush()
                    title = self.inline(heading[2])
                    self.book.labels.update(dict.fromkeys(self.targets, title))
                    if heading[1] == "#":
                        self.book.labels[self.path.name] = title
                    self.targets.clear()
                    plain.append(f"{heading[1]} {title}")
                elif line.strip():
                    paragraph.append(line)
                else:
                    flush()
                    plain.append("")
            at = end
        flush()
        return plain

    def equation(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines).rstrip()
        labelled = re.search(r"\$\$\s*\(([\w:-]+)\)$", text)
        if not labelled:
            return text.split("\n")
        body = text.strip()[2:].split("$$")[0].strip()
        return self.tagged(body, labelled[1])

    def tagged(self, body: str, label: str) -> list[str]:
        number = self.number("equation", label).strip("()")
        return ["$$", *body.split("\n"), rf"\tag{{{number}}}", "$$"]

    def caption(self, kind: str, label: str | None, text: str) -> str:
        return f"**{self.number(kind, label)}** {self.inline(text.strip())}"

    def directive(self, name: str, argument: str, body: list[str]) -> list[str]:
        options, body = split_options(body)
        label = options.get("name") or options.get("label")
        if name == "bibliography":
            return []
        if name in ADMONITIONS:
            return quote(name.capitalize() if name != "seealso" else "See also", self.blocks(body))
        if name in TITLED:
            return quote(self.inline(argument), self.blocks(body))
        if name in PLAIN:
            return ["", *self.blocks(body), ""]
        if name == "glossary":
            return ["", *self.blocks(terms(body)), ""]
        if name in ("eval-rst", "raw"):  # api.md and live-lab.md, of which there is no notebook
            return []
        if name == "math":
            text = "\n".join([argument, *body]).strip()
            return self.tagged(text, label) if label else ["$$", *text.split("\n"), "$$"]
        if name in ("code-block", "code", "sourcecode"):
            return [*self.heading_of(options, label), f"```{argument}", *body, "```"]
        if name == "literalinclude":
            code = included(self.path.parent / argument, options)
            heading = self.heading_of(options, label)
            return [
                *heading,
                f"```{options.get('language', 'python')}",
                *code.rstrip("\n").split("\n"),
                "```",
            ]
        if name in ("image", "figure"):
            picture = ["", f"![{options.get('alt', '')}]({argument})", ""]
            if name == "image":
                return picture
            return [*picture, self.caption("figure", label, "\n".join(body)), ""]
        if name == "table":
            return ["", self.caption("table", label, argument), "", *self.blocks(body), ""]
        if name.startswith(("exercise", "prf:")) and name != "exercise-end":
            number = self.number(name.removeprefix("prf:").removesuffix("-start"), label)
            title = f"{number}: {self.inline(argument)}" if argument else number
            return ["", f"**{title}**", ""] if name.endswith("-start") else quote(title, self.blocks(body))
        if name == "exercise-end":
            return []
        if name == "solution":
            self.blocks(body)  # for the numbers of what is inside
            return []
        raise NotReadable(f"{self.path.name}: no plain form for the directive {{{name}}}")

    def heading_of(self, options: dict[str, str], label: str | None) -> list[str]:
        return [self.caption("code-block", label, options["caption"]), ""] if "caption" in options else []


def split_options(body: list[str]) -> tuple[dict[str, str], list[str]]:
    """A directive's options, in either of MyST's two forms, and the rest of its body."""
    if body and body[0].strip() == "---":
        end = body.index("---", 1)
        return dict(options_to_items("\n".join(body[1:end]))[0]), body[end + 1 :]
    end = next((at for at, line in enumerate(body) if not re.match(r"\s*:[\w-]+:", line)), len(body))
    return dict(options_to_items("\n".join(line.lstrip()[1:] for line in body[:end]))[0]), body[end:]


def terms(body: list[str]) -> list[str]:
    """A glossary's lines: each term bold, on a line of its own, and its text below."""
    return [f"**{line}**\\" if line[:1].strip() else line.strip() for line in body]


def quote(title: str, body: list[str]) -> list[str]:
    text = "\n".join(body).strip().split("\n")
    return ["", f"> **{title}**", ">", *(f"> {line}".rstrip() for line in text), ""]


def included(path: Path, options: dict[str, str]) -> str:
    """The lines of a file that `literalinclude` shows, chosen by Sphinx itself."""
    specification: dict[str, Callable] = LiteralInclude.option_spec
    chosen = {name: specification[name](value) for name, value in options.items() if name in specification}
    try:
        return LiteralIncludeReader(str(path), chosen, SimpleNamespace(source_encoding="utf-8")).read()[0]
    except (OSError, ValueError) as error:
        raise NotReadable(f"{path.name}: {error}") from error
