"""Prediction and evaluation with networks whose right answer is known in advance."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import minipose
from minipose import LSP, MPII, Crop, InputError, PoseNetwork, encode_heatmaps
from minipose.data import Puppets
from minipose.data.sample import PoseDataset, Sample
from minipose.heatmaps import to_map
from minipose.inference import choose_device, stage_heatmaps, to_float


class ColourFinder(PoseNetwork):
    """Finds joint j as the spot whose red value is 8 (j + 1): a network that is right by construction.

    It does not see left and right: in a mirrored picture it finds the same spots, so flip averaging
    must swap them exactly to agree.
    """

    def __init__(self, skeleton, size=64):
        super().__init__(SimpleNamespace(joints=len(skeleton)), [4], 4, [0])
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.skeleton, self.size = skeleton, size

    def forward(self, images):
        red = (images[:, 0] * 255).round()
        maps = []
        for j in range(self.joints):
            y, x = np.indices(red.shape[1:])
            spot = (red == 8 * (j + 1)).double()
            weight = spot.sum((1, 2)).clamp(min=1)
            centre = torch.stack([(spot * torch.from_numpy(a)).sum((1, 2)) / weight for a in (x, y)], -1)
            found = (spot.sum((1, 2)) > 0).int()
            maps.append(
                encode_heatmaps(
                    to_map(centre[:, None], 4), found[:, None], (red.shape[1] // 4, red.shape[2] // 4)
                )
            )
        return [torch.cat(maps, dim=1) * self.scale]


class Spots(PoseDataset):
    """Photos with a red square on every joint, whose crops are the photo at twice its size."""

    skeleton, has_occlusion = LSP, False

    def __init__(self, people):
        self.people = people

    def __len__(self):
        return len(self.people)

    def __getitem__(self, number):
        keypoints = self.people[number].astype(float)
        photo = np.zeros((64, 64, 3), np.uint8)
        for j, (x, y) in enumerate(self.people[number]):
            photo[y - 1 : y + 2, x - 1 : x + 2, 0] = 8 * (j + 1)
        visibility = np.full(14, 2)
        visibility[number % 14] = 0
        sizes = {"head": 5.0, "torso": 20.0 if number else float("nan"), "box": 40.0}
        return Sample(
            keypoints,
            visibility,
            Crop((31.5, 31.5), 64.0),
            sizes,
            np.zeros((0, 14, 3)),
            str(number),
            lambda: photo,
        )


def grid(shift):
    """14 places, far enough apart that no square covers another."""
    return np.array([[8 + 12 * (j % 4), 8 + 12 * (j // 4)] for j in range(14)]) + shift


def test_evaluate_by_hand():
    dataset = Spots([grid(0), grid(1), grid(2)])
    found = minipose.evaluate(ColourFinder(LSP), dataset, flip=False, refine="parabola")
    np.testing.assert_allclose(found.predicted, found.target, atol=0.02)
    result = found.pck("torso", 0.01)
    assert (result.people, result.left_out, result.mean) == (2, 1, 1.0)
    assert result.labels.tolist() == [2, 1, 1] + [2] * 11  # person 0 left out; 1 and 2 miss a label each


def test_flip_test_swaps_sides_and_positions_exactly():
    """The finder sees in the mirrored picture what is there; mirroring its maps back must undo both."""
    photo = Spots([grid(0)])[0].image
    image = torch.from_numpy(photo).permute(2, 0, 1)[None]
    network = ColourFinder(LSP)
    plain = stage_heatmaps(network, to_float(image, torch.device("cpu")), LSP, flip=False)[0]
    both = stage_heatmaps(network, to_float(image, torch.device("cpu")), LSP, flip=True)[0]
    # It names sides by colour and not by anatomy, so the flipped half has left and right traded.
    torch.testing.assert_close(2 * both - plain, LSP.flip(plain, axis=-3), atol=1e-4, rtol=0)


def test_flip_of_a_symmetric_scene_changes_nothing():
    people = grid(0)
    for left, right in LSP.flip_pairs:
        people[left] = (63 - people[right, 0], people[right, 1])
    spots = Spots([people])
    spots.people[0][[12, 13], 0] = 31
    photo = spots[0].image.copy()
    for left, right in LSP.flip_pairs:  # one colour a pair, so that the mirror image is the picture
        photo[photo == 8 * (left + 1)] = 8 * (right + 1)
    image = torch.from_numpy(np.maximum(photo, photo[:, ::-1])).permute(2, 0, 1)[None]
    assert torch.equal(image, image.flip(-1))
    torch.manual_seed(0)
    network = minipose.StackedHourglass(14, 1, features=16, depth=2).eval()
    maps = stage_heatmaps(network, to_float(image, torch.device("cpu")), LSP, flip=True)[0]
    mirrored = minipose.heatmaps.mirror(maps, LSP)
    torch.testing.assert_close(maps, mirrored, atol=1e-6, rtol=0)


def test_joints_are_matched_by_name_across_skeletons():
    """A network that knows MPII's joints, on a data set labelled as LSP."""

    class Recoloured(Spots):
        def __getitem__(self, number):
            sample = super().__getitem__(number)
            photo = sample.image
            old = photo[..., 0].copy()
            for j, name in enumerate(LSP.joints):
                photo[..., 0][old == 8 * (j + 1)] = 8 * (MPII.index(name) + 1)
            return sample

    found = minipose.evaluate(
        ColourFinder(MPII), Recoloured([grid(0), grid(1)]), flip=False, refine="parabola"
    )
    assert found.missing == []
    np.testing.assert_allclose(found.predicted, found.target, atol=0.02)


def test_joints_that_the_network_lacks_are_not_counted():
    class Coco(Spots):
        skeleton = minipose.COCO

        def __getitem__(self, number):
            sample = super().__getitem__(number)
            sample.keypoints = np.concatenate([sample.keypoints, sample.keypoints[:3]])
            sample.visibility = np.full(17, 2)
            sample.others = np.zeros((0, 17, 3))
            return sample

    found = minipose.evaluate(ColourFinder(LSP), Coco([grid(0), grid(1)]), flip=False)
    assert [minipose.COCO.joints[j] for j in found.missing] == [
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
    ]
    assert found.pck("head").labels.tolist() == [0] * 5 + [2] * 12


def test_visible_and_occluded_only_where_the_labels_tell(small_network):
    small_network.skeleton, small_network.size = MPII, 64
    found = minipose.evaluate(small_network, Puppets(6, 1, 64), flip=False)
    split = found.by_visibility("head", 0.5)
    counts = {name: int(result.labels.sum()) for name, result in split.items()}
    assert counts["all"] == counts["visible"] + counts["occluded"] > 0
    found = minipose.evaluate(ColourFinder(LSP), Spots([grid(0)]), flip=False)
    with pytest.raises(InputError, match="labels that tell occluded from visible"):
        found.by_visibility()


def test_summary_names_each_mean():
    """Person 0 has no torso. Of the others, head-top is missed by person 1 and no limb joint by anyone."""
    dataset = Spots([grid(0), grid(1), grid(2)])
    found = minipose.evaluate(ColourFinder(LSP), dataset, flip=False, refine="parabola")
    found.stages[-1][1, LSP.index("head_top")] += 50
    summary = found.summary("torso", 0.2)
    assert (summary["metric"], summary["people"], summary["left_out"]) == ("PCK@0.2", 2, 1)
    assert summary["mean_over_joints"] == pytest.approx(13.5 / 14)
    assert summary["mean_over_labels"] == pytest.approx(25 / 26)  # 28 joints, 2 of them not labelled
    assert summary["mean_over_limb_joints"] == 1
    assert summary["per_joint"]["head_top"] == 0.5
    assert summary["mean_over_joints_by_stage"] == [pytest.approx(13.5 / 14)]


def test_means_leave_out_what_mpii_does_not_score():
    found = minipose.evaluate(ColourFinder(MPII), Puppets(5, 1, 64), flip=False)
    found.stages[-1] = found.target.clone()
    for name in ("pelvis", "thorax"):
        found.stages[-1][:, MPII.index(name)] += 999
    assert found.summary("head", 0.5)["mean_over_joints"] == 1
    assert found.by_visibility("head", 0.5)["all"].weighted_mean == 1
    assert found.summary("head", 0.5)["per_joint"]["pelvis"] == 0


def test_curve_contains_pck():
    found = minipose.evaluate(ColourFinder(LSP), Spots([grid(0), grid(1)]), flip=False, refine="argmax")
    curve = found.curve("head", [0.0, 0.2, 0.5])
    assert [result.mean for result in curve] == sorted(result.mean for result in curve)
    assert curve[2].mean == found.pck("head", 0.5).mean


@pytest.mark.parametrize("from_file", [True, False])
def test_predict_finds_the_spots_in_photo_px(tmp_path, from_file):
    photo = np.zeros((200, 300, 3), np.uint8)
    spots = Spots([grid(0)])[0]
    photo[100:164, 200:264] = spots.image
    if from_file:
        cv2.imwrite(str(tmp_path / "photo.png"), photo[..., ::-1])
    pose = minipose.predict(
        ColourFinder(LSP), tmp_path / "photo.png" if from_file else photo, Crop((231.5, 131.5), 64.0),
        flip=False, refine="parabola",
    )  # fmt: skip
    np.testing.assert_allclose(pose.keypoints, spots.keypoints + (200, 100), atol=0.02)
    assert pose.scores.shape == (14,)
    assert [tuple(m.shape) for m in pose.heatmaps] == [(14, 16, 16)]


def test_a_mirrored_crop_gives_the_same_pose():
    """What finds joints by their place finds a mirrored person's left where the right was; both ways back."""

    class Handed(ColourFinder):
        """Names sides by place, as a trained network does: in a mirrored picture left and right trade."""

        def forward(self, images):
            plain = super().forward(images)
            return plain if self.upright else [LSP.flip(stage, axis=-3) for stage in plain]

    network, photo = Handed(LSP), Spots([grid(0)])[0].image
    network.upright = True
    straight = minipose.predict(network, photo, Crop((31.5, 31.5), 64.0), flip=False, refine="parabola")
    network.upright = False
    mirrored = minipose.predict(
        network, photo, Crop((31.5, 31.5), 64.0, 0.0, True), flip=False, refine="parabola"
    )
    np.testing.assert_allclose(mirrored.keypoints, straight.keypoints, atol=0.05)

    class Mirrored(Spots):
        def __getitem__(self, number):
            sample = super().__getitem__(number)
            sample.crop = Crop((31.5, 31.5), 64.0, 0.0, True)
            return sample

    found = minipose.evaluate(network, Mirrored([grid(0), grid(1)]), flip=False, refine="parabola")
    np.testing.assert_allclose(found.predicted, found.target, atol=0.05)


@pytest.mark.parametrize(
    "crop",
    [
        Crop((1.0, 2.0), 0.0),
        Crop((1.0, 2.0), -5.0),
        Crop((float("nan"), 2.0), 5.0),
        Crop((1, 2), float("inf")),
    ],
)
def test_crops_that_are_none(crop):
    with pytest.raises(InputError, match="expected finite numbers and a side > 0"):
        minipose.predict(ColourFinder(LSP), np.zeros((50, 60, 3), np.uint8), crop)


def test_one_photo_takes_one_crop():
    with pytest.raises(InputError, match="fields: expected those of one crop"):
        several = Crop(torch.zeros(2, 2), torch.ones(2))
        minipose.predict(ColourFinder(LSP), np.zeros((50, 60, 3), np.uint8), several)


def test_predict_leaves_the_network_as_it_was(small_network):
    small_network.skeleton, small_network.size = MPII, 64
    small_network.train()
    minipose.predict(small_network, np.zeros((50, 60, 3), np.uint8))
    assert small_network.training


@pytest.mark.parametrize(
    "photo", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_predict_refuses_other_arrays(photo):
    with pytest.raises(InputError, match=r"expected \(H, W, 3\) uint8 RGB, found"):
        minipose.predict(ColourFinder(LSP), photo)


def test_untrained_networks_do_not_predict(small_network):
    with pytest.raises(ValueError, match="load or train one"):
        minipose.predict(small_network, np.zeros((50, 60, 3), np.uint8))


def test_empty_data_set():
    with pytest.raises(InputError, match="at least one person"):
        minipose.evaluate(ColourFinder(LSP), Spots([]))


def test_devices():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected
    for name in ("quantum", "meta", "cuda:99"):
        with pytest.raises(InputError, match=f"device: {name}: expected auto, cpu, cuda"):
            choose_device(name)


def test_a_pose_without_a_sure_joint_is_an_empty_drawing():
    photo = np.full((100, 100, 3), 255, np.uint8)
    pose = minipose.Pose(np.zeros((16, 2)), np.zeros(16), MPII, [], Crop.whole(photo), photo)
    axes = pose.plot(threshold=0.5)
    axes.figure.canvas.draw()
    assert np.asarray(axes.figure.canvas.buffer_rgba())[..., :3].min() == 255


def test_pose_is_drawn_where_it_was_found():
    """Orange pixels appear around the right arm, blue around the left one."""
    photo = np.full((100, 100, 3), 255, np.uint8)
    keypoints = np.full((16, 2), np.nan)
    for name, point in dict(
        right_elbow=(20, 50), right_wrist=(20, 80), left_elbow=(80, 50), left_wrist=(80, 80)
    ).items():
        keypoints[MPII.index(name)] = point
    pose = minipose.Pose(keypoints, np.ones(16), MPII, [], Crop.whole(photo), photo)
    axes = pose.plot()
    axes.figure.canvas.draw()
    drawn = np.asarray(axes.figure.canvas.buffer_rgba())[..., :3].astype(int)
    scale = drawn.shape[0] / 100
    right, left = (drawn[int(65.5 * scale), int((x + 0.5) * scale)] for x in (20, 80))
    assert right[0] > right[2] + 100  # orange
    assert left[2] > left[0] + 100  # blue
