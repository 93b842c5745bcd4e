"""Spoiled and hostile files through every public reader: each ends with a result or a line, and soon.

The readers run in a process of their own, so that a crash or a hang is seen and named. A file's name and
number repeat it: `python -m soak.hostile "coco.json" 17`.
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from soak.figures import PATH, Figure

COUNT = 10_000
SECONDS = 5  # of processor time that a file may take
PATIENCE = 120  # seconds of anybody's clock: a machine may be busy with other things
MEMORY = 1 << 30  # bytes that a file may take
LONGEST = 2000  # characters of an error


@dataclass
class Outcome:
    """What became of the files: how many were read and refused, what went wrong, and the worst of all."""

    read: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0

    def __str__(self) -> str:
        worst = f"at most {self.seconds:.1f} s and {self.memory >> 20} MiB"
        what = f"{self.refused:,} refused in a line, {self.read:,} read, {len(self.wrong)} wrong; {worst}"
        return what + "".join(f"; {each}" for each in self.wrong[:5])


# In the process that reads


def _memory(name: str) -> int:
    """Bytes of this process, as /proc/self/status names them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":"))


class Reader:
    """Healthy folders, and one spoiled file at a time in them."""

    def __init__(self, folder: Path):
        from soak import healthy, spoiling

        self.kinds, self.spoil, self.folder = healthy.KINDS, spoiling.spoil, folder
        self.whole: dict[str, dict[Path, bytes]] = {}
        self.mark = Path("executed")

    @cached_property
    def bombs(self) -> dict[str, Any]:
        from soak import bombs

        return {bomb.name: bomb for bomb in bombs.bombs(self.folder)}

    def place(self, name: str) -> Path:
        """The folder of a kind, made at the first call."""
        place = self.folder / str(list(self.kinds).index(name)) / "folder"
        if name not in self.whole:
            place.mkdir(parents=True)
            self.kinds[name].make(place)
            self.whole[name] = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
            self.kinds[name].read(place)  # a healthy file is read, and what readers import is imported now
        return place

    def case(self, name: str, number: int | None) -> tuple[str, bytes]:
        """Kind and bytes: file `number` of a kind, or the bomb of that name."""
        if number is None:
            return self.bombs[name].kind, self.bombs[name].data
        kind = self.kinds[name]
        place = self.place(name)
        data = self.whole[name][place / kind.file]
        return name, self.spoil(kind, data, random.Random(f"{name} {number}"))

    def judge(self, name: str, data: bytes, hostile: bool = False) -> dict[str, Any]:
        """Read a file of a kind; what became of it, "read", "refused" or else what went wrong.

        hostile : it has to be refused.
        """
        from minipose import InputError

        kind, place = self.kinds[name], self.place(name)
        try:
            (place / kind.file).write_bytes(data)
            Path("/proc/self/clear_refs").write_text("5")  # the highest use of memory counts from here
            before, started = _memory("VmRSS"), time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # whose signal ends the process
            try:
                kind.read(place)
                found = "was read, and not refused" if hostile else "read"
            except InputError as error:
                plain = str(error).isprintable() and len(str(error)) <= LONGEST
                found = "refused" if plain else f"a message that is no line: {str(error)[:300]!a}"
            except BaseException as error:
                found = f"{type(error).__name__}: {error} {traceback.format_exc().splitlines()[-3:]}"[:600]
            signal.setitimer(signal.ITIMER_PROF, 0)
            taken = {"seconds": time.process_time() - started, "memory": _memory("VmHWM") - before}
        finally:
            for path, content in self.whole[name].items():
                path.write_bytes(content)
            shutil.rmtree(place / "out", ignore_errors=True)
        if self.mark.exists():
            found = "code out of the file was run"
        elif taken["memory"] > MEMORY:
            found = f"took {taken['memory'] >> 20} MiB"
        return {"found": found, **taken}


def limit_memory() -> None:
    """Far above what is allowed, so that a bomb is measured and the machine not harmed."""
    most = _memory("VmSize") + 4 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def work(folder: Path, bombs: bool) -> None:
    """Name the kinds, and the bombs if they are asked for; then judge what the standard input names."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.chdir(folder)
    reader = Reader(folder / "kinds")
    names = list(reader.bombs) if bombs else []
    limit_memory()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints may pass for an answer
    print(json.dumps([list(reader.kinds), names]), file=answers, flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        kind, data = reader.case(name, number)
        judged = reader.judge(kind, data, hostile=number is None)
        print(json.dumps(judged), file=answers, flush=True)


# In the process that watches


class Worker:
    """A reading process. It ends itself at SECONDS, and is ended at PATIENCE."""

    def __init__(self, bombs: bool = False):
        self.folder = Path(tempfile.mkdtemp())
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATH}
        command = [sys.executable, "-m", "soak.hostile", "--work", str(self.folder), *["--bombs"] * bombs]
        self.process = subprocess.Popen(
            command, text=True, bufsize=1, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.kinds, self.bombs = json.loads(self.answer(5 * PATIENCE) or "[[], []]")
        if not self.kinds:
            raise RuntimeError("no reading process: python -m soak.hostile --work FOLDER says more")

    def answer(self, patience: float = PATIENCE) -> str:
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        return self.process.stdout.readline() if ready else ""

    def ask(self, name: str, number: int | None) -> dict[str, Any]:
        self.process.stdin.write(json.dumps([name, number]) + "\n")
        if answer := self.answer():
            return json.loads(answer)
        self.process.kill() if self.process.poll() is None and not self.ended() else None
        code = self.process.wait()
        hung = code == -signal.SIGPROF
        how = signal.strsignal(-code) if code < 0 else f"exit status {code}"
        said = f"took more than {SECONDS} s" if hung else f"ended the process: {how}"
        return {"found": said, "seconds": SECONDS if hung else 0, "memory": 0}

    def ended(self) -> bool:
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


def cases(worker: Worker, count: int) -> Iterator[tuple[str, int | None]]:
    """Every bomb, then `count` spoiled files, of all kinds in turn."""
    yield from ((name, None) for name in worker.bombs)
    kinds = worker.kinds
    yield from ((kinds[number % len(kinds)], number // len(kinds)) for number in range(count))


def judged(count: int) -> tuple[Outcome, Outcome]:
    """What became of all bombs and of `count` spoiled files."""
    worker, bombs, spoiled = Worker(bombs=True), Outcome(), Outcome()
    try:
        for name, number in cases(worker, count):
            answer = worker.ask(name, number)
            outcome = bombs if number is None else spoiled
            outcome.seconds = max(outcome.seconds, answer["seconds"])
            outcome.memory = max(outcome.memory, answer["memory"])
            if answer["found"] in ("read", "refused"):
                setattr(outcome, answer["found"], getattr(outcome, answer["found"]) + 1)
            else:
                outcome.wrong.append(f"{name} {number if number is not None else ''}: {answer['found']}")
            if worker.process.poll() is not None:
                worker.close()
                worker = Worker()
    finally:
        worker.close()
    return bombs, spoiled


def figures(count: int = COUNT) -> Iterator[Figure]:
    bombs, spoiled = judged(count)
    asked = f"a line or a result, within {SECONDS} s and {MEMORY >> 20} MiB, and no code run"
    total = bombs.refused + bombs.read + len(bombs.wrong)
    yield Figure(f"{total} hostile files", str(bombs), asked, not bombs.wrong)
    yield Figure(f"{count:,} spoiled files through the readers", str(spoiled), asked, not spoiled.wrong)


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(Path(sys.argv[2]), "--bombs" in sys.argv)
    else:
        single = Worker(bombs=len(sys.argv) == 2)
        print(single.ask(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
        single.close()
