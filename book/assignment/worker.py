"""The process in which a submission runs: it executes cells and calls what they define, and judges nothing.

grade.py starts it, writes a request a line (JSON) and reads an answer a line. What the student's code prints
goes nowhere, and what it returns goes home as plain numbers: nothing that comes back can run code there.
"""

import ast
import base64
import json
import os
import re
import sys

MEMORY, FILES = 6 * 2**30, 2**28  # bytes that a submission may take, and write into one file


def pack(value):
    """A value as JSON: arrays and tensors with type, shape and bytes."""
    import torch

    if isinstance(value, torch.Tensor):
        array = value.detach().cpu().numpy()
        return {"tensor": [array.dtype.str, array.shape, base64.b64encode(array.tobytes()).decode()]}
    if isinstance(value, list | tuple):
        return {"tuple": [pack(each) for each in value]}
    return {"plain": value}


def unpack(packed):
    """What `pack` was given; lists come back as tuples."""
    import numpy as np
    import torch

    if "tensor" in packed:
        kind, shape, text = packed["tensor"]
        dtype = np.dtype(kind)
        if dtype.kind not in "biuf":
            raise ValueError(f"no numbers: {kind}")
        return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy())
    if "tuple" in packed:
        return tuple(unpack(each) for each in packed["tuple"])
    return packed["plain"]


def numbers(value):
    """A student's answer as an array of float64, packed. Raises TypeError for what is not made of numbers."""
    import numpy as np
    import torch

    def array(each):
        if isinstance(each, torch.Tensor):
            each = each.detach().cpu().numpy()
        elif isinstance(each, list | tuple):
            each = [array(part) for part in each]
        return np.asarray(each, dtype=float)

    if value is None:
        return {"plain": None}
    try:
        return pack(torch.from_numpy(array(value)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"what it returns is of type {type(value).__name__}, not numbers") from error


def without_magics(source: str) -> str:
    """A cell's Python; lines for IPython or the shell do nothing here."""
    try:
        ast.parse(source)
    except SyntaxError:
        source = re.sub(r"^(\s*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)
    return source


def told(error: BaseException) -> dict:
    """What went wrong, in one short line."""
    return {"error": [type(error).__name__, " ".join(str(error).split())[:200]]}


def serve(request: dict, space: dict) -> dict:
    """The answer to one request: to run a cell, or to call what a check asks for."""
    if "run" in request:
        exec(compile(without_magics(request["run"]), "cell", "exec"), space)
        return {}
    from minipose_book.checks.assignment import ITEMS

    item = ITEMS[request["item"]]
    if not callable(space.get(item.asks)):
        own = [name for name, value in space.items() if getattr(value, "__module__", None) == "__main__"]
        return {"missing": own}
    if "call" not in request:
        return {}
    return {"value": numbers(item.through(space[item.asks])(*unpack(request["call"])))}


def confine() -> None:
    """Limits on what the student's code takes, where the system has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {"RLIMIT_DATA": MEMORY, "RLIMIT_FSIZE": FILES, "RLIMIT_CORE": 0}
    for what, most in ((getattr(resource, name), most) for name, most in limits.items()):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard < 0 else min(most, hard), hard))


def main() -> None:
    # The student's code gets standard streams that lead nowhere; ours are copies that it does not know.
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    confine()
    from minipose_book.checks import assignment  # noqa: F401  seconds, which no cell is to be charged for

    # A class that a cell defines looks for its module under this name, as in a notebook.
    space = {"__name__": "__main__", "display": print}
    answers.write("{}\n")
    answers.flush()
    for line in requests:
        try:
            answer = serve(json.loads(line), space)
        except BaseException as error:  # SystemExit and KeyboardInterrupt are a student's too
            answer = told(error)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # as in a notebook
    main()
