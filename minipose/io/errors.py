"""The one error that bad input raises: file, field, expectation, in one line."""

from __future__ import annotations

import reprlib
from pathlib import Path

# What stands in a file may be as long and as deep as it likes; a message may not.
_LONGEST = 400  # characters of each part
_short = reprlib.Repr()
_short.maxlevel = 4
_short.maxlist = _short.maxtuple = _short.maxdict = 20
_short.maxstring = _short.maxother = 200


class InputError(ValueError):
    """Something that came from outside is not what it should be.

    Parameters
    ----------
    file : the file, folder or argument at fault.
    field : the part of it: a key, an option, a joint, a record number.
    expected : what should have been there.
    found : what was there instead, where saying so helps. What is long is shortened, and signs that a
        terminal would obey are written out.

    >>> str(InputError("joints.mat", "joints", "an array 14 x 3 x N", "shape (2, 2)"))
    'joints.mat: joints: expected an array 14 x 3 x N, found shape (2, 2)'
    """

    def __init__(self, file: str | Path, field: str, expected: str, found: object = None):
        message = f"{_cut(str(file))}: {_cut(field)}: expected {_cut(expected)}"
        if found is not None:
            message += f", found {_shortened(found)}"
        super().__init__(_one_line(message))
        self.file, self.field, self.expected, self.found = file, field, expected, found

    def __reduce__(self):
        # Worker processes send their errors home.
        return type(self), (str(self.file), self.field, self.expected, self.found)


class InputWarning(UserWarning):
    """What a user should know about the input, although it can be used: one line, said once.

    Records of a file that are no samples, for example: how many, and why.
    """

    def __init__(self, message: str):
        super().__init__(_one_line(_cut(message)))


def _one_line(message: str) -> str:
    """A message that may quote a library or a file, without line breaks and control characters."""
    line = " ".join(message.split())
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _shortened(value: object) -> str:
    """A value from a file as a message may hold it, whatever its length and depth."""
    nested = isinstance(value, list | tuple | dict | set)
    return _cut(_short.repr(value) if nested else str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
