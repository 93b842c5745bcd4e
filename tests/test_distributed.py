"""Two processes under torchrun against one that accumulates the same micro-batches.

This file is also the program that torchrun starts: see `program` at its end.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import EXACT_WARP

import minipose
from minipose import InputError, StackedHourglass, training
from minipose.data import Puppets
from minipose.runs import read_history
from minipose.scaling import distributed

SETTINGS = dict(size=64, batch_size=4, learning_rate=1e-3, schedule="constant", device="cpu")


# Steps of four and a last one as the name says, each cut in two; in "quarters" each process takes two.
RUNS = {
    "a last step of 3: 2 and 1": dict(people=11),
    "a last step of 1: 1 and 0": dict(people=9),
    "quarters, the last step 1 0 0 0": dict(people=5, optimizer="sgd", split=2),
    "without the last stage": dict(people=9, supervised=[0]),
    "a frozen stem": dict(people=8, frozen=True),
}
NAMES = [*RUNS, "resumed"]


def network(seed=0, supervised=(0, 1), frozen=False):
    torch.manual_seed(seed)
    net = StackedHourglass(joints=16, stacks=2, features=16, depth=2)
    net.supervised = list(supervised)
    net.stem.requires_grad_(not frozen)
    return net


def run(folder, accumulate, people, seed=0, supervised=(0, 1), frozen=False, split=1, **settings):
    """One run: its history, parameters and statistics, and the samples that this process saw."""
    prepared, seen = training.batches, []

    def recorded(*arguments):
        for crops in prepared(*arguments):
            seen.append(crops.indices)
            yield crops

    net, puppets = network(seed, supervised, frozen), Puppets(people, seed=3, size=64)
    training.batches = recorded
    try:
        arguments = dict(epochs=2, folder=folder, progress=False) | SETTINGS | settings
        history = minipose.train(net, puppets, puppets, accumulate=accumulate * split, **arguments)
    finally:
        training.batches = prepared
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    return dict(history=history, parameters=parameters, buffers=dict(net.named_buffers()), seen=seen)


def run_all(folder: Path, accumulate: int) -> dict:
    found = {name: run(folder / name, accumulate, **settings) for name, settings in RUNS.items()}
    again = dict(folder=folder / "resumed", accumulate=accumulate) | RUNS["a last step of 3: 2 and 1"]
    run(**again, epochs=1)
    return found | {"resumed": run(**again, resume=True, seed=7)}  # other weights, to be replaced


def torchrun(*arguments, processes=2):
    """Run a program in several processes; one that hangs fails the test."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    root = Path(__file__).resolve().parent.parent
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=500
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What `run_all` found in one process, and in each of two."""
    folder = tmp_path_factory.mktemp("distributed")
    done = torchrun(__file__, "run_all", folder / "two")
    assert done.returncode == 0, done.stderr
    two = [torch.load(folder / "two" / f"rank{rank}.pt") for rank in (0, 1)]
    return run_all(folder / "one", accumulate=2), two, folder / "two"


def plain(history):
    return [[value for key, value in row.items() if key != "seconds"] for row in history]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_equal_one_with_two_micro_batches(both, name):
    one, (first, second), _ = both
    rounding = 1e-6 if EXACT_WARP else 5e-6  # other pixels round otherwise
    for key, expected in one[name]["parameters"].items():
        torch.testing.assert_close(first[name]["parameters"][key], expected, atol=rounding, rtol=0)
        assert torch.equal(second[name]["parameters"][key], first[name]["parameters"][key]), key
    # Accuracies are left to the first process's running statistics, and here only losses are compared.
    losses = [[row["loss"] for row in found[name]["history"]] for found in (one, first)]
    assert losses[1] == pytest.approx(losses[0], abs=rounding / 10)
    rates = [[row["learning_rate"] for row in found[name]["history"]] for found in (one, first)]
    assert rates[0] == rates[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_process_returns_the_same(both, name):
    _, (first, second), folder = both
    assert first[name]["history"] == second[name]["history"]
    for key, statistics in first[name]["buffers"].items():
        assert torch.equal(statistics, second[name]["buffers"][key]), key
    saved = minipose.load(folder / name / "weights.safetensors").state_dict()
    assert all(torch.equal(saved[key], tensor) for key, tensor in first[name]["buffers"].items())
    assert read_history(folder / name / "history.csv") == first[name]["history"]


@pytest.mark.parametrize("name", list(RUNS))
def test_every_sample_counts_once_an_epoch(both, name):
    one, two, _ = both
    seen = [number for found in two for part in found[name]["seen"] for number in part]
    assert sorted(seen) == sorted(2 * list(range(RUNS[name]["people"])))  # two epochs
    # BatchNorm sees the same samples together.
    assert sorted(part for found in two for part in found[name]["seen"]) == sorted(one[name]["seen"])


def test_resuming_continues_bit_for_bit(both):
    _, (first, _), _ = both
    whole, resumed = first["a last step of 3: 2 and 1"], first["resumed"]
    assert plain(whole["history"]) == plain(resumed["history"])
    for kind in ("parameters", "buffers"):
        assert all(torch.equal(whole[kind][key], tensor) for key, tensor in resumed[kind].items())


def test_a_run_goes_on_in_one_process_with_the_same_micro_batches(both, tmp_path):
    folder = shutil.copytree(both[2] / "resumed", tmp_path / "run")
    with pytest.raises(InputError, match="checkpoint.pt: micro-batches: expected"):
        run(folder, accumulate=1, people=11, epochs=3, resume=True)
    history = run(folder, accumulate=2, people=11, epochs=3, resume=True)["history"]
    assert [row["epoch"] for row in history] == [1, 2, 3]


def test_only_the_first_process_writes_and_speaks(both, tmp_path):
    folder = both[2]
    files = ["checkpoint.pt", "history.csv", "weights.safetensors"]
    for name in NAMES:
        assert sorted(path.name for path in (folder / name).iterdir()) == files
    done = torchrun(
        "-m", "minipose", "train", "--count", 5, "--epochs", 1, "--size", 32, "--stacks", 1, "--features", 8,
        "--batch-size", 2, "--device", "cpu", "--out", tmp_path / "run",
        "--resume",  # from nothing: torchrun's first attempt and its later ones are the same line
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout.count("epoch   1/1") == 1 and done.stdout.count("unseen people") == 1
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == files


def test_a_loss_that_is_no_number_in_one_process_stops_all(tmp_path):
    done = torchrun(__file__, "no_number", tmp_path)
    assert done.returncode == 1
    for rank in (0, 1):
        assert (tmp_path / f"rank{rank}.txt").read_text().startswith("the loss is nan in epoch 1, samples ")


def test_processes_that_do_not_fit_together(tmp_path):
    done = torchrun(__file__, "other_settings", tmp_path)
    assert done.returncode == 1
    assert "train: settings: expected the same people, arguments and checkpoint" in done.stderr


def test_a_batch_that_cannot_be_cut(puppets):
    message = "batch_size: expected a multiple of 3 .processes x accumulate., found 4"
    with pytest.raises(InputError, match=message):
        minipose.train(network(), puppets, accumulate=3, **SETTINGS)
    with pytest.raises(ValueError, match="accumulate must be at least 1, found 0"):
        minipose.train(network(), puppets, accumulate=0, **SETTINGS)


@pytest.mark.parametrize(
    "asked, number, found",
    [("cuda:1", None, 1), ("auto", None, 2), ("auto", "3", 3), ("cuda:1", "3", 3)],
    ids=["a program names it", "a program chose it before", "torchrun numbers it", "torchrun decides"],
)
def test_which_gpu_a_process_takes(monkeypatch, asked, number, found):
    """A program that has joined the others by itself keeps the GPU that it chose. (None is needed here.)"""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    device = torch.device("cuda" if asked == "auto" else asked)
    monkeypatch.setattr(distributed, "choose_device", lambda name: device)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if number is not None:
        monkeypatch.setenv("LOCAL_RANK", number)
    assert distributed.setup(asked) == torch.device("cuda", found)
    assert chosen == ([] if number is None else [3])


def test_shares_by_hand():
    numbers = list(range(10, 21))  # steps of 6 and 5
    assert [distributed.shard_indices(numbers, 6, rank, 3) for rank in range(3)] == [
        [10, 11, 16, 17],
        [12, 13, 18, 19],
        [14, 15, 20],
    ]
    assert distributed.shard_indices(numbers, 6, 0, 1) == numbers


def test_alone_nothing_is_asked_of_anybody():
    module = torch.nn.Linear(1, 1)
    assert (distributed.world_size(), distributed.rank(), distributed.is_main()) == (1, 0, True)
    assert distributed.data_parallel(module) is module
    assert distributed.broadcast_object("a") == "a" and distributed.all_reduce_sum(torch.tensor(2.0)) == 2


def program(task: str, folder: Path) -> None:
    """What each of the processes does that torchrun starts."""
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    if task == "run_all":
        torch.save(run_all(folder, accumulate=1), folder / f"rank{rank}.pt")
        distributed.finish()
    elif task == "no_number":
        net = network()
        loss, calls = net.loss, []

        def broken_at_last(*arguments):
            calls.append(0)
            return loss(*arguments) * (float("nan") if rank == 1 and len(calls) == 2 else 1)

        net.loss = broken_at_last
        try:
            minipose.train(net, Puppets(12, seed=3, size=64), epochs=1, progress=False, **SETTINGS)
        except FloatingPointError as error:
            (folder / f"rank{rank}.txt").write_text(str(error))
            distributed.finish()  # waits for nobody on a CPU, and lets the other one write its file
            sys.exit(1)
    else:
        puppets = Puppets(12 + rank, seed=3, size=64)
        minipose.train(network(), puppets, epochs=1, progress=False, **SETTINGS)


if __name__ == "__main__":
    program(sys.argv[1], Path(sys.argv[2]))
