"""How a network takes its arguments: listed once, as the fields of a frozen dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
Config = TypeVar("Config")
Self = TypeVar("Self")


def configured_by(
    config_class: Callable[P, Config],
) -> Callable[[Callable[[Self, Config], None]], Callable[Concatenate[Self, P], None]]:
    """Decorate a network's `__init__(self, config)` so that callers pass the config's fields instead.

    `StackedHourglass(stacks=2)` then builds `HourglassConfig(stacks=2)` and hands it on. Type checkers,
    editors and `inspect.signature` see the fields with their types and defaults.
    """

    def decorate(init: Callable[[Self, Config], None]) -> Callable[Concatenate[Self, P], None]:
        @wraps(init)
        def construct(self: Self, *args: P.args, **kwargs: P.kwargs) -> None:
            init(self, config_class(*args, **kwargs))

        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        fields = inspect.signature(config_class)
        construct.__signature__ = fields.replace(  # type: ignore[attr-defined]
            parameters=[itself, *fields.parameters.values()]
        )
        return construct

    return decorate


def require_counts(config: Any, *names: str) -> None:
    """Raise `ValueError` unless each of these fields is a whole number >= 1."""
    for name in names:
        value = getattr(config, name)
        if not (isinstance(value, int) and value >= 1):
            raise ValueError(f"{name} must be a whole number >= 1, found {value!r}")


def require_multiple(config: Any, name: str, of: int) -> None:
    """Raise `ValueError` unless this field is a whole number: `of`, or two, three, ... times that."""
    value = getattr(config, name)
    if not (isinstance(value, int) and value >= of and value % of == 0):
        raise ValueError(f"{name} must be a multiple of {of}, found {value!r}")


def require_positive(config: Any, name: str, unit: str) -> None:
    """Raise `ValueError` unless this field is > 0."""
    value = getattr(config, name)
    if not value > 0:
        raise ValueError(f"{name} must be > 0 {unit}, found {value!r}")


def require_choice(config: Any, name: str, choices: tuple[str, ...]) -> None:
    """Raise `ValueError` unless this field is one of the choices."""
    value = getattr(config, name)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, found {value!r}")
