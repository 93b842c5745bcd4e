"""FLIC, on files of a few people in the publisher's exact layout, by numbers worked out by hand."""

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from minipose import FLIC as SKELETON
from minipose import InputError
from minipose.data.flic import FLIC

# MATLAB's numbers of the labelled columns of `coords`.
COLUMNS = dict(
    lsho=1, lelb=2, lwri=3, rsho=4, relb=5, rwri=6, lhip=7, rhip=10, leye=13, reye=14, nose=17
)  # fmt: skip
FIELDS = (
    "poselet_hit_idx", "moviename", "coords", "filepath", "imgdims", "currframe", "torsobox", "istrain",
    "istest",
)  # fmt: skip
# The first person of the published file, as its users print it: the names are the person's own.
PUBLISHED = dict(
    lsho=(436.6, 195.2), lelb=(446.5, 286.8), lwri=(456.5, 322.7), rsho=(265.3, 203.1), relb=(277.2, 328.6),
    rwri=(380.8, 336.6), lhip=(434.6, 370.5), rhip=(325.0, 386.4), leye=(400.7, 129.4), reye=(374.8, 125.4),
    nose=(384.8, 145.4),
)  # fmt: skip


def observed(person: dict) -> dict:
    """The same labels named by an observer: left is a side of the picture."""
    names = {"l": "r", "r": "l", "n": "n"}
    return {names[name[0]] + name[1:]: point for name, point in person.items()}


def example(points: dict, photo: str = "film-00000011.jpg", train: int = 1, **changes) -> dict:
    """One structure, as the published file holds it."""
    coords = np.full((2, 29), np.nan)
    for name, point in points.items():
        coords[:, COLUMNS[name] - 1] = point
    fields = dict(
        poselet_hit_idx=np.array([[3.0, 7.0]]), moviename="film", coords=coords, filepath=photo,
        imgdims=np.array([[480, 720, 3]], np.uint16), currframe=11.0,
        torsobox=np.array([[281.0, 161.0, 441.0, 401.0]]), istrain=bool(train), istest=not train,
    )  # fmt: skip
    return fields | changes


def write(root, *people: dict, photos: bool = True):
    """A folder with examples.mat, a 1 x N structure array, and its photos."""
    examples = np.empty((1, len(people)), [(name, object) for name in FIELDS])
    for number, person in enumerate(people):
        examples[0, number] = tuple(person[name] for name in FIELDS)
    (root / "images").mkdir(parents=True, exist_ok=True)
    savemat(root / "examples.mat", {"examples": examples})
    for person in people if photos else ():
        picture = np.random.default_rng(0).integers(0, 256, (480, 720, 3), np.uint8)
        cv2.imwrite(str(root / "images" / person["filepath"]), picture)
    return root


def test_first_published_person(tmp_path):
    dataset = FLIC(write(tmp_path, example(PUBLISHED)))
    assert len(dataset) == 1
    sample = dataset[0]
    names = ["lsho", "lelb", "lwri", "rsho", "relb", "rwri", "lhip", "rhip", "leye", "reye", "nose"]
    np.testing.assert_allclose(sample.keypoints, [np.subtract(PUBLISHED[name], 1) for name in names])
    assert sample.visibility.tolist() == [2] * 11
    # The torso box's middle is (281 + 441) / 2 = 361, from 0: 360; the middle row of 480 is 239.5.
    assert sample.crop.center == (360.0, 239.5)
    assert sample.crop.side == 480.0
    # Right shoulder (265.3, 203.1) to left hip (434.6, 370.5).
    assert sample.sizes["torso"] == pytest.approx(np.hypot(169.3, 167.4))
    assert sample.sizes["box"] == pytest.approx(386.4 - 125.4)
    assert np.isnan(sample.sizes["head"])
    assert (sample.id, sample.image.shape) == ("film-00000011-1", (480, 720, 3))
    assert sample.path == str(tmp_path / "images" / "film-00000011.jpg")
    assert (dataset.skeleton, dataset.has_occlusion) == (SKELETON, False)
    assert (dataset.normalizer, dataset.threshold) == ("torso", 0.2)


def test_an_observers_names_become_the_persons(tmp_path):
    own = FLIC(write(tmp_path / "own", example(PUBLISHED)))[0]
    turned = FLIC(write(tmp_path / "observer", example(observed(PUBLISHED))))[0]
    np.testing.assert_array_equal(turned.keypoints, own.keypoints)
    # Facing the camera, one's left shoulder lies on the right of the picture.
    assert turned.keypoints[SKELETON.index("left_shoulder"), 0] == pytest.approx(435.6)
    assert turned.keypoints[SKELETON.index("right_shoulder"), 0] == pytest.approx(264.3)
    assert turned.sizes["torso"] == own.sizes["torso"]


def test_the_file_decides_not_the_person(tmp_path):
    """Somebody who crosses the arms or turns away must not be swapped against the other people."""
    away = dict(lsho=(200, 100), rsho=(300, 100), lwri=(190, 220))
    dataset = FLIC(write(tmp_path, example(PUBLISHED), example(away), example(PUBLISHED)))
    assert dataset[1].keypoints[[0, 3], 0].tolist() == [199, 299]
    observer = FLIC(write(tmp_path, *(example(observed(p)) for p in (PUBLISHED, away, PUBLISHED))))
    np.testing.assert_array_equal(observer[1].keypoints, dataset[1].keypoints)
    assert observer[1].visibility.tolist() == dataset[1].visibility.tolist()


def test_unlabelled_joints(tmp_path):
    points = {name: point for name, point in PUBLISHED.items() if name not in ("lhip", "reye")}
    sample = FLIC(write(tmp_path, example(points)))[0]
    missing = [SKELETON.index("left_hip"), SKELETON.index("right_eye")]
    assert np.flatnonzero(sample.visibility == 0).tolist() == missing
    assert np.isnan(sample.keypoints[missing]).all()
    assert np.isfinite(np.delete(sample.keypoints, missing, axis=0)).all()
    assert np.isnan(sample.sizes["torso"])


def test_splits_and_others(tmp_path):
    shifted = {name: (x + 50, y) for name, (x, y) in PUBLISHED.items()}
    people = [
        example(PUBLISHED, "a.jpg", 1),
        example(PUBLISHED, "b.jpg", 0),
        example(shifted, "a.jpg", 0),
        example(PUBLISHED, "c.jpg", 1),
    ]
    write(tmp_path, *people)
    ids = {split: [sample.id for sample in FLIC(tmp_path, split)] for split in ("all", "train", "test")}
    assert ids == {"all": ["a-1", "b-2", "a-3", "c-4"], "train": ["a-1", "c-4"], "test": ["b-2", "a-3"]}
    first = FLIC(tmp_path, "train")[0]
    np.testing.assert_allclose(first.others[0, :, :2], first.keypoints + (50, 0))
    assert first.others.shape == (1, 11, 3)
    assert FLIC(tmp_path, "test")[0].others.shape == (0, 11, 3)
    with pytest.raises(InputError, match="FLIC: split: expected one of all, train, test, found 'valid'"):
        FLIC(tmp_path, "valid")
    with pytest.raises(IndexError):
        FLIC(tmp_path, "test")[2]


def test_the_crop_is_the_whole_height(tmp_path):
    sample = FLIC(write(tmp_path, example(PUBLISHED)))[0]
    corners = sample.crop.inverse([[-0.5, -0.5], [255.5, 255.5]], 256)
    np.testing.assert_allclose(corners, [[120, -0.5], [600, 479.5]])


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(coords=np.zeros((2, 14))), "examples(1).coords: expected 2 x 29 numbers, found shape (2, 14)"),
        (dict(coords=np.zeros((29, 2))), "examples(1).coords: expected 2 x 29 numbers, found shape (29, 2)"),
        (dict(coords="no"), "examples(1).coords: expected 2 x 29 numbers"),
        (dict(filepath=7.0), "examples(1).filepath: expected a file name"),
        (dict(torsobox=np.zeros((0, 0))), "examples(1).torsobox: expected x1, y1, x2, y2"),
        (dict(torsobox=np.full((1, 4), np.nan)), "torsobox: expected x1, y1, x2, y2 within a photo"),
        (dict(imgdims=np.zeros((1, 3))), "examples(1).imgdims: expected height and width >= 1"),
        (dict(imgdims=np.array([[]])), "examples(1).imgdims: expected height and width, found"),
        (dict(istrain="x"), "examples(1).istrain: expected 0 or 1"),
    ],
)
def test_broken_structures(tmp_path, changes, message):
    write(tmp_path, example(PUBLISHED) | changes, photos=False)
    with pytest.raises(InputError) as error:
        FLIC(tmp_path)
    assert message in str(error.value)
    assert "examples.mat" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("point", [(np.nan, 5.0), (1e30, 5.0), (5.0, np.inf)])
def test_broken_coordinates(tmp_path, point):
    write(tmp_path, example(PUBLISHED | {"lelb": point}))
    with pytest.raises(
        InputError, match=r"examples\(1\).coords, left_elbow: expected x and y within a photo"
    ):
        FLIC(tmp_path)


def test_damaged_and_missing_files(tmp_path):
    with pytest.raises(InputError, match="nowhere: flic: expected a folder"):
        FLIC(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"examples.mat beside a folder images/, found no such file"):
        FLIC(tmp_path)
    write(tmp_path, example(PUBLISHED), photos=False)
    whole = (tmp_path / "examples.mat").read_bytes()
    (tmp_path / "examples.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="expected a whole MATLAB file"):
        FLIC(tmp_path)
    savemat(tmp_path / "examples.mat", {"people": 1})
    with pytest.raises(InputError, match="examples: expected a structure array with a field coords"):
        FLIC(tmp_path)
    savemat(tmp_path / "examples.mat", {"examples": np.zeros((1, 0))})
    with pytest.raises(InputError, match="examples: expected a structure array with a field coords"):
        FLIC(tmp_path)


def test_photos_stay_in_the_folder_and_have_their_size(tmp_path):
    write(tmp_path, example(PUBLISHED, "../../secret.jpg"), photos=False)
    with pytest.raises(InputError, match=r"../../secret.jpg: expected a file inside"):
        _ = FLIC(tmp_path)[0].image
    write(tmp_path, example(PUBLISHED, imgdims=np.array([[240, 360, 3]])))
    with pytest.raises(InputError, match=r"expected 360 x 240 px, .*, found 720 x 480"):
        _ = FLIC(tmp_path)[0].image
