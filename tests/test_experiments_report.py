"""The experiments on the student report, on a few small puppets; and what they count by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from minipose import StackedHourglass
from minipose.data import Puppets
from minipose.data.puppets.body import JOINTS
from minipose.evaluation import Evaluation
from minipose.models.hourglass import HeatmapHead
from minipose.skeletons import COCO, MPII
from minipose_book.experiments import records
from minipose_book.experiments.bench import Bench
from minipose_book.experiments.catalogue import EXPERIMENTS
from minipose_book.experiments.lee2020 import robustness as report_asked
from minipose_book.experiments.lee2020 import training as report
from minipose_book.experiments.lee2020.robustness import KINDS, Figures, Hidden, nearer_arm
from minipose_book.experiments.lee2020.training import SMALL_REPORT, roughness
from minipose_book.experiments.variants import ActivatedHourglass

TINY = replace(SMALL_REPORT, size=32, features=8, people=16, watched=6, unseen=24, epochs=2, batch_size=8)


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    for module in (report, report_asked):
        monkeypatch.setattr(module, "SMALL_REPORT", TINY)
    monkeypatch.setattr(report, "FEW", 12)
    monkeypatch.setattr(report_asked, "ASKED", 12)
    return Bench("cpu", tmp_path, resume=True, device="cpu")


@pytest.mark.parametrize(
    "name", ["activations", "optimizers", "depth", "augmentation-levels", "block-occlusion", "non-human"]
)
def test_a_record_comes_out(name, bench, tmp_path):
    record = bench.record(name, EXPERIMENTS[name].run(bench))
    records.write(record, tmp_path)
    assert records.read(name, "cpu", tmp_path).results.keys() == record.results.keys()
    assert record.verdict.endswith(".") and "nan" not in record.verdict


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("supervision, stacks", [("all", 2), ("upsampling", 1)])
def test_activations_change_the_heatmaps_and_no_parameter(activation, supervision, stacks):
    """Every stage's maps pass through it, and what goes on to the next stack is the changed map."""
    arguments = dict(joints=3, stacks=stacks, features=16, depth=3, supervision=supervision)
    torch.manual_seed(0)
    plain = StackedHourglass(**arguments).eval()
    torch.manual_seed(0)
    changed = ActivatedHourglass(activation, **arguments).eval()
    assert changed.arguments == plain.arguments | {"activation": activation}
    assert all(map(torch.equal, plain.parameters(), changed.parameters()))  # the same draws
    by_hand = {"sigmoid": lambda v: 1 / (1 + torch.exp(-v)), "relu": lambda v: v.clamp(min=0)}[activation]
    kept = []
    for module in changed.modules():
        if isinstance(module, HeatmapHead):
            module.heatmaps[0].register_forward_hook(lambda *given: kept.append(given[2]))
    images = torch.rand(1, 3, 128, 128)
    stages, linear = changed(images), plain(images)
    assert len(stages) == len(kept) > 1
    for stage, raw in zip(stages, kept, strict=True):
        torch.testing.assert_close(stage, by_hand(raw))
    torch.testing.assert_close(stages[0], by_hand(linear[0]))
    assert not torch.allclose(kept[1], linear[1])  # it saw the changed maps
    with pytest.raises(ValueError, match="activation must be one of sigmoid, relu, found 'tanh'"):
        ActivatedHourglass("tanh", **arguments)


def test_experiments_share_a_run_and_what_was_watched(bench):
    first = report.activations(bench)
    spent = bench.seconds
    again = report.optimizers(bench)
    # Both look at the same run of seed 0: to the last digit the same curve.
    assert again.curves["adam 0.005"] == first.curves["report seed 0"]
    assert len(again.curves["adam 0.005"]["watched_loss"]) == TINY.epochs
    assert bench.seconds > spent
    run = report.plain(bench, TINY)
    looked = report.look(bench, run.network, TINY)
    assert looked == run.watched[-1]  # the last look was at the finished network


def test_roughness_by_hand():
    assert roughness([4.0, 2.0, 3.0, 1.0]) == pytest.approx((1 / 3) / 2.5)
    assert roughness([3.0, 2.0, 1.0]) == 0


def test_the_block_hides_what_is_called_hidden():
    people = Puppets(40, seed=7, size=64, skeleton="coco")
    hidden = Hidden(people)
    for n in range(40):
        sample, before = hidden[n], people[n]
        assert (sample.visibility == 1).any()
        assert ((sample.visibility > 0) == (before.visibility > 0)).all()
        for (x, y), seen in zip(sample.keypoints, sample.visibility, strict=True):
            if seen:
                grey = (sample.image[round(y), round(x)] == 127).all()
                assert grey == (seen == 1) or (before.image[round(y), round(x)] == 127).all()
        np.testing.assert_array_equal(sample.keypoints, before.keypoints)
        assert not (before.image == sample.image).all()


@pytest.mark.parametrize("kind", KINDS)
def test_figures_stand_whole_in_their_picture(kind):
    figures = Figures(kind, 20, 64)
    for n in range(20):
        sample = figures[n]
        assert (sample.visibility > 0).all() and not len(sample.others)
        assert ((sample.keypoints > 0) & (sample.keypoints < 95)).all()


def test_figures_have_the_proportions_that_their_words_say():
    def lengths(kind: str, *ends: str) -> np.ndarray:
        bodies = [Figures(kind, 30, 64).scene(n).people[0].joints for n in range(30)]
        gaps = [body[JOINTS.index(ends[0])] - body[JOINTS.index(ends[1])] for body in bodies]
        trunk = [body[JOINTS.index("pelvis")] - body[JOINTS.index("thorax")] for body in bodies]
        return np.hypot(*np.array(gaps).T) / np.hypot(*np.array(trunk).T)

    def ratio(kind: str, *ends: str) -> float:
        return float(np.median(lengths(kind, *ends) / lengths("people", *ends)))

    assert ratio("cartoon", "neck", "head_top") == pytest.approx(1.8, abs=0.01)
    assert ratio("cartoon", "left_knee", "left_ankle") == pytest.approx(0.6, abs=0.01)
    assert ratio("ape", "left_elbow", "left_wrist") == pytest.approx(1.5, abs=0.01)
    assert ratio("stick figure", "left_elbow", "left_wrist") == pytest.approx(1, abs=0.01)
    heads = np.array([JOINTS.index("head_top"), JOINTS.index("pelvis")])
    up, down = (
        [np.subtract(*Figures(kind, 30, 64).scene(n).people[0].joints[heads, 1]) for n in range(30)]
        for kind in ("people", "upside down")
    )
    assert np.median(up) < 0 < np.median(down)


def test_four_arms_are_painted_and_known():
    figures = Figures("four arms", 10, 64)
    assert np.isnan(Figures("people", 10, 64).other_arms(3)).all()
    for n in range(10):
        body = figures.scene(n).people[0]
        ordinary = np.count_nonzero(report_asked.ARM_PARTS[body.part])
        assert ordinary % 2 == 0 and ordinary >= 12  # upper arm, forearm and hand, two sides, twice
        other = figures.other_arms(n)
        known = ~np.isnan(other[:, 0])
        assert [MPII.joints[j] for j in np.flatnonzero(known)] == [
            "right_wrist", "right_elbow", "left_elbow", "left_wrist",
        ]  # fmt: skip


def test_the_nearer_arm_counts():
    figures = Figures("four arms", 2, 64)
    target = torch.stack([torch.from_numpy(figures[n].keypoints) for n in range(2)])
    other = torch.stack([torch.from_numpy(figures.other_arms(n)) for n in range(2)])
    wrist, knee = MPII.index("left_wrist"), MPII.index("left_knee")
    predicted = target.clone()
    predicted[0, wrist] = other[0, wrist] + 0.25
    predicted[1, knee] += 40
    nothing = torch.zeros(2, 16)
    sizes = {"torso": torch.full((2,), 20.0).double()}
    found = Evaluation([predicted], nothing, nothing, target, torch.full((2, 16), 2), sizes, MPII, True, [])
    nearer = nearer_arm(found, figures)
    assert nearer.pck("torso", 0.2).per_joint[wrist] == 1
    assert nearer.pck("torso", 0.2).per_joint[knee] == 0.5


def test_reports_plan_is_cocos():
    assert len(Puppets(1, skeleton=SMALL_REPORT.skeleton).skeleton) == len(COCO) == 17
    assert (SMALL_REPORT.optimizer, SMALL_REPORT.learning_rate, SMALL_REPORT.schedule) == (
        "adam",
        5e-3,
        "step",
    )
