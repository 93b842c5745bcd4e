"""OKS by pycocotools, presence of joints, multi-scale test: hand-worked and known references."""

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import real_data

import minipose
from minipose import Crop
from minipose.data import COCO, InMemory, Puppets
from minipose.data.oks import FIGURES, average_precision, coco_results
from minipose.heatmaps import to_crop
from minipose.inference import average_over_scales, to_photo
from minipose.presence import precision_recall
from minipose_book.experiments.newell2016.flip_test import Answers


def truth(dataset):
    keypoints = np.array([p["joints"][:, :2] for p in dataset.people])
    return np.nan_to_num(keypoints), np.ones(keypoints.shape[:2])


def test_truth_fed_back_is_perfect():
    root = real_data("coco_mini")
    dataset = COCO(root / "person_keypoints.json", root / "images")
    figures = average_precision(dataset, coco_results(dataset, *truth(dataset)))
    assert tuple(figures) == FIGURES
    assert figures["AP"] == pytest.approx(1.0)
    assert figures["AR"] == pytest.approx(1.0)


def test_a_known_shift_gives_its_oks():
    """One person, every joint off by d: OKS is mean exp(-d^2 / (2 area (2 sigma)^2)), by hand."""
    root = real_data("coco_mini")
    dataset = COCO(root / "person_keypoints.json", root / "images", min_keypoints=17, count=1)
    others = [p for p in dataset.in_photo[dataset.people[0]["image_id"]] if (p["joints"][:, 2] > 0).any()]
    keypoints, scores = truth(dataset)
    area = dataset.people[0]["area"]
    k = 2 * np.array(minipose.COCO.sigmas)

    def oks(d):
        return np.exp(-(d**2) / (2 * area * k**2)).mean()

    for d in (0.2 * math.sqrt(area) * 0.3, 0.2 * math.sqrt(area) * 0.6):
        shifted = keypoints + (d, 0)
        figures = average_precision(dataset, coco_results(dataset, shifted, scores))
        # Found at the thresholds 0.5, 0.55 ... below its OKS; the photo's other people are all missed.
        found = sum(threshold <= oks(d) for threshold in np.arange(0.5, 1.0, 0.05))
        assert figures["AR"] == pytest.approx(found / 10 / len(others), abs=1e-6)


def two_people(tmp_path):
    """Two people in one photo, in a file with no more than our reader needs."""
    joints = np.random.default_rng(0).uniform(5, 95, (2, 17, 2)).round(1)
    people = [
        {"id": n, "image_id": "a", "bbox": [0, 0, 100, 100]}
        | {"keypoints": np.concatenate([each, np.full((17, 1), 2)], axis=1).ravel().tolist()}
        for n, each in enumerate(joints)
    ]
    content = {"images": [{"id": "a", "file_name": "a.png"}], "annotations": people}
    (tmp_path / "people.json").write_text(json.dumps(content))
    return COCO(tmp_path / "people.json", tmp_path)


def test_a_file_without_areas_crowds_and_categories(tmp_path):
    dataset = two_people(tmp_path)
    keypoints, scores = truth(dataset)
    assert average_precision(dataset, coco_results(dataset, keypoints, scores))["AP"] == pytest.approx(1)
    # The area is the box's, 10,000 px. By hand, with all joints off by d:
    d, k = 10.0, 2 * np.array(minipose.COCO.sigmas)
    oks = np.exp(-(d**2) / (2 * 10_000 * k**2)).mean()
    figures = average_precision(dataset, coco_results(dataset, keypoints + (d, 0), scores))
    assert figures["AR"] == pytest.approx(sum(t <= oks for t in np.arange(0.5, 1.0, 0.05)) / 10)
    assert 0 < figures["AR"] < 1


def test_results_stay_as_they_were(tmp_path):
    dataset = two_people(tmp_path)
    results = coco_results(dataset, *truth(dataset))
    before = copy.deepcopy(results)
    average_precision(dataset, results)
    assert results == before


def test_the_share_of_good_answers_is_cocos_recall():
    """`Answers.oks`: COCO's AR, and its AP only where the scores put all good answers first."""
    root = real_data("coco_mini")
    everybody = COCO(root / "person_keypoints.json", root / "images")
    alone = [p["id"] for p in everybody.people if len(everybody.in_photo[p["image_id"]]) == 1]
    dataset = COCO(root / "person_keypoints.json", root / "images", ids=alone)
    answers = Answers([dataset[n] for n in range(len(dataset))], "torso", 0.2, minipose.COCO)
    keypoints, scores = truth(dataset)
    keypoints[::2] += 1000
    share = answers.oks(torch.from_numpy(keypoints))
    sorts = np.where(np.arange(len(scores)) % 2, 1.0, 0.5)[:, None] * scores
    blind, best = (average_precision(dataset, coco_results(dataset, keypoints, s)) for s in (scores, sorts))
    assert share == pytest.approx(blind["AR"], abs=1e-4)
    assert share == pytest.approx(best["AP"], abs=0.01)
    assert blind["AP"] < share - 0.1


def test_results_are_cocos_format(tmp_path):
    root = real_data("coco_mini")
    dataset = COCO(root / "person_keypoints.json", root / "images", count=2)
    scores = np.tile(np.linspace(0, 1, 17), (2, 1))
    first = coco_results(dataset, np.arange(68.0).reshape(2, 17, 2), scores)[0]
    assert first["keypoints"][:6] == [0.0, 1.0, 0.0, 2.0, 3.0, 1 / 16]
    assert first["score"] == pytest.approx(0.5)
    assert (first["category_id"], first["image_id"]) == (1, dataset.people[0]["image_id"])
    with pytest.raises(ValueError, match=r"found \(1, 17, 2\)"):
        coco_results(dataset, np.zeros((1, 17, 2)), scores)


def test_precision_recall_by_hand():
    curve = precision_recall([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
    assert curve.precision.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])
    assert curve.area == pytest.approx(1 / 3 + 1 / 3 + 0 + 1 / 4)


def test_equal_activations_count_together():
    """Whoever comes first among equals must not matter."""
    for labelled in ([True, False, True], [False, True, True]):
        curve = precision_recall([0.5, 0.5, 0.9], labelled)
        assert curve.thresholds.tolist() == [0.9, 0.5]
        assert curve.precision.tolist() == pytest.approx([1, 2 / 3])


def test_area_of_chance_is_the_share_of_labels():
    random = np.random.default_rng(0)
    curve = precision_recall(random.random(20_000), random.random(20_000) < 0.3)
    assert curve.area == pytest.approx(0.3, abs=0.02)


def test_presence_needs_labels():
    with pytest.raises(ValueError, match="at least one labelled joint, found 2 activations and 0 labels"):
        precision_recall([0.1, 0.2], [False, False])


def test_presence_of_an_evaluation():
    network = minipose.load("hg2-puppets-small")
    found = minipose.evaluate(network, Puppets(120, 1_000_000, 128))
    for by in ("max", "mean"):
        curve = found.presence("knee", by)
        labelled = (found.visibility[:, [1, 4]] > 0).double().mean().item()
        assert curve.recall[-1] == 1
        assert curve.precision[-1] == pytest.approx(labelled)
        assert curve.area > labelled  # better than chance
    with pytest.raises(ValueError, match="presence needs a joint"):
        found.presence("tail")


def test_means_are_means_of_the_last_heatmaps():
    network, dataset = minipose.load("hg2-puppets-small"), Puppets(3, 5, 128)
    found = minipose.evaluate(network, dataset, flip=False)
    sample = dataset[1]
    pose = minipose.predict(network, sample.image, sample.crop, flip=False)
    torch.testing.assert_close(found.means[1], pose.heatmaps[-1].mean(dim=(-2, -1)), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.scores[1], torch.from_numpy(pose.scores), rtol=1e-4, atol=1e-6)


def test_maps_of_larger_and_smaller_crops_meet_at_one_place():
    """Cell 40 of 64 lies 8.5 cells right of the centre, 31.5; in a crop twice as large 4.25 cells."""
    places = {1.0: 40.0, 2.0: 35.75, 0.5: 48.5}
    maps = torch.cat(
        [minipose.encode_heatmaps([[[x, 31.5]]], [[2]], sigma=2.0 / s) for s, x in places.items()]
    )
    averaged = average_over_scales(maps, list(places))
    points, _ = minipose.decode_heatmaps(averaged, "parabola")
    np.testing.assert_allclose(points[0, 0], [40.0, 31.5], atol=0.1)


def test_cells_beyond_a_smaller_crop_are_averaged_over_the_others():
    maps = torch.ones(2, 1, 8, 8)
    maps[1] = 3
    averaged = average_over_scales(maps, [1.0, 0.5])[0, 0]
    assert averaged[0, 0] == 1  # only the first crop reaches the corner
    assert averaged[4, 4] == 2


def test_one_scale_changes_nothing_and_three_stay_close():
    network, sample = minipose.load("hg2-puppets-small"), Puppets(4, 1_000_000, 128)[1]
    once = minipose.predict(network, sample.image, sample.crop)
    again = minipose.predict(network, sample.image, sample.crop, scales=(1.0,))
    assert (once.keypoints == again.keypoints).all()
    several = minipose.predict(network, sample.image, sample.crop, scales=(0.9, 1.0, 1.15))
    moved = np.hypot(*(several.keypoints - once.keypoints).T)
    assert np.median(moved) < 0.03 * sample.crop.side
    for scales in ((1.0, -1.0), (), (math.inf,), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="scales must be positive"):
            minipose.predict(network, sample.image, Crop((50, 50), 40), scales=scales)
        with pytest.raises(ValueError, match="scales must be positive"):
            minipose.evaluate(network, Puppets(1), scales=scales)


@pytest.mark.parametrize("scales, batch", [((0.8, 1.0, 1.25), 7), ((0.9, 1.1), 1)])
def test_a_data_set_at_several_scales_is_each_photo_at_several_scales(scales, batch):
    """Turned and mirrored crops; with and without 1 as a scale; batches that do not come out even."""

    class Turned(Puppets):
        def __getitem__(self, number):
            sample = super().__getitem__(number)
            sample.crop = replace(sample.crop, angle=10.0 * number, mirror=number % 2 == 1)
            return sample

    network, dataset = minipose.load("hg2-puppets-small"), Turned(5, 1_000_000, 128)
    found = minipose.evaluate(network, dataset, batch_size=batch, scales=scales)
    once = minipose.evaluate(network, dataset)
    assert len(found.stages) == len(network.strides)
    for number in range(5):
        sample = dataset[number]
        pose = minipose.predict(network, sample.image, sample.crop, scales=scales)
        np.testing.assert_allclose(found.predicted[number], pose.keypoints, atol=1e-3)
        np.testing.assert_allclose(found.scores[number], pose.scores, atol=1e-5)
        for k, stage in enumerate(pose.heatmaps):  # earlier stages: from the maps that predict hands out
            points, _ = minipose.decode_heatmaps(stage[None])
            in_crop = to_crop(points, network.strides[k])[0]
            expected = to_photo(in_crop, sample.crop.matrix(network.size), network.skeleton)
            np.testing.assert_allclose(found.stages[k][number], expected, atol=1e-3)
    assert not torch.equal(found.scores, once.scores)


def test_one_scale_is_the_default():
    network, dataset = minipose.load("hg2-puppets-small"), InMemory(Puppets(5, 1_000_000, 128))
    once, again = minipose.evaluate(network, dataset), minipose.evaluate(network, dataset, scales=(1,))
    assert torch.equal(once.scores, again.scores)
    assert all(torch.equal(a, b) for a, b in zip(once.stages, again.stages, strict=True))
