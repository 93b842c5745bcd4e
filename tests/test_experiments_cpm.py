"""The experiments on Convolutional Pose Machines, on a few small puppets; and what they count by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from minipose.data import Puppets
from minipose.data.puppets.body import JOINTS
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose_book.experiments import records
from minipose_book.experiments.bench import Bench
from minipose_book.experiments.catalogue import EXPERIMENTS
from minipose_book.experiments.wei2016 import evaluation as cpm_asked
from minipose_book.experiments.wei2016 import stages as cpm
from minipose_book.experiments.wei2016.stages import SMALL_MACHINE, sees

TINY = replace(SMALL_MACHINE, size=32, features=8, people=24, watched=6, unseen=40, epochs=1, batch_size=8)


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    for module in (cpm, cpm_asked):
        monkeypatch.setattr(module, "SMALL_MACHINE", TINY)
    monkeypatch.setattr(cpm_asked, "weights", lambda run, name: None)
    return Bench("cpu", tmp_path, resume=True, device="cpu")


@pytest.mark.parametrize("name", ["cpm-reference", "cpm-stages", "cpm-stride", "multi-scale", "viewpoints"])
def test_a_record_comes_out(name, bench, tmp_path):
    record = bench.record(name, EXPERIMENTS[name].run(bench))
    records.write(record, tmp_path)
    assert records.read(name, "cpu", tmp_path).results.keys() == record.results.keys()
    assert record.verdict.endswith(".") and "nan" not in record.verdict


def test_stage_wise_training_moves_one_stage_at_a_time(bench):
    findings = cpm.cpm_training(bench)
    assert set(findings.results["final"]) == {
        "joint", "stage-wise", "stage-wise, then joint", "joint, last loss only"
    }  # fmt: skip
    states = [
        torch.load(bench.folder / f"cpm-stage-{k}-seed0" / "checkpoint.pt", weights_only=True)["weights"]
        for k in (1, 2, 3)
    ]
    for earlier, later, moved in ((0, 1, ("features.", "later.0.")), (1, 2, ("later.1.",))):
        changed = {
            key for key in states[0]
            if key.endswith("weight") and not torch.equal(states[earlier][key], states[later][key])
        }  # fmt: skip
        assert changed and all(key.startswith(moved) for key in changed)
        # What the paper shares is learned with the second stage and stays for the third.
        assert any(key.startswith(moved[0]) for key in changed)


def test_receptive_fields_grow_and_sizes_do_not(bench):
    findings = cpm.cpm_receptive_field(bench)
    fields = [int(field) for field in findings.results["pck"]]
    # Small form: 3x3 filters, two poolings; 3 filters of 1, 3, ... cells of 4 px on the beliefs.
    assert fields == [34 + 3 * (context - 1) * 4 for context in cpm.CONTEXTS]
    sizes = list(findings.results["parameters"].values())
    assert max(sizes) / min(sizes) < 1.15


def test_the_papers_machine_sees_400_px():
    with torch.device("meta"):
        assert sees(ConvolutionalPoseMachine(stages=2)) == 400


def test_turned_says_where_each_unseen_puppet_faces():
    plan = replace(SMALL_MACHINE, watched=3, unseen=4, size=32)
    yaws = cpm_asked.turned(plan)
    scenes = Puppets(7, cpm_asked.UNSEEN_SEED, 32)
    assert yaws.tolist() == [scenes.scene(n).yaw for n in range(3, 7)]


def test_who_faces_the_viewer_has_the_right_shoulder_on_the_left():
    scenes = Puppets(200, seed=5, size=32)
    right, left = (JOINTS.index(f"{side}_shoulder") for side in ("right", "left"))
    agree = []
    for n in range(200):
        scene = scenes.scene(n)
        joints = scene.people[0].joints
        upright = joints[JOINTS.index("head_top"), 1] < joints[JOINTS.index("pelvis"), 1]
        if upright and abs(np.sin(np.deg2rad(scene.yaw))) < 0.5:
            agree.append((joints[right, 0] < joints[left, 0]) == (np.cos(np.deg2rad(scene.yaw)) > 0))
    assert len(agree) > 50 and np.mean(agree) > 0.95


def test_misjudged_people_have_the_same_joints_and_other_crops():
    puppets = Puppets(20, seed=1, size=32)
    wrong = cpm_asked.Misjudged(puppets)
    factors = [float(wrong[n].crop.side / puppets[n].crop.side) for n in range(20)]
    assert 0.7 <= min(factors) < 0.85 and 1.15 < max(factors) <= 1.3
    assert wrong[3].crop.center == puppets[3].crop.center
    np.testing.assert_array_equal(wrong[3].keypoints, puppets[3].keypoints)
