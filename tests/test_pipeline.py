"""Photos, draws and batches."""

import zlib

import cv2
import numpy as np
import pytest
import torch

from minipose import MPII, Crop, InputError
from minipose.augmentation import RECIPES, Draw, draw
from minipose.data import Puppets
from minipose.io.images import read_photo
from minipose.pipeline import batches, collate, load_example, shuffled_indices


def test_photo_is_rgb(tmp_path):
    red = np.zeros((20, 30, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "red.png"), red)
    photo = read_photo(tmp_path / "red.png")
    assert photo.shape == (20, 30, 3)
    assert photo[0, 0].tolist() == [255, 0, 0]


def test_grey_and_transparent_photos_become_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((5, 6), 77, np.uint8))
    assert read_photo(tmp_path / "grey.png")[0, 0].tolist() == [77, 77, 77]
    cv2.imwrite(str(tmp_path / "rgba.png"), np.full((5, 6, 4), 200, np.uint8))
    assert read_photo(tmp_path / "rgba.png").shape == (5, 6, 3)


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.98])
def test_truncated_photo(tmp_path, kind, share):
    path = tmp_path / f"photo.{kind}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=rf"photo.{kind}: photo: expected a"):
        read_photo(path)


def test_bytes_behind_a_whole_jpeg_do_not_matter(tmp_path):
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), np.full((8, 8, 3), 99, np.uint8))
    path.write_bytes(path.read_bytes() + b"a camera's own notes")
    assert read_photo(path).shape == (8, 8, 3)


@pytest.mark.parametrize("end", [b"", b"IEND\xaeB`\x82"])
def test_a_picture_that_claims_to_be_enormous(tmp_path, end):
    """60,000 x 60,000 pixels in a file of a few bytes, with and without an end."""
    size = (60_000).to_bytes(4, "big")
    header = b"IHDR" + size + size + b"\x08\x02\x00\x00\x00"
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    (tmp_path / "big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + end)
    with pytest.raises(InputError, match="big.png: photo: expected a"):
        read_photo(tmp_path / "big.png")


def test_no_photo(tmp_path):
    with pytest.raises(InputError, match="none.jpg: photo: expected a readable file, found No such file"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="expected a readable file, found Is a directory"):
        read_photo(tmp_path)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(InputError, match="expected a picture"):
        read_photo(tmp_path / "text.jpg")


def test_the_papers_recipe():
    draws = [draw("paper", 0, 0, n) for n in range(4000)]
    scale, angle = np.array([d.scale for d in draws]), np.array([d.angle for d in draws])
    assert scale.min() >= 0.75
    assert scale.max() <= 1.25
    assert np.abs(angle).max() <= 30
    # Uniform: standard deviation = width / sqrt(12).
    assert scale.std() == pytest.approx(0.5 / 12**0.5, rel=0.03)
    assert angle.std() == pytest.approx(60 / 12**0.5, rel=0.03)
    assert not any(d.mirror or d.gains != (1, 1, 1) for d in draws)


def test_the_codes_recipe():
    draws = [draw("code", 0, 0, n) for n in range(4000)]
    exponent = np.log2([d.scale for d in draws])
    angle = np.array([d.angle for d in draws])
    gains = np.array([d.gains for d in draws])
    assert np.abs(exponent).max() == pytest.approx(0.5)
    assert (np.abs(exponent) > 0.4999).mean() == pytest.approx(0.0455, abs=0.012)  # beyond 2 sigma
    assert (angle != 0).mean() == pytest.approx(0.4, abs=0.025)
    assert np.abs(angle).max() == 60
    assert angle[np.abs(angle) < 60].mean() == pytest.approx(0, abs=1.5)
    assert np.mean([d.mirror for d in draws]) == pytest.approx(0.5, abs=0.025)
    assert gains.min() >= 0.6
    assert gains.max() <= 1.4
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.05  # each channel its own


def test_draws_are_the_frozen_ones():
    """To the last bit, so that a run can be repeated by a later version: among them both ends cut off."""
    frozen = {
        5: (0.7536869197568541, -38.00235439476893, True, 1.2403706288637402, 0.6122090477427854),
        26: (1.4142135623730951, 0.0, False, 1.0581887079984684, 1.2598979348059887),
        51: (0.7071067811865476, 60.0, False, 0.8583216091575496, 0.644905294872925),
    }
    for number, expected in frozen.items():
        found = draw("code", 3, 1, number)
        assert (found.scale, found.angle, found.mirror, *found.gains[:2]) == expected


def test_draws_belong_to_the_sample():
    assert draw("code", 1, 2, 3) == draw("code", 1, 2, 3)
    others = [draw("code", 1, 2, 4), draw("code", 1, 3, 3), draw("code", 2, 2, 3)]
    assert len({d.gains for d in [draw("code", 1, 2, 3), *others]}) == 4
    assert draw("none", 1, 2, 3) == Draw()


def test_unknown_recipe():
    with pytest.raises(ValueError, match=", ".join(RECIPES)):
        draw("strong", 0, 0, 0)


def test_the_crop_varies_around_its_centre():
    crop = Draw(scale=1.2, angle=10.0, mirror=True).crop(Crop((5.0, 6.0), 100.0, 1.0, True))
    assert (crop.center, crop.side, crop.angle, crop.mirror) == ((5.0, 6.0), 120.0, 11.0, False)


def test_colours_by_hand():
    image = np.array([[[100, 200, 51]]], np.uint8)
    assert Draw(gains=(1.2, 1.4, 0.5)).colours(image).tolist() == [[[120, 255, 26]]]


def test_labels_follow_the_pixels_through_a_mirror():
    """A marker painted on the left wrist is found where the example says a right wrist is."""
    dataset = Puppets(40, seed=11, size=128)
    number = next(n for n in range(40) if dataset[n].visibility[MPII.index("left_wrist")] == 2)
    sample = dataset[number]
    x, y = sample.keypoints[MPII.index("left_wrist")]
    sample.image[:] = 0
    cv2.circle(sample.image, (round(16 * x), round(16 * y)), 16 * 3, (255, 255, 255), -1, cv2.LINE_AA, 4)

    class Painted:
        skeleton = MPII

        def __getitem__(self, _):
            return sample

    image, people, *_ = load_example(Painted(), 0, 128, Draw(scale=0.9, angle=25.0, mirror=True))
    weight = image[..., 0].astype(float)
    found = [(weight * axis).sum() / weight.sum() for axis in np.indices((128, 128))[::-1]]
    np.testing.assert_allclose(people[0, MPII.index("right_wrist")], found, atol=0.15)


def test_batch_does_not_depend_on_its_size(puppets):
    together = next(batches(puppets, list(range(6)), 64, 6, "code", seed=5, epoch=2))
    single = list(batches(puppets, list(range(6)), 64, 1, "code", seed=5, epoch=2))
    assert torch.equal(together.images, torch.cat([b.images for b in single]))
    torch.testing.assert_close(
        together.keypoints, torch.cat([b.keypoints for b in single]), equal_nan=True, atol=0, rtol=0
    )
    assert together.indices == [b.indices[0] for b in single]


def test_batch_does_not_depend_on_the_processes(puppets):
    alone, shared = (list(batches(puppets, [4, 1, 7, 0], 64, 2, "code", workers=w)) for w in (0, 2))
    for a, b in zip(alone, shared, strict=True):
        assert torch.equal(a.images, b.images)
        assert a.indices == b.indices
        assert torch.equal(a.matrices, b.matrices)


def test_others_are_padded_with_unlabelled_people():
    dataset = Puppets(60, seed=2, size=64)
    with_others = next(n for n in range(60) if len(dataset[n].others))
    without = next(n for n in range(60) if not len(dataset[n].others))
    batch = collate([load_example(dataset, n, 64, Draw()) for n in (with_others, without)])
    assert batch.others.shape == (2, len(dataset[with_others].others), 16, 3)
    sample = dataset[with_others]
    np.testing.assert_allclose(
        batch.others[0, 0, :, :2], sample.crop.forward(sample.others[0, :, :2], 64), rtol=1e-5, atol=1e-4
    )
    assert batch.others[0, 0, :, 2].tolist() == sample.others[0, :, 2].tolist()
    assert (batch.others[1, :, :, 2] == 0).all()


def test_order_is_a_permutation_of_its_own():
    first, again, next_epoch = (shuffled_indices(50, 0, epoch) for epoch in (0, 0, 1))
    assert sorted(first) == list(range(50))
    assert first == again != next_epoch


def test_images_are_channels_last_without_a_copy(puppets):
    images = next(batches(puppets, [0, 1], 64, 2)).images
    assert images.shape == (2, 3, 64, 64)
    assert images.is_contiguous(memory_format=torch.channels_last)
