"""MPII and COCO: facts of the real files, tiny files in the publishers' layouts, and broken ones."""

import gzip
import json

import cv2
import numpy as np
import pytest
from conftest import real_data
from scipy.io import savemat

import minipose
from minipose import InputError
from minipose.data import COCO, MPII

OUTSIDE = [[0.0, 0.0, 0.0]] * 16


def record(**changes):
    joints = [[10.0 + j, 20.0 + 2 * j, 1.0] for j in range(16)]
    joints[3] = [50.0, 60.0, 0.0]
    joints[0] = [-1.0, 0.0, 0.0]
    return {
        "img_paths": "a.jpg", "objpos": [31.0, 41.0], "scale_provided": 0.5, "joint_self": joints,
        "joint_others": {"_ArrayData_": None}, "isValidation": 0.0,
    } | changes  # fmt: skip


def mpii(tmp_path, *records, **how):
    (tmp_path / "list.json").write_text(json.dumps(list(records)))
    return MPII(tmp_path / "list.json", **how)


def test_mpii_list_by_hand(tmp_path):
    sample = mpii(tmp_path, record())[0]
    assert sample.keypoints[1].tolist() == [10.0, 21.0]  # counted from 0
    assert (sample.visibility[[0, 1, 3]] == [0, 2, 1]).all()
    assert np.isnan(sample.keypoints[0]).all()
    # Centre (30, 40) from 0, lowered by 15 x 0.5; side 250 x 0.5.
    assert (sample.crop.center, sample.crop.side) == ((30.0, 47.5), 125.0)
    assert sample.others.shape == (0, 16, 3)
    assert sample.sizes["head"] == pytest.approx(5**0.5)  # joints 8 and 9 lie (1, 2) apart


def test_mpii_others_bare_and_several(tmp_path):
    someone = [[5.0, 6.0, 1.0]] * 16
    dataset = mpii(tmp_path, record(joint_others=someone), record(joint_others=[someone, OUTSIDE]))
    assert dataset[0].others.shape == (1, 16, 3)
    assert dataset[0].others[0, 0].tolist() == [4.0, 5.0, 2.0]
    assert dataset[1].others.shape == (2, 16, 3)
    assert (dataset[1].others[1, :, 2] == 0).all()


def test_mpii_splits(tmp_path):
    records = [record(isValidation=v) for v in (0.0, 1.0, 0.0)]
    lengths = {split: len(mpii(tmp_path, *records, split=split)) for split in ("all", "train", "validation")}
    assert lengths == {"all": 3, "train": 2, "validation": 1}


def test_real_mpii():
    """22,246 / 2,958 people; section 5.2: 16.1 % of knees and 28.4 % of ankles without a label."""
    path = real_data("mpii") / "mpii_annotations.json.gz"
    assert len(MPII(path, split="train")) == 22_246
    validation = MPII(path, split="validation")
    assert len(validation) == 2_958
    visibility = np.array([person["joints"][:, 2] for person in validation.people])

    def joints(name):
        return visibility[:, [j for j, joint in enumerate(MPII.skeleton.joints) if joint.endswith(name)]]

    assert (joints("knee") == 0).mean() == pytest.approx(0.161, abs=0.0005)
    assert (joints("ankle") == 0).mean() == pytest.approx(0.284, abs=0.0005)
    arms = np.concatenate([joints("elbow"), joints("wrist")])
    assert (arms == 2).sum() / (arms > 0).sum() == pytest.approx(0.768, abs=0.0005)


def test_real_mpii_photos():
    sample = MPII(real_data("mpii") / "sample/annotations.json", real_data("mpii") / "sample/images")[0]
    height, width = sample.image.shape[:2]
    labelled = sample.keypoints[sample.visibility > 0]
    assert ((labelled >= 0) & (labelled < (width, height))).all()


def structures(rows):
    """A MATLAB structure array from dicts with the same keys."""
    array = np.empty(len(rows), dtype=[(name, object) for name in rows[0]])
    for n, row in enumerate(rows):
        array[n] = tuple(row.values())
    return array


def rect(joints, scale=2.0, box=(1.0, 2.0, 4.0, 6.0)):
    points = structures([{"x": x, "y": y, "id": j, "is_visible": v} for j, x, y, v in joints])
    return {
        "x1": box[0], "y1": box[1], "x2": box[2], "y2": box[3],
        "annopoints": {"point": points}, "scale": scale, "objpos": {"x": 101.0, "y": 51.0},
    }  # fmt: skip


def write_release(path, people, public=(1,)):
    photos = [{"image": {"name": f"{n}.jpg"}, "annorect": structures(p)} for n, p in enumerate(people)]
    savemat(path, {"RELEASE": {"annolist": structures(photos), "img_train": np.array(public)}})


def test_mpii_release_by_hand(tmp_path):
    """The head box of 3 x 4 px: 0.6 x its diagonal is 3. is_visible comes as number, text and nothing."""
    joints = [(0, 11.0, 21.0, 1), (9, 31.0, 41.0, "0"), (8, 51.0, 61.0, np.array([]))]
    lacking = rect([(5, 7.0, 8.0, 1)], scale=np.array([]))
    write_release(tmp_path / "r.mat", [[rect(joints), lacking], [rect(joints)]], public=(1, 0))
    dataset = MPII(tmp_path / "r.mat")
    assert len(dataset) == 1  # one lacks its scale, one photo belongs to the test set
    sample = dataset[0]
    assert sample.visibility[[0, 8, 9, 1]].tolist() == [2, 2, 1, 0]
    assert sample.keypoints[9].tolist() == [30.0, 40.0]
    assert sample.sizes["head"] == pytest.approx(3.0)
    assert (sample.crop.center, sample.crop.side) == ((100.0, 80.0), 500.0)
    assert sample.others.shape == (1, 16, 3)
    assert sample.others[0, 5].tolist() == [6.0, 7.0, 2.0]


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(objpos=[1.0]), "record 0, objpos: expected two numbers within a photo"),
        (dict(objpos=[1.0, 1e9]), "record 0, objpos: expected two numbers"),
        (dict(scale_provided=0), "record 0, scale_provided: expected a number > 0, found 0"),
        (dict(img_paths=3), "record 0, img_paths: expected a file name"),
        (dict(joint_self=[[1, 2, 3]]), "record 0, joint_self: expected 16 rows"),
        (dict(joint_self=[["a", 2, 3]] * 16), "record 0, joint_self: expected 16 rows"),
        (dict(joint_self=[[float("nan"), 2, 1]] * 16), "record 0, joint_self: expected 16 rows"),
        (dict(joint_others=[[1, 2], [3, 4]]), "record 0, joint_others: expected people of 16 rows"),
    ],
)
def test_broken_mpii_records(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as error:
        mpii(tmp_path, record(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["img_paths", "objpos", "scale_provided", "joint_self", "isValidation"])
def test_mpii_records_without_a_field(tmp_path, name):
    lacking = record()
    del lacking[name]
    with pytest.raises(InputError, match=f"list.json: record 1, {name}: expected a field of this name"):
        mpii(tmp_path, record(), lacking)


def test_broken_mpii_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        MPII(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('[{"img_paths"')
    with pytest.raises(InputError, match="cut.json: annotations: expected a JSON list"):
        MPII(tmp_path / "cut.json")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"[" * 5000)[:20])
    with pytest.raises(InputError, match="expected a whole compressed file, found its beginning alone"):
        MPII(tmp_path / "cut.json.gz")
    (tmp_path / "map.json").write_text("{}")
    with pytest.raises(InputError, match="expected a list of records, found dict"):
        MPII(tmp_path / "map.json")
    (tmp_path / "cut.mat").write_bytes(b"MATLAB")
    with pytest.raises(InputError, match="expected a whole MATLAB file"):
        MPII(tmp_path / "cut.mat")
    savemat(tmp_path / "other.mat", {"joints": np.zeros(3)})
    with pytest.raises(InputError, match="RELEASE: expected MPII's structure"):
        MPII(tmp_path / "other.mat")
    write_release(tmp_path / "r.mat", [[rect([(16, 1.0, 1.0, 1)])]])
    with pytest.raises(InputError, match=r"annolist\(1\), annopoints: expected points with an id of 0 to 15"):
        MPII(tmp_path / "r.mat")
    with pytest.raises(InputError, match="the JSON list alone knows the split"):
        MPII(tmp_path / "r.mat", split="train")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_photo_names_cannot_leave_the_folder(tmp_path, name):
    (tmp_path / "images").mkdir()
    dataset = mpii(tmp_path, record(img_paths=name), images=tmp_path / "images")
    with pytest.raises(InputError, match="expected a file inside"):
        _ = dataset[0].image


def annotation(**changes):
    keypoints = [v for j in range(17) for v in (10 + j, 20 + j, 2)]
    keypoints[:3] = [0, 0, 0]
    keypoints[3:6] = [30, 31, 1]
    return {
        "id": 7,
        "image_id": 1,
        "bbox": [10.0, 20.0, 41.0, 81.0],
        "keypoints": keypoints,
        "area": 900.5,
    } | changes


def coco(tmp_path, *annotations, images=None, **how):
    content = {"images": images or [{"id": 1, "file_name": "a.png"}], "annotations": list(annotations)}
    (tmp_path / "people.json").write_text(json.dumps(content))
    return COCO(tmp_path / "people.json", tmp_path, **how)


def test_coco_by_hand(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((150, 120, 3), np.uint8))
    dataset = coco(tmp_path, annotation(), annotation(id=8, bbox=[0, 0, 5, 6]), annotation(id=9, iscrowd=1))
    assert len(dataset) == 2  # a crowd is nobody's sample
    sample = dataset[0]
    assert np.isnan(sample.keypoints[0]).all()
    assert (sample.keypoints[1].tolist(), sample.visibility[:3].tolist()) == ([30.0, 31.0], [0, 1, 2])
    assert (sample.crop.center, sample.crop.side) == ((30.0, 60.0), 1.25 * 81)
    assert (sample.sizes["box"], sample.area, sample.id) == (81.0, 900.5, "7")
    assert sample.others.shape == (1, 17, 3)
    assert sample.image.shape == (150, 120, 3)


def test_coco_filters(tmp_path):
    few = annotation(id=8)["keypoints"][:9] + [0] * 42
    none = annotation(id=9, keypoints=[0] * 51)
    people = annotation(), annotation(id=8, keypoints=few), none
    assert [
        dataset.people[-1]["id"] for dataset in (coco(tmp_path, *people), coco(tmp_path, *people, count=1))
    ] == [8, 7]
    assert len(coco(tmp_path, *people, min_keypoints=5)) == 1
    assert [p["id"] for p in coco(tmp_path, *people, ids=[8, 7]).people] == [8, 7]
    with pytest.raises(InputError, match="ids: expected ids of labelled people in this file, found 9"):
        coco(tmp_path, *people, ids=[9])


def test_coco_statistics_are_of_everybody(tmp_path):
    few = annotation(id=8)["keypoints"][:9] + [0] * 42
    people = (
        annotation(), annotation(id=8, keypoints=few), annotation(id=9, image_id=2, keypoints=[0] * 51),
        annotation(id=10, image_id=2, iscrowd=1),
    )  # fmt: skip
    photos = [{"id": n, "file_name": f"{n}.png"} for n in (1, 2, 3)]
    dataset = coco(tmp_path, *people, images=photos, min_keypoints=5)
    assert len(dataset) == 1
    found = dataset.statistics()
    # One person with 16 joints, one with 2, one with none; photos with two, one and no people.
    assert found["joints"] == [1, 0, 1, *[0] * 13, 1, 0]
    assert found["people"] == [1, 1, 1]


def test_own_photos_with_another_skeleton(tmp_path):
    joints = list(minipose.LSP.joints)
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 3, "name": "person", "keypoints": joints}],
        "annotations": [annotation(keypoints=[5, 6, 2] * 14)],
    }
    (tmp_path / "own.json").write_text(json.dumps(content))
    dataset = COCO(tmp_path / "own.json", tmp_path)
    assert (dataset.skeleton, dataset.category) == (minipose.LSP, 3)
    assert dataset[0].keypoints.shape == (14, 2)
    content["categories"][0]["keypoints"] = ["tail"]
    (tmp_path / "own.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="keypoints: expected the joints of mpii, lsp, flic, coco, found"):
        COCO(tmp_path / "own.json", tmp_path)


def test_annotations_of_other_categories_are_no_people(tmp_path):
    joints = list(minipose.COCO.joints)
    dog = {"id": 20, "image_id": 1, "category_id": 18, "bbox": [1, 2, 3, 4]}  # and no joints at all
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "athlete", "keypoints": joints}],
        "annotations": [annotation(category_id=1), dog, annotation(id=9, category_id=18)],
    }

    def ids(**arguments):
        (tmp_path / "own.json").write_text(json.dumps(content))
        return [person["id"] for person in COCO(tmp_path / "own.json", tmp_path, **arguments).people]

    assert ids() == [7]
    content["categories"] = []
    content["annotations"].remove(dog)
    assert ids() == ids(ids=(n for n in (7, 9))) == [7, 9]
    with pytest.raises(InputError, match="count: expected a number of people >= 0, found -1"):
        ids(count=-1)


def test_real_coco():
    root = real_data("coco_mini")
    dataset = COCO(root / "person_keypoints.json", root / "images")
    assert len(dataset) == 255
    assert len(COCO(root / "person_keypoints.json", root / "images", min_keypoints=8)) == 172
    counted = dataset.statistics()
    assert (
        sum(counted["joints"]) == 255 and sum(counted["joints"][8:]) == 172 and sum(counted["people"]) == 101
    )
    assert sum(n * photos for n, photos in enumerate(counted["people"])) == 255
    for number in range(0, 255, 25):
        sample = dataset[number]
        height, width = sample.image.shape[:2]
        labelled = sample.keypoints[sample.visibility > 0]
        assert ((labelled >= 0) & (labelled < (width, height))).all()
        assert sample.crop.forward(labelled, 256).min() > 0  # 1.25 x the box holds everybody


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(bbox=[1, 2, 0, 4]), r"annotations\[0\] \(id 7\).bbox: expected x, y, width > 0, height > 0"),
        (dict(bbox=[1, 2, 3]), r"annotations\[0\] \(id 7\).bbox"),
        (dict(bbox=[1, 2, 1e30, 4]), r"annotations\[0\] \(id 7\).bbox"),
        (dict(keypoints=[1, 2, 2]), r"annotations\[0\] \(id 7\).keypoints: expected 51 finite numbers"),
        (dict(keypoints=[None] * 51), r"annotations\[0\] \(id 7\).keypoints: expected 51 finite numbers"),
        (
            dict(keypoints=[1, 2, 3] * 17),
            r"id 7\).keypoints: expected a visibility of 0, 1 or 2",
        ),
        (
            dict(image_id=5),
            r"id 7\).image_id: expected the id of one of its images, found 5",
        ),
    ],
)
def test_broken_coco_annotations(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        coco(tmp_path, annotation(**changes))


def test_broken_coco_files(tmp_path):
    with pytest.raises(InputError, match="images: expected a folder of photos"):
        COCO(tmp_path / "people.json", tmp_path / "nowhere")
    with pytest.raises(InputError, match="people.json: annotations: expected a readable file"):
        COCO(tmp_path / "people.json", tmp_path)
    (tmp_path / "people.json").write_text("{")
    with pytest.raises(InputError, match="people.json: annotations: expected JSON"):
        COCO(tmp_path / "people.json", tmp_path)
    (tmp_path / "people.json").write_text('{"images": []}')
    with pytest.raises(InputError, match="people.json: annotations: expected a list of this name"):
        COCO(tmp_path / "people.json", tmp_path)
    with pytest.raises(InputError, match=r"images, id 1: expected a field file_name, a text"):
        coco(tmp_path, annotation(), images=[{"id": 1}])
    lacking = annotation()
    del lacking["bbox"]
    with pytest.raises(InputError, match=r"annotations\[1\] \(id 7\).bbox: expected a field of this name"):
        coco(tmp_path, annotation(), lacking)
