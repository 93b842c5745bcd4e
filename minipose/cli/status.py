"""How every command ends: errors and warnings in one line each, and an exit status."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any

from minipose.io.errors import InputError, InputWarning


def exit_status(program: str, work: Callable[[], None], on_interrupt: Callable[[], str] = str) -> int:
    """Do a command's work; its status is 0, 2 for bad input, 1 for a failure, 130 when interrupted.

    program : the name that starts each line on stderr. on_interrupt : what to add to "interrupted".
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = functools.partial(_one_line, program, warnings.showwarning)
            warnings.simplefilter("always", InputWarning)
            work()
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0  # the reader of our output, `head` say, has seen enough
    except (FloatingPointError, ConnectionError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted{on_interrupt()}", file=sys.stderr)
        return 130
    return 0


def _one_line(
    program: str, usual: Callable[..., None], message: Warning | str, *rest: Any, **more: Any
) -> None:
    """Our own warnings as one line, without the place in the code; anybody else's as they are."""
    if isinstance(message, InputWarning):
        print(f"{program}: {message}", file=sys.stderr)
    else:
        usual(message, *rest, **more)
