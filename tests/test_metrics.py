"""PCK against hand-worked tables and a loop that anybody can check."""

import math

import numpy as np
import pytest
import torch

from minipose import pck
from minipose.metrics import area, by_visibility, pck_curve

NAN = float("nan")


def test_hand_worked_table():
    # Two people, three joints; normalizers 10 and 20, threshold 0.5: 5 and 10 px are allowed.
    target = [[[0, 0], [0, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]]
    predicted = [[[3, 4], [0, 5.01], [99, 99]], [[0, 10], [6, 8], [0, 11]]]
    mask = [[True, True, False], [True, True, True]]
    result = pck(predicted, target, [10, 20], 0.5, mask)
    assert result.per_joint.tolist() == [1.0, 0.5, 0.0]
    assert result.labels.tolist() == [2, 2, 1]
    assert result.mean == pytest.approx((1 + 0.5 + 0) / 3)
    assert result.weighted_mean == pytest.approx(3 / 5)  # 3 of 5 labels: another figure
    assert (result.people, result.left_out) == (2, 0)


def test_distance_equal_to_the_threshold_counts():
    assert pck([[[3, 0]]], [[[0, 0]]], [10], 0.3).mean == 1
    assert pck([[[3, 0]]], [[[0, 0]]], [10], 0.2999).mean == 0


def test_both_coordinates_count():
    """A public report compared x alone; a prediction off by 100 px in y is wrong."""
    assert pck([[[0, 100]]], [[[0, 0]]], [10], 0.5).mean == 0


@pytest.mark.parametrize("normalizer", [NAN, 0.0, -1.0, float("inf")])
def test_people_without_normalizer_are_left_out_and_counted(normalizer):
    result = pck([[[0, 0]], [[50, 0]]], [[[0, 0]], [[0, 0]]], [normalizer, 10])
    assert (result.people, result.left_out) == (1, 1)
    assert result.labels.tolist() == [1]
    assert result.mean == 0


def test_missing_prediction_is_wrong_and_missing_label_is_nothing():
    result = pck([[[NAN, NAN], [0, 0]]], [[[0, 0], [NAN, NAN]]], [10])
    assert result.labels.tolist() == [1, 0]
    assert result.per_joint[0] == 0
    assert math.isnan(result.per_joint[1])
    assert result.mean == 0


def test_nothing_labelled_has_no_figure():
    result = pck([[[0, 0]]], [[[NAN, NAN]]], [10])
    assert math.isnan(result.mean)
    assert math.isnan(result.weighted_mean)


def test_against_a_plain_loop():
    random = np.random.default_rng(0)
    target = random.uniform(0, 100, (40, 5, 2))
    predicted = target + random.normal(0, 8, target.shape)
    normalizer = random.uniform(5, 40, 40)
    normalizer[::7] = NAN
    mask = random.random((40, 5)) < 0.8
    hits, labels = [0] * 5, [0] * 5
    for n in range(40):
        for j in range(5):
            if mask[n, j] and normalizer[n] > 0:
                labels[j] += 1
                hits[j] += math.dist(predicted[n, j], target[n, j]) <= 0.5 * normalizer[n]
    result = pck(predicted, target, normalizer, 0.5, mask)
    assert result.labels.tolist() == labels
    np.testing.assert_allclose(result.per_joint, np.array(hits) / labels)
    np.testing.assert_allclose(result.weighted_mean, sum(hits) / sum(labels))
    assert result.left_out == 6


def test_some_joints_only():
    result = pck([[[0, 0], [50, 0], [0, 0]]], [[[0, 0]] * 3], [10])
    assert result.mean == pytest.approx(2 / 3)
    assert result.of([1, 2]).mean == 0.5


def test_curve_and_area_by_hand():
    predicted, target = [[[1, 0]], [[3, 0]]], [[[0, 0]], [[0, 0]]]
    thresholds = [0.0, 0.1, 0.2, 0.3]
    means = [result.mean for result in pck_curve(predicted, target, [10, 10], thresholds)]
    assert means == [0.0, 0.5, 0.5, 1.0]
    # Trapezia of width 0.1: 0.025 + 0.05 + 0.075 = 0.15, over a width of 0.3.
    assert area(thresholds, means) == pytest.approx(0.5)


def test_area_needs_increasing_thresholds():
    with pytest.raises(ValueError, match="increasing"):
        area([0.2, 0.1], [0, 1])


def test_visible_and_occluded_apart():
    predicted, target = [[[0, 0], [50, 0], [0, 0]]], [[[0, 0]] * 3]
    split = by_visibility(predicted, target, [10], [[2, 1, 0]])
    assert split["visible"].weighted_mean == 1
    assert split["occluded"].weighted_mean == 0
    assert split["all"].weighted_mean == 0.5
    assert split["all"].labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    "predicted, normalizer, mask",
    [
        (torch.zeros(2, 3, 2), [1.0], None),
        (torch.zeros(2, 4, 2), [1.0, 1.0], None),
        (torch.zeros(2, 3, 2), [1.0, 1.0], torch.ones(2, 4, dtype=torch.bool)),
    ],
)
def test_shapes_that_do_not_fit(predicted, normalizer, mask):
    with pytest.raises(ValueError, match=r"normalizer \(N,\) and mask \(N, J\), found"):
        pck(predicted, torch.zeros(2, 3, 2), normalizer, 0.5, mask)


def test_a_mask_over_nothing():
    with pytest.raises(ValueError, match="no finite target"):
        pck([[[0, 0]]], [[[NAN, 0]]], [1.0], 0.5, [[True]])


def test_negative_threshold():
    with pytest.raises(ValueError, match="threshold must be >= 0"):
        pck([[[0, 0]]], [[[0, 0]]], [1.0], -0.1)
