"""Experiments about targets, decoding and what is inside, by hand-worked numbers and tiny runs."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from minipose import StackedHourglass
from minipose.data import InMemory, Puppets
from minipose.heatmaps import decode_heatmaps, encode_heatmaps, to_crop
from minipose.io.errors import InputError
from minipose.models.residual import Residual
from minipose.pipeline import batches
from minipose_book.experiments import records, variants
from minipose_book.experiments.bench import (
    SMALL,
    Bench,
    Plan,
)
from minipose_book.experiments.catalogue import EXPERIMENTS
from minipose_book.experiments.newell2016 import decoding as codecs
from minipose_book.experiments.newell2016 import layers_and_gradients as inside
from minipose_book.experiments.newell2016 import targets
from minipose_book.pretrained import load


class Tiny(Bench):
    """Every experiment at a size that takes seconds."""

    def plan(self, cpu: Plan, gpu: Plan | None = None) -> Plan:
        return replace(cpu, features=16, people=32, watched=4, unseen=8, epochs=min(cpu.epochs, 2))


@pytest.fixture
def bench(tmp_path):
    return Tiny("cpu", tmp_path, device="cpu")


def network(**more):
    torch.manual_seed(0)
    return StackedHourglass(**{"joints": 3, "stacks": 2, "features": 16, "depth": 2} | more)


# --- codecs ---


@pytest.fixture(scope="module")
def round_trips():
    people = InMemory(Puppets(150, 5, codecs.PHOTO))
    return {name: codecs.round_trip(codec, people) for name, codec in codecs.CODECS.items()}


def test_a_place_anywhere_in_a_cell_leaves_the_error_of_a_square_of_4_px(round_trips):
    # Mean distance from the middle of a square of side 1: 0.3826; the quarter offset cuts it into four.
    assert round_trips["ours, argmax"]["mean error"] == pytest.approx(4 * 0.3826, abs=0.04)
    assert round_trips["ours, quarter"]["mean error"] == pytest.approx(2 * 0.3826, abs=0.02)
    assert round_trips["ours, parabola"]["mean error"] < 0.001
    # From a square's corner: 0.7652.
    assert round_trips["floor(x/4), read as 4 cells"]["mean error"] == pytest.approx(4 * 0.7652, abs=0.05)


def test_biases_of_conventions_are_what_one_works_out(round_trips):
    bias = {name: row["bias"] for name, row in round_trips.items()}
    for name in ("argmax", "quarter", "parabola", "centre of mass", "student report"):
        assert bias[f"ours, {name}"] == pytest.approx(0, abs=0.05)
    # Cutting to whole photo px loses half of one, and one is about 256/720 crop px.
    pixel = 256 / codecs.PHOTO
    assert bias["authors' (Torch)"] == pytest.approx(-0.5 * pixel, abs=0.05)
    assert bias["the same, photo px counted from 1"] == pytest.approx(0.5 * pixel, abs=0.05)
    assert bias["the same, cells from 1 one way only"] == pytest.approx(0.5 * pixel - 4, abs=0.05)
    assert bias["the same, a tie moves by -1/4"] == pytest.approx(-0.5 * pixel - 1, abs=0.05)
    assert bias["round(x/4), read as 4 cells"] == pytest.approx(0, abs=0.05)
    assert bias["floor(x/4), read as 4 cells"] == pytest.approx(-2, abs=0.05)


def test_mirrored_targets_are_off_where_cells_are_x_over_4(round_trips):
    mirror = {name: row["mirror"] for name, row in round_trips.items()}
    assert mirror["round(x/4), read as 4 cells"] == pytest.approx(0.75, abs=0.02)
    assert mirror["floor(x/4), read as 4 cells"] == pytest.approx(-0.25, abs=0.02)
    assert {value for name, value in mirror.items() if "x/4" not in name} == {0.0}


def test_the_quarter_offset_does_nothing_on_whole_cells():
    points = torch.tensor([[[5.0, 9.0], [20.0, 31.0]]])
    maps = encode_heatmaps(points, [[2, 2]])
    assert torch.equal(codecs.decode(maps, "quarter"), codecs.decode(maps, "argmax"))


def test_ceiling_counts_what_lies_within_a_tenth_of_the_head():
    people = Puppets(40, 5, codecs.PHOTO)
    far = codecs.Codec(lambda x: x + 40 / 4, "parabola")  # 40 px beside, in x and in y
    row = codecs.round_trip(far, people)
    assert row["bias"] == pytest.approx(40, abs=0.01) and row["ceiling"] == 0
    assert row["mean error"] == pytest.approx(40 * math.sqrt(2), abs=0.01)


def test_centre_of_mass_is_the_mean_of_the_highest_cells_island():
    maps = torch.zeros(2, 6, 7)
    maps[0, 2, 3], maps[0, 2, 4], maps[0, 3, 5] = 0.6, 0.3, 0.1  # the last touches by a corner
    maps[0, 5, 0] = 0.5  # another island
    maps[0, 1, 3] = 0.03  # below the sea
    maps[1] = -1.0
    maps[1, 4, 1] = 0.01
    found = codecs.centre_of_mass(maps)
    assert found[0].tolist() == pytest.approx([(3 * 0.6 + 4 * 0.3 + 5 * 0.1) / 1, 2.1])
    assert found[1].tolist() == [1, 4]


def test_centre_of_mass_agrees_with_scipy():
    from scipy import ndimage

    maps = np.random.default_rng(0).normal(0, 0.05, (4, 3, 16, 12)).astype(np.float32)
    maps += encode_heatmaps(torch.rand(4, 3, 2) * 8 + 2, torch.ones(4, 3), (16, 12)).numpy()
    found = codecs.centre_of_mass(torch.from_numpy(maps))
    for place in np.ndindex(4, 3):
        one = maps[place]
        islands, _ = ndimage.label(one > codecs.ISLAND, np.ones((3, 3)))
        y, x = ndimage.center_of_mass(one, islands, islands[np.unravel_index(one.argmax(), one.shape)])
        assert found[place].tolist() == pytest.approx([x, y], abs=1e-4)


def test_the_reports_reading_by_the_libraries_that_it_used():
    """OpenCV's enlargement, SciPy's blur, the highest pixel; nothing where all is below 0.04."""
    from scipy.ndimage import gaussian_filter

    points = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(3)) * 10 + 2
    maps = encode_heatmaps(points, torch.ones(2, 3), (16, 16)).numpy()
    maps[1, 2] *= 0.03
    found = codecs.enlarged(torch.from_numpy(maps))
    for place in np.ndindex(2, 3):
        large = gaussian_filter(cv2.resize(maps[place], (64, 64), interpolation=cv2.INTER_LINEAR), 1)
        y, x = np.unravel_index(large.argmax(), large.shape)
        wanted = [(v + 0.5) / 4 - 0.5 for v in (x, y)] if large.max() > 0.04 else [np.nan] * 2
        assert found[place].tolist() == pytest.approx(wanted, nan_ok=True)
    assert (found[0] - points[0]).norm(dim=-1).max() < 0.4


def test_reading_a_network_by_quarter_is_what_evaluation_does(bench):
    plan = replace(SMALL, size=128, unseen=6, watched=4)
    shipped = load("hg2-puppets-small")
    found = codecs.read(bench, shipped, plan)
    wanted = bench.measure(shipped, plan, flip=True, refine="parabola")
    torch.testing.assert_close(found["parabola"].predicted, wanted.predicted)
    assert set(found) == {"argmax", "quarter", "parabola", "centre of mass", "student report"}


# --- variants ---


@pytest.mark.parametrize("kind", variants.LAYERS)
def test_layers_take_the_place_of_every_residual_module_of_equal_widths(kind):
    plain = network()
    equal = [m for m in plain.modules() if isinstance(m, Residual) and isinstance(m.skip, nn.Identity)]
    # Stem 1; each hourglass of depth 2: 3 at its outer level, 4 at the inner; each head 1.
    assert len(equal) == 1 + 2 * (3 + 4 + 1)
    changed = variants.with_layers(plain, kind)
    assert sum(isinstance(m, variants.LAYERS[kind]) for m in changed.modules()) == len(equal)
    assert [m.bottleneck[-1].out_channels for m in changed.modules() if isinstance(m, Residual)] == [8, 16]
    assert [stage.shape for stage in changed(torch.rand(2, 3, 64, 64))] == [(2, 3, 16, 16)] * 2


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_of_the_layers_by_hand():
    assert parameters(variants.Plain(16)) == 25 * 16 * 16 + 16 + 2 * 16
    # BN 2x16, 1x1 16-8, BN 2x8, 3x3 8-8, BN 2x8, 1x1 8-16.
    assert parameters(variants.Bottleneck(16)) == 32 + 136 + 16 + 584 + 16 + 144
    # 1x1 16-4; 1x1 16-8, 3x3 8-8; 1x1 16-4, 3x3 4-2, 3x3 2-2; 1x1 16-2; each with its BN.
    convolutions = (68, 136, 584, 68, 74, 38, 34)
    assert parameters(variants.Inception(16)) == sum(convolutions) + 2 * (4 + 8 + 8 + 4 + 2 + 2 + 2)
    assert variants.Inception(16)(torch.rand(2, 16, 8, 8)).shape == (2, 16, 8, 8)
    with pytest.raises(InputError, match="multiple of 8"):
        variants.Inception(12)


def test_a_bottleneck_is_the_residual_module_without_its_addition():
    torch.manual_seed(0)
    residual, bottleneck = Residual(16, 16), variants.Bottleneck(16)
    bottleneck.layers.load_state_dict(residual.bottleneck.state_dict())
    x = torch.rand(2, 16, 8, 8)
    torch.testing.assert_close(bottleneck(x) + x, residual(x))


def test_without_normalization_nothing_depends_on_the_batch():
    bare = variants.without_normalization(network()).train()
    images = torch.rand(3, 3, 64, 64)
    torch.testing.assert_close(bare(images)[-1][:1], bare(images[:1])[-1])
    bare(images)[-1].square().mean().backward()  # nothing was overwritten that it needs


def test_coordinate_regression_decodes_to_its_answer():
    regression = variants.CoordinateRegression(network(stacks=1))
    answer = torch.tensor([[0.25, 0.5, 0.8, 0.3, 0.11, 0.93]])  # x and y in shares of the crop
    stages = [answer[..., None, None].expand(1, 6, 16, 16)]
    points, _ = decode_heatmaps(regression.heatmaps(stages)[0], "parabola")
    in_crop = (to_crop(points, 4) + 0.5) / 64
    torch.testing.assert_close(in_crop.flatten(), answer[0], atol=1e-4, rtol=0)


def test_coordinate_regression_loss_by_hand_and_without_unlabelled_joints():
    regression = variants.CoordinateRegression(network(stacks=1))
    answer = torch.tensor([[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]], requires_grad=True)
    stages = [answer[..., None, None].expand(1, 6, 16, 16)]
    # The middle of 64 px is 31.5: 6.4 px right is 0.1, 12.8 px down 0.2 of the crop.
    keypoints = torch.tensor([[[31.5 + 6.4, 31.5], [31.5, 31.5 + 12.8], [float("nan")] * 2]])
    loss = regression.loss(stages, keypoints, torch.tensor([[2, 1, 0]]))
    assert loss.item() == pytest.approx((0.01 + 0.04) / 3)
    loss.backward()
    # d/dx of (x - 0.6)^2 / 3 at 0.5, and nothing from the joint without a label.
    assert answer.grad.flatten().tolist() == pytest.approx([-0.2 / 3, 0, 0, -0.4 / 3, 0, 0], abs=1e-6)


def test_an_untrained_coordinate_regression_answers_near_the_middle():
    regression = variants.CoordinateRegression(network(stacks=1)).eval()
    found = regression(torch.rand(2, 3, 64, 64))[0]
    assert found.shape == (2, 6, 16, 16) and (found - 0.5).abs().max() < 0.5


# --- inside ---


def test_multiply_adds_are_the_authors():
    # Counted over the convolutions of the authors' Torch code (pose-hg-train): billions at 256 px.
    found = [inside.multiply_adds(StackedHourglass(stacks=n), 256) / 1e9 for n in (1, 2)]
    assert found == pytest.approx([5.150, 8.335], abs=0.001)


def test_gradients_are_autograds():
    people = Puppets(4, 3, 64)
    crops = next(batches(people, range(4), 64, 4))
    net = network(joints=16)
    found = inside.gradient_at(net, crops, torch.device("cpu"))
    fresh = network(joints=16).train()
    weight, deep = fresh.stem[0].weight, fresh.predictions[1].features[1].weight
    loss = fresh.loss(fresh(crops.images.float() / 255), crops.keypoints, crops.visibility)
    wanted = torch.autograd.grad(loss, (weight, deep))
    torch.testing.assert_close(found["stem"], wanted[0].flatten(), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found["head 2"][-deep.numel() :], wanted[1].flatten(), rtol=1e-3, atol=1e-6)
    assert list(found) == ["stem", "stem 1", "stem 3", "stem 4",
                           "hourglass 1", "head 1", "hourglass 2", "head 2"]  # fmt: skip


def test_without_intermediate_supervision_only_the_last_head_gets_the_same_gradient():
    crops = next(batches(Puppets(4, 3, 64), range(4), 64, 4))
    both, last = (
        inside.gradient_at(network(joints=16, supervision=which), crops, torch.device("cpu"))
        for which in ("all", "last")
    )
    torch.testing.assert_close(both["head 2"], last["head 2"])
    assert not torch.allclose(both["head 1"], last["head 1"])


# --- sigma ---


def test_a_map_of_zeros_loses_pi_sigma_squared(bench):
    plan = bench.plan(SMALL)
    found = targets._zero_map(bench, plan)
    at = dict(zip(found["sigma"], found["loss"], strict=True))
    assert found["inside the map"][6] == pytest.approx(math.pi / 256, rel=1e-3)  # sigma 1, 16 x 16 cells
    assert at[1.0] == pytest.approx(math.pi / 256, rel=0.02)
    assert at[0.5] == pytest.approx(math.pi / 4 / 256, rel=0.1)
    assert at[4.0] < math.pi * 16 / 256  # wider than the map


def test_by_distance_sums_cells_in_rings():
    maps = torch.arange(9.0).view(1, 3, 3)  # around the middle: 4; 1, 3, 5, 7; the corners at 1.41
    sums = targets._by_distance(torch.tensor([[1.0, 1.0]]), (maps,))
    assert sums[0, :2].tolist() == [4, 32] and sums[1, :2].tolist() == [1, 8]
    assert not sums[:, 2:].any()


def test_the_reports_shrunk_gaussian_has_hardly_a_cell(bench):
    shrunk = targets._shrink(bench, bench.plan(SMALL))
    assert shrunk["large, every fourth pixel"]["active"] < 2 < shrunk["small, sigma 1"]["active"]
    # Sampled or drawn small, a Gaussian of 1 px is one of a quarter cell: pi / 16 / 256 on average.
    assert shrunk["large, every fourth pixel"]["zero loss"] == pytest.approx(math.pi / 16 / 256, rel=0.3)
    # The mean over 4 x 4 px is lower, and wider by a cell.
    assert 0.2 < shrunk["large, mean of 4 x 4"]["peak"] <= 2 * math.pi / 16
    # A mean over 4 px adds their variance, 1.25 px^2, to 16 in x and in y, which lowers the peak.
    assert shrunk["large, sigma 4, mean of 4 x 4"]["peak"] == pytest.approx(
        shrunk["small, sigma 1"]["peak"] * 16 / 17.25, abs=0.02
    )


# --- whole experiments ---


@pytest.mark.parametrize("name", ["regression", "sigma", "decoding", "layers", "gradients"])
def test_experiments_give_valid_records(bench, name, tmp_path, monkeypatch):
    monkeypatch.setattr(codecs, "ROUND_TRIPS", 10)
    findings = EXPERIMENTS[name].run(bench)
    records.write(bench.record(name, findings), tmp_path / "results")
    record = records.read(name, "cpu", tmp_path / "results")
    assert record.seconds > 0 and record.verdict.endswith(".")
    if name == "gradients":
        share = np.array(record.results["histograms"]["as it is, all, 0 epochs"])
        assert share.shape == (20, len(record.settings["exponents"]) - 1)
        assert share.sum(axis=1) == pytest.approx(np.ones(20), abs=0.01)
        assert len(record.curves["as it is, last, 2 epochs"]["mean"]) == 20
        bare = record.results["first to last head"]
        assert bare["without both, last, 0 epochs"] < 0.1 * bare["without both, all, 0 epochs"]
    if name == "sigma":
        looks = record.results["looks"]
        assert looks["1.0 light"]["zero loss"] == pytest.approx(looks["1.0"]["zero loss"] / 16, rel=1e-3)
        assert looks["1.0 light"]["target peak"] == looks["1.0"]["target peak"]
    if name == "regression":
        rates = record.results["rates"]
        chosen = record.settings["coordinates"]["learning_rate"]
        assert f"{chosen:g}" == max(rates, key=rates.__getitem__) and len(rates) == 3
