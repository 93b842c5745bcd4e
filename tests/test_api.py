"""The API reference: every name that others import is in it, and says what it is."""

import importlib
import inspect
import re

import docstrings
from books import ROOT, built

import minipose

PAGE = (ROOT / "book/api.md").read_text(encoding="utf-8")

# Whole modules: every function and class that they define is on the page.
WHOLE = [
    "minipose.io.errors", "minipose.io.images", "minipose.skeletons", "minipose.crops", "minipose.heatmaps",
    "minipose.metrics", "minipose.presence", "minipose.data.oks", "minipose.pretrained",
    "minipose.models.network", "minipose.models.hourglass", "minipose.models.residual",
    "minipose.models.part_heatmap_regression", "minipose.models.backbones",
    "minipose_book.experiments.bulat2016.phases", "minipose_book.figures.hourglass",
]  # fmt: skip
# What the design promises to whoever imports the package, whatever __all__ says.
PROMISED = [
    "StackedHourglass", "ConvolutionalPoseMachine", "PartHeatmapRegression", "encode_heatmaps",
    "decode_heatmaps", "pck", "load", "predict", "train", "evaluate", "data.LSPET", "data.LSP", "data.MPII",
    "data.COCO", "data.FLIC", "data.Puppets", "data.Sample",
]  # fmt: skip


def documented() -> list[str]:
    names = re.findall(r"^\.\. (?:auto(?:function|class)|py:data):: ([\w.]+)", PAGE, re.MULTILINE)
    for module in re.findall(r"^\.\. automodule:: ([\w.]+)", PAGE, re.MULTILINE):
        names += [f"{module}.{name}" for name in defined(module)]
    return names


def defined(module: str) -> list[str]:
    """Functions and classes with a public name that a module defines itself."""
    loaded = importlib.import_module(module)
    return [
        name
        for name, value in vars(loaded).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == loaded.__name__
        and not name.startswith("_")
    ]


def found(name: str):
    """The object of a dotted name."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def test_every_public_name_is_in_the_reference():
    names = documented()
    assert len(set(names)) == len(names)
    exported = [f"minipose.{name}" for name in [*minipose.__all__, *PROMISED] if name != "data"]
    exported += [f"minipose.data.{name}" for name in minipose.data.__all__]
    assert set(exported) <= set(names), set(exported) - set(names)
    things = [found(name) for name in names]
    for module in WHOLE:
        for name in defined(module):
            assert found(f"{module}.{name}") in things, f"{module}.{name} is not in book/api.md"


def test_every_name_of_the_reference_has_a_docstring_of_its_own():
    for name in documented():
        thing = found(name)
        if isinstance(thing, minipose.Skeleton):
            continue
        assert thing.__doc__ and len(thing.__doc__) > 20, name
        if not inspect.isclass(thing) or issubclass(thing, Exception):
            continue
        for member, value in vars(thing).items():
            described = value.fget if isinstance(value, property) else getattr(value, "func", value)
            if member.startswith("_") or not inspect.isfunction(described) or described.__doc__:
                continue
            # What is left out says what it is in the class's own text, or overrides what says it.
            said = f"{thing.__doc__} {inspect.getdoc(value) or ''}"
            assert member in said or member in ("forward", "image") or member == "label", f"{name}.{member}"


def test_skeletons_have_as_many_joints_as_the_reference_says():
    counts = re.search(r"with (\d+), (\d+), (\d+) and (\d+) joints", PAGE)
    order = re.findall(r"^\.\. py:data:: minipose\.(\w+)", PAGE, re.MULTILINE)
    assert [len(getattr(minipose, name)) for name in order] == [int(count) for count in counts.groups()]


def test_docstrings_become_restructured_text():
    lines = """\
Draw each joint; `x_` and *y* are 2 x 3.

Parameters
----------
center : (..., 2), as `Crop` has it. side, angle : px
    and degrees, a `file_name`s.

count is text. size : one more.

>>> a * `b`
1
""".splitlines()
    assert docstrings.to_rst(lines) == [
        "Draw each joint; \\ ``x_``\\  and \\*y\\* are 2 x 3. ",
        "",
        "",
        "**Parameters**",
        "",
        "``center``",
        "    (..., 2), as \\ ``Crop``\\  has it.",
        "``side``, ``angle``",
        "    px and degrees, a \\ ``file_name``\\ s.",
        "",
        "count is text. ",
        "",
        "``size``",
        "    one more.",
        "",
        ">>> a * `b`",
        "1",
        "",
    ]


def test_the_built_reference_has_an_entry_for_every_name():
    html = (built() / "book" / "api.html").read_text(encoding="utf-8")
    for name in documented():
        assert f'id="{name}"' in html, name
