"""Targets and decoding against hand-worked numbers, SciPy and the round trip."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from minipose import MPII, decode_heatmaps, encode_heatmaps
from minipose.heatmaps import mirror, to_crop, to_map


def one_map(x, y, size=(64, 64), sigma=1.0):
    return encode_heatmaps([[[x, y]]], [[2]], size, sigma)[0, 0]


def test_coordinates_by_hand():
    # Stride 4: crop pixels 0..3 are cell 0, so its centre is at crop 1.5 and cell 1's at 5.5.
    assert to_map(torch.tensor([1.5, 5.5, 0.0]), 4).tolist() == [0.0, 1.0, -0.375]
    assert to_crop(torch.tensor([0.0, 1.0, 63.0]), 4).tolist() == [1.5, 5.5, 253.5]


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.75, 4.0])
def test_target_is_the_gaussian_of_scipy(sigma):
    heatmap = one_map(10.3, 20.8, (40, 30), sigma).numpy()
    x, y = norm.pdf(np.arange(30), 10.3, sigma), norm.pdf(np.arange(40), 20.8, sigma)
    reference = np.outer(y, x) * (2 * np.pi * sigma**2)  # height 1
    np.testing.assert_allclose(heatmap, reference, atol=2e-6)


def test_target_is_not_cut_off():
    # Four cells away at sigma 1: exp(-8), which a 7 x 7 window would have set to zero.
    assert one_map(10.0, 10.0)[10, 14].item() == pytest.approx(np.exp(-8), rel=1e-5)


def test_unlabelled_is_zero_and_occluded_is_drawn():
    keypoints = [[[3.0, 3.0], [3.0, 3.0], [float("nan"), float("nan")]]]
    maps = encode_heatmaps(keypoints, [[1, 2, 0]], (8, 8))
    assert torch.equal(maps[0, 0], maps[0, 1])
    assert maps[0, 0, 3, 3] == 1
    assert torch.equal(maps[0, 2], torch.zeros(8, 8))


def test_a_joint_outside_reaches_in():
    # One cell left of the map: its Gaussian's flank is exp(-1/2) in column 0, for an exact decode.
    assert one_map(-1.0, 5.0)[5, 0].item() == pytest.approx(np.exp(-0.5))


@pytest.mark.parametrize("arguments", [dict(sigma=0.0), dict(sigma=float("nan"))])
def test_bad_sigma(arguments):
    with pytest.raises(ValueError, match="sigma must be > 0"):
        encode_heatmaps([[[1.0, 1.0]]], [[2]], **arguments)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(1, 2, 2\) and \(1, 1\)"):
        encode_heatmaps([[[1.0, 1.0], [2.0, 2.0]]], [[2]])


def test_quarter_by_hand():
    heatmap = torch.zeros(5, 7)
    heatmap[2, 3], heatmap[2, 4], heatmap[1, 3] = 1.0, 0.5, 0.2
    points, scores = decode_heatmaps(heatmap[None])
    assert points.tolist() == [[3.25, 1.75]]
    assert scores.tolist() == [1.0]


def test_quarter_stays_where_no_side_is_larger():
    symmetric = one_map(10.0, 10.0)
    assert decode_heatmaps(symmetric[None])[0].tolist() == [[10.0, 10.0]]
    narrow = torch.tensor([[[0.1, 1.0], [0.9, 0.2], [0.3, 0.3]]])  # two columns: nothing tells a side
    for refine in ("quarter", "parabola"):
        assert decode_heatmaps(narrow, refine)[0][0, 0] == 1.0


@pytest.mark.parametrize("x, expected", [(-0.3, -0.25), (0.2, 0.25), (62.9, 62.75), (63.4, 63.25)])
def test_quarter_at_the_border_finds_the_side_of_the_unseen_neighbour(x, expected):
    assert decode_heatmaps(one_map(x, 10.0)[None])[0][0, 0] == expected


def test_parabola_by_hand():
    # log values -1, 0, -3 around cell 3: vertex at (-1 - -3) / (2 (-1 + -3)) = -0.25 cells.
    heatmap = torch.full((1, 3, 7), 1e-9)
    heatmap[0, 1, 2:5] = torch.exp(torch.tensor([-1.0, 0.0, -3.0]))
    heatmap[0, 0, 3] = heatmap[0, 2, 3] = np.exp(-2)
    points, _ = decode_heatmaps(heatmap, "parabola")
    assert points[0].tolist() == pytest.approx([2.75, 1.0], abs=1e-6)


@pytest.mark.parametrize("refine", ["argmax", "quarter", "parabola"])
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_flat_maps_have_a_defined_answer(refine, value):
    points, scores = decode_heatmaps(torch.full((2, 3, 8, 8), value), refine)
    assert torch.equal(points, torch.zeros(2, 3, 2))
    assert torch.equal(scores, torch.full((2, 3), value))


@pytest.mark.parametrize("refine", ["argmax", "quarter", "parabola"])
def test_negative_map_gives_its_highest_cell(refine):
    heatmap = torch.full((1, 8, 8), -2.0)
    heatmap[0, 5, 6] = -1.0
    points, scores = decode_heatmaps(heatmap, refine)
    assert points.tolist() == [[6.0, 5.0]]
    assert scores.tolist() == [-1.0]


def test_parabola_is_finite_on_noise():
    noise = torch.randn(50, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    cells, _ = decode_heatmaps(noise, "argmax")
    points, _ = decode_heatmaps(noise, "parabola")
    assert points.isfinite().all()
    assert (points - cells).abs().max() <= 0.5


def test_unknown_refinement():
    with pytest.raises(ValueError, match="argmax, quarter, parabola, found 'dark'"):
        decode_heatmaps(torch.zeros(1, 4, 4), "dark")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_decode_alike(dtype):
    heatmap = one_map(10.3, 20.8)[None].to(dtype)
    assert decode_heatmaps(heatmap, "quarter")[0].tolist() == [[10.25, 20.75]]


def spread(count, low=(-0.5, -0.5), high=(255.5, 255.5)):
    """Points that fill a rectangle of the crop evenly (Sobol), so that a mean is a mean."""
    low, high = torch.tensor(low), torch.tensor(high)
    return low + (high - low) * torch.quasirandom.SobolEngine(2, scramble=True, seed=1).draw(count)


def round_trip(points, refine, sigma=1.0):
    """Crop px -> heatmap of stride 4 -> crop px, for many points of a 256 px crop."""
    maps = encode_heatmaps(to_map(points, 4)[:, None], torch.ones(len(points), 1), (64, 64), sigma)
    return to_crop(decode_heatmaps(maps, refine)[0][:, 0], 4)


@pytest.mark.parametrize(
    "refine, mean_error", [("argmax", (1.50, 1.56)), ("quarter", (0.74, 0.80)), ("parabola", (0.0, 0.05))]
)
def test_round_trip_error_and_bias(refine, mean_error):
    points = spread(4096)
    error = round_trip(points, refine) - points
    assert error.mean(0).abs().max() < 0.02
    low, high = mean_error
    assert low <= error.norm(dim=1).mean() <= high


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.75, 3.0])
@settings(max_examples=60, deadline=None)
@given(x=st.floats(-0.49, 255.49), y=st.floats(-0.49, 255.49))
def test_parabola_inverts_every_position(x, y, sigma):
    """Also within half a cell of every border."""
    point = torch.tensor([[x, y]])
    assert (round_trip(point, "parabola", sigma) - point).norm() <= 0.05


@pytest.mark.parametrize(
    "low, high",
    [
        ((-0.5, 30), (11.5, 200)),
        ((243.5, 30), (255.5, 200)),
        ((30, -0.5), (200, 11.5)),
        ((30, 243.5), (200, 255.5)),
    ],
    ids=["left", "right", "top", "bottom"],
)
def test_no_border_bias(low, high):
    """Within three cells of a border, where a cut-off window moves the authors' peaks."""
    points = spread(4096, low, high)
    for refine, error in (("quarter", 0.8), ("parabola", 0.05)):
        difference = round_trip(points, refine) - points
        assert difference.mean(0).abs().max() < 0.02
        assert difference.norm(dim=1).mean() <= error


def test_mirrored_targets_are_mirrored_maps():
    """With (x + 0.5)/4 - 0.5 the mirror image agrees; round(x/4) would be off by 0.75 cells."""
    points = 255 * torch.rand(1, 16, 2, generator=torch.Generator().manual_seed(4))
    flipped = points.clone()
    flipped[..., 0] = 255 - points[..., 0]
    visible = torch.ones(1, 16)
    maps = encode_heatmaps(to_map(points, 4), visible)
    mirrored = encode_heatmaps(to_map(MPII.flip(flipped, axis=-2), 4), visible)
    torch.testing.assert_close(mirror(mirrored, MPII), maps, atol=3e-5, rtol=0)
    here, there = (decode_heatmaps(m, "parabola")[0] for m in (maps, mirror(mirrored, MPII)))
    torch.testing.assert_close(here, there, atol=1e-3, rtol=0)


def test_mirror_by_hand():
    heatmaps = torch.zeros(16, 1, 4)
    heatmaps[MPII.index("left_wrist"), 0, 0] = 1.0
    expected = torch.zeros(16, 1, 4)
    expected[MPII.index("right_wrist"), 0, 3] = 1.0
    assert torch.equal(mirror(heatmaps, MPII), expected)
