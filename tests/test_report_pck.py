"""The report's two PCKs by hand, and COCO's figures through the whole path, from heatmaps to pycocotools."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import real_data

import minipose
from minipose import COCO as SKELETON
from minipose import PoseNetwork
from minipose.data import COCO
from minipose.data.oks import average_precision, coco_results
from minipose.evaluation import Evaluation
from minipose.heatmaps import encode_heatmaps, to_map
from minipose_book.experiments.lee2020.pck import as_its_code, both, fallback_pck

J = {name: SKELETON.index(name) for name in SKELETON.joints}


def shifted(sample, shift: float) -> np.ndarray:
    """The labels (17, 2), `shift` roots of the person's area to the right."""
    return sample.keypoints + (shift * math.sqrt(sample.area), 0)


class Oracle(PoseNetwork):
    """Draws the labels of people who are shown in their order, shifted to the right."""

    def __init__(self, dataset: COCO, size: int, shift: float = 0.0):
        super().__init__(SimpleNamespace(joints=17), [4], 4, [0])
        self.skeleton, self.size, self.dataset, self.shift, self.next = SKELETON, size, dataset, shift, 0
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        samples = [self.dataset[self.next + k] for k in range(len(images))]
        self.next += len(images)
        points = torch.stack([s.crop.forward(shifted(s, self.shift), self.size) for s in samples])
        seen = torch.stack([torch.from_numpy(s.visibility) for s in samples])
        return [encode_heatmaps(to_map(points, 4), seen, (self.size // 4,) * 2)]


class Wide(COCO):
    """COCO with crops of three times the usual side, which hold every label."""

    def _sample(self, number):
        sample = super()._sample(number)
        return replace(sample, crop=replace(sample.crop, side=3 * sample.crop.side))


def mini(kind=Wide, **how) -> COCO:
    root = real_data("coco_mini")
    return kind(root / "person_keypoints.json", root / "images", **how)


def through(dataset: COCO, shift: float = 0.0) -> Evaluation:
    """Photo, crop, heatmaps, parabola, back to the photo."""
    return minipose.evaluate(
        Oracle(dataset, 256, shift), dataset, flip=False, refine="parabola", batch_size=32
    )


def test_truth_through_the_whole_path_is_perfect():
    dataset = mini()
    found = through(dataset)
    figures = average_precision(dataset, coco_results(dataset, found.predicted, found.scores))
    assert figures["AP"] == pytest.approx(1.0) and figures["AR"] == pytest.approx(1.0)
    assert fallback_pck(found).pck.mean == 1


def test_a_person_s_box_does_not_hold_all_of_its_labels():
    """COCO's boxes are of what is seen; what is hidden or cut off is labelled beyond them."""
    dataset = mini(COCO)
    beyond = [
        ((p := dataset[n].crop.forward(dataset[n].keypoints, 256)) < 0).any(1) | (p > 255).any(1)
        for n in range(len(dataset))
    ]
    labels = sum(int((dataset[n].visibility > 0).sum()) for n in range(len(dataset)))
    assert 0.005 < int(torch.cat(beyond).sum()) / labels < 0.02
    found = through(dataset)
    assert (
        0.97 < average_precision(dataset, coco_results(dataset, found.predicted, found.scores))["AP"] < 0.99
    )


@pytest.mark.parametrize("shift", [0.04, 0.07])
def test_a_shift_through_the_whole_path_gives_pycocotools_own_figures(shift):
    dataset = mini(min_keypoints=5)
    found = through(dataset, shift)
    ours = average_precision(dataset, coco_results(dataset, found.predicted, found.scores))
    # The labels themselves, moved, without heatmaps in between.
    keypoints = np.nan_to_num([shifted(dataset[n], shift) for n in range(len(dataset))])
    plain = average_precision(dataset, coco_results(dataset, keypoints, found.scores))
    assert 0.1 < plain["AP"] < 0.95
    for name, figure in plain.items():
        # A joint is read to a hundredth of a cell; somebody just at a threshold may change sides.
        assert ours[name] == pytest.approx(figure, abs=0.006), name


def evaluation(predicted, target, visibility, scores=None) -> Evaluation:
    predicted, target = (torch.tensor(values, dtype=torch.float64) for values in (predicted, target))
    target[np.array(visibility) == 0] = torch.nan
    torso = (target[:, J["right_shoulder"]] - target[:, J["left_hip"]]).norm(dim=-1)
    scores = torch.ones(target.shape[:2]) if scores is None else torch.tensor(scores)
    return Evaluation(
        [predicted], scores, scores, target, torch.tensor(visibility), {"torso": torso}, SKELETON, True, []
    )


def person() -> tuple[np.ndarray, np.ndarray]:
    """All 17 at (100, 100) but: shoulder to hip 50 px, ears 10 px, hips 20 px apart."""
    joints = np.full((17, 2), 100.0)
    joints[J["right_shoulder"]], joints[J["left_hip"]] = (100, 60), (140, 90)
    joints[J["right_hip"]] = (120, 90)
    joints[J["left_ear"]] = (110, 100)
    return joints, np.full(17, 2)


def test_three_rulers_by_hand():
    joints, seen = person()
    target, visibility = np.stack([joints] * 4), np.stack([seen] * 4)
    visibility[1:, J["left_hip"]] = 0  # no torso: the ears, 10 px
    visibility[2:, J["left_ear"]] = 0  # nor ears: the average hips, which is the first person's 20 px
    visibility[3, J["left_knee"]] = 0
    predicted = target.copy()
    knee = J["left_knee"]
    # A fifth of 50, 10, 20: 9 px are near enough for the first, 3 px for the third and not for the second.
    predicted[:, knee, 1] += (9, 3, 3, 99)
    found = fallback_pck(evaluation(predicted, target, visibility))
    assert found.rulers == {"torso": 1, "ears": 1, "average hips": 2}
    assert found.pck.per_joint[knee] == pytest.approx(2 / 3)  # the fourth person's knee has no label
    assert found.pck.per_joint[J["nose"]] == 1
    # Without any hips there is no ruler for the third and fourth, and they are left out.
    visibility[:, J["right_hip"]] = 0
    found = fallback_pck(evaluation(predicted, target, visibility))
    assert found.rulers["average hips"] == 0 and found.pck.left_out == 2


class Photo:
    """What `as_its_code` reads of a data set: its people, by photo."""

    skeleton = SKELETON

    def __init__(self, *groups):
        self.people = [each for group in groups for each in group]
        self.in_photo = {each["image_id"]: group for group in groups for each in group}


def labelled(photo: int, joints: np.ndarray, seen: np.ndarray) -> dict:
    rows = np.column_stack((joints, seen)).astype(float)
    rows[seen == 0, :2] = np.nan
    return {"image_id": photo, "joints": rows}


def test_what_its_code_counts_by_hand():
    joints, seen = person()
    alone = Photo([labelled(1, joints, seen)])
    knee = J["left_knee"]

    def code(predicted, photo=alone, scores=None):
        many = len(photo.people)
        target = np.stack([p["joints"][:, :2] for p in photo.people])
        visibility = np.stack([p["joints"][:, 2] for p in photo.people]).astype(int)
        scores = np.ones((many, 17)) if scores is None else scores
        return as_its_code(evaluation(predicted, target, visibility, scores), photo)

    # y is forgotten: 1,000 px down is no error. The hips are 20 px apart in x: 4 px is the limit.
    wrong = joints[None].copy()
    wrong[0, knee] = (104, 1100)
    assert code(wrong)[knee] == 1
    wrong[0, knee] = (104.5, 100)
    assert code(wrong)[knee] == 0
    # A joint without a label is right where the network says that it is absent, and wrong where it does not.
    unseen = seen.copy()
    unseen[knee] = 0
    nobody = Photo([labelled(1, joints, unseen)])
    low = np.ones((1, 17))
    assert code(joints[None], nobody)[knee] == 0
    low[0, knee] = 0.03
    assert code(joints[None], nobody, low)[knee] == 1
    assert code(joints[None], alone, low)[knee] == 0  # and a labelled one that is called absent is wrong
    # Anybody's knee in the photo will do; and the last one's hips are the ruler for both.
    other = joints + (300, 0)
    two = Photo([labelled(1, joints, seen), labelled(1, other, seen)])
    swapped = np.stack([other, joints])
    assert code(swapped, two).tolist() == [1.0] * 17
    narrow = other.copy()
    narrow[J["left_hip"], 0] = narrow[J["right_hip"], 0] + 2  # 0.4 px from now on
    two = Photo([labelled(1, joints, seen), labelled(1, narrow, seen)])
    near = np.stack([joints + (1, 0), narrow])
    assert code(near, two)[knee] == 0.5
    # Whose hips are not labelled is measured by 25 px: 5 px is the limit.
    unseen = seen.copy()
    unseen[J["left_hip"]] = 0
    for away, right in ((5, 1), (5.5, 0)):
        assert code((joints + (away, 0))[None], Photo([labelled(1, joints, unseen)]))[knee] == right


def test_both_side_by_side():
    dataset = mini(count=20)
    found = through(dataset)
    report = both(found, dataset)
    assert report["mean_over_joints"] == 1
    # The oracle leaves the maps of joints without a label empty, so that its code finds them "absent".
    theirs = report["as_its_code"]["per_joint"].values()
    assert all(0 <= value <= 1 for value in theirs) and not any(math.isnan(value) for value in theirs)
    assert sum(report["rulers"].values()) == 20
