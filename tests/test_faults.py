"""What goes wrong around a training: kills, disks, spoilt files and numbers. `make soak` tries for longer."""

import random
import shutil
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from soak import disk, kills, long_runs, numerics
from test_training import SETTINGS, network, same, without_seconds

import minipose
from minipose import InputError, cli
from minipose.data import Puppets
from minipose.runs import read_history

FILES = ["checkpoint.pt", "history.csv", "weights.safetensors"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder as a training leaves it that was stopped in its second epoch; it is not to be changed."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(KeyboardInterrupt):
        train(network(), folder, after_step=stop_in_epoch_2)
    return folder


@pytest.fixture
def folder(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "run")


@pytest.fixture(scope="module")
def whole():
    """The network and history of the same training, not stopped."""
    net = network()
    return net, train(net)


def train(net, folder=None, epochs=3, **settings):
    people = Puppets(8, seed=3, size=64)
    return minipose.train(net, people, epochs=epochs, folder=folder, **(SETTINGS | settings))


def stop_in_epoch_2(step, _):
    if step == 3:
        raise KeyboardInterrupt


def goes_on(folder, whole):
    """Whether a training goes on in a folder as if it had never stopped."""
    net = network(seed=9)
    history = train(net, folder, resume=True)
    assert same(net, whole[0]) and without_seconds(history) == without_seconds(whole[1])
    assert without_seconds(read_history(folder / "history.csv")) == without_seconds(history)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    return True


def test_killed_at_random_moments_it_goes_on_bit_for_bit():
    found = kills.kill(8, seed=1)  # compares weights, history and files by itself
    assert found.count == 8 and found.redone <= kills.STEPS


def test_disks_that_are_full_or_cannot_be_written():
    if why := disk.why_no_disk():
        pytest.skip(why)
    found = list(disk.figures())
    assert len(found) == 3 and all(figure.met for figure in found), found


def test_a_kill_between_the_checkpoint_and_its_history(folder, whole):
    (folder / "history.csv").unlink()
    (folder / ".history.csv.123.partial").write_text("epoch,lo")
    before = (folder / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match="expected a folder without an earlier run, or --resume"):
        train(network(), folder)
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert goes_on(folder, whole)


def test_a_kill_before_the_weights_are_written(tmp_path):
    train(network(), tmp_path, epochs=1)
    expected = contents(tmp_path)
    for name in ("history.csv", "weights.safetensors"):
        (tmp_path / name).unlink()
    train(network(seed=9), tmp_path, epochs=1, resume=True)  # no epoch is left to train
    assert read_history(tmp_path / "history.csv")
    assert contents(tmp_path)["history.csv"] == expected["history.csv"]
    assert same(minipose.load(tmp_path / "weights.safetensors"), network_of(tmp_path))


def network_of(folder):
    net = network()
    net.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=True)["weights"])
    return net


def test_a_checkpoint_cut_at_20_random_lengths(folder, whole):
    complete, draw = (folder / "checkpoint.pt").read_bytes(), random.Random(0)
    for length in [0, len(complete) - 1, *(draw.randrange(len(complete)) for _ in range(18))]:
        (folder / "checkpoint.pt").write_bytes(complete[:length])
        before = contents(folder)
        with pytest.raises(InputError, match="checkpoint.pt: checkpoint: expected a whole checkpoint"):
            train(network(), folder, resume=True)
        assert contents(folder) == before  # the history of what was done stays
    (folder / "checkpoint.pt").write_bytes(complete)
    assert goes_on(folder, whole)


def test_a_checkpoint_of_another_network_changes_nothing(folder, whole):
    before = contents(folder)
    with pytest.raises(InputError, match="stacks: expected 2, with which this run was started, found 1"):
        train(network(stacks=1), folder, resume=True)
    assert contents(folder) == before
    assert goes_on(folder, whole)


def test_a_history_half_written(folder, whole):
    complete = (folder / "history.csv").read_bytes()
    header = complete.index(b"\n") + 1
    for length in [*range(header), *range(header + 1, len(complete))]:
        (folder / "history.csv").write_bytes(complete[:length])
        with pytest.raises(InputError, match="history.csv: history: expected numbers in every column"):
            read_history(folder / "history.csv")
    assert goes_on(folder, whole)  # the checkpoint has its own


@pytest.mark.parametrize("spoil", ["loss", "weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_stops_and_leaves_the_good_checkpoint(tmp_path, whole, spoil, value):
    net = network()
    loss = net.loss

    def spoilt(step, _):
        if step == 3 and spoil == "weight":  # the last of epoch 2: no loss will tell before it is saved
            with torch.no_grad():
                net.stem[0].weight[0, 0, 0, 0] = value
        if step == 2 and spoil == "loss":
            net.loss = lambda *arguments: loss(*arguments) * value

    samples = minipose.pipeline.shuffled_indices(8, 0, 1)[4:]
    people = ", ".join(Puppets(8, seed=3, size=64)[number].id for number in samples)
    with pytest.raises(FloatingPointError) as error:
        train(net, tmp_path, after_step=spoilt)
    what = "the last step left a weight that is not finite" if spoil == "weight" else f"the loss is {value}"
    assert str(error.value) == f"{what} in epoch 2, samples {people}"
    assert len(read_history(tmp_path / "history.csv")) == 1
    assert goes_on(tmp_path, whole)


@pytest.mark.parametrize(
    "error, message, status",
    [
        (FloatingPointError("the loss is nan"), "minipose: the loss is nan\n", 1),
        (ConnectionError("another process has ended"), "minipose: another process has ended\n", 1),
        (BrokenPipeError(), "", 0),
    ],
)
def test_the_command_line_says_it_in_one_line(tmp_path, monkeypatch, capsys, error, message, status):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(minipose, "train", fail)
    arguments = ["train", "--count", "2", "--size", "32", "--stacks", "1", "--features", "8"]
    assert cli.main([*arguments, "--out", str(tmp_path / "run")]) == status
    assert capsys.readouterr().err == message


def test_memory_stays_flat():
    # A process of its own: this one has seen other tests.
    with ProcessPoolExecutor(1, kills.FORKS) as process:
        for work, count in ((long_runs.train, 200), (long_runs.predict, 100)):
            course = process.submit(work, count).result()
            assert course.growth() <= 0.05, str(course)


def test_bf16_losses_are_those_of_fp32():
    assert 0 < max(numerics.at_the_same_weights(80)) <= 0.02
