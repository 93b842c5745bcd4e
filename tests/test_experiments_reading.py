"""Experiments that ask trained networks: by hand what they compute, and that each gives a valid record."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import real_data
from torch.nn.functional import avg_pool2d

import minipose
from minipose.crops import Crop
from minipose.data import Puppets
from minipose.data.sample import PoseDataset, Sample
from minipose.evaluation import Evaluation
from minipose.io.errors import InputError
from minipose.models.network import PoseNetwork
from minipose.presence import precision_recall
from minipose.skeletons import MPII
from minipose_book.experiments import records
from minipose_book.experiments import trained_networks as reading
from minipose_book.experiments.bench import (
    LARGE,
    SMALL,
    Bench,
)
from minipose_book.experiments.catalogue import EXPERIMENTS
from minipose_book.experiments.newell2016 import crops as framing
from minipose_book.experiments.newell2016 import decoding as codecs
from minipose_book.experiments.newell2016 import flip_test as flipping

CPU = torch.device("cpu")
WRISTS = [MPII.index("right_wrist"), MPII.index("left_wrist")]


class Prejudiced(PoseNetwork):
    """Each joint's map is the picture's red at stride 4, plus a bump at one cell whatever it is shown."""

    def __init__(self, bump: float):
        super().__init__(SimpleNamespace(joints=16), [4], 4, [0])
        self.bump, self.skeleton, self.size = bump, MPII, 64
        self.weight = torch.nn.Parameter(torch.zeros(1))  # a network has parameters

    def forward(self, images):
        maps = avg_pool2d(images[:, :1], 4).expand(-1, 16, -1, -1).clone()
        maps[:, :, 5, 3] += self.bump
        return [maps]

    def heatmaps(self, stages):
        return stages

    def loss(self, stages, keypoints, visibility, others=None):
        raise NotImplementedError


class Listed(PoseDataset):
    skeleton, has_occlusion = MPII, True

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def _sample(self, number):
        return self.samples[number]


def person(visibility=None, keypoints=None, others=None, photo=None, **more) -> Sample:
    keypoints = np.zeros((16, 2)) if keypoints is None else keypoints
    others = np.zeros((0, 16, 3)) if others is None else others
    visibility = np.full(16, 2) if visibility is None else np.asarray(visibility)
    sizes = {"head": 10.0, "torso": 20.0, "box": 40.0} | more.pop("sizes", {})
    crop = Crop((31.5, 31.5), 64.0)
    return Sample(keypoints, visibility, crop, sizes, others, "someone", lambda: photo, **more)


def dot(x: int, y: int, width: int, height: int, value: int) -> np.ndarray:
    photo = np.zeros((64, 64, 3), np.uint8)
    photo[y : y + height, x : x + width] = value
    return photo


def both_ways(bump: float, photo: np.ndarray, by: str = "quarter") -> dict[str, list[float]]:
    """The first joint's answers in photo px, by one codec; the crop is the photo itself."""
    with torch.no_grad():
        found = flipping.both_ways(Prejudiced(bump), [person(photo=photo)], CPU)
    return {way: points[0, 0].tolist() for way, points in found[by].items()}


def test_averaged_heatmaps_outvote_a_prejudice_that_averaged_locations_halve():
    # The dot fills cell (9, 5) with 0.5; the bump of 0.6 at (3, 5) comes back from the mirror at (12, 5).
    found = both_ways(0.6, dot(36, 20, 4, 4, 128))
    assert found["no flip"] == [4 * 3 + 1.5, 4 * 5 + 1.5]
    assert found["mirrored alone"] == [4 * 12 + 1.5, 21.5]
    # Averaged, the dot keeps its 0.5, each bump has 0.3; between the two answers there is nothing at all.
    assert found["heatmaps"] == [4 * 9 + 1.5, 21.5]
    assert found["locations"] == [4 * 7.5 + 1.5, 21.5]


def test_the_shift_by_a_cell_spoils_what_agrees_and_mends_what_does_not():
    found = both_ways(0.0, dot(36, 20, 4, 4, 128))
    assert (
        found["no flip"] == found["mirrored alone"] == found["heatmaps"] == found["locations"] == [37.5, 21.5]
    )
    # Cells 9 and 10 are equal then: the first of them, and a quarter of a cell toward the other.
    assert found["heatmaps, shifted"] == [38.5, 21.5]
    # A joint at pixel (36, 20), cell (9, 5) where cell k stands for pixel 4 k. Mirrored back it lies 0.75
    # cells to the left: more than half of it in cell 8, after the shift in cell 9 and a little in 10.
    found = both_ways(0.0, dot(35, 19, 3, 3, 255), "x/s")
    assert found["no flip"] == [36.0, 20.0]
    assert found["mirrored alone"] == [4 * 8.25, 20.0]
    assert found["heatmaps"] == [36.0 - 1, 20.0]
    assert found["heatmaps, shifted"] == [36.0 + 1, 20.0]


def test_shifted_repeats_the_first_column():
    assert flipping.shifted(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[1.0, 1.0, 2.0]]


def test_average_locations_mirrors_back_and_swaps_left_and_right():
    plain, mirrored = torch.zeros(16, 2), torch.zeros(16, 2)
    left, right = MPII.index("left_knee"), MPII.index("right_knee")
    plain[left] = torch.tensor([10.0, 4.0])
    mirrored[right] = torch.tensor([3.0, 6.0])  # in the mirror the left knee looks like a right one
    middle = flipping.average_locations(plain, mirrored, 16, MPII)
    assert middle[left].tolist() == [(10 + 15 - 3) / 2, 5.0]


def test_displaced_moves_the_content_by_crop_pixels():
    crop = Crop((50.0, 40.0), 128.0)
    before = crop.forward([[60.0, 30.0]], 64)
    after = flipping.displaced(crop, 1.5, -2.0, 64).forward([[60.0, 30.0]], 64)
    assert (after - before).tolist() == [[1.5, -2.0]]


def test_gain_and_its_error_over_groups_of_people():
    seen = np.zeros(16)
    seen[WRISTS] = 2
    answers = flipping.Answers([person(seen), person(seen)], "head", 0.5, MPII)
    plain, better = torch.zeros(2, 16, 2), torch.zeros(2, 16, 2)
    plain[1, WRISTS] = 6.0  # further than half a head of 10
    better[1, WRISTS[0]] = 6.0
    assert answers.pck(plain, [0.5, 1.0]) == [0.5, 1.0]
    # One of four labels more; by person nothing and a half, whose standard error is sqrt(1/8) / sqrt(2).
    assert answers.gain(better, plain, 0.5) == {"mean": 0.25, "error": 0.25}


def test_oks_counts_thresholds_reached_over_the_joints_that_coco_has():
    answers = flipping.Answers([person(area=400.0)], "head", 0.5, MPII)
    predicted = torch.zeros(1, 16, 2)
    predicted[0, MPII.index("pelvis")] = 1000.0  # COCO has no pelvis
    assert answers.oks(predicted) == 1.0
    seen = np.zeros(16)
    seen[WRISTS[0]] = 2
    answers = flipping.Answers([person(seen, area=400.0)], "head", 0.5, MPII)
    # An OKS of 0.72 by the definition, with 0.062 for a wrist: 0.5, 0.55, 0.6, 0.65 and 0.7 are reached.
    predicted[0, WRISTS[0], 0] = math.sqrt(-2 * 400 * (2 * 0.062) ** 2 * math.log(0.72))
    assert answers.oks(predicted) == 0.5
    assert flipping.Answers([person()], "head", 0.5, MPII).oks(predicted) is None  # nobody's area is known


def test_occlusion_splits_both_sides_by_their_flags():
    visibility = torch.zeros(2, 16, dtype=torch.int64)
    visibility[:, WRISTS] = torch.tensor([[2, 1], [2, 0]])
    predicted = torch.zeros(2, 16, 2)
    predicted[0, WRISTS[0], 0] = 2.0  # 0.2 heads
    predicted[0, WRISTS[1], 0] = 7.0
    predicted[1, WRISTS[0], 0] = 4.0
    predicted[1, WRISTS[1], 0] = 1.0  # not labelled
    head = torch.tensor([10.0, 10.0])
    found = Evaluation(
        [predicted], torch.zeros(2, 16), torch.zeros(2, 16), torch.zeros(2, 16, 2), visibility,
        {"head": head}, MPII, True, [],
    )  # fmt: skip
    assert reading.by_visibility(found, "wrist", [0.3, 0.5, 1.0]) == {
        "all": [0.3333, 0.6667, 1.0],
        "visible": [0.5, 1.0, 1.0],
        "occluded": [0.0, 0.0, 1.0],
    }
    assert reading.by_visibility(found, "knee", [0.5]) == {
        "all": [None],
        "visible": [None],
        "occluded": [None],
    }


def test_half_of_the_people_are_cut_by_the_border():
    outside, whole = np.r_[0, np.full(15, 1)], np.full(16, 1)
    kinds = [whole, whole, outside, whole, outside, whole, outside]
    people = Listed([person(kind) for kind in kinds])
    assert reading.half_cut(people, 2) == [0, 1, 2, 4]
    assert reading.half_cut(people, 3) == [0, 1, 2, 3, 4, 6]
    with pytest.raises(InputError, match="cut by the border"):
        reading.half_cut(people, 4)


def test_thinned_keeps_the_ends_of_a_curve():
    curve = precision_recall(torch.arange(1000.0), torch.arange(1000) % 2 == 1)
    thin = reading.thinned(curve)
    assert len(thin["recall"]) == len(thin["precision"]) == reading.POINTS
    assert (thin["recall"][0], thin["precision"][0]) == (0.002, 1.0)
    assert (thin["recall"][-1], thin["precision"][-1]) == (1.0, 0.5)


def pair(**joints) -> framing.Pair:
    """Two people 100 px apart with heads of 10 and 20 px; named joints replace the second's or either's."""
    keypoints = np.zeros((2, 16, 2))
    keypoints[1, :, 0] = 100.0
    for name, (first, second) in joints.items():
        keypoints[:, MPII.index(name)] = (first, second)
    return framing.Pair(person(), (Crop((0.0, 0.0), 50.0), Crop((100.0, 0.0), 40.0)), (10.0, 20.0), keypoints)


def test_a_joint_is_given_to_whom_it_lies_nearer_to_if_it_is_near():
    nan = (math.nan, math.nan)
    people = pair(left_hip=(nan, (100.0, 0.0)), left_wrist=((0.0, 0.0), (8.0, 0.0)))
    predicted = torch.zeros(16, 2).double()
    expected = [framing.FIRST] * 16
    for name, x, owner in (
        ("right_knee", 5.0, framing.FIRST),  # half the first's head, just near enough
        ("left_knee", 5.1, framing.NOBODY),
        ("right_ankle", 91.0, framing.SECOND),  # the second's head is larger
        ("left_ankle", 89.9, framing.NOBODY),
        ("left_wrist", 4.1, framing.SECOND),  # near to both, nearer to the second
        ("right_wrist", math.nan, framing.NOBODY),
        ("left_hip", 100.0, framing.UNCOUNTED),  # the first has no label
    ):
        predicted[MPII.index(name), 0] = x
        expected[MPII.index(name)] = owner
    assert framing.given_to(predicted, people).tolist() == expected


def test_shares_of_joints_and_committed_poses():
    one, two, nobody, none = framing.FIRST, framing.SECOND, framing.NOBODY, framing.UNCOUNTED
    owners = torch.tensor([
        [one] * 9 + [two],  # nine in ten: committed
        [one] * 4 + [two] * 4 + [none] * 2,  # torn
        [two] + [nobody] * 9,  # little, but all of it one person's
        [nobody] * 2 + [none] * 8,  # to nobody at all
    ])  # fmt: skip
    counted = 10 + 8 + 10 + 2
    assert framing.shares(owners) == {
        "first": round(13 / counted, 4), "second": round(6 / counted, 4), "nobody": round(11 / counted, 4),
        "committed": 0.5,
    }  # fmt: skip


def test_turning_points_are_where_the_second_person_comes_to_have_more():
    one, two, nobody = framing.FIRST, framing.SECOND, framing.NOBODY
    owners = torch.full((len(framing.SHIFTS), 4, 3), one)
    owners[2:, 0] = two  # a lead of -3 at 1/8 and of 3 at 2/8: 0 midway
    owners[5:, 1, :2] = two  # of -3 at 4/8, of 1 at 5/8
    owners[4:, 2] = torch.tensor([one, two, nobody])  # a draw is no turn
    owners[:, 3] = two  # never was the first's
    found = framing.turning_points(owners)
    assert found["each"] == [round(1.5 / 8, 3), round(4.75 / 8, 3)]
    assert found["median"] == round((1.5 + 4.75) / 16, 3)
    assert (found["never"], found["from_the_start"]) == (1, 1)


def test_a_pair_s_crop_goes_from_one_centre_to_the_other():
    people = pair()
    assert people.crop(0.25, 1.0) == Crop((25.0, 0.0), 50.0)
    assert people.crop(1.0, people.own_zoom) == people.crops[1]
    assert people.crop(0.0, 2.0).side == 25.0


def test_pairs_have_two_heads_and_six_limb_joints_each():
    def other(hidden=(), limbs=12):
        rows = np.full((16, 3), 2.0)
        rows[:, :2] = np.arange(32).reshape(16, 2) * 3
        rows[[MPII.index(name) for name in hidden], 2] = 0
        rows[list(MPII.limb_joints[limbs:]), 2] = 0
        return rows[None]

    headless = np.full(16, 2)
    headless[MPII.index("head_top")] = 0
    people = Listed([
        person(), person(others=other(["neck"])), person(others=other(limbs=5)),
        person(headless, others=other()), person(others=other(limbs=6)), person(others=other()),
    ])  # fmt: skip
    found = framing.find_pairs(people, MPII, 2)
    assert [pair.sample for pair in found] == [people[4], people[5]]
    # The second person's neck and head-top are 3 x (2, 2) px apart; six of their limb joints have no label.
    assert found[1].heads == (0.0, pytest.approx(math.hypot(6, 6)))
    assert np.isnan(found[0].keypoints[1]).all(axis=1).sum() == 6
    assert found[1].crops[1] == Crop((45.0, 48.0), 1.5 * 90)
    with pytest.raises(InputError, match="two people"):
        framing.find_pairs(people, MPII, 3)


def test_look_finds_in_the_moved_crop_what_lies_there():
    photo = dot(36, 20, 4, 4, 128)
    crops = [Crop((31.5, 31.5), 64.0), Crop((35.5, 27.5), 64.0)]
    found = framing.look(Prejudiced(0.0), [person(photo=photo)] * 2, crops, CPU)
    assert found[:, 0].tolist() == [[37.5, 21.5], [37.5, 21.5]]


@pytest.fixture
def few(monkeypatch):
    """All experiments of these files, on hardly anybody."""
    monkeypatch.setattr(flipping, "PEOPLE", 8)
    monkeypatch.setattr(reading, "PEOPLE", 8)
    monkeypatch.setattr(reading, "CUT", 3)
    monkeypatch.setattr(reading, "POOL", 60)
    monkeypatch.setattr(framing, "POOL", 60)
    monkeypatch.setattr(framing, "PAIRS", 2)
    tiny = replace(SMALL, features=8, people=8, epochs=1, batch_size=4, watched=4, unseen=8)
    monkeypatch.setattr(framing, "FEW", tiny)
    monkeypatch.setattr(reading, "LARGE_PUPPETS", tiny)


def recorded(name: str, folder, scale: str = "cpu") -> records.Record:
    """Run, write, check and read again."""
    bench = Bench(scale, folder / "runs", resume=True, device="cpu")
    records.write(bench.record(name, EXPERIMENTS[name].run(bench)), folder)
    return records.read(name, scale, folder)


@pytest.mark.parametrize("name", ["flip", "augmentation", "occlusion", "presence", "two-people"])
def test_each_experiment_gives_a_valid_record(name, few, tmp_path):
    record = recorded(name, tmp_path)
    assert record.curves and record.paper and record.seconds > 0 and record.verdict.endswith(".")


def test_people_asked_about_are_neither_trained_on_nor_watched(few, tmp_path):
    _, plan, _ = reading.reader(Bench("cpu", tmp_path), 8)
    people = Bench("cpu", tmp_path).people(plan, "unseen")
    # The shipped networks' training watched the first 300 scenes of the seed.
    assert [people[n].id for n in (0, 7)] == ["puppet-1000000-300", "puppet-1000000-307"]


def test_at_gpu_scale_the_reader_is_trained_once_for_all(few, tmp_path):
    first = recorded("occlusion", tmp_path, "gpu")
    assert first.settings["network"] == "puppets-256"
    checkpoint = tmp_path / "runs/gpu/puppets-256-seed0/checkpoint.pt"  # written after each epoch
    written = checkpoint.stat().st_mtime_ns
    recorded("presence", tmp_path, "gpu")
    recorded("two-people", tmp_path, "gpu")
    assert checkpoint.stat().st_mtime_ns == written


def test_at_gpu_scale_photos_are_decoded_with_the_wide_network(tmp_path, monkeypatch):
    root, asked = real_data("lspet"), []
    monkeypatch.setattr(codecs, "load", lambda name: asked.append(name) or minipose.load("hg2-lspet-small"))
    monkeypatch.setattr(codecs, "ROUND_TRIPS", 4)
    monkeypatch.setattr(Bench, "plan", lambda self, cpu, gpu=LARGE: replace(gpu, size=96, unseen=16))
    record = Bench("gpu", tmp_path, root=root, device="cpu")
    record = record.record("decoding", EXPERIMENTS["decoding"].run(record))
    records.write(record, tmp_path)
    assert asked == ["hg2-lspet"] and "at 0.04 of the torso" in record.verdict


def test_at_gpu_scale_the_flip_test_is_of_photos(few, tmp_path, monkeypatch):
    real_data("lspet")
    monkeypatch.setattr(flipping, "PHOTOS", "hg2-lspet-small")
    monkeypatch.setattr(flipping, "LARGE", replace(flipping.LARGE, unseen=24))
    record = recorded("flip", tmp_path, "gpu")
    assert (record.settings["data"], record.settings["people"]) == ("lspet", 24)
    assert list(record.results["quarter"]["heatmaps"]["pck"]) == ["0.04", "0.08", "0.2"]
    assert record.results["quarter"]["heatmaps"]["oks"] is None


def test_flip_agrees_with_evaluate(few, tmp_path):
    """The flip test here is the package's own: the same joints within rounding."""
    from minipose.evaluation import evaluate
    from minipose_book.pretrained import load

    network, people = load(reading.PUPPETS), Puppets(6, seed=5, size=128)
    with torch.no_grad():
        found = flipping.both_ways(network, [people[n] for n in range(6)], CPU)
    for way, averaged in (("no flip", False), ("heatmaps", True)):
        expected = evaluate(network, people, flip=averaged, device="cpu").predicted
        torch.testing.assert_close(found["quarter"][way], expected)
        expected = evaluate(network, people, flip=averaged, refine="parabola", device="cpu").predicted
        torch.testing.assert_close(found["parabola"][way], expected)
