"""The one error that bad input raises: file, field, expectation, in one line."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Something that came from outside is not what it should be.

    Parameters
    ----------
    file : the file, folder or argument at fault.
    field : the part of it: a key, an option, a joint, a record number.
    expected : what should have been there.
    found : what was there instead, where saying so helps.

    >>> str(InputError("joints.mat", "joints", "an array 14 x 3 x N", "shape (2, 2)"))
    'joints.mat: joints: expected an array 14 x 3 x N, found shape (2, 2)'
    """

    def __init__(self, file: str | Path, field: str, expected: str, found: object = None):
        message = f"{file}: {field}: expected {expected}"
        if found is not None:
            message += f", found {found}"
        # A message from a library may hold line breaks; the promise is one line.
        super().__init__(" ".join(message.split()))
        self.file, self.field, self.expected, self.found = file, field, expected, found

    def __reduce__(self):
        # Worker processes send their errors home.
        return type(self), (str(self.file), self.field, self.expected, self.found)
