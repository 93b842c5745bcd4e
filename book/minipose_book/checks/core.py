"""What the self-checks of the book's exercises are made of.

An exercise has givens, drawn from a seed, and a check: a table of what is right and of what is probably
wrong. Seed 0 is the book's; with another seed a teacher sets numbers whose answers stand nowhere.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

LEVELS = ("warm-up", "practice", "project", "research")
EXERCISES: dict[str, Exercise] = {}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, which is also its truth value, and a sentence about it."""

    right: bool
    says: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.says


@dataclass
class Exercise:
    """One exercise: called with an answer, it returns a `Verdict`.

    chapter : name of the chapter's file. level : of `LEVELS`. draw : makes the givens from a NumPy
    generator, a dict by name. check : called with the answer and the givens by name.
    """

    name: str
    chapter: str
    level: str
    draw: Callable[[np.random.Generator], dict[str, Any]]
    check: Callable[..., Verdict]

    def given(self, seed: int = 0) -> dict[str, Any]:
        """What the exercise is about, by name; the same for the same seed, on every machine."""
        own = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")
        return self.draw(np.random.default_rng([own, seed]))

    def __call__(self, answer: Any, seed: int = 0) -> Verdict:
        """The verdict on an answer to the givens of the same seed."""
        if answer is None or answer is ... or (isinstance(answer, list | tuple) and ... in list(answer)):
            return Verdict(False, "No answer yet: put yours in the place of the dots.")
        return self.check(answer, **self.given(seed))


def exercise(chapter: str, level: str, draw: Callable[[np.random.Generator], dict] = lambda rng: {}):
    """Make an `Exercise` of a check, and list it in `EXERCISES`."""
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}")

    def wrap(check: Callable[..., Verdict]) -> Exercise:
        made = Exercise(check.__name__, chapter, level, draw, check)
        made.__doc__ = check.__doc__
        if made.name in EXERCISES:
            raise ValueError(f"two exercises are called {made.name}")
        EXERCISES[made.name] = made
        return made

    return wrap


def compare(
    got: Any,
    want: Any,
    likely: Mapping[Any, str] | Sequence[tuple[Any, str]] = (),
    on: Sequence[tuple] | None = None,
    tolerance: float = 1e-4,
) -> Verdict:
    """The verdict on an answer.

    Parameters
    ----------
    got, want : the answer and the right one: numbers, texts, arrays, tensors, or sequences of them; or,
        with `on`, functions.
    likely : wrong answers of the same kind and a sentence for each: what probably went wrong. Pairs
        where they cannot be keys.
    on : tuples of arguments, with each of which the functions are called.
    tolerance : absolute, and relative to the right value.
    """
    pairs = list(likely.items() if isinstance(likely, Mapping) else likely)
    if on is None:
        complaint = _difference(got, want, tolerance)
    elif not callable(got):
        return Verdict(False, f"The answer is a function; yours is of type {type(got).__name__}.")
    else:
        complaint = next(filter(None, (_called(got, want, given, tolerance) for given in on)), None)
    if complaint is None:
        return Verdict(True, "Right.")
    for wrong, sentence in pairs:
        if _alike(got, wrong, on, tolerance):
            return Verdict(False, f"Not yet. {sentence}")
    return Verdict(False, f"Not yet. {complaint}")


def _alike(got: Any, wrong: Any, on: Sequence[tuple] | None, tolerance: float) -> bool:
    if on is None:
        return _difference(got, wrong, tolerance) is None
    return all(_called(got, wrong, given, tolerance) is None for given in on)


def _called(got: Callable, want: Callable, given: tuple, tolerance: float) -> str | None:
    """What is wrong with a function's answer to one tuple of arguments; None if nothing is."""
    shown = f"For {getattr(got, '__name__', 'it')}({', '.join(map(_shown, given))})"
    try:
        value = got(*_copies(given))
    except Exception as error:
        return f"{shown} yours raises {type(error).__name__}: {error}"
    if value is None:
        return f"{shown} yours returns nothing. Is a `return` missing?"
    complaint = _difference(value, want(*_copies(given)), tolerance)
    return complaint and f"{shown}: {complaint[0].lower()}{complaint[1:]}"


def _copies(given: tuple) -> tuple:
    """The arguments anew, lest an answer that changes them in place spoil the next call."""
    return tuple(copy.deepcopy(each) for each in given)


def _difference(got: Any, want: Any, tolerance: float) -> str | None:
    """How an answer differs from the right one, without telling that one; None if it does not."""
    if isinstance(want, str):
        same = isinstance(got, str) and got.strip().casefold() == want.casefold()
        return None if same else f"{got!r} is not it."
    try:
        mine, right = _array(got), _array(want)
    except (TypeError, ValueError):
        return f"The answer is made of numbers; yours is of type {type(got).__name__}."
    if mine.shape != right.shape:
        return f"The answer has the shape {right.shape}; yours has {mine.shape}."
    wrong = ~np.isclose(mine, right, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not wrong.any():
        return None
    if not right.shape:
        return f"{mine.item():.6g} is not it."
    where = tuple(int(axis[0]) for axis in np.nonzero(wrong))
    many = f"{wrong.sum()} of {wrong.size} values are wrong, the first at index"
    return f"{many} {where if len(where) > 1 else where[0]}: {mine[where]:.6g}."


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    elif isinstance(value, list | tuple):
        value = [_array(each) for each in value]
    return np.asarray(value, dtype=float)


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"a {type(value).__name__} {tuple(value.shape)}"
    return repr(value)
