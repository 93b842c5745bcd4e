"""Spoiled and hostile files: each is refused in one line or read, soon, in little memory, and runs no code.

`make soak` tries 10,000 files, this a few hundred and every one of the bombs.
"""

import pytest
from soak import guided, hostile

from minipose import InputError

SPOILED = 300


def test_no_file_does_harm():
    harmed, spoiled = hostile.judged(SPOILED)
    assert not harmed.wrong
    assert not spoiled.wrong
    assert harmed.refused >= 130
    assert spoiled.refused + spoiled.read == SPOILED
    assert min(spoiled.refused, spoiled.read) > SPOILED // 20, "a test that tries both"


def test_a_message_is_one_short_line():
    error = InputError("a\x1b[2J", "x\ny", "z" * 10_000, {"deep": [[[[[[1]]]]]]})
    assert str(error).isprintable()
    assert str(error).startswith(r"a\x1b[2J: x y: expected zzz")
    assert str(error).endswith("found {'deep': [[[[...]]]]}")
    assert len(str(error)) < hostile.LONGEST


def test_a_fuzzer_reaches_more_of_a_reader_than_its_healthy_file_does():
    if why := guided.why_no_fuzzer():
        pytest.skip(why)
    outcome = guided.tried(("history.csv",), seconds=5)
    assert not outcome.wrong
    assert outcome.files > 100 and outcome.after > outcome.before > 0


HARM = """
import os
import minipose.runs as runs

calls = []

def harmful(path):
    calls.append(path)
    if len(calls) > 1:  # the first file is the healthy one
        {}

runs.read_history = harmful
"""


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("os.kill(os.getpid(), 11)", "Segmentation fault"),
        ("[None for _ in iter(int, 1)]", "took more than 5 s"),
        ("bytearray(b'x') * (3 << 29)", "took 15"),
        ("{}['key']", "KeyError"),
        ("os.mkdir('executed')", "code out of the file was run"),
    ],
)
def test_harm_is_seen(tmp_path, monkeypatch, harm, found):
    (tmp_path / "sitecustomize.py").write_text(HARM.replace("{}", harm, 1))  # Python runs it first
    monkeypatch.setattr(hostile, "PATH", f"{tmp_path}:{hostile.PATH}")
    worker = hostile.Worker()
    try:
        assert found in worker.ask("history.csv", 0)["found"]
    finally:
        worker.close()
