"""Spoiled and hostile files: each is refused in one line or read, soon, in little memory, and runs no code.

`make soak` tries 10,000 files, this a few hundred and every one of the bombs.
"""

import numpy as np
import pytest
from scipy.io import loadmat
from soak import guided, healthy, hostile

from minipose import InputError
from minipose.data.matlab import read_mat

SPOILED = 300


def test_no_file_does_harm():
    harmed, spoiled = hostile.judged(SPOILED)
    assert not harmed.wrong
    assert not spoiled.wrong
    assert harmed.refused >= 150
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
    monkeypatch.setattr(hostile, "ROOT", f"{tmp_path}:{hostile.ROOT}")
    worker = hostile.Worker()
    try:
        assert found in worker.ask("history.csv", 0)["found"]
    finally:
        worker.close()


def assert_same(ours, theirs):
    assert ours.shape == theirs.shape
    if theirs.dtype.names:
        assert ours.dtype.names == theirs.dtype.names
        for name in theirs.dtype.names:
            for own, other in zip(ours[name].ravel(), theirs[name].ravel(), strict=True):
                assert_same(own, other)
    elif theirs.dtype == object:
        for own, other in zip(ours.ravel(), theirs.ravel(), strict=True):
            assert_same(own, other)
    else:
        assert ours.dtype.kind == theirs.dtype.kind or not ours.size
        np.testing.assert_array_equal(ours, theirs)


CONTENTS = {
    "lspet": healthy.leeds("lspet"), "flic": healthy.flic(), "mpii": healthy.release(),
    "numbers": {"a": np.arange(24).reshape(2, 3, 4), "b": np.uint8([[1, 2]]), "c": np.float32(0.5)},
    "texts": {"a": "", "b": "é", "c": np.array(["abc", "d"])},
    "cells": {"a": np.array([[1, "ab"], [np.zeros((2, 3)), {"x": 1}]], dtype=object)},
}  # fmt: skip


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_mat_files_are_read_as_scipy_reads_them(tmp_path, content, packed):
    (tmp_path / "a.mat").write_bytes(healthy.mat(content, packed))
    ours, theirs = read_mat(tmp_path / "a.mat", "labels"), loadmat(tmp_path / "a.mat")
    assert ours.keys() == {name for name in theirs if not name.startswith("__")}
    for name, value in ours.items():
        assert_same(value, theirs[name])
