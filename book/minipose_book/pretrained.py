"""The networks that only the book compares, and `load` for these and for all that `minipose.load` knows."""

from __future__ import annotations

from pathlib import Path

from minipose import pretrained
from minipose.io.checkpoints import load_weights
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork

FOLDER = Path(__file__).parent / "weights"


def _own() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def names() -> list[str]:
    """Names of all networks, the package's and the book's, in alphabetical order."""
    return sorted([*pretrained.names(), *_own()])


def load(name: str | Path) -> PoseNetwork:
    """A network of the book by name; anything else is `minipose.load`'s."""
    return load_weights(FOLDER / f"{name}.safetensors") if str(name) in _own() else pretrained.load(name)


def card_path(name: str) -> Path:
    """Where the model card of a network is: beside its weights."""
    if name not in names():
        raise InputError(name, "weights", f"one of {', '.join(names())}")
    return (FOLDER if name in _own() else pretrained.FOLDER) / f"{name}.md"


def model_card(name: str) -> str:
    """Where a network comes from, what it reaches and on whom it fails, as Markdown."""
    return card_path(name).read_text(encoding="utf-8")
