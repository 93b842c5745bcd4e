"""A submission at work: its code runs in worker.py, and what that answers is taken with care.

The process is started anew when the code has hung or killed it, without the cell or function that did so.
This confines accidents. It is no jail: whoever does not trust the class runs the grader in a container.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from worker import pack, unpack

import minipose
from minipose_book.checks.assignment import Item

START, CALL = 120, 60  # seconds until a process must be ready, and that one call of a function may take
LONGEST = 2**26  # characters of one answer
WEIGHTS = "weights.safetensors"


class Submission:
    """A notebook's code, and the functions that it defines.

    cells : its code. weights : a file to lay beside it, or None. limit : seconds for one cell; all together
    may take three times as long.
    """

    def __init__(self, cells: list[str], weights: Path | None, limit: float):
        self.cells, self.limit, self.left = cells, limit, 3 * limit
        self.process: subprocess.Popen | None = None
        self.notes: dict[int, str] = {}  # cell -> what happened in it
        self.lost: set[int] = set()  # cells that are not run again
        self.broken: dict[str, dict] = {}  # functions that are not called again -> the last answer
        self.known: dict[tuple, dict] = {}  # answers to calls
        self.folder = Path(tempfile.mkdtemp(prefix="grade-"))
        if weights:
            shutil.copyfile(weights, self.folder / WEIGHTS)

    def close(self) -> None:
        self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def function(self, item: Item):
        """What the check `item` asks for, as a function here that is answered over there."""

        def asked(*given):
            text = json.dumps(pack(given))
            key = (item.asks, item.through, text)
            if key not in self.known:
                self.known[key] = self._call(item, json.loads(text))
            answer = self.known[key]
            if "error" in answer:
                kind, message = answer["error"]
                raise type(re.sub(r"\W", "", kind) or "Error", (Exception,), {})(message)
            return unpack(answer["value"])

        asked.__name__ = item.asks
        return asked

    def missing(self, item: Item) -> str | None:
        """A sentence if the notebook does not define what the check asks for."""
        if not self.cells:
            return "The notebook has no code."
        answer = self._ready() or self._exchange({"item": item.name}, CALL)
        if "error" in answer:
            return f"The notebook's code is in the way: {': '.join(answer['error'])}"
        if "missing" not in answer:
            return None
        others = ", ".join(answer["missing"]) or "nothing"
        return f"The notebook defines no {item.asks}. It defines {others}."

    def _call(self, item: Item, packed: dict) -> dict:
        if item.asks in self.broken:
            return self.broken[item.asks]
        answer = self._ready() or self._exchange({"item": item.name, "call": packed}, min(CALL, self.limit))
        if self.process is None:
            self.broken[item.asks] = answer
        return answer

    def _ready(self) -> dict | None:
        """Start a process and run the cells in it, unless one is running; what is wrong if that fails."""
        while self.process is None:
            if self.left <= 0:
                return {"error": ["TimeoutError", "the time for this submission is used up"]}
            self._start()
            for number, cell in enumerate(self.cells):
                if number in self.lost or self.process is None:
                    continue
                answer = self._exchange({"run": cell}, self.limit)
                if "error" in answer:
                    first = next(iter(cell.strip().splitlines()), "")[:40]
                    self.notes[number] = f"code cell {number + 1} ({first}): {': '.join(answer['error'])}"
                if self.process is None:
                    self.lost.add(number)
        return None

    def _start(self) -> None:
        paths = [str(Path(minipose.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        changed = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "MPLBACKEND": "agg"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env=os.environ | changed | {"CUDA_VISIBLE_DEVICES": ""},  # the same points with a GPU and without
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self.answers: queue.Queue[str] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, args=(self.process, self.answers), daemon=True)
        self.listener.start()
        if self._receive(START) != {}:
            raise RuntimeError("worker.py does not start: is minipose installed for this Python?")

    @staticmethod
    def _listen(process: subprocess.Popen, answers: queue.Queue[str]) -> None:
        line = "start"
        while line:
            line = process.stdout.readline(LONGEST)
            answers.put(line)

    def _exchange(self, request: dict, limit: float) -> dict:
        """Ask and wait, at most `limit` seconds. `process` is None afterwards if there was no answer."""
        began = time.monotonic()
        stream = self.process.stdin

        def send() -> None:  # a process that was stopped reads nothing
            with contextlib.suppress(OSError, ValueError):  # it has ended, which `_receive` sees too
                stream.write(json.dumps(request) + "\n")
                stream.flush()

        threading.Thread(target=send, daemon=True).start()
        answer = self._receive(min(limit, max(self.left, 1)))
        self.left -= time.monotonic() - began
        return answer

    def _receive(self, limit: float) -> dict:
        try:
            line = self.answers.get(timeout=limit)
        except queue.Empty:
            self._kill()
            return {"error": ["TimeoutError", f"no end within {limit:.0f} seconds"]}
        if not line:
            self._kill()
            return {"error": ["SystemExit", "the Python process ended"]}
        try:
            answer = json.loads(line)
            texts = [*answer.get("error", ["", ""]), *answer.get("missing", [])]
            if len(answer.get("error", ["", ""])) == 2 and all(isinstance(each, str) for each in texts):
                return answer
        except (ValueError, AttributeError, TypeError):
            pass
        self._kill()
        return {"error": ["ValueError", "an answer that cannot be read"]}

    def _kill(self) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # with all that it has started
        except (AttributeError, ProcessLookupError):  # Windows, or gone
            self.process.kill()
        self.process.wait()
        self.listener.join(1)
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if not self.listener.is_alive():  # as it is where something that got away still holds the other end
            self.process.stdout.close()
        self.process = None
