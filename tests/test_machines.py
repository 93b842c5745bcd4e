"""Jobs of several processes and machines that lose one; `soak.machines` is the program that they run."""

import pytest
import torch
from soak import machines

from minipose.scaling import distributed


def held(outcome):
    assert outcome.once, "somebody was not seen once an epoch"
    assert outcome.kept == 1  # the kill came in the second epoch
    assert all(outcome.told), "a machine did not say what had happened"
    assert outcome.outlived < 60
    assert outcome.apart <= machines.LARGEST  # from one process, after an epoch
    assert outcome.other == 0  # as a job that lost nobody, after all epochs
    return outcome.met()


def test_two_machines_one_of_which_loses_its_process(tmp_path):
    if why := machines.why_no_machines():
        pytest.skip(why)
    with machines.machines() as on:
        assert held(machines.lose_one(tmp_path, on, 1))


def test_two_machines_one_of_which_vanishes(tmp_path):
    if why := machines.why_no_machines():
        pytest.skip(why)
    with machines.machines() as on:
        told, outlived, other = machines.lose_machine(tmp_path, on)
    assert told, "the machine that was left did not say what had happened"
    assert machines.PATIENCE.seconds - 5 < outlived < machines.PATIENCE.seconds + 60
    assert other == 0  # as a job that lost nothing


def test_four_processes_one_of_which_is_killed(tmp_path):
    # Steps of 4 and a last one of 1: three processes have nothing to do in it, and nobody is seen twice.
    assert held(machines.lose_one(tmp_path, [machines.HERE], 4))


def test_a_killed_process_ends_the_job_on_one_machine(tmp_path):
    said, outlived = machines.launch(tmp_path / "run", [machines.HERE], 2, fault="kill")
    assert "SIGKILL" in said[0] and outlived < 60


def test_an_error_of_our_own_is_not_taken_for_a_lost_process():
    with pytest.raises(RuntimeError, match="shapes do not fit"), distributed.reraise_peer_failure():
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[/gloo/transport/tcp/pair.cc:537] Read error"),
        RuntimeError("Application timeout caused pair closure"),
        torch.distributed.DistError(),
    ],
)
def test_a_lost_process_in_one_line(monkeypatch, error):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ConnectionError) as found, distributed.reraise_peer_failure():
        raise error
    assert str(found.value).startswith("another process has ended") and "\n" not in str(found.value)
    assert str(found.value).endswith(f"(PyTorch says: {str(error) or 'DistError'})")
