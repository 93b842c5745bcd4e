"""The loop: what it promises about draws, resuming, phases, files and bad numbers."""

import csv
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from conftest import EXACT_WARP, write_leeds

import minipose
from minipose import InputError, StackedHourglass, training
from minipose.data import Puppets
from minipose.io.checkpoints import load_checkpoint, load_weights, save_checkpoint, save_weights
from minipose.optimization import LRSchedule, build_optimizer
from minipose.pipeline import StepLoader
from minipose.runs import read_history
from minipose.training import train_one_epoch

EMPTY = dict(optimizer={}, history=[])
SETTINGS = dict(size=64, batch_size=4, progress=False, learning_rate=1e-3, device="cpu")


def network(seed=0, **arguments):
    torch.manual_seed(seed)
    return StackedHourglass(**(dict(joints=16, stacks=2, features=16, depth=2) | arguments))


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def test_training_learns_and_reports_every_stage(puppets):
    net = network()
    history = minipose.train(net, puppets, puppets, epochs=8, **SETTINGS)
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert {"pck_stage_1", "pck_stage_2", "pck", "learning_rate", "seconds"} <= set(history[0])
    assert history[-1]["pck"] == history[-1]["pck_stage_2"]
    assert (net.size, net.skeleton.name, net.training) == (64, "mpii", False)


def test_one_step_is_plain_rmsprop(puppets):
    """The loop's first step against RMSprop written out for one parameter."""
    net, by_hand = network(), network()
    minipose.train(
        net, puppets, epochs=1, schedule="constant", augment="none", **(SETTINGS | dict(batch_size=12))
    )
    batch = next(minipose.pipeline.batches(puppets, minipose.pipeline.shuffled_indices(12, 0, 0), 64, 12))
    stages = by_hand.train()(batch.images.float() / 255)
    by_hand.loss(stages, batch.keypoints, batch.visibility).backward()
    parameter = by_hand.predictions[-1].heatmaps.weight
    average = 0.01 * parameter.grad**2  # alpha 0.99, starting from zero
    expected = parameter - 1e-3 * parameter.grad / (average.sqrt() + 1e-8)
    torch.testing.assert_close(net.predictions[-1].heatmaps.weight, expected, rtol=1e-4, atol=1e-6)


def test_an_epoch_by_hand():
    """One weight w, loss w * x, plain descent: the gradient of a step is the mean of its samples' x."""

    class Product(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, batch, step_samples):
            return 0 * self.weight if batch is None else self.weight * sum(batch) / step_samples

    model, seen = Product(), []
    # A step of four samples and one of one, in two micro-batches each; nothing is left for the last.
    loader = StepLoader(None, [0, 1, 2, 3, 4], 4, iter([[1.0, 2.0], [3.0, 6.0], [5.0]]), accumulate=2)
    loss = train_one_epoch(
        model, loader, torch.optim.SGD(model.parameters(), 9.0), lambda epoch: 0.1 * epoch, 2,
        after_step=lambda *step: seen.append(step),
    )  # fmt: skip
    # Rates 0.2 and 0.25: w = 1, then 1 - 0.2 * 12/4 = 0.4, then 0.4 - 0.25 * 5 = -0.85.
    assert model.weight.item() == pytest.approx(-0.85)
    assert seen == [(4, pytest.approx(3.0)), (5, pytest.approx(2.0))]
    assert loss == pytest.approx((4 * 3.0 + 1 * 2.0) / 5)


def test_resident_crops_train_the_same_network(puppets):
    """Without augmentation the stored crops' pixels are the loader's, up to rounding."""
    loaded, resident = network(), network()
    histories = [
        minipose.train(
            net, puppets, epochs=2, augment="none", schedule="constant", gpu_crops=kept, **SETTINGS
        )
        for net, kept in ((loaded, False), (resident, True))
    ]
    for a, b in zip(*histories, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=0.03 if EXACT_WARP else 0.15)


def test_same_seed_same_weights(puppets):
    first, again, other = network(), network(), network()
    for net, seed in ((first, 1), (again, 1), (other, 2)):
        minipose.train(net, puppets, epochs=2, seed=seed, **SETTINGS)
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_resume_continues_bit_for_bit(tmp_path, puppets, schedule, monkeypatch):
    whole = network()
    settings = SETTINGS | dict(schedule=schedule, patience=1)
    expected = minipose.train(whole, puppets, puppets, epochs=5, **settings)

    class Interruption(Exception):
        pass

    def stop_in_epoch_3(row, *_):
        if row["epoch"] == 3:
            raise Interruption
        return ""

    interrupted = network()
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(minipose.training, "describe", stop_in_epoch_3)
        minipose.train(
            interrupted, puppets, puppets, epochs=5, folder=tmp_path, **(settings | dict(progress=True))
        )
    continued = network(seed=99)
    history = minipose.train(continued, puppets, puppets, epochs=5, folder=tmp_path, resume=True, **settings)
    assert same(continued, whole)
    assert without_seconds(history) == without_seconds(expected)
    assert len(history) == 5


def test_files_of_a_run(tmp_path, puppets):
    net = network()
    history = minipose.train(net, puppets, puppets, epochs=2, folder=tmp_path, **SETTINGS)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.pt",
        "history.csv",
        "weights.safetensors",
    ]
    assert read_history(tmp_path / "history.csv") == history
    with (tmp_path / "history.csv").open() as file:
        assert next(csv.reader(file)) == list(history[0])
    assert same(minipose.load(tmp_path / "weights.safetensors"), net)


def test_an_earlier_run_is_not_overwritten(tmp_path, puppets):
    minipose.train(network(), puppets, epochs=1, folder=tmp_path, **SETTINGS)
    before = (tmp_path / "weights.safetensors").read_bytes()
    with pytest.raises(InputError, match="expected a folder without an earlier run, or --resume"):
        minipose.train(network(), puppets, epochs=1, folder=tmp_path, **SETTINGS)
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_rate_drops_once_by_five():
    rate = LRSchedule("plateau", 1.0, epochs=100, patience=2)
    rows = [dict(loss=1.0, pck=pck) for pck in (0.1, 0.3, 0.3, 0.2, 0.5, 0.4, 0.4, 0.4, 0.4)]
    rates = [rate.at(n, rows[:n]) for n in range(len(rows) + 1)]
    assert rates == [1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]  # not improved in rows 3 and 4


def test_rate_without_validation_watches_the_loss():
    rate = LRSchedule("plateau", 1.0, epochs=100, patience=2)
    assert rate.at(4, [dict(loss=v) for v in (4.0, 3.0, 2.0, 1.0)]) == 1
    assert rate.at(4, [dict(loss=v) for v in (4.0, 3.0, 3.0, 3.5)]) == 0.2


def test_warmup_by_hand():
    rate = LRSchedule("warmup", 2.0, epochs=100, patience=1)
    # A twentieth of 100 epochs is 5: half the rise after 2.5, half the fall in the middle of the other 95.
    assert [rate.at(epoch, []) for epoch in (0, 2.5, 5)] == pytest.approx([0.0, 1.0, 2.0])
    assert rate.at(52.5, []) == pytest.approx(1.0)
    assert rate.at(100, []) == pytest.approx(0.0)


def test_after_step_sees_every_step_and_may_end_the_training(tmp_path):
    seen = []

    def watch(step, loss):
        seen.append((step, loss))
        if step == 3:
            raise KeyboardInterrupt

    network = StackedHourglass(16, stacks=1, features=8, depth=1)
    with pytest.raises(KeyboardInterrupt):
        minipose.train(
            network, Puppets(6, size=32), epochs=9, size=32, batch_size=2, folder=tmp_path, progress=False,
            device="cpu", after_step=watch,
        )  # fmt: skip
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    history = read_history(tmp_path / "history.csv")
    # The one whole epoch is kept, and its loss is the mean of its three steps of two.
    assert len(history) == 1 and history[0]["loss"] == pytest.approx(sum(x for _, x in seen[:3]) / 3)


def test_the_reports_schedule_by_hand():
    """Adam's 5e-3 until two thirds of the epochs (around epoch 70 of 107 in the report), then 5e-4."""
    rate = LRSchedule("step", 5e-3, epochs=9, patience=1)
    assert [rate.at(epoch, []) for epoch in (0, 3.5, 5.99)] == [5e-3] * 3
    assert [rate.at(epoch, []) for epoch in (6, 7.2, 8.9)] == pytest.approx([5e-4] * 3)
    assert LRSchedule("step", 5e-3, epochs=107, patience=1).at(70, []) == 5e-3
    assert LRSchedule("step", 5e-3, epochs=107, patience=1).at(72, []) == pytest.approx(5e-4)


def test_cosine_by_hand():
    rate = LRSchedule("cosine", 2.0, epochs=4, patience=1)
    assert [rate.at(e, []) for e in (0, 2, 4)] == pytest.approx([2, 1, 0])
    assert rate.at(1, []) == pytest.approx(1 + math.sqrt(0.5))


def test_a_phase_trains_only_what_requires_a_gradient(puppets):
    net = network()
    net.stem.requires_grad_(False)
    net.supervised = [1]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    minipose.train(net, puppets, epochs=1, **SETTINGS)
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith("stem.") for name in changed)  # its batch statistics neither
    assert any(name.startswith("hourglasses.1.") for name in changed)


def test_nothing_to_train(puppets):
    net = network().requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter requires a gradient"):
        minipose.train(net, puppets, epochs=1, **SETTINGS)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(optimizer="adagrad"), "optimizer must be one of rmsprop, adam, sgd"),
        (dict(schedule="steps"), "schedule must be one of plateau, cosine, warmup, constant, step"),
        (dict(augment="strong"), "augment must be one of none, paper, code, cpm, light, medium, heavy, "),
        (dict(resume=True), "resume needs the folder"),
    ],
)
def test_arguments_that_cannot_be(puppets, arguments, message):
    with pytest.raises(ValueError, match=message):
        minipose.train(network(), puppets, epochs=1, **SETTINGS, **arguments)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_every_optimizer_lowers_a_bowl(optimizer):
    net = network()
    optimizer = build_optimizer(net, optimizer, 1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        value = sum(p.square().sum() for p in net.parameters())
        value.backward()
        optimizer.step()
    assert sum(p.square().sum() for p in net.parameters()) < value


def test_a_loss_that_is_no_number_stops_with_the_samples(puppets):
    net = network()
    with torch.no_grad():
        net.stem[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"loss is nan in epoch 1, samples puppet-3-"):
        minipose.train(net, puppets, epochs=1, **SETTINGS)


def trained(small_network):
    """As training leaves it: the fixture knows 16 joints."""
    small_network.skeleton, small_network.size, small_network.crop_rule = minipose.MPII, 64, "a rule"
    return small_network.eval()


@pytest.mark.parametrize("half, tolerance", [(False, 0), (True, 5e-3)])
def test_weights_come_back(tmp_path, small_network, half, tolerance):
    net = trained(small_network)
    save_weights(net, tmp_path / "w.safetensors", half)
    back = minipose.load(tmp_path / "w.safetensors")
    assert (back.arguments, back.size, back.crop_rule, back.training) == (net.arguments, 64, "a rule", False)
    assert back.skeleton is minipose.MPII
    assert {t.dtype for t in back.parameters()} == {torch.float32}
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(back(images), net(images), atol=tolerance, rtol=0)


def test_only_a_trained_network_is_saved(tmp_path, small_network):
    with pytest.raises(ValueError, match="train it first"):
        save_weights(small_network, tmp_path / "w.safetensors")


def rewritten(tmp_path, small_network, **header):
    """A weights file whose header is changed; None removes a field."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path = tmp_path / "w.safetensors"
    save_weights(trained(small_network), path)
    with safe_open(path, "pt") as file:
        fields = {**file.metadata(), **header}
    save_file(load_file(path), path, {k: v for k, v in fields.items() if v is not None})
    return path


@pytest.mark.parametrize(
    "header, message",
    [
        (dict(size=None), "header.size: expected a file written by minipose"),
        (dict(format="99"), "header.format: expected 1; update minipose to read newer files, found 99"),
        (dict(network="os.system"), "header.network: expected one of StackedHourglass, .*, found os.system"),
        (
            dict(skeleton="dog"),
            "header.skeleton: expected one of mpii, lsp, flic, coco, or a whole skeleton, found dog",
        ),
        (dict(arguments='{"legs": 4}'), "header: expected arguments of StackedHourglass"),
        (dict(arguments="{"), "header: expected arguments of StackedHourglass"),
        (dict(arguments="[]"), "header: expected arguments of StackedHourglass"),
        (
            dict(arguments='{"joints": 16, "stacks": 3, "features": 16, "depth": 2}'),
            "tensors: expected those of StackedHourglass, found .*Missing key",
        ),
        (dict(size="100"), "header.size: expected a multiple of 16 px up to 4096, found 100"),
        (dict(size="-64"), "header.size: expected a multiple of 16 px up to 4096, found -64"),
        (dict(size="1048576"), "header.size: expected a multiple of 16 px up to 4096, found 1048576"),
        (dict(skeleton="lsp"), "header.skeleton: expected a skeleton of 16 joints, found lsp"),
        (dict(size="large"), "header.size: expected a whole number of px, found large"),
        (
            dict(arguments='{"joints": 16, "stacks": 2, "features": 24, "depth": 2}'),
            r"tensors: expected those of StackedHourglass, .*stem.0.weight: .*\[4, 3, 7, 7\].*\[6, 3, 7, 7\]",
        ),
        (
            dict(arguments='{"joints": 16, "stacks": 1, "features": 16, "depth": 2}'),
            "tensors: expected those of StackedHourglass, found .*Unexpected key",
        ),
    ],
)
def test_weights_with_another_header(tmp_path, small_network, header, message):
    with pytest.raises(InputError, match=message):
        load_weights(rewritten(tmp_path, small_network, **header))


def test_damaged_weights(tmp_path, small_network):
    path = tmp_path / "w.safetensors"
    with pytest.raises(
        InputError, match="w.safetensors: weights: expected a .safetensors file, found no such file"
    ):
        minipose.load(path)
    save_weights(trained(small_network), path)
    whole = path.read_bytes()
    for cut in (0, 5, 200, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="expected a whole .safetensors file"):
            minipose.load(path)


def test_weights_that_are_no_numbers(tmp_path, small_network):
    with torch.no_grad():
        small_network.stem[0].bias[0] = float("inf")
    save_weights(trained(small_network), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="stem.0.bias: expected finite numbers"):
        minipose.load(tmp_path / "w.safetensors")


def test_unknown_weights_name():
    with pytest.raises(InputError, match=r"hg99: weights: expected a .safetensors file or one of .*puppets"):
        minipose.load("hg99")


def test_checkpoint_of_another_network(tmp_path):
    save_checkpoint(tmp_path / "c.pt", network(stacks=1), {}, **EMPTY)
    with pytest.raises(
        InputError, match="c.pt: stacks: expected 1, with which this run was started, found 2 in this call"
    ):
        load_checkpoint(tmp_path / "c.pt", network(stacks=2), {})


def test_damaged_checkpoints(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(InputError, match="expected a checkpoint to resume from, found no such file"):
        load_checkpoint(path, network(), {})
    save_checkpoint(path, network(), {}, **EMPTY)
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="expected a whole checkpoint, found a damaged file"):
            load_checkpoint(path, network(), {})
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="expected a minipose checkpoint of format 1; another is resumed by"):
        load_checkpoint(path, network(), {})


def test_a_checkpoint_runs_no_code(tmp_path):
    import pickle

    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self):
            return marker.touch, ()

    (tmp_path / "c.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(InputError, match="expected a whole checkpoint"):
        load_checkpoint(tmp_path / "c.pt", network(), {})
    assert not marker.exists()


FULL_DISK = """
import resource, signal, sys
import torch
from minipose import InputError, StackedHourglass
from minipose.io.checkpoints import save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
network = StackedHourglass(joints=16, stacks=2, features=16, depth=2)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # the kernel refuses to write more
try:
    save_checkpoint(sys.argv[1], network, {}, optimizer={}, history=[])
except InputError as error:
    print(error)
"""


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, first := network(), {}, **EMPTY)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert "c.pt: saving: expected a folder with room" in done.stdout
    assert "File too large" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]
    load_checkpoint(path, restored := network(seed=7), {})
    assert same(restored, first)


@pytest.mark.parametrize("missing", ["optimizer", "settings", "network"])
def test_checkpoints_with_something_missing(tmp_path, missing):
    save_checkpoint(path := tmp_path / "c.pt", network(), {}, **EMPTY)
    content = torch.load(path)
    del content[missing]
    torch.save(content, path)
    with pytest.raises(InputError, match=f"c.pt: .*expected all that minipose writes.*|{missing}"):
        load_checkpoint(path, network(), {})


def test_a_checkpoint_from_before_an_argument_had_its_default(tmp_path):
    save_checkpoint(path := tmp_path / "c.pt", network(), {}, **EMPTY)
    content = torch.load(path)
    del content["arguments"]["unlabelled"]
    torch.save(content, path)
    load_checkpoint(path, network(), {})
    with pytest.raises(InputError, match="unlabelled: expected zero, with which .* found ignore in this"):
        load_checkpoint(path, network(unlabelled="ignore"), {})


def test_a_checkpoint_with_the_activation_of_older_networks(tmp_path):
    """They stored one; linear is what every network of the package has today."""
    save_checkpoint(path := tmp_path / "c.pt", network(), {}, **EMPTY)
    content = torch.load(path)
    content["arguments"]["activation"] = "linear"
    torch.save(content, path)
    load_checkpoint(path, network(), {})
    content["arguments"]["activation"] = "sigmoid"
    torch.save(content, path)
    with pytest.raises(InputError, match="c.pt: .*activation must be linear, found 'sigmoid'"):
        load_checkpoint(path, network(), {})


def test_an_older_checkpoint_calls_the_batch_size_batch(tmp_path):
    save_checkpoint(path := tmp_path / "c.pt", network(), {"batch": 4}, **EMPTY)
    load_checkpoint(path, network(), {"batch_size": 4})
    with pytest.raises(InputError, match="batch_size: expected 4, with which this run was started, found 6"):
        load_checkpoint(path, network(), {"batch_size": 6})


OTHER = [("optimizer", "adam"), ("batch_size", 6), ("seed", 5), ("augment", "none")]


@pytest.mark.parametrize("name, value", OTHER)
def test_resuming_with_other_settings(tmp_path, puppets, name, value):
    minipose.train(network(), puppets, epochs=1, folder=tmp_path, **SETTINGS)
    other = SETTINGS | {name: value, "resume": True}
    with pytest.raises(
        InputError, match=f"{name}: expected .* this run was started, found {value} in this call"
    ):
        minipose.train(network(), puppets, epochs=2, folder=tmp_path, **other)


def test_data_that_do_not_fit(puppets):
    with pytest.raises(InputError, match="network.joints: expected 16, as in mpii, found 14"):
        minipose.train(network(joints=14), puppets, epochs=1, **SETTINGS)
    with pytest.raises(InputError, match="at least one person"):
        minipose.train(network(), puppets.subset([]), epochs=1, **SETTINGS)
    with pytest.raises(ValueError, match=r"needs keypoints \(1, 16, 2\)"):
        network().loss([torch.zeros(1, 16, 4, 4)] * 2, torch.zeros(1, 1, 2), torch.ones(1, 1))


@pytest.mark.parametrize(
    "setting, value, message",
    [
        ("batch_size", 0, "batch_size must be at least 1, found 0"),
        ("batch_size", -4, "batch_size must be at least 1, found -4"),
        ("epochs", -1, "epochs must be at least 0, found -1"),
        ("size", 0, "size must be at least 1, found 0"),
        ("size", 60, "size: expected a multiple of 16 px for this network, found 60"),
    ],
)
def test_settings_that_train_nothing(tmp_path, puppets, setting, value, message):
    with pytest.raises(ValueError, match=message):
        minipose.train(network(), puppets, folder=tmp_path / "run", **(SETTINGS | {setting: value}))
    assert not (tmp_path / "run").exists()


def test_labels_of_one_person_beside_several_images(puppets):
    with pytest.raises(ValueError, match="a loss over 4 images needs .* found"):
        network().loss([torch.zeros(4, 16, 4, 4)] * 2, torch.zeros(1, 16, 2), torch.ones(1, 16))


def test_resuming_what_would_be_another_run(tmp_path, puppets):
    minipose.train(network(), puppets, epochs=2, folder=tmp_path, **SETTINGS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = network()
    other.supervised = [0]
    for net, people, watched, epochs, message in (
        (network(), puppets, puppets, 3, "validation people: expected 0, .* found 12"),
        (
            network(),
            Puppets(12, seed=4, size=64),
            None,
            3,
            "first and last: expected puppet-3-0, puppet-3-11",
        ),
        (other, puppets, None, 3, r"supervised: expected \[0, 1\], .* found \[0\]"),
        (network(), puppets, None, 1, "epochs: expected at least the 2 that are done, found 1"),
    ):
        with pytest.raises(InputError, match=message):
            minipose.train(net, people, watched, epochs=epochs, folder=tmp_path, resume=True, **SETTINGS)
    (tmp_path / "checkpoint.pt").rename(tmp_path / "kept")
    (tmp_path / "history.csv").unlink()
    with pytest.raises(InputError, match="expected a folder without an earlier run"):  # weights are one
        minipose.train(network(), puppets, epochs=2, folder=tmp_path, **SETTINGS)
    assert (tmp_path / "kept").read_bytes() == before["checkpoint.pt"]
    assert (tmp_path / "weights.safetensors").read_bytes() == before["weights.safetensors"]


def test_a_skeleton_of_ones_own_is_loaded_as_it_was(tmp_path, small_network):
    joints = ("wrist", "left_tip", "right_tip", *(f"joint {n}" for n in range(13)))
    hand = minipose.skeletons.Skeleton("hand", joints, ((0, 1), (0, 2)), (1, 2), (0.1,) * 16)
    # An own order of joints under a name that the package knows is not the package's.
    turned = replace(minipose.MPII, joints=minipose.MPII.joints[::-1])
    for skeleton in (hand, turned, minipose.MPII):
        net = trained(small_network)
        net.skeleton = skeleton
        save_weights(net, tmp_path / "w.safetensors")
        assert minipose.load(tmp_path / "w.safetensors").skeleton == skeleton


@pytest.mark.parametrize(
    "joints, limbs, message",
    [
        (("a", "a"), (), "joints by different names"),
        (("a", "b"), ((0, 2),), "limbs of their numbers"),
        (("left_a", "b"), (), "hand has one side only of a"),
    ],
)
def test_skeletons_that_contradict_themselves(joints, limbs, message):
    with pytest.raises(ValueError, match=message):
        minipose.skeletons.Skeleton("hand", joints, limbs, ())


def test_where_the_compiler_works(monkeypatch):
    gpu = torch.device("cuda", 0)
    found = {"spec": True, "capability": (9, 0), "gcc": "/usr/bin/gcc"}
    monkeypatch.setattr(training, "find_spec", lambda name: found["spec"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: found["capability"])
    monkeypatch.setattr(training.shutil, "which", lambda name: found["gcc"])
    monkeypatch.delenv("CC", raising=False)
    assert training.can_compile(gpu) and not training.can_compile(torch.device("cpu"))
    for name, value in (("spec", None), ("capability", (6, 1)), ("gcc", None)):
        with monkeypatch.context() as without:
            without.setitem(found, name, value)
            assert not training.can_compile(gpu)


def test_after_training_a_network_is_compiled_no_more(tmp_path, puppets, monkeypatch):
    compiled, compile_module = [], torch.compile
    monkeypatch.setattr(training, "can_compile", lambda device: True)
    monkeypatch.setattr(
        torch, "compile", lambda net: compiled.append(net) or compile_module(net, backend="eager")
    )
    net, plain = network(), network()
    minipose.train(net, puppets, epochs=2, **SETTINGS)
    assert compiled == [net] and net._compiled_call_impl is None
    monkeypatch.setattr(training, "can_compile", lambda device: False)
    minipose.train(plain, puppets, epochs=2, **SETTINGS)
    assert list(net.state_dict()) == list(plain.state_dict()) and same(net, plain)


def test_an_error_in_a_worker_comes_home_as_itself(tmp_path):
    write_leeds(tmp_path, 6)
    (tmp_path / "images" / "im00004.jpg").unlink()
    net = network(joints=14)
    net.skeleton, net.size = minipose.LSP, 64
    with pytest.raises(InputError, match="im00004.jpg: photo: expected a readable file"):
        minipose.evaluate(net, minipose.data.LSPET(tmp_path), workers=1)


def test_a_path_that_cannot_be_written(tmp_path, small_network):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="expected a folder with room and permission to write"):
        save_weights(trained(small_network), tmp_path / "file" / "w.safetensors")


def test_history_that_is_none(tmp_path):
    with pytest.raises(InputError, match="expected a history.csv written by training, found no such file"):
        read_history(tmp_path / "history.csv")
    (tmp_path / "history.csv").write_text("epoch,loss\n1,\n")
    with pytest.raises(InputError, match="expected numbers in every column"):
        read_history(tmp_path / "history.csv")


def test_puppets_of_another_count_do_not_change_a_scene():
    """Samples are named by seed and number alone, so a longer data set begins with the shorter one."""
    assert Puppets(3, 7, 64)[2].keypoints.tobytes() == Puppets(300, 7, 64)[2].keypoints.tobytes()
