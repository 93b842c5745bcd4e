"""Crops against hand-worked numbers, their inverse, and PyTorch's grid_sample."""

import cv2
import numpy as np
import pytest
import torch
from conftest import EXACT_WARP
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import affine_grid, grid_sample

from minipose import Crop, InputError


def test_plain_crop_by_hand():
    # A 128 px square resized to 64: one crop px is 2 photo px; the centre goes to 31.5.
    points = Crop((100.0, 80.0), 128.0).forward([[100, 80], [102, 80], [36, 16]], 64)
    assert points.tolist() == [[31.5, 31.5], [32.5, 31.5], [-0.5, -0.5]]


def test_angle_is_clockwise_on_screen():
    # Turned by 90 degrees clockwise, what was right of the centre is below it.
    points = Crop((0.0, 0.0), 11.0, angle=90.0).forward([[3.0, 0.0], [0.0, 3.0]], 11)
    np.testing.assert_allclose(points, [[5.0, 8.0], [2.0, 5.0]], atol=1e-12)


def test_mirror_comes_last():
    crop = Crop((0.0, 0.0), 11.0, angle=90.0, mirror=True)
    np.testing.assert_allclose(crop.forward([[0.0, 3.0]], 11), [[8.0, 5.0]], atol=1e-12)


def test_mirror_of_the_picture_is_the_flipped_picture():
    photo = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    plain, mirrored = (Crop((33.3, 41.7), 50.0, 20.0, m).image(photo, 64) for m in (False, True))
    # In noise of 256 levels, 1/64 px across and as much down may be 8 levels, on each side.
    assert np.abs(plain[:, ::-1].astype(int) - mirrored).max() <= (1 if EXACT_WARP else 17)


def test_batched_fields_equal_single_ones():
    centers, sides = torch.tensor([[10.0, 20.0], [30.0, 5.0]]), torch.tensor([40.0, 64.0])
    angles, mirrors = torch.tensor([0.0, 25.0]), torch.tensor([True, False])
    together = Crop(centers, sides, angles, mirrors).matrix(128)
    assert together.shape == (2, 3, 3)
    for i in range(2):
        alone = Crop(centers[i], sides[i], angles[i], mirrors[i]).matrix(128)
        assert torch.equal(together[i], alone)


finite = st.floats(-1000, 1000)


@settings(max_examples=200, deadline=None)
@given(finite, finite, st.floats(1, 3000), st.floats(-180, 180), st.booleans(), finite, finite)
def test_inverse_undoes_forward(cx, cy, side, angle, mirror, x, y):
    crop = Crop((cx, cy), side, angle, mirror)
    back = crop.inverse(crop.forward([[x, y]], 256), 256)
    np.testing.assert_allclose(back, [[x, y]], atol=1e-6)


def reference(photo, crop, size):
    """The same crop by grid_sample: an independent bilinear warp, in float64."""
    height, width = photo.shape[:2]
    to_photo = torch.linalg.inv(crop.matrix(size))

    def normalised(w, h):  # px -> grid_sample's [-1, 1], whose corners are the outer pixel edges
        return torch.tensor([[2 / w, 0, 1 / w - 1], [0, 2 / h, 1 / h - 1], [0, 0, 1]], dtype=torch.float64)

    theta = normalised(width, height) @ to_photo @ torch.linalg.inv(normalised(size, size))
    grid = affine_grid(theta[None, :2], (1, 3, size, size), align_corners=False)
    pixels = torch.from_numpy(photo).permute(2, 0, 1)[None].double()
    return grid_sample(pixels, grid, align_corners=False, padding_mode="zeros")[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("side, angle, mirror", [(64, 0, False), (100, 33, False), (37.5, -20, True)])
def test_opencv_equals_grid_sample(side, angle, mirror):
    photo = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (120, 150, 3), np.uint8), (0, 0), 2)
    crop = Crop((140.2, 60.9), side, angle, mirror)  # reaches beyond the photo's right edge
    difference = crop.image(photo, 64).astype(float) - reference(photo, crop, 64)
    black_around = np.pad(photo.astype(float), ((1, 1), (1, 1), (0, 0)))
    steepest = max(np.abs(np.diff(black_around, axis=axis)).max() for axis in (0, 1))
    # At most 1/64 px from where it should be, across and down.
    assert np.abs(difference).max() <= 1.01 + (0 if EXACT_WARP else 2 * steepest / 64)
    assert abs(difference.mean()) < 0.05


def test_sub_pixel_positions_of_opencv_and_grid_sample_agree():
    """A ramp turns position into brightness: 1/32 px, OpenCV 4's grid, is the most they differ."""
    ramp = np.repeat(np.tile(np.arange(250, dtype=np.uint8), (250, 1))[..., None], 3, axis=2)
    crop = Crop((120.0, 120.0), 20.0, angle=17.0)
    difference = crop.image(ramp, 256).astype(float) - reference(ramp, crop, 256)
    assert np.abs(difference).max() <= 0.5 + 1 / 32 + 1e-6


@pytest.mark.parametrize("side", [130.0, 300.0, 517.0])
def test_reduction_is_averaged_and_stays_in_place(side):
    """A fine checkerboard becomes even grey, and a disc's centre of mass stays where the matrix says."""
    board = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)
    board = np.repeat(board[..., None], 3, axis=2)
    inside = Crop((299.5, 299.5), side).image(board, 64)[4:-4, 4:-4]
    assert np.abs(inside.astype(float) - 127.5).max() <= 2
    scene = np.zeros((600, 600, 3), np.uint8)
    cv2.circle(scene, (310, 280), 40, (255, 255, 255), -1)
    crop = Crop((299.5, 299.5), side, angle=10.0)
    weight = crop.image(scene, 64)[..., 0].astype(float)
    found = [(weight * axis).sum() / weight.sum() for axis in np.indices((64, 64))[::-1]]
    np.testing.assert_allclose(found, crop.forward([[310, 280]], 64)[0], atol=0.05)


def test_a_crop_beside_the_photo_is_black():
    photo = np.full((50, 50, 3), 200, np.uint8)
    assert Crop((500.0, 500.0), 40.0).image(photo, 32).max() == 0
    assert Crop((5000.0, -500.0), 400.0).image(photo, 32).max() == 0


def test_an_absurdly_large_crop_takes_no_more_memory_than_the_photo():
    photo = np.full((50, 60, 3), 200, np.uint8)
    image = Crop((30.0, 25.0), 1e9).image(photo, 32)
    assert image.shape == (32, 32, 3)


def test_a_panorama_wider_than_opencv_4_warps():
    photo = np.zeros((20, 33_000, 3), np.uint8)
    photo[:, 32_900:] = 200
    image = Crop((32_899.5, 9.5), 16.0, angle=180.0).image(photo, 16)
    assert image[:, :8].min() == 200 and image[:, 8:].max() == 0  # turned: what was right is left


def test_evaluation_crops_by_hand():
    box = Crop.around_box((10, 20, 41, 81))  # pixels 10..50 and 20..100
    assert (box.center, box.side) == ((30.0, 60.0), 101.25)
    joints = Crop.around_joints([[10, 20], [50, 100], [30, 30]])
    assert (joints.center, joints.side) == ((30.0, 60.0), 120.0)
    mpii = Crop.at_scale((100, 200), 2.0)
    assert (mpii.center, mpii.side) == ((100.0, 230.0), 500.0)
    whole = Crop.whole(np.zeros((40, 60, 3), np.uint8))
    assert (whole.center, whole.side) == ((29.5, 19.5), 60.0)


@pytest.mark.parametrize("box", [(0, 0, 0, 10), (0, 0, 10, -1), (0, 0, float("nan"), 5)])
def test_a_box_without_area(box):
    with pytest.raises(InputError, match="box: expected .* width and height > 0"):
        Crop.around_box(box)


def test_what_is_no_box_and_what_are_no_joints():
    with pytest.raises(InputError, match="box: expected x, y, width and height"):
        Crop.around_box((1, 2, 3))
    for joints in ([], [[1.0, float("nan")]], [1.0, 2.0]):
        with pytest.raises(InputError, match="joints: expected one or more x, y, all finite"):
            Crop.around_joints(joints)


def test_a_scale_of_zero():
    with pytest.raises(InputError, match="scale > 0"):
        Crop.at_scale((1, 2), 0.0)
