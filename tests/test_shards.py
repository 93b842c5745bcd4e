"""Packed datasets: what goes in comes out, by this reader and by plain tar and JSON."""

import hashlib
import json
import pickle
import tarfile

import cv2
import numpy as np
import pytest
import torch

from minipose import MPII, Crop, InputError, skeletons
from minipose.data import Puppets
from minipose.data.sample import PoseDataset, Sample
from minipose.data.shards import Packed, pack
from minipose.pipeline import batches
from minipose.scaling.gpu_crops import GPUCropCache

SIZE = 64


@pytest.fixture
def folder(tmp_path, puppets):
    pack(puppets, tmp_path / "packed", SIZE, shard_bytes=40_000, progress=False)
    return tmp_path / "packed"


def index_of(folder) -> dict:
    return json.loads((folder / "index.json").read_text())


def edit(folder, change) -> None:
    index = index_of(folder)
    change(index)
    (folder / "index.json").write_text(json.dumps(index))


class One(PoseDataset):
    """One grey photo with one person, three joints of whom are labelled."""

    skeleton, has_occlusion, normalizer, threshold, crop_rule = MPII, False, "box", 0.1, "by hand"

    def __init__(self, side: float):
        self.side = side

    def __len__(self):
        return 1

    def __getitem__(self, number):
        keypoints, visibility = np.full((16, 2), np.nan), np.zeros(16, int)
        keypoints[:3], visibility[:3] = [(100, 80), (110, 80), (100, 60)], (1, 2, 2)
        others = np.concatenate([keypoints + 5, visibility[:, None]], axis=1)[None]
        sizes = {"head": 10.0, "torso": float("nan"), "box": 40.0}
        photo = np.full((200, 220, 3), (90, 120, 200), np.uint8)
        crop = Crop((100.25, 80.0), self.side)
        return Sample(keypoints, visibility, crop, sizes, others, "somebody", lambda: photo, area=500.0)


@pytest.mark.parametrize(
    "side, zoom, at",
    [
        # 128 px twice as wide are 256 photo px on 128: centre (100.25, 80) goes to 63.5, a photo px is 0.5.
        (128.0, 0.5, (63.375, 63.5)),
        # 40 px < 64: 128 px of the photo around (100.5, 80.5), as they are.
        (40.0, 1.0, (63.0, 63.0)),
    ],
)
def test_labels_by_hand(tmp_path, side, zoom, at):
    pack(One(side), tmp_path, SIZE, progress=False)
    packed = Packed(tmp_path)
    sample = packed[0]
    assert sample.image.shape == (128, 128, 3)
    assert np.abs(sample.image[64, 64].astype(int) - (90, 120, 200)).max() <= 2  # RGB, through JPEG
    x, y = at
    expected = [(x, y), (x + 10 * zoom, y), (x, y - 20 * zoom)]
    np.testing.assert_allclose(sample.keypoints[:3], expected, atol=1e-9)
    assert np.isnan(sample.keypoints[3:]).all()
    assert sample.visibility.tolist() == [1, 2, 2] + 13 * [0]
    assert sample.visibility.dtype == np.int64
    np.testing.assert_allclose(sample.others[0, :3, :2], np.array(expected) + 5 * zoom, atol=1e-9)
    assert sample.others[0, :, 2].tolist() == sample.visibility.tolist()
    np.testing.assert_allclose(sample.crop.center, (x + 0.25 * zoom, y), atol=1e-9)
    assert sample.crop.side == pytest.approx(side * zoom)
    assert sample.sizes["head"] == pytest.approx(10 * zoom)
    assert np.isnan(sample.sizes["torso"])
    assert sample.area == pytest.approx(500 * zoom**2)
    assert sample.id == "somebody"
    assert (packed.skeleton, packed.has_occlusion, packed.normalizer) == (MPII, False, "box")
    assert (packed.threshold, packed.crop_rule, packed.size) == (0.1, "by hand", 64)


def test_crops_of_a_packed_dataset_are_the_datasets(folder, puppets):
    """The evaluation crops, joints and pixels, with no more than JPEG between them."""
    numbers = list(range(12))
    before, after = (
        next(batches(puppets, numbers, SIZE, 12)),
        next(batches(Packed(folder), numbers, SIZE, 12)),
    )
    for name in ("keypoints", "visibility", "others"):
        torch.testing.assert_close(
            getattr(after, name), getattr(before, name), rtol=0, atol=1e-4, equal_nan=True
        )
    difference = (before.images.int() - after.images.int()).abs().float()
    assert difference.mean() < 3
    moved = (before.images.int()[..., 1:] - after.images.int()[..., :-1]).abs().float()
    assert moved.mean() > 2 * difference.mean()  # a shift by one pixel is far worse


def test_resident_crops_of_a_packed_dataset_are_stored_as_they_are(folder):
    packed = Packed(folder)
    resident = GPUCropCache(packed, SIZE, "cpu", progress=False)
    for number in range(len(packed)):
        difference = resident.pixels[number].numpy()[2:-2, 2:-2] != packed[number].image[2:-2, 2:-2]
        assert difference.mean() < 0.001


def test_random_access_in_any_order_and_from_other_processes(folder, puppets):
    packed = Packed(folder)
    assert len(packed) == 12
    assert [packed[n].id for n in (7, 0, 11, 7)] == [puppets[n].id for n in (7, 0, 11, 7)]
    assert len({packed[n].path for n in range(12)}) == 12
    copy = pickle.loads(pickle.dumps(packed))
    assert np.array_equal(copy[5].image, packed[5].image)
    for number in (12, -13):
        with pytest.raises(IndexError):
            packed[number]


def test_shards_are_plain_archives_within_the_limit(folder):
    """Read with tarfile, json and OpenCV alone, as somebody without this package would."""
    index = index_of(folder)
    assert len(index["shards"]) > 2
    assert sum(shard["count"] for shard in index["shards"]) == index["count"] == 12
    packed, names = Packed(folder), []
    for number, shard in enumerate(index["shards"]):
        path = folder / shard["file"]
        assert path.stat().st_size == shard["bytes"] <= 40_000
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"]
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            assert len(members) == 2 * shard["count"]
            for member in members[::2]:
                person = int(member.name.removesuffix(".jpg"))
                jpeg = archive.extractfile(member).read()
                assert index["people"][person][:3] == [number, member.offset_data, len(jpeg)]
                picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
                assert np.array_equal(picture[..., ::-1], packed[person].image)
                labels = json.load(archive.extractfile(f"{person:07d}.json"))
                assert labels["id"] == packed[person].id
                names.append(member.name)
    assert sorted(names) == [f"{n:07d}.jpg" for n in range(12)]
    assert sorted(p.name for p in folder.iterdir()) == ["index.json", *(s["file"] for s in index["shards"])]
    packed.verify()


def test_packing_twice_gives_the_same_bytes(folder, tmp_path, puppets):
    pack(puppets, tmp_path / "again", SIZE, shard_bytes=40_000, progress=False)
    assert index_of(tmp_path / "again") == index_of(folder)


def test_no_packing_over_a_packed_dataset(folder, puppets):
    with pytest.raises(InputError, match="index.json: folder: expected an empty folder"):
        pack(puppets, folder, SIZE, progress=False)
    Packed(folder).verify()


def test_a_broken_off_packing_is_no_dataset(tmp_path):
    class Broken(Puppets):
        def __getitem__(self, number):
            if number == 11:
                raise InputError("photo.jpg", "photo", "a readable file")
            return super().__getitem__(number)

    with pytest.raises(InputError, match="photo.jpg"):
        pack(Broken(12, seed=3, size=64), tmp_path, SIZE, 40_000, progress=False)
    with pytest.raises(InputError, match="index.json: index: expected a readable file, found No such file"):
        Packed(tmp_path)
    pack(Puppets(12, seed=3, size=64), tmp_path, SIZE, 40_000, progress=False)
    Packed(tmp_path).verify()


def test_a_shard_smaller_than_a_person(tmp_path, puppets):
    with pytest.raises(ValueError, match="shard_bytes must hold a person's .* bytes, found 2000"):
        pack(puppets, tmp_path, SIZE, shard_bytes=2000, progress=False)


def test_a_missing_a_truncated_and_a_damaged_shard(folder):
    shard = folder / "shard-0001.tar"
    whole = shard.read_bytes()
    shard.unlink()
    with pytest.raises(InputError, match="shard-0001.tar: shard: expected a whole shard .* no such file"):
        Packed(folder)
    shard.write_bytes(whole[:-1])
    with pytest.raises(
        InputError, match=f"shard-0001.tar: shard: .* of {len(whole)} bytes, found {len(whole) - 1}"
    ):
        Packed(folder)
    shard.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    packed = Packed(folder)
    first = next(n for n, place in enumerate(packed.people) if place[0] == 1)
    with pytest.raises(
        InputError, match=f"shard-0001.tar: person {first}: expected the bytes that were packed"
    ):
        packed[first]
    with pytest.raises(InputError, match="shard-0001.tar: sha256: expected [0-9a-f]{64}, found another"):
        packed.verify()


def test_a_shard_that_vanishes_later(folder):
    packed = Packed(folder)
    (folder / "shard-0000.tar").unlink()
    number = next(n for n, place in enumerate(packed.people) if place[0] == 0)
    with pytest.raises(InputError, match="shard-0000.tar: person .*: expected a readable shard"):
        packed[number]


@pytest.mark.parametrize("name", ["format", "skeleton", "size", "has_occlusion", "normalizer", "threshold",
                                  "crop_rule", "count", "shards", "people"])  # fmt: skip
def test_an_index_without_a_field(folder, name):
    edit(folder, lambda index: index.pop(name))
    with pytest.raises(InputError, match=f"index.json: {name}: expected a field of this name") as caught:
        Packed(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda i: i.update(format=2), "format: expected 1; pack the data again with this minipose, found 2"),
        (lambda i: i.update(skeleton="octopus"), "skeleton: expected mpii or .*, found octopus"),
        (lambda i: i.update(normalizer="shoe"), "normalizer: expected head or .*, found shoe"),
        (lambda i: i.update(count=13), "count: expected 12, found 13"),
        (lambda i: i.update(count=True), "count: expected a field of this name, int"),
        (lambda i: i["shards"][0].pop("sha256"), "shards\\[0\\].sha256: expected a field"),
        (lambda i: i["shards"].insert(0, 7), "shards\\[0\\].file: expected a field"),
        (lambda i: i["people"].__setitem__(3, "here"), "people\\[3\\]: expected five whole numbers"),
        (lambda i: i["people"][3].__setitem__(1, -1), "people\\[3\\]: expected five whole numbers"),
        (lambda i: i["people"][3].__setitem__(0, 99), "people\\[3\\]: expected a place inside a shard"),
        (lambda i: i["people"][3].__setitem__(3, 10**12), "people\\[3\\]: expected a place inside a shard"),
    ],
)
def test_an_index_with_a_wrong_field(folder, change, message):
    edit(folder, change)
    with pytest.raises(InputError, match="index.json: " + message):
        Packed(folder)


def test_an_index_that_leads_out_of_the_folder(folder):
    (folder.parent / "elsewhere.tar").write_bytes((folder / "shard-0000.tar").read_bytes())
    edit(folder, lambda index: index["shards"][0].update(file="../elsewhere.tar"))
    with pytest.raises(InputError, match="index.json: ../elsewhere.tar: expected a file inside"):
        Packed(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_an_index_that_is_none(folder, text):
    (folder / "index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="index.json: (index: expected JSON|format: expected a field)"):
        Packed(folder)


def test_every_skeleton_can_be_packed(tmp_path):
    for name in ("lsp", "coco"):
        pack(Puppets(2, 1, 32, name), tmp_path / name, 32, progress=False)
        packed = Packed(tmp_path / name)
        assert packed.skeleton is skeletons.SKELETONS[name]
        assert packed[1].keypoints.shape == (len(packed.skeleton), 2)


def test_an_empty_dataset(tmp_path):
    pack(Puppets(0), tmp_path, SIZE, progress=False)
    assert len(Packed(tmp_path)) == 0
