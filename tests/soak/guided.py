"""Files that a fuzzer makes, led by the lines and comparisons of the readers that each new one reaches.

Atheris (https://github.com/google/atheris) watches the package's own readers: photos are decoded by OpenCV
and Pillow, whose insides it cannot see. `make soak` installs it; where it has no wheel, this says so. What it
found stands among the `bombs`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from random import Random

from soak.figures import PATH, ROOT, Figure
from soak.hostile import MEMORY, PATIENCE, SECONDS, Reader, limit_memory

FUZZER = ROOT / ".venv/fuzz"
TIME = 60  # seconds for each kind of file
LARGEST = 1 << 16  # bytes of a file
KINDS = (
    "mpii.json", "coco.json", "labels.json", "record.json", "history.csv",
    "checkpoint", "archive.zip",
)  # fmt: skip


@dataclass
class Outcome:
    """What the fuzzer tried on all kinds of files, and how far it got beyond the healthy ones."""

    files: int = 0
    before: int = 0  # branches that the healthy files reach
    after: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = f"{self.files:,} files, branches reached {self.before:,} -> {self.after:,}"
        return told + f", {len(self.wrong)} wrong" + "".join(f"; {each}" for each in self.wrong[:5])


def why_no_fuzzer() -> str:
    """Why nothing can be tried here; empty where it can."""
    sys.path.append(str(FUZZER))
    try:
        return "" if find_spec("atheris") else "no Atheris here: `make soak` installs it where it has a wheel"
    finally:
        sys.path.remove(str(FUZZER))


def fuzz(name: str, folder: Path, seconds: int) -> None:
    """Try files of one kind in this process, which the fuzzer ends."""
    sys.path.append(str(FUZZER))
    import atheris
    import torch  # imported by the readers, and not to be watched

    torch.set_num_threads(1)
    with atheris.instrument_imports(include=["minipose"]):
        from soak import spoiling

        reader = Reader(folder / "kinds")
    kind = reader.kinds[name]
    place = reader.place(name)

    def try_one(data: bytes) -> None:
        found = reader.judge(name, data)["found"]
        if found not in ("read", "refused"):
            raise AssertionError(found)

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.3:
            try:
                return spoiling.spoil(kind, data, random)[:largest]
            except Exception:  # a way that goes by structure, and a file that has lost it
                pass
        return atheris.Mutate(data, largest)

    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "healthy").write_bytes(reader.whole[name][place / kind.file])
    os.chdir(folder)
    limit_memory()
    settings = [f"-max_total_time={seconds}", "-seed=1", f"-max_len={LARGEST}"]
    # Memory and processor time are the reader's to judge; a timeout of 0 would mean a second of anybody's.
    settings += ["-rss_limit_mb=0", f"-timeout={PATIENCE}"]
    atheris.Setup([sys.argv[0], *settings, str(corpus)], try_one, custom_mutator=mutate)
    atheris.Fuzz()


def tried(names: tuple[str, ...] = KINDS, seconds: int = TIME) -> Outcome:
    """What became of the fuzzer's files, kind by kind, each in a process of its own."""
    outcome = Outcome()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATH}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "soak.guided", name, folder, str(seconds)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
        progress = [
            (int(number), int(branches))
            for number, branches in re.findall(r"^#(\d+)\s.*?\bcov: (\d+)", done.stderr, flags=re.MULTILINE)
        ]
        if done.returncode or not progress:
            said = [
                line for line in done.stderr.splitlines() if not line.startswith(("#", "INFO", "WARNING"))
            ]
            said.sort(key=lambda line: "File" in line)  # first what happened, then where
            outcome.wrong.append(f"{name}: {' / '.join(said)[:1500]!a}")
            continue
        outcome.files += progress[-1][0]
        outcome.before += progress[0][1]
        outcome.after += progress[-1][1]
    return outcome


def figures(seconds: int = TIME) -> Iterator[Figure]:
    what = f"a coverage-guided fuzzer, {seconds} s for each of {len(KINDS)} kinds of files"
    asked = f"a line or a result, within {SECONDS} s and {MEMORY >> 20} MiB, and no code run"
    if why := why_no_fuzzer():
        yield Figure(what, why, asked, True)
        return
    outcome = tried(seconds=seconds)
    yield Figure(what, str(outcome), asked, not outcome.wrong)


if __name__ == "__main__":
    fuzz(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
