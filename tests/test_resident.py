"""Crops from the device against the loader's, and against numbers worked out by hand."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from conftest import EXACT_WARP

from minipose import MPII, Crop, InputError
from minipose.augmentation import Draw
from minipose.data import Puppets
from minipose.data.sample import PoseDataset, Sample
from minipose.pipeline import batches
from minipose.scaling.gpu_crops import GPUCropCache, stored_crop

SIZE = 64
LEFT_WRIST, RIGHT_WRIST = MPII.index("left_wrist"), MPII.index("right_wrist")


class Photos(PoseDataset):
    """Given photos, evaluation crops, and as many others as each sample's number."""

    skeleton, has_occlusion = MPII, True

    def __init__(self, photos, crops):
        self.photos, self.crops, self.reads = photos, crops, []

    def __len__(self):
        return len(self.crops)

    def __getitem__(self, number):
        random = np.random.default_rng((5, number))
        photo, crop = self.photos[number % len(self.photos)], self.crops[number]
        people = random.uniform(0, len(photo), (1 + number, 16, 3))
        people[..., 2] = random.integers(0, 3, people.shape[:2])
        people[people[..., 2] == 0, :2] = np.nan

        def read():
            self.reads.append(number)
            return photo

        path = f"{number % len(self.photos)}.jpg"
        visibility = people[0, :, 2].astype(int)
        return Sample(people[0, :, :2], visibility, crop, {}, people[1:], str(number), read, path=path)


def noise(blur: float, side: int = 300, seed: int = 0) -> np.ndarray:
    """A photo of noise with a spread of 50 grey levels, blurred by so many px."""
    plain = np.random.default_rng(seed).standard_normal((side, side, 3)).astype(np.float32)
    field = cv2.GaussianBlur(plain, (0, 0), blur)
    return np.clip((field - field.mean()) / field.std() * 50 + 128, 0, 255).astype(np.uint8)


def pairs(dataset, augment, epoch=3):
    numbers = list(range(len(dataset)))[::-1]
    resident = GPUCropCache(dataset, SIZE, "cpu", progress=False)
    ours = resident.batches(numbers, 4, augment, seed=1, epoch=epoch)
    return list(zip(batches(dataset, numbers, SIZE, 4, augment, 1, epoch), ours, strict=True))


def differences(dataset, augment) -> np.ndarray:
    return np.concatenate(
        [(a.images.int() - b.images.int()).abs().numpy().ravel() for a, b in pairs(dataset, augment)]
    )


@pytest.mark.parametrize("augment", ["none", "paper", "code"])
def test_labels_matrices_and_numbers_equal_the_loaders(augment):
    crops = [Crop((90.3 + 9 * n, 140.8), 40.0 + 15 * n, 3.0 * n, n == 2) for n in range(6)]
    for loaded, resident in pairs(Photos([noise(2)], crops), augment):
        for name in ("keypoints", "visibility", "others", "matrices"):
            expected, found = getattr(loaded, name), getattr(resident, name)
            assert found.dtype == expected.dtype
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
        assert loaded.indices == resident.indices
        assert resident.images.shape == loaded.images.shape
        assert resident.images.dtype == torch.uint8
        assert resident.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("augment", ["none", "paper", "code"])
def test_people_up_to_s_pixels_equal_the_loaders_whatever_the_picture(augment):
    """Sharp noise, positions between pixels, crops that reach beyond the photo: rounding alone differs."""
    photo = np.random.default_rng(2).integers(0, 256, (150, 170, 3), np.uint8)
    crops = [Crop((20.4 + 19 * n, 75.9), 64.0 - 4 * n) for n in range(8)]
    found = differences(Photos([photo], crops), augment)
    # In sharp noise of 256 levels, 1/64 px across and as much down may be 8 levels, on each side.
    assert found.max() <= (2 if EXACT_WARP else 18)
    assert found.mean() <= (0.01 if EXACT_WARP else 2)


def test_evaluation_crops_up_to_2s_pixels_are_the_middle_of_the_stored():
    photo = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    crops = [Crop((130.4, 140.7), side) for side in (64.001, 77.7, 100.0, 128.0)]
    assert differences(Photos([photo], crops), "none").max() <= 1


@pytest.mark.parametrize("augment", ["none", "paper", "code"])
@pytest.mark.parametrize("low, high, blur", [(66, 126, 9), (130, 240, 20)])
def test_larger_people_in_smooth_pictures_stay_within_2_levels(augment, low, high, blur):
    """Up to and beyond the reduction of 2x from which on both sides average areas."""
    photos = [noise(blur, 600, seed) for seed in range(3)]
    crops = [Crop((290.4 + n, 300.7 - n), side) for n, side in enumerate(np.linspace(low, high, 12))]
    found = differences(Photos(photos, crops), augment)
    assert np.quantile(found, 0.999) <= 2
    assert found.max() <= 4
    assert found.mean() <= 0.4


def test_puppets():
    """Puppets of 1 to 1.4 S px: sharp edges, the same up to rounding when evaluated, softer when varied."""
    dataset = Puppets(24, seed=3, size=SIZE)
    assert differences(dataset, "none").max() <= (1 if EXACT_WARP else 9)
    varied = differences(dataset, "code")
    assert varied.mean() <= 2
    assert np.quantile(varied, 0.99) <= 25
    # Puppets whose crops are at most S px wide, at the same sharp edges.
    assert differences(Puppets(24, seed=3, size=40), "code").max() <= (2 if EXACT_WARP else 18)


def test_the_largest_draws_find_no_black_inside_the_stored_crop(monkeypatch):
    """sqrt(2) x the side, at every angle, white everywhere: what is black was not stored."""
    white = np.full((500, 500, 3), 255, np.uint8)
    crops = [Crop((250.49, 250.0), side) for side in (30.0, 64.0, 80.0, 150.0)]
    resident = GPUCropCache(Photos([white], crops), SIZE, "cpu", progress=False)
    for angle in range(0, 60, 5):
        draw = Draw(scale=2**0.5, angle=float(angle))
        monkeypatch.setattr("minipose.augmentation.draw", lambda *_, draw=draw: draw)
        assert resident.batch([0, 1, 2, 3]).images.min() == 255
    draw = Draw(scale=1.6, angle=45.0)
    monkeypatch.setattr("minipose.augmentation.draw", lambda *_: draw)
    assert resident.batch([2]).images[0, :, 0, 0].max() == 0  # and the test would see it


def test_stored_crops_by_hand():
    # 100 px seen at 64: the same centre, twice the side.
    assert stored_crop(Crop((10.3, 20.0), 100.0), 64) == Crop((10.3, 20.0), 200.0)
    # 50 px seen at 64: 128 px as they are, from px 10 - 63 = -53 to px 74, and from -43 to 84.
    small = stored_crop(Crop((10.3, 20.0), 50.0), 64)
    assert small == Crop((10.5, 20.5), 128.0)
    assert small.forward([[10.0, 20.0]], 128).tolist() == [[63.0, 63.0]]


def test_a_marker_is_found_where_the_keypoints_say():
    """A disc on the left wrist, through turning and mirroring: its centre of mass is the right wrist."""
    photo = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(photo, (110, 90), 4, (255, 255, 255), -1)
    dataset = Photos([photo], [Crop((100.3, 100.9), side) for side in (50.0, 60.0, 90.0)])
    resident = GPUCropCache(dataset, SIZE, "cpu", progress=False)
    for people in resident.people:
        people[0, LEFT_WRIST] = torch.tensor([110.0, 90.0, 2.0])
        people[0, RIGHT_WRIST] = torch.tensor([10.0, 20.0, 1.0])
    mirrored = 0
    for epoch in range(6):
        batch = resident.batch([0, 1, 2], "code", seed=4, epoch=epoch)
        for n in range(3):
            flipped = bool(torch.linalg.det(batch.matrices[n]) < 0)
            wrist = RIGHT_WRIST if flipped else LEFT_WRIST
            weight = batch.images[n].double().mean(0)
            found = [
                (weight * axis).sum() / weight.sum() for axis in torch.from_numpy(np.indices((SIZE, SIZE)))
            ]
            np.testing.assert_allclose(batch.keypoints[n, wrist], found[::-1], atol=0.1)
            assert batch.visibility[n, wrist] == 2
            mirrored += flipped
    assert 0 < mirrored < 18


def test_colour_gains_by_hand(monkeypatch):
    photo = np.full((200, 200, 3), (100, 200, 51), np.uint8)
    resident = GPUCropCache(Photos([photo], [Crop((100.0, 100.0), 60.0)]), SIZE, "cpu", progress=False)
    monkeypatch.setattr("minipose.augmentation.draw", lambda *_: Draw(gains=(1.2, 1.4, 0.5)))
    # 120; 280, cut off; 25.5, to the even neighbour as in the loader.
    assert resident.batch([0]).images[0, :, 30, 30].tolist() == [120, 255, 26]


def test_a_photo_of_several_people_is_read_once():
    dataset = Photos([noise(2), noise(3)], [Crop((50.0 + n, 60.0), 40.0) for n in range(6)])
    GPUCropCache(dataset, SIZE, "cpu", progress=False)
    assert dataset.reads == [0, 1]  # of the photos 0.jpg and 1.jpg


def test_memory_is_12_bytes_a_pixel(puppets):
    assert GPUCropCache(puppets, SIZE, "cpu", progress=False).pixels.nbytes == len(puppets) * 12 * SIZE**2
    assert 12 * 256**2 == 786_432


def test_batches_do_not_depend_on_their_size(puppets):
    resident = GPUCropCache(puppets, SIZE, "cpu", progress=False)
    together, single = (list(resident.batches([5, 2, 9, 0, 7], b, "code", 3, 1)) for b in (5, 1))
    assert [b.indices for b in single] == [[5], [2], [9], [0], [7]]
    assert torch.equal(together[0].images, torch.cat([b.images for b in single]))
    assert [b.indices for b in resident.batches([5, 2, 9, 0, 7], 2)] == [[5, 2], [9, 0], [7]]
    assert list(resident.batches([], 2)) == []
    assert len(resident) == 12


def test_training_may_stop_in_the_middle_of_an_epoch(puppets):
    loader = GPUCropCache(puppets, SIZE, "cpu", progress=False).batches(list(range(12)), 1)
    next(loader)
    loader.close()
    assert list(loader) == []


def test_a_broken_photo_is_reported_in_one_line(puppets):
    class Broken(Photos):
        def __getitem__(self, number):
            def read():
                raise InputError("photo.jpg", "photo", "a readable file")

            return dataclasses.replace(super().__getitem__(number), read=read)

    with pytest.raises(InputError, match="photo.jpg: photo: expected a readable file"):
        GPUCropCache(Broken([noise(2)], [Crop((50.0, 50.0), 40.0)]), SIZE, "cpu", progress=False)


def test_unknown_recipe_numbers_and_device(puppets):
    resident = GPUCropCache(puppets, SIZE, "cpu", progress=False)
    with pytest.raises(ValueError, match="none, paper, code"):
        list(resident.batches([0], 1, "strong"))
    with pytest.raises(IndexError):
        list(resident.batches([12], 1))
    with pytest.raises(InputError, match="device: abacus"):
        GPUCropCache(puppets, SIZE, "abacus")


def test_a_device_without_room(puppets, monkeypatch):
    def zeros(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch, "zeros", zeros)
    with pytest.raises(InputError, match="cpu: expected 0.0 GB for 12 people of 64 px"):
        GPUCropCache(puppets, SIZE, torch.device("cpu"), progress=False)
