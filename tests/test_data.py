"""Skeletons and the Leeds data sets: both layouts, both flags, the real files, and broken ones."""

import shutil

import numpy as np
import pytest
import torch
from conftest import real_data, write_leeds
from scipy.io import loadmat, savemat

from minipose import COCO, FLIC, LSP, MPII, InputError
from minipose.data import LSP as LSPData
from minipose.data import LSPET, InMemory, Puppets
from minipose.data.lsp import check_folder
from minipose.skeletons import convert

# People who appear in two photos of LSPET, found by comparing the photos.
DUPLICATES = [(100, 7354), (265, 2354), (298, 2636), (298, 3556), (2636, 3556), (8796, 5545)]


@pytest.mark.parametrize("skeleton, count", [(MPII, 16), (LSP, 14), (COCO, 17), (FLIC, 11)])
def test_skeletons(skeleton, count):
    assert len(skeleton) == count
    assert len(set(skeleton.joints)) == count
    assert all(
        skeleton.joints[right] == "right" + skeleton.joints[left][4:] for left, right in skeleton.flip_pairs
    )
    assert sum(name.startswith(("left", "right")) for name in skeleton.joints) == 2 * len(skeleton.flip_pairs)
    assert [skeleton.joints[j] for j in skeleton.torso] == ["right_shoulder", "left_hip"]


def test_flip_by_hand_and_twice():
    order = LSP.flip(torch.arange(14)).tolist()
    assert order == [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13]
    points = torch.rand(3, 16, 2)
    assert torch.equal(MPII.flip(MPII.flip(points, axis=-2), axis=-2), points)


def test_flip_of_another_skeletons_values():
    with pytest.raises(ValueError, match="mpii has 16 joints, but axis -1"):
        MPII.flip(torch.arange(14))


def test_convert_by_name():
    values = torch.arange(16.0)[:, None].expand(16, 2)
    lsp = convert(values, MPII, LSP, axis=-2, missing=float("nan"))
    assert lsp[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]
    coco = convert(torch.arange(16), MPII, COCO, axis=0, missing=-1).tolist()
    assert coco == [-1] * 5 + [13, 12, 14, 11, 15, 10, 3, 2, 4, 1, 5, 0]


def test_lspet_layout_and_flag(tmp_path):
    joints = write_leeds(tmp_path, 3)
    dataset = LSPET(tmp_path)
    assert len(dataset) == 3
    sample = dataset[1]
    labelled = joints[1, :, 2] == 1
    np.testing.assert_array_equal(sample.visibility, np.where(labelled, 2, 0))
    np.testing.assert_array_equal(sample.keypoints[labelled], joints[1, labelled, :2])
    assert np.isnan(sample.keypoints[~labelled]).all()
    assert (sample.id, sample.image.shape) == ("im00002", (100, 110, 3))
    low, high = (f(joints[1, labelled, :2], axis=0) for f in (np.min, np.max))
    np.testing.assert_allclose(sample.crop.center, (low + high) / 2)
    assert sample.crop.side == pytest.approx(1.5 * (high - low).max())
    assert not dataset.has_occlusion


def test_lsp_layout_and_opposite_flag(tmp_path):
    joints = write_leeds(tmp_path, 2, "lsp")
    dataset = LSPData(tmp_path)
    np.testing.assert_array_equal(dataset[1].visibility, np.where(joints[1, :, 2] == 1, 1, 2))
    np.testing.assert_array_equal(dataset[1].keypoints, joints[1, :, :2])
    assert dataset[1].id == "im0002"
    assert dataset.has_occlusion


def test_sizes_by_hand(tmp_path):
    joints = write_leeds(tmp_path, 1)
    joints[0, :, 2] = 1
    joints[0, :, :2] = np.arange(28).reshape(14, 2)
    joints[0, [8, 3]] = [[10, 20, 1], [40, 60, 1]]  # right shoulder, left hip: 50 apart
    joints[0, [12, 13]] = [[5, 5, 1], [5, 17, 1]]  # neck, head-top: 12 apart
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    assert LSPET(tmp_path)[0].sizes == {"head": 12.0, "torso": 50.0, "box": 59.0}
    joints[0, 3, 2] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    assert np.isnan(LSPET(tmp_path)[0].sizes["torso"])


def test_subset_keeps_the_numbers_and_the_measure(tmp_path):
    write_leeds(tmp_path, 4)
    subset = LSPET(tmp_path).subset([3, 1])
    assert [subset[i].id for i in range(len(subset))] == ["im00004", "im00002"]
    assert (subset.normalizer, subset.threshold, subset.skeleton) == ("torso", 0.2, LSP)


@pytest.mark.parametrize("numbers", [[True, False], [0.5], [6], [-7], [[0, 1]]])
def test_a_subset_of_what_are_no_numbers_of_samples(numbers):
    with pytest.raises(InputError, match="subset: numbers: expected numbers of 6 samples"):
        Puppets(6, seed=0, size=32).subset(numbers)


def test_negative_numbers_count_from_the_end(tmp_path):
    write_leeds(tmp_path, 4)
    whole = LSPET(tmp_path)
    for dataset, ids in (
        (whole, ["im00004", "im00001"]),
        (whole.subset([2, -1, 0]), ["im00001", "im00003"]),
        (InMemory(whole), ["im00004", "im00001"]),
    ):
        assert [dataset[n].id for n in (-1, -len(dataset))] == ids
        for number in (-len(dataset) - 1, len(dataset)):
            with pytest.raises(IndexError, match=f"there are {len(dataset)} samples"):
                dataset[number]
    memory = InMemory(whole)
    assert memory[-1] is memory[3]


def test_real_lspet():
    """Counts over the published joints.mat, made once with `scipy.io.loadmat` and NumPy alone."""
    root = real_data("lspet")
    dataset = LSPET(root)
    assert len(dataset) == 9000
    assert (dataset.visibility > 0).mean() == pytest.approx(0.88, abs=0.005)
    assert (dataset.visibility > 0).all(1).mean() == pytest.approx(0.395, abs=0.001)
    torso = np.isfinite(dataset.keypoints[:, list(LSP.torso)]).all((1, 2))
    assert torso.mean() == pytest.approx(0.71, abs=0.005)
    raw = loadmat(root / "joints.mat")["joints"]
    sample = dataset[1234]
    labelled = sample.visibility > 0
    np.testing.assert_array_equal(sample.keypoints[labelled], raw[labelled, :2, 1234])
    assert sample.id == "im01235"
    box = np.median([np.ptp(k[~np.isnan(k[:, 0])], axis=0).max() for k in dataset.keypoints])
    assert box == pytest.approx(118, abs=1)
    assert sample.image.dtype == np.uint8


def test_split_of_real_lspet():
    root = real_data("lspet")
    train, held_out = LSPET(root, "train"), LSPET(root, "held-out")
    assert (len(train), len(held_out)) == (8000, 1000)
    assert not set(train.numbers) & set(held_out.numbers)
    assert set(train.numbers) | set(held_out.numbers) == set(range(1, 9001))
    for a, b in DUPLICATES:
        assert (a in held_out.numbers) == (b in held_out.numbers)


def test_photos_in_the_folder_are_checked(tmp_path):
    write_leeds(tmp_path, 3)
    assert "3 people, a readable photo each" in check_folder(LSPET(tmp_path))
    (tmp_path / "images" / "im00002.jpg").unlink()
    with pytest.raises(InputError, match=r"im00002.jpg: photo: expected a readable file, found No such file"):
        check_folder(LSPET(tmp_path))


def broken(tmp_path, change):
    """LSPET's error for a joints.mat changed by `change(joints (N, 14, 3))`."""
    joints = write_leeds(tmp_path, 2)
    content = change(joints)
    savemat(tmp_path / "joints.mat", content if isinstance(content, dict) else {"joints": content})
    with pytest.raises(InputError) as error:
        LSPET(tmp_path)[0]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_broken_labels(tmp_path):
    def set_joint(value):
        def change(joints):
            joints[0, 0] = value
            return joints.transpose(1, 2, 0)

        return change

    def nobody(joints):
        joints[:, :, 2] = 0
        return joints.transpose(1, 2, 0)

    cases = {
        "joints: expected an array 14 x 3 x N of numbers (LSPET), found shape (14, 2, 2)": lambda j: (
            j.transpose(1, 2, 0)[:, :2]
        ),
        "joints: expected an array 14 x 3 x N of numbers (LSPET), found shape (3, 14, 2)": lambda j: (
            j.transpose(2, 1, 0)
        ),
        "joints: expected an array 14 x 3 x N of numbers (LSPET), found shape (13, 3, 2)": lambda j: (
            j.transpose(1, 2, 0)[:13]
        ),
        "joints: expected an array of this name": lambda j: {"labels": j},
        "person 1, right_ankle: expected x and y within a photo, found [nan, 5.0]": set_joint([np.nan, 5, 1]),
        "person 1, right_ankle: expected x and y within a photo, found [1e+30, 5.0]": set_joint([1e30, 5, 1]),
        "person 1, right_ankle, third value: expected 0 or 1, found 7.0": set_joint([5, 5, 7]),
        "joints: expected a person with a labelled joint, found none": nobody,
        "joints: expected at least one person, found none": lambda j: np.zeros((14, 3, 0)),
    }
    for message, change in cases.items():
        found = broken(tmp_path, change)
        assert message in found, found
        assert "joints.mat" in found


def test_damaged_and_missing_labels(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: lspet: expected a folder"):
        LSPET(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"joints.mat beside a folder images/, found no such file"):
        LSPET(tmp_path)
    write_leeds(tmp_path, 2)
    whole = (tmp_path / "joints.mat").read_bytes()
    for cut in (0, 20, len(whole) // 2):
        (tmp_path / "joints.mat").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="expected a whole MATLAB file"):
            LSPET(tmp_path)


def test_the_other_sets_folder(tmp_path):
    write_leeds(tmp_path, 5, "lsp")
    with pytest.raises(InputError, match=r"14 x 3 x N of numbers \(LSPET\), found shape \(3, 14, 5\)"):
        LSPET(tmp_path)
    shutil.rmtree(tmp_path)
    write_leeds(tmp_path, 5, "lspet")
    with pytest.raises(InputError, match=r"3 x 14 x N of numbers \(LSP\)"):
        LSPData(tmp_path)


def test_split_of_another_folder(tmp_path):
    write_leeds(tmp_path, 5)
    with pytest.raises(InputError, match="the 9,000 people that the split lists, found 5"):
        LSPET(tmp_path, "held-out")


def test_root_from_the_environment(tmp_path, monkeypatch):
    write_leeds(tmp_path / "lspet", 2)
    monkeypatch.setenv("MINIPOSE_DATA", str(tmp_path))
    assert len(LSPET()) == 2
    monkeypatch.delenv("MINIPOSE_DATA")
    with pytest.raises(InputError, match="MINIPOSE_DATA"):
        LSPET()


def test_in_memory_reads_each_photo_once(tmp_path):
    write_leeds(tmp_path, 2)
    dataset = InMemory(LSPET(tmp_path).subset([1, 0]))
    first = dataset[0].image
    shutil.rmtree(tmp_path / "images")
    assert dataset[0].image is first
    assert dataset[0].id == "im00002"
    assert (len(dataset), dataset.normalizer, dataset.skeleton) == (2, "torso", LSP)
    with pytest.raises(InputError):
        _ = dataset[1].image
