"""What people's files do: quirks of labelling tools, merged and converted files, phones and Macs.

Each kind is from public reports about other projects. What can be understood is read, what cannot be is
refused in a line that names it, and what is left out is counted.
"""

import json
import pickle
import re
import warnings

import cv2
import numpy as np
import pytest
import torch
from conftest import write_leeds
from PIL import Image, ImageOps
from scipy.io import loadmat, savemat

import minipose
from minipose import InputError, plots
from minipose.cli import main
from minipose.data import COCO, FLIC, LSP, LSPET, MPII, InMemory, Puppets
from minipose.data import oks as scorer
from minipose.data.formats.files import id_key
from minipose.data.oks import average_precision, coco_results
from minipose.io.errors import InputWarning
from minipose.io.images import read_photo
from minipose.optimization import LRSchedule
from minipose_book import cli as book_cli
from minipose_book.labelling.labelling import Labeller, Labels

JOINTS = list(minipose.COCO.joints)
PERSON = {"id": 1, "name": "person", "supercategory": "person", "keypoints": JOINTS, "skeleton": [[16, 14]]}
ANIMAL = [name.replace("wrist", "paw").replace("ankle", "paw_behind") for name in JOINTS]
DOG, CAT = ({"id": n, "name": name, "keypoints": ANIMAL} for n, name in ((2, "dog"), (3, "cat")))
NOBODY = [0] * 51


def keypoints(visibility=2, x=10):
    """17 joints, the first not labelled: (x + j, 20 + j)."""
    return [0, 0, 0] + [value for j in range(1, 17) for value in (x + j, 20 + j, visibility)]


def annotation(**changes):
    return {
        "id": 7, "image_id": 1, "category_id": 1, "bbox": [10.0, 20.0, 40.0, 80.0], "area": 900.5,
        "iscrowd": 0, "num_keypoints": 16, "keypoints": keypoints(), "segmentation": [],
    } | changes  # fmt: skip


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


def photo(folder, name="a.png", width=120, height=150, **how):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path, **how)
    return {"id": 1, "file_name": name, "width": width, "height": height}


def content(*annotations, images=None, categories=(PERSON,), **more):
    images = images or [{"id": 1, "file_name": "a.png", "width": 120, "height": 150}]
    return {
        "images": images, "annotations": list(annotations), "categories": list(categories), **more
    }  # fmt: skip


def read(folder, *annotations, images=None, categories=(PERSON,), **how):
    """The data set of a file, without a word about what is left out."""
    (folder / "labels.json").write_text(
        json.dumps(content(*annotations, images=images, categories=categories))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return COCO(folder / "labels.json", folder, **how)


def refused(folder, *annotations, **how):
    with pytest.raises(InputError) as error:
        read(folder, *annotations, **how)
    assert str(error.value).startswith(str(folder / "labels.json"))
    return str(error.value)


# A record that nobody needs


NEEDLESS = {
    "no joints, and a box of height 0": dict(keypoints=NOBODY, bbox=[9.98, 188.56, 5.54, 0.0], area=0.0),
    "an empty list": dict(keypoints=[]),
    "null": dict(keypoints=None, bbox=None),
    "the wrong number of zeros": dict(keypoints=[0] * 30, bbox=[]),
    "places without a label": dict(keypoints=[5, 6, 0] * 17, bbox="none"),
    "a photo that is not listed": dict(keypoints=NOBODY, image_id=99),
    "no id": dict(keypoints=NOBODY, id=None),
    "another's id": dict(keypoints=NOBODY, id=7),
    "no number for a crowd": dict(keypoints=NOBODY, iscrowd="unknown"),
}


@pytest.mark.parametrize("changes", NEEDLESS.values(), ids=NEEDLESS.keys())
def test_a_record_without_labels_spoils_nothing(tmp_path, changes):
    dataset = read(tmp_path, annotation(), annotation(**{"id": 8} | changes))
    assert [person["id"] for person in dataset.people] == [7]
    assert dataset.left_out == {"without a labelled joint": 1}


def test_a_crowd_is_left_out_whatever_is_in_it(tmp_path):
    dataset = read(tmp_path, annotation(), annotation(id=8, iscrowd=1, keypoints=["?"], bbox=None))
    assert (len(dataset), dataset.left_out) == (1, {"marked as a crowd (iscrowd)": 1})


def test_photos_that_nobody_is_in_are_not_judged(tmp_path):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2}, {"file_name": "b.png"}, None]
    assert len(read(tmp_path, annotation(), images=images)) == 1
    assert "images, id 2: expected a field file_name" in refused(
        tmp_path, annotation(image_id=2), images=images
    )


def test_what_is_left_out_is_said_once(tmp_path):
    file = content(annotation(), annotation(id=8, keypoints=[]), annotation(id=9, category_id=5))
    (tmp_path / "labels.json").write_text(json.dumps(file))
    with pytest.warns(InputWarning) as said:
        dataset = COCO(tmp_path / "labels.json", tmp_path)
    (only,) = said
    assert str(only.message).endswith(
        "labels.json: left out 2 of 3 people: 1 without a labelled joint, "
        "1 of another category (category_id 5)"
    )
    assert only.filename == __file__
    assert dataset.subset([0]).left_out == dataset.left_out


def test_nobody_is_left(tmp_path):
    found = refused(tmp_path, annotation(category_id=2), annotation(id=8, category_id=2))
    assert (
        "expected a person with a labelled joint, found only 2 of another category (category_id 2)" in found
    )


def test_the_command_line_says_it_in_one_line(tmp_path, capsys):
    image = photo(tmp_path)
    file = content(annotation(), annotation(id=8, category_id=5), images=[image])
    (tmp_path / "labels.json").write_text(json.dumps(file))
    where = ["--annotations", str(tmp_path / "labels.json"), "--images", str(tmp_path)]
    call = ["evaluate", "--weights", "hg2-lspet-small", "--data", "coco", "--no-flip", *where]
    assert main([*call, "--json"]) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.err.replace("\r", "\n").splitlines() if line.startswith("minipose")]
    assert len(lines) == 1 and lines[0].endswith(
        "left out 1 of 2 people: 1 of another category (category_id 5)"
    )
    report = json.loads(printed.out)
    assert report["results"][0]["ruler"] == "right shoulder to left hip"
    assert main([*call, "--ids", "7", "--category", "person"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "torso: right shoulder to left hip"
    assert book_cli.main(["student-report", "--weights", "hg2-lspet-small", *where]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(said) == 1 and said[0].startswith("minipose-book: ")


def test_leeds_people_without_labels_are_left_out(tmp_path):
    joints = write_leeds(tmp_path, 3)
    joints[1, :, 2] = 0
    joints[1, 0, :2] = np.nan
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    with pytest.warns(InputWarning, match="left out 1 of 3 people: 1 without a labelled joint"):
        dataset = LSPET(tmp_path)
    assert [sample.id for sample in dataset] == ["im00001", "im00003"]
    assert minipose.data.lsp.check_folder(dataset).startswith(f"{tmp_path}: 2 people, a readable photo each")


def test_mpii_records_that_nobody_needs(tmp_path):
    rows = [[10.0 + j, 20.0 + 2 * j, 1.0] for j in range(16)]
    good = {"img_paths": "a.jpg", "objpos": [31, 41], "scale_provided": 0.5, "joint_self": rows}
    unlabelled = good | {"joint_self": [[0, 0, 0]] * 16, "objpos": None, "isValidation": 0}
    other_split = good | {"isValidation": 1, "scale_provided": -1}
    (tmp_path / "list.json").write_text(json.dumps([unlabelled, good | {"isValidation": "0"}, other_split]))
    with pytest.warns(InputWarning, match="left out 1 of 3 people: 1 without a labelled joint"):
        dataset = MPII(tmp_path / "list.json", split="train")
    assert [sample.id for sample in dataset] == ["a-0"]
    with pytest.raises(InputError, match="record 2, scale_provided"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MPII(tmp_path / "list.json")
    (tmp_path / "list.json").write_text(json.dumps([good | {"isValidation": "no"}]))
    with pytest.raises(InputError, match="record 0, isValidation: expected 0 or 1, found no"):
        MPII(tmp_path / "list.json")


# Whose joints are these?


def test_the_joints_of_animals_are_nobodys(tmp_path):
    for categories in ([DOG], [DOG, CAT], [{"id": 2, "name": "dog"}, {"id": 3, "name": "cat"}]):
        assert "categories" in refused(tmp_path, annotation(category_id=2), categories=categories)
    found = refused(tmp_path, annotation(category_id=2), categories=[DOG, CAT])
    assert "expected one called person, or with a person's joints" in found and "['dog', 'cat']" in found


def test_a_category_is_chosen_by_name_or_joints_wherever_it_is(tmp_path):
    people = annotation(category_id=2), annotation(id=8, category_id=9)
    for name in ("Person", "athlete"):
        person = PERSON | {"id": 9, "name": name}
        for categories in ([DOG, person], [person, DOG]):
            dataset = read(tmp_path, *people, categories=categories)
            assert [each["id"] for each in dataset.people] == [8]
            assert (dataset.category, dataset.skeleton) == (9, minipose.COCO)
    # Two that name the same joints are both people, and keep their categories in the results.
    players = [PERSON | {"id": n, "name": name} for n, name in ((2, "player"), (9, "referee"))]
    dataset = read(tmp_path, *people, categories=players)
    records = coco_results(dataset, np.ones((2, 17, 2)), np.ones((2, 17)))
    assert [record["category_id"] for record in records] == [2, 9]
    assert len(read(tmp_path, *people, categories=players, category="referee")) == 1
    assert len(read(tmp_path, *people, categories=players, category="9")) == 1
    found = refused(tmp_path, *people, categories=players, category="goalkeeper")
    assert "found ['player', 'referee']" in found


def test_several_skeletons_are_asked_for(tmp_path):
    lsp = {"id": 2, "name": "diver", "keypoints": list(minipose.LSP.joints)}
    coco = PERSON | {"name": "runner"}
    people = annotation(), annotation(id=8, category_id=2, keypoints=[30, 40, 2] * 14)
    assert "its name or id as category, found ['runner', 'diver']" in refused(
        tmp_path, *people, categories=[coco, lsp]
    )
    dataset = read(tmp_path, *people, categories=[coco, lsp], category="diver")
    assert (dataset.skeleton, dataset.people[0]["id"]) == (minipose.LSP, 8)


def test_two_categories_of_one_id(tmp_path):
    assert "categories[].id: expected an id of its own for each, found 1" in refused(
        tmp_path, annotation(), categories=[PERSON, DOG | {"id": 1}]
    )
    assert len(read(tmp_path, annotation(), categories=[PERSON, PERSON])) == 1


def test_people_without_named_joints_beside_animals_with_joints(tmp_path):
    person = without(PERSON, "keypoints", "skeleton")
    people = annotation(), annotation(id=8, category_id=2)
    assert [p["id"] for p in read(tmp_path, *people, categories=[DOG, person]).people] == [7]
    # A root called person that names no joints is not what is read beside a category that does.
    athlete = PERSON | {"id": 2, "name": "athlete"}
    assert [p["id"] for p in read(tmp_path, *people, categories=[person, athlete]).people] == [8]


# Two of one name


def test_mpiis_list_takes_numbers_in_quotes_and_knows_its_photos(tmp_path):
    rows = [[str(10.0 + j), str(20 + j), "1"] for j in range(16)]
    record = {
        "img_paths": "a.png", "objpos": ["31", "41.0"], "scale_provided": "0.5", "joint_self": rows,
        "isValidation": "0", "img_width": 120.0, "img_height": 150.0,
    }  # fmt: skip
    (tmp_path / "list.json").write_text(json.dumps([record]))
    photo(tmp_path)
    sample = MPII(tmp_path / "list.json", tmp_path)[0]
    assert (sample.crop.center, sample.crop.side) == ((30.0, 47.5), 125.0)
    assert sample.image.shape == (150, 120, 3)
    photo(tmp_path, width=60, height=75)
    with pytest.raises(InputError, match="a.png: width x height: expected 120 x 150 px, .*, found 60 x 75"):
        _ = MPII(tmp_path / "list.json", tmp_path)[0].image


def test_the_official_figures_say_what_they_divide_by(tmp_path):
    assert scorer.ruler(read(tmp_path, annotation())) == "the file's areas"
    people = annotation(), annotation(id=8, area=None), annotation(id=9, keypoints=NOBODY, area=0)
    assert scorer.ruler(read(tmp_path, *people)) == "the file's areas; the box's for 2 of 3 people"


def test_two_photos_or_people_of_one_id(tmp_path):
    images = [{"id": 1, "file_name": "a.png"}, {"id": "1", "file_name": "b.png"}]
    assert "images[1].id: expected an id of its own for each photo, found 1" in refused(
        tmp_path, annotation(), images=images
    )
    assert len(read(tmp_path, annotation(), images=[images[0], images[0]])) == 1  # the same one twice
    found = refused(tmp_path, annotation(), annotation(id=7.0))
    assert "annotations[].id: expected an id of its own for each person, found 7.0 twice" in found


def test_two_fields_of_one_name(tmp_path):
    (tmp_path / "labels.json").write_text('{"images": [], "annotations": [{"id": 1}], "annotations": []}')
    with pytest.raises(InputError, match="expected JSON, found two fields called annotations"):
        COCO(tmp_path / "labels.json", tmp_path)


def test_labels_with_two_people_in_a_photo_are_left_alone(tmp_path):
    photo(tmp_path / "photos")
    labels = Labels(tmp_path / "photos", tmp_path / "labels.json")
    labels.click(3, 4)
    for name in ("annotations", "images"):
        file = labels.content()
        file[name] *= 2
        (tmp_path / "labels.json").write_text(json.dumps(file))
        with pytest.raises(InputError, match=r"labels.json: labels: expected a file written by Labels"):
            Labels(tmp_path / "photos", tmp_path / "labels.json")
        assert json.loads((tmp_path / "labels.json").read_text()) == file


# Ids and numbers in other clothes


@pytest.mark.parametrize(
    "value, key",
    [
        (1, "1"), (1.0, "1"), ("1", "1"), ("007", "007"), (0, "0"), (-3, "-3"), ("a b", "a b"),
        (1.5, ""), (None, ""), (True, ""), ([1], ""), (float("nan"), ""), (float("inf"), ""), ("", ""),
    ],
)  # fmt: skip
def test_the_one_rule_for_ids(value, key):
    assert id_key(value) == key


@pytest.mark.parametrize("first, second", [("img_a", 2), ("2", "10"), (2.0, 1), ("b", "a")])
def test_any_ids_can_be_scored(tmp_path, first, second):
    """Two photos of a person each; the second is missed by far: one of two is found, at every threshold."""
    images = [{"id": first, "file_name": "a.png"}, {"id": second, "file_name": "b.png"}]
    dataset = read(tmp_path, annotation(image_id=first), annotation(id="x", image_id=second), images=images)
    predicted = np.nan_to_num([person["joints"][:, :2] for person in dataset.people])
    predicted[1] += 1000
    scores = np.ones((2, 17)) * [[1.0], [0.5]]
    results = coco_results(dataset, predicted, scores)
    assert [record["image_id"] for record in results] == [first, second]
    figures = average_precision(dataset, results)
    assert figures["AR"] == pytest.approx(0.5)
    assert figures["AP"] == pytest.approx(51 / 101)  # precision 1 at 51 of the 101 recalls 0, 0.01 ... 1
    with pytest.raises(
        InputError, match="image_id: expected photos that the data set has people in, found 77"
    ):
        average_precision(dataset, [results[0] | {"image_id": 77}])


def test_numbers_in_quotes_are_numbers_for_the_reader_and_the_scorer(tmp_path):
    plain, quoted = annotation(), annotation()
    for name in ("id", "image_id", "category_id", "area", "iscrowd"):
        quoted[name] = str(quoted[name])
    for name in ("bbox", "keypoints"):
        quoted[name] = [str(value) for value in quoted[name]]
    image = {"id": "1", "file_name": "a.png", "width": "120", "height": "150"}
    figures = []
    for person, images in ((plain, None), (quoted, [image]), (annotation(id=7.0, image_id=1.0), None)):
        dataset = read(tmp_path, person, images=images)
        sample = dataset[0]
        assert (sample.id, sample.area, sample.sizes["box"]) == ("7", 900.5, 80.0)
        assert (sample.crop.center, sample.keypoints[1].tolist()) == ((29.5, 59.5), [11.0, 21.0])
        predicted = sample.keypoints[None] + (2, 0)
        figures.append(average_precision(dataset, coco_results(dataset, predicted, np.ones((1, 17)))))
        with pytest.raises(InputError, match="width x height"):
            photo(tmp_path, width=60, height=75)
            _ = sample.image
    assert figures[0] == figures[1] == figures[2]
    # By hand: the 16 labelled joints are off by 2 px, the area is 900.5 px^2, k = 2 sigma.
    oks = np.exp(-(2**2) / (2 * 900.5 * (2 * np.array(minipose.COCO.sigmas[1:])) ** 2)).mean()
    assert figures[0]["AR"] == pytest.approx(sum(t <= oks for t in np.arange(0.5, 1.0, 0.05)) / 10)
    assert 0 < figures[0]["AR"] < 1


def test_ids_are_asked_for_as_they_come(tmp_path):
    dataset = read(tmp_path, annotation(), annotation(id="b"), ids=["b", "7"])
    assert [person["id"] for person in dataset.people] == ["b", 7]


def test_what_is_needed_is_refused_with_its_id(tmp_path):
    for changes, field in (
        (dict(bbox=[1, 2, 0, 4]), "bbox: expected x, y, width > 0, height > 0"),
        (dict(bbox=None), "bbox: expected x, y, width > 0"),
        (dict(bbox=["1", "two", 3, 4]), "bbox: expected x, y, width > 0"),
        (dict(keypoints=[5] * 50), "keypoints: expected 51 finite numbers"),
        (dict(keypoints=[None, 3, 2] * 17), "keypoints: expected 51 finite numbers"),
        (dict(image_id=True), "image_id: expected the id of one of its images, found True"),
        (dict(iscrowd="no"), "iscrowd: expected 0 or 1, found no"),
    ):
        assert f"annotations[1] (id 12).{field}" in refused(
            tmp_path, annotation(), annotation(**{"id": 12} | changes)
        )
    assert "annotations[0] (id 1.5).id: expected a whole number or a text" in refused(
        tmp_path, annotation(id=1.5)
    )


def test_a_crowd_in_quotes(tmp_path):
    people = [
        annotation(id=n, iscrowd=value) for n, value in enumerate(("0", "1", None, False, True, 1.0, ""))
    ]
    assert [person["id"] for person in read(tmp_path, *people).people] == [0, 2, 3, 6]


def test_a_byte_order_mark(tmp_path):
    (tmp_path / "labels.json").write_text(json.dumps(content(annotation())), encoding="utf-8-sig")
    assert len(COCO(tmp_path / "labels.json", tmp_path)) == 1
    photo(tmp_path / "photos")
    Labels(tmp_path / "photos", tmp_path / "own.json").click(3, 4)
    text = (tmp_path / "own.json").read_text()
    (tmp_path / "own.json").write_text(text, encoding="utf-8-sig")
    assert Labels(tmp_path / "photos", tmp_path / "own.json").answers == {"a.png": [(3, 4, 2)]}


# The photo is not the one that was labelled


def test_photos_of_another_size_are_refused_or_scaled(tmp_path):
    image = photo(tmp_path)
    whole = read(tmp_path, annotation(), images=[image])[0].image
    half = cv2.resize(whole, (60, 75), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "a.png"), half[..., ::-1])
    with pytest.raises(InputError, match=r"a.png: width x height: expected 120 x 150 px, .*, found 60 x 75"):
        _ = read(tmp_path, annotation(), images=[image])[0].image
    again = read(tmp_path, annotation(), images=[image], rescale=True)[0].image
    np.testing.assert_array_equal(again, cv2.resize(half, (120, 150), interpolation=cv2.INTER_LINEAR))
    cv2.imwrite(str(tmp_path / "a.png"), half[:-1])  # no single factor
    with pytest.raises(InputError, match="found 60 x 74"):
        _ = read(tmp_path, annotation(), images=[image], rescale=True)[0].image


def test_photos_turned_since_are_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = photo(tmp_path, exif=exif)
    with pytest.raises(InputError, match="expected 120 x 150 px, .*, found 150 x 120"):
        _ = read(tmp_path, annotation(), images=[image])[0].image


@pytest.mark.parametrize("size", [(0, 0), (None, None), ("?", "?"), (120.5, 150), ()])
def test_a_size_that_says_nothing_is_not_compared(tmp_path, size):
    image = without(photo(tmp_path), "width", "height") | dict(zip(("width", "height"), size, strict=False))
    assert read(tmp_path, annotation(), images=[image])[0].image.shape == (150, 120, 3)


def test_flic_compares_sizes_by_the_same_rule(tmp_path):
    from test_flic import PUBLISHED, example, write

    folder = write(tmp_path, example(PUBLISHED))
    sample = FLIC(folder)[0]
    cv2.imwrite(sample.path, np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(InputError, match="width x height: expected .* px, the size at which it was labelled"):
        _ = sample.image


def test_the_labeller_knows_its_photos_again(tmp_path):
    photos = tmp_path / "photos"
    photo(photos, "a.png")
    photo(photos, "b.png")
    labels = Labels(photos, tmp_path / "labels.json")
    labels.click(100, 140)
    labels.go(1)
    photo(photos, "a.png", 60, 75)
    before = labels.answers["a.png"]
    with pytest.raises(InputError, match="a.png: width x height: expected 120 x 150 px"):
        labels.go(0)
    assert labels.name == "b.png"
    labels = Labels(photos, tmp_path / "labels.json")
    assert (labels.name, list(labels.unreadable)) == ("b.png", ["a.png"])
    labels.click(1, 2)
    assert labels.answers["a.png"] == before  # what was answered is not lost
    photo(photos, "b.png", 60, 75)  # not labelled yet: any size will do
    assert Labels(photos, tmp_path / "other.json").answers == {"a.png": [], "b.png": []}


# The labeller gets stuck


def test_what_a_mac_leaves_beside_photos_is_no_photo(tmp_path):
    photo(tmp_path / "photos")
    (tmp_path / "photos" / "._a.png").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    assert Labels(tmp_path / "photos", tmp_path / "labels.json").names == ["a.png"]


def test_a_damaged_photo_is_named_and_passed(tmp_path):
    photos = tmp_path / "photos"
    for name in ("a.png", "b.png", "c.png", "d.png"):
        photo(photos, name)
    for name in ("b.png", "d.png"):
        (photos / name).write_bytes((photos / name).read_bytes()[:500])
    labels = Labels(photos, tmp_path / "labels.json", "flic")
    while labels.joint:
        labels.click(5, 5)
    with pytest.raises(InputError, match=r"b.png: photo: expected a whole picture"):
        labels.go(1)
    assert labels.name == "a.png"
    labels.go(1)  # once more
    assert labels.name == "c.png"
    for _ in range(2):
        with pytest.raises(InputError, match=r"d.png: photo"):
            labels.go(3)
    assert labels.name == "c.png"
    labels.go(1)  # and back, past the same one
    assert labels.name == "a.png"
    again = Labels(photos, tmp_path / "labels.json", "flic")
    assert again.name == "c.png"
    assert again.answers == labels.answers
    window = Labeller(photos, tmp_path / "labels.json", "flic")
    assert "b.png: photo" in window.widget.state["error"] and window.labels.name == "c.png"
    for name in ("a.png", "c.png"):
        (photos / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"a.png: photo"):
        Labels(photos, tmp_path / "none.json")


# Figures


def test_a_validation_that_measures_nobody_is_no_plateau():
    rate = LRSchedule("plateau", 1.0, epochs=100, patience=2)
    nan = float("nan")
    falling = [dict(loss=v, pck=nan) for v in (4.0, 3.0, 2.0, 1.0)]
    assert rate.at(4, falling) == 1
    assert rate.at(4, [dict(loss=v, pck=nan) for v in (4.0, 3.0, 3.0, 3.5)]) == 0.2


def half_bodies(tmp_path):
    photo(tmp_path)
    upper = keypoints()[:33] + [0] * 18
    return read(tmp_path, annotation(keypoints=upper), annotation(id=8, keypoints=upper))


def test_training_says_that_nobody_can_be_measured(tmp_path):
    dataset = half_bodies(tmp_path)
    torch.manual_seed(0)
    network = minipose.StackedHourglass(joints=17, stacks=1, features=8, depth=2)
    settings = dict(epochs=2, size=64, batch_size=2, augment="none", progress=False)
    expected = "nobody in the validation set has a labelled torso.*follows the training loss instead"
    with pytest.warns(InputWarning, match=expected) as said:
        history = minipose.train(network, dataset, dataset, **settings)
    assert len([w for w in said if w.category is InputWarning]) == 1
    assert all(np.isnan(row["pck"]) for row in history)


def test_the_ruler_is_named(tmp_path):
    rows = [[10.0 + j, 20.0 + 2 * j, 1.0] for j in range(16)]
    record = {
        "img_paths": "a.jpg", "objpos": [31, 41], "scale_provided": 0.5, "joint_self": rows, "isValidation": 0
    }  # fmt: skip
    boxed = record | {"head_box": [1, 2, 4, 6]}
    box, joints = "0.6 x the diagonal of the head box", "neck to head-top"

    def ruler(*records):
        (tmp_path / "list.json").write_text(json.dumps(records))
        return MPII(tmp_path / "list.json").rulers["head"]

    assert ruler(record) == joints
    assert ruler(boxed, boxed) == box
    assert ruler(record, boxed) == f"{box}, or {joints} where there is none"
    # Whatever stands between the file and the figure hands it on.
    dataset = InMemory(Puppets(2, seed=0, size=64)).subset([1])
    dataset.rulers = {"head": "by hand"}
    dataset = InMemory(dataset).subset([0])
    assert dataset.rulers == {"head": "by hand"}
    torch.manual_seed(0)
    network = minipose.StackedHourglass(joints=16, stacks=1, features=8, depth=2)
    found = minipose.evaluate(network, dataset, size=64)
    assert found.summary("head", 0.5)["ruler"] == "by hand"
    assert found.summary("torso", 0.5)["ruler"] is None


def test_a_joint_that_nobody_predicted_finds_nothing(tmp_path):
    """A label in the photo's corner, and a network that does not know the joint: no credit for (0, 0)."""
    row = [0.5, 0.5, 2] + [0] * 48
    dataset = read(tmp_path, annotation(keypoints=row))
    predicted = np.full((1, 17, 2), 50.0)
    predicted[0, 0] = np.nan
    results = coco_results(dataset, predicted, np.concatenate([[0.0], np.ones(16)])[None])
    assert results[0]["keypoints"][:3] == [0.0, 0.0, 0.0]
    assert average_precision(dataset, results)["AR"] == 0
    predicted[0, 0] = 0.5
    assert average_precision(dataset, coco_results(dataset, predicted, np.ones((1, 17))))["AR"] == 1


def test_only_labelled_or_not_is_no_occlusion(tmp_path):
    assert not read(tmp_path, annotation(keypoints=keypoints(visibility=1))).has_occlusion
    assert read(tmp_path, annotation(), annotation(id=8, keypoints=keypoints(1))).has_occlusion


def test_a_box_outside_its_photo(tmp_path):
    image = photo(tmp_path)
    outside = annotation(bbox=[120, 20, 30, 80])
    expected = "annotation with id 7, bbox: expected a part of its photo (120 x 150 px), found [120.0, 20.0"
    assert expected in refused(tmp_path, outside, images=[image])
    unsized = read(tmp_path, outside, images=[without(image, "width", "height")])
    with pytest.raises(InputError, match=re.escape(expected)):
        _ = unsized[0].image
    assert len(read(tmp_path, annotation(bbox=[-29, -79, 30, 80]), images=[image])) == 1  # its last pixel
    # Readers without boxes: a crop that shows nothing of the photo.
    joints = write_leeds(tmp_path, 1)
    joints[..., :2] += 5000
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    with pytest.raises(InputError, match="person im00001: expected a crop that shows a part of the photo"):
        _ = LSPET(tmp_path)[0].image


# Pictures


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_by_their_exif_whatever_opencv_does(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exact = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(kind, {})
    photo(tmp_path, f"a.{kind}", 20, 12, exif=exif, **exact)
    with Image.open(tmp_path / f"a.{kind}") as picture:
        wanted = np.array(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
    found = read_photo(tmp_path / f"a.{kind}")
    assert found.shape == wanted.shape and found.flags.c_contiguous
    assert np.abs(found - wanted).mean() < 2


def test_damaged_exif_data_leaves_a_photo_as_it_is(tmp_path):
    photo(tmp_path, "a.jpg", 20, 12, exif=b"Exif\x00\x00MM\x00*rubbish")
    assert read_photo(tmp_path / "a.jpg").shape == (12, 20, 3)


def test_photos_in_other_colours(tmp_path):
    """CMYK as printers have it, a palette, grey, transparency: red stays red."""
    red = Image.new("RGB", (20, 12), (255, 0, 0))
    red.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    red.quantize(4).save(tmp_path / "palette.png")
    red.convert("RGBA").save(tmp_path / "transparent.png")
    for name in ("cmyk.jpg", "palette.png", "transparent.png"):
        found = read_photo(tmp_path / name)
        assert found.shape == (12, 20, 3)
        assert np.abs(found.reshape(-1, 3).mean(axis=0) - (255, 0, 0)).max() < 40, name
    red.convert("L").save(tmp_path / "grey.jpg")
    assert read_photo(tmp_path / "grey.jpg").shape == (12, 20, 3)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (4000, 10)])
def test_a_phones_photo_is_drawn_at_bounded_size(size):
    """12 million pixels, drawn from 1,600 px a side, in the photo's own coordinates."""
    width, height = size
    joints = np.tile([[width / 2, height / 2]], (16, 1))
    image = np.zeros((height, width, 3), np.uint8)
    axes = plots.draw_pose(image, joints, minipose.MPII)
    (drawn,) = axes.get_images()
    assert max(drawn.get_array().shape[:2]) == plots.MOST_DRAWN == 1600
    assert drawn.get_extent() == [-0.5, width - 0.5, height - 0.5, -0.5]
    assert axes.get_xlim() == (-0.5, width - 0.5)
    assert max(axes.figure.get_size_inches() * axes.figure.dpi) == pytest.approx(1600)
    plots.plt.close(axes.figure)


# The exports of labelling tools, as their documentation describes them


def cvat(folder):
    """Skeleton and box labels in one task: points outside have a place and visibility 0; attributes."""
    image = photo(folder, "train/a.png") | {
        "license": 0,
        "flickr_url": "",
        "coco_url": "",
        "date_captured": 0,
    }
    car = {"id": 1, "name": "car", "supercategory": ""}
    person = PERSON | {"id": 2, "supercategory": ""}
    points = keypoints()
    points[:3] = [55.5, 66.5, 0]
    skeleton = annotation(category_id=2, keypoints=points, attributes={"occluded": False}, segmentation=[])
    box = without(annotation(id=8), "keypoints", "num_keypoints") | {"bbox": [0, 0, 0, 0]}
    return content(skeleton, box, images=[image], categories=[car, person], licenses=[], info={})


def cvat_lone_box(folder):
    """A box without its skeleton, in the category of the skeletons."""
    box = without(annotation(id=8), "keypoints", "num_keypoints")
    return content(box, annotation(), images=[photo(folder)])


def label_studio(folder):
    """Everything counts from 0; file names carry the export's folder; null where nothing was drawn."""
    image = photo(folder, "images/3f2a-a.png") | {"id": 0}
    category = without(PERSON, "supercategory") | {"id": 0}
    people = annotation(id=0, image_id=0, category_id=0, segmentation=None, ignore=0)
    return content(people, images=[image], categories=[category], info={"contributor": "Label Studio"})


def label_studio_windows(folder):
    image = photo(folder, "images/a.png") | {"file_name": "images\\a.png"}
    return content(annotation(), images=[image])


def label_studio_twice(folder):
    """A photo is listed once a task."""
    image = photo(folder)
    return content(annotation(), images=[image, dict(image), image | {"id": 2}])


def labelme(folder):
    """Converters that write the least: no areas, crowds, counts or sizes; names as people write them."""
    image = without(photo(folder), "width", "height")
    lacking = ("area", "iscrowd", "num_keypoints", "segmentation")
    category = {"id": 1, "name": "people", "keypoints": [name.replace("_", " ").title() for name in JOINTS]}
    return content(without(annotation(), *lacking), images=[image], categories=[category])


def roboflow(folder):
    """A category 0 that stands for the project, which owns nothing."""
    image = photo(folder, "a_png.rf.0f3c.png") | {"id": 0, "license": 1, "extra": {"name": "a.png"}}
    project = {"id": 0, "name": "pose-project", "supercategory": "none"}
    return content(annotation(image_id=0, id=0), images=[image], categories=[project, PERSON])


def roboflow_both(folder):
    project = {"id": 0, "name": "people-and-poses", "supercategory": "none", "keypoints": JOINTS}
    return content(annotation(), images=[photo(folder)], categories=[project, PERSON])


def fiftyone(folder):
    """Missing points are NaN, ids are texts, and a label without points has none of the fields."""
    points = keypoints()
    points[:3] = [float("nan"), float("nan"), 0]
    image = photo(folder) | {"id": "64f0c1"}
    person = annotation(id="64f0c2", image_id="64f0c1", keypoints=points, score=None)
    bare = {"id": "64f0c3", "image_id": "64f0c1", "category_id": 1, "bbox": [1.5, 2.5, 3.25, 4.75]}
    return content(person, bare, images=[image])


def fiftyone_split(folder):
    """A view: some of the images, but all of the annotations; those elsewhere have no labels."""
    elsewhere = annotation(id=8, image_id=2, keypoints=NOBODY)
    return content(annotation(), elsewhere, images=[photo(folder)])


def spreadsheet(folder):
    """Through a table and back: ids with a decimal point, numbers in quotes, empty cells."""
    image = photo(folder) | {"id": 1.0, "width": 120.0, "height": "150"}
    person = annotation(id=7.0, image_id="1", category_id=1.0, iscrowd="", area="")
    person["bbox"] = [str(value) for value in person["bbox"]]
    return content(person, images=[image], categories=[PERSON | {"id": "1"}])


def floats(folder):
    """All numbers are floats, booleans stand for 0 and 1."""
    person = annotation(keypoints=[float(value) for value in keypoints()], iscrowd=False, area=None)
    return content(person, images=[photo(folder)])


TOOLS = (
    cvat, cvat_lone_box, label_studio, label_studio_windows, label_studio_twice, labelme, roboflow,
    roboflow_both, fiftyone, fiftyone_split, spreadsheet, floats,
)  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_exports_of_labelling_tools(tmp_path, tool):
    """All describe the same person; the reader finds it, and the scorer finds it perfect."""
    (tmp_path / "labels.json").write_text(json.dumps(tool(tmp_path)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = COCO(tmp_path / "labels.json", tmp_path)
    (sample,) = dataset
    assert sample.visibility.tolist() == [0] + [2] * 16
    assert np.isnan(sample.keypoints[0]).all() and sample.keypoints[16].tolist() == [26.0, 36.0]
    assert (sample.crop.center, sample.crop.side) == ((29.5, 59.5), 100.0)
    assert sample.image.shape == (150, 120, 3)
    assert dataset.skeleton is minipose.COCO
    results = coco_results(dataset, np.nan_to_num(sample.keypoints)[None], np.ones((1, 17)))
    assert average_precision(dataset, results)["AP"] == pytest.approx(1)
    json.dumps(results, allow_nan=False)


# What held, and has to


def test_areas_that_are_no_numbers(tmp_path):
    for area in (float("nan"), float("inf"), -1e300, "big", None, [1]):
        dataset = read(tmp_path, annotation(area=area))
        assert np.isnan(dataset[0].area)
        perfect = np.nan_to_num(dataset[0].keypoints)[None]
        figures = average_precision(dataset, coco_results(dataset, perfect, np.ones((1, 17))))
        assert figures["AP"] == pytest.approx(1)


def test_labels_outside_the_photo(tmp_path):
    image = photo(tmp_path)
    points = keypoints()
    points[3:6] = [-4.5, -0.25, 2]
    sample = read(tmp_path, annotation(keypoints=points, bbox=[-5, -1, 60, 90]), images=[image])[0]
    assert sample.keypoints[1].tolist() == [-4.5, -0.25]
    assert sample.crop.image(sample.image, 64).shape == (64, 64, 3)


def test_a_spawned_worker_reads_the_same(tmp_path):
    image = photo(tmp_path)
    dataset = read(tmp_path, annotation(), images=[image])
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again[0].image, dataset[0].image)
    pickle.loads(pickle.dumps(InputWarning("left out")))


def test_lsp_keeps_its_two_meanings(tmp_path):
    """Of LSP all is labelled, the third value 0 is visible: nobody is left out."""
    joints = write_leeds(tmp_path, 2, "lsp")
    joints[..., 2] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(2, 1, 0)})
    assert loadmat(tmp_path / "joints.mat")["joints"].shape == (3, 14, 2)
    dataset = LSP(tmp_path)
    assert (len(dataset), dataset.left_out) == (2, {})
    assert (dataset[0].visibility == 2).all()
