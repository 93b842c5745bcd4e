"""The networks that the package ships, and `load` for these and for a reader's own."""

from __future__ import annotations

from pathlib import Path

from minipose.io.checkpoints import load_weights
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork

FOLDER = Path(__file__).parent / "weights"


def names() -> list[str]:
    """Names of the shipped networks; each has a model card of the same name in `weights/`."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load(name: str | Path) -> PoseNetwork:
    """A trained network by name or from a .safetensors file, ready to predict.

    It is in evaluation mode and knows its `.skeleton` and `.size` (px of its square input).
    """
    if str(name) in names():
        return load_weights(FOLDER / f"{name}.safetensors")
    if Path(name).suffix != ".safetensors":
        raise InputError(name, "weights", f"a .safetensors file or one of {', '.join(names())}")
    return load_weights(name)


def model_card(name: str) -> str:
    """Where a shipped network comes from, what it reaches and on whom it fails, as Markdown."""
    if name not in names():
        raise InputError(name, "weights", f"one of {', '.join(names())}")
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
