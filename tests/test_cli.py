"""The command line as a user types it: what it prints, writes and answers to bad input."""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import real_data, write_leeds
from scipy.io import savemat

import minipose
from minipose.cli import main
from minipose.cli.arguments import parser
from minipose.data import Puppets
from minipose.io.checkpoints import save_weights
from minipose_book import cli as book_cli
from minipose_book import pretrained
from minipose_book.experiments import cards, records


@pytest.fixture
def weights(tmp_path):
    network = minipose.StackedHourglass(14, 1, features=16, depth=2)
    network.skeleton, network.size = minipose.LSP, 64
    save_weights(network, tmp_path / "lsp.safetensors")
    return str(tmp_path / "lsp.safetensors")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), Puppets(1, 0, 128)[0].image[..., ::-1])
    return str(path)


def failure(capsys, *arguments) -> str:
    """The one line that a wrong call prints; its status is 2, and there is no traceback."""
    capsys.readouterr()
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as exit:  # argparse's own way out
        status = exit.code
    captured = capsys.readouterr()
    assert status == 2
    assert "Traceback" not in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    return captured.err.strip()


def test_train_evaluate_and_resume(tmp_path, capsys):
    run = str(tmp_path / "run")
    small = ["--size", "64", "--features", "16", "--count", "16", "--batch-size", "8", "--device", "cpu"]
    # As the student report trained, but for its sigmoid.
    small += ["--optimizer", "adam", "--learning-rate", "5e-3", "--schedule", "step"]
    small += ["--augment", "medium"]
    assert main(["train", "--data", "puppets", "--out", run, "--epochs", "1", *small]) == 0
    assert "PCKh@0.5" in capsys.readouterr().out
    assert main(["train", "--data", "puppets", "--out", run, "--epochs", "2", "--resume", *small]) == 0
    assert len(minipose.runs.read_history(Path(run) / "history.csv")) == 2
    assert minipose.load(f"{run}/weights.safetensors").arguments["features"] == 16
    capsys.readouterr()
    again = failure(capsys, "train", "--data", "puppets", "--out", run, *small)
    assert "expected a folder without an earlier run, or --resume" in again
    assert main(["evaluate", "--weights", f"{run}/weights.safetensors", "--count", "10", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "by_visibility" not in report
    assert (
        main(["evaluate", "--weights", f"{run}/weights.safetensors", "--count", "10", "--by-visibility"]) == 0
    )
    assert "occluded joints, PCKh@0.5, mean over labels" in capsys.readouterr().out
    assert [r["metric"] for r in report["results"]] == ["PCKh@0.2", "PCKh@0.5"]
    assert {r["normalizer"] for r in report["results"]} == {"head"}


def test_evaluate_any_folder_in_lspets_layout(tmp_path, weights, capsys):
    joints = write_leeds(tmp_path / "own", 4)
    arguments = [
        "evaluate",
        "--weights",
        weights,
        "--data",
        "lspet",
        "--root",
        str(tmp_path / "own"),
        "--no-flip",
    ]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    found = minipose.evaluate(minipose.load(weights), minipose.data.LSPET(tmp_path / "own"), flip=False)
    expected = found.pck("torso", 0.5)
    half = report["results"][1]
    assert (half["metric"], half["normalizer"]) == ("PCK@0.5", "torso")
    assert half["mean_over_joints"] == pytest.approx(expected.mean)
    assert half["mean_over_labels"] == pytest.approx(expected.weighted_mean)
    assert half["people"] + half["left_out"] == 4
    labelled = (joints[:, [8, 3], 2] == 1).all(1).sum()
    assert half["people"] == labelled
    assert list(half["per_joint"]) == list(minipose.LSP.joints)
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "PCK@0.2 (torso)" in table
    assert f"{expected.mean:.3f}" in table


def test_json_is_json_where_nobody_is_measured(tmp_path, weights, capsys):
    joints = write_leeds(tmp_path / "own", 2)
    joints[:, 8, 2] = 0  # no right shoulder, no torso
    savemat(tmp_path / "own" / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    assert (
        main(["evaluate", "--weights", weights, "--data", "lspet", "--root", str(tmp_path / "own"), "--json"])
        == 0
    )
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["results"][0]["mean_over_joints"] is None
    assert report["results"][0]["per_joint"]["head_top"] is None


def two_people(folder, joints=minipose.COCO.joints):
    """A file in COCO's format with two people, of whom all joints can be seen."""
    cv2.imwrite(str(folder / "a.png"), np.full((120, 100, 3), 90, np.uint8))
    labels = np.tile([[30.0, 40.0, 2]], (len(joints), 1)) + np.arange(len(joints))[:, None] * (2, 3, 0)
    people = [
        {
            "id": n,
            "image_id": 1,
            "category_id": 1,
            "bbox": [5, 5, 90, 110],
            "keypoints": labels.ravel().tolist(),
        }
        for n in (1, 2)
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}], "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
    }  # fmt: skip
    (folder / "own.json").write_text(json.dumps(content))
    return ("--data", "coco", "--annotations", str(folder / "own.json"), "--images", str(folder))


def test_json_is_json_where_nobody_is_occluded(tmp_path, weights, capsys):
    call = ["evaluate", "--weights", weights, *two_people(tmp_path), "--by-visibility"]
    assert main([*call, "--json"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    means = report["by_visibility"]["mean_over_labels"]
    assert means["occluded"] is None and means["visible"] == means["all"] is not None
    assert main(call) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("occluded joints")]
    assert line.endswith(" -")


def test_evaluate_on_ones_own_labels_of_another_skeleton(tmp_path, weights, capsys):
    call = ["evaluate", "--weights", weights, *two_people(tmp_path, minipose.LSP.joints), "--json"]
    assert main(call) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["results"][0]["per_joint"]) == 14
    assert "official" not in report  # COCO's scores are of COCO's joints


@pytest.mark.parametrize("name", ["own.json", ".", "..", "/", "nowhere/r.json"])
def test_results_have_a_place_before_anything_is_measured(tmp_path, weights, capsys, monkeypatch, name):
    call = ("evaluate", "--weights", weights, *two_people(tmp_path))
    before = (tmp_path / "own.json").read_bytes()
    monkeypatch.setattr(minipose, "evaluate", pytest.fail)
    monkeypatch.chdir(tmp_path)
    assert "--results: expected a" in failure(capsys, *call, "--results", name)
    assert (tmp_path / "own.json").read_bytes() == before


@pytest.mark.parametrize("saved", [False, True])
def test_what_an_interruption_says(tmp_path, capsys, monkeypatch, saved):
    def interrupted(*_, **__):
        if saved:
            (tmp_path / "checkpoint.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(minipose, "train", interrupted)
    assert main(["train", "--count", "2", "--out", str(tmp_path)]) == 130
    goes_on = "; the same command and --resume go on from the last whole epoch" if saved else ""
    assert capsys.readouterr().err == f"minipose: interrupted{goes_on}\n"


def test_predict_writes_a_picture(tmp_path, weights, photo, capsys):
    out = tmp_path / "pose.png"
    assert (
        main(["predict", photo, "--weights", weights, "--box", "20", "20", "100", "150", "--out", str(out)])
        == 0
    )
    printed = capsys.readouterr().out
    assert all(name in printed for name in minipose.LSP.joints)
    picture, original = cv2.imread(str(out)), cv2.imread(photo)
    assert picture.shape[0] / picture.shape[1] == pytest.approx(
        original.shape[0] / original.shape[1], rel=0.02
    )


@pytest.mark.parametrize(
    "arguments, crop",
    [
        ([], None),
        (["--box", "20", "20", "100", "150"], minipose.Crop.around_box((20, 20, 100, 150))),
        (["--center", "96", "96", "--scale", "0.6"], minipose.Crop.at_scale((96, 96), 0.6)),
    ],
)
def test_predict_prints_what_the_library_finds(tmp_path, weights, photo, arguments, crop, capsys):
    assert main(["predict", photo, "--weights", weights, "--out", str(tmp_path / "o.png"), *arguments]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("head_top"))
    pose = minipose.predict(minipose.load(weights), photo, crop)
    x, y = pose.keypoints[minipose.LSP.index("head_top")]
    assert f"x {x:7.1f}  y {y:7.1f}" in line


def test_bad_calls_of_predict(tmp_path, weights, photo, capsys):
    call = ("predict", photo, "--weights", weights)
    assert "none.jpg: photo: expected a readable file" in failure(
        capsys, "predict", "none.jpg", "--weights", weights
    )
    assert "expected a .safetensors file or one of" in failure(capsys, "predict", photo, "--weights", "hg99")
    assert "width and height > 0" in failure(capsys, *call, "--box", 1, 1, 0, 5)
    assert "width and height > 0" in failure(capsys, *call, "--box", 1, 1, "nan", 5)
    assert "width and height > 0" in failure(capsys, *call, "--box", 0, 0, 1.5e308, 1)
    assert "crop: square: expected a part of the photo (192 x 192 px)" in failure(
        capsys, *call, "--box", 900, 900, 9, 9
    )
    assert "--center and --scale: expected both or neither" in failure(capsys, *call, "--center", 1, 1)
    assert "--center and --scale: expected both or neither" in failure(capsys, *call, "--scale", 1)
    assert "expected a finite number, found 'nan'" in failure(capsys, *call, "--threshold", "nan")
    assert "another file than the photo itself" in failure(capsys, *call, "--out", photo)
    assert "a picture's ending, .png say" in failure(capsys, *call, "--out", tmp_path / "pose.xyz")
    for device in ("quantum", "meta"):
        assert "expected auto, cpu, cuda" in failure(capsys, *call, "--device", device)
    (tmp_path / "file").write_text("")
    assert "permission to write" in failure(capsys, *call, "--out", tmp_path / "file" / "pose.png")
    cut = tmp_path / "cut.jpg"
    cv2.imwrite(str(cut), np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8))
    cut.write_bytes(cut.read_bytes()[:800])
    assert "cut.jpg: photo: expected a" in failure(capsys, "predict", cut, "--weights", weights)
    assert not list(tmp_path.glob("*-pose.png"))


def test_bad_calls_of_train(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MINIPOSE_DATA", raising=False)
    out = ("--out", tmp_path / "run")
    assert "MINIPOSE_DATA" in failure(capsys, "train", "--data", "lspet", *out)
    for size in (8, 16, 100):
        assert "--size: expected 64, 96, 128, 256 or the like" in failure(
            capsys, "train", "--size", size, *out
        )
    assert "expected a seed below 1000000" in failure(capsys, "train", "--seed", 1_000_000, *out)
    assert "expected a whole number >= 0, found '-1'" in failure(capsys, "train", "--seed=-1", *out)
    assert "expected a whole number >= 0, found '-1'" in failure(capsys, "train", "--workers=-1", *out)
    for rate in ("nan", "-1", "0"):
        assert "expected a" in failure(capsys, "train", f"--learning-rate={rate}", *out)
    assert "features must be a multiple of 8" in failure(capsys, "train", "--features", 30, *out)
    assert "expected a whole number >= 1, found '0'" in failure(capsys, "train", "--epochs", 0, *out)
    upsampling = failure(capsys, "train", "--supervision", "upsampling", "--stacks", 1, *out)
    assert "--supervision upsampling: expected --stacks 1 and a --size of 128 or more" in upsampling
    assert "a checkpoint to resume from" in failure(capsys, "train", "--count", 4, "--resume", *out)
    root = failure(capsys, "train", "--data", "puppets", "--root", tmp_path, *out)
    assert "puppets: --root: expected nothing; it is for lspet, lsp, flic" in root
    assert not (tmp_path / "run").exists()


def test_resuming_another_network(tmp_path, capsys):
    run = ("--out", tmp_path / "run", "--count", 8, "--epochs", 1, "--size", 64, "--device", "cpu")
    assert main([str(a) for a in ("train", *run, "--features", 16)]) == 0
    message = failure(capsys, "train", *run, "--features", 24, "--resume")
    assert "checkpoint.pt: features: expected 16, with which this run was started, found 24" in message


def test_wrong_folder(tmp_path, weights, capsys):
    write_leeds(tmp_path / "lsp", 3, "lsp")
    call = ("evaluate", "--weights", weights, "--data", "lspet", "--root")
    assert "14 x 3 x N of numbers (LSPET)" in failure(capsys, *call, tmp_path / "lsp")
    assert "expected a folder" in failure(capsys, *call, tmp_path / "nowhere")
    split = failure(capsys, *call, wrong_split(tmp_path), "--by-visibility")
    assert "lspet: --by-visibility: expected labels that tell occluded from visible joints" in split
    assert "the 9,000 people" in failure(capsys, *call, wrong_split(tmp_path), "--split", "held-out")


@pytest.mark.parametrize(
    "data, option, message",
    [
        ("puppets", ("--root", "here"), "--root: expected nothing; it is for lspet, lsp, flic"),
        ("coco", ("--root", "here"), "--root: expected nothing"),
        ("mpii", ("--min-keypoints", "5"), "--min-keypoints: expected nothing; it is for coco"),
        ("puppets", ("--split", "train"), "--split: expected nothing; it is for lspet, flic, mpii"),
        ("lsp", ("--split", "all"), "--split: expected nothing"),
        ("lspet", ("--images", "here"), "--images: expected nothing; it is for mpii, coco"),
        ("puppets", ("--annotations", "a.json"), "--annotations: expected nothing; it is for mpii, coco"),
        ("mpii", ("--results", "r.json"), "--results: expected nothing; it is for coco"),
        ("mpii", ("--split", "held-out"), "--split: expected one of all, train, validation, found held-out"),
        ("flic", ("--split", "held-out"), "--split: expected one of all, train, test, found held-out"),
    ],
)
def test_evaluate_ignores_no_option(weights, capsys, data, option, message):
    assert f"{data}: {message}" in failure(capsys, "evaluate", "--weights", weights, "--data", data, *option)


def test_evaluate_at_several_scales(tmp_path, weights, capsys):
    write_leeds(tmp_path / "own", 3)
    call = ["evaluate", "--weights", weights, "--data", "lspet", "--root", str(tmp_path / "own")]
    assert main([*call, "--scales", "0.8", "1", "1.25", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    dataset = minipose.data.LSPET(tmp_path / "own")
    found = minipose.evaluate(minipose.load(weights), dataset, scales=(0.8, 1.0, 1.25))
    assert report["scales"] == [0.8, 1.0, 1.25]
    assert report["results"][1]["mean_over_joints"] == pytest.approx(found.pck("torso", 0.5).mean)
    assert main([*call, "--scales", "0.8", "1.25"]) == 0
    assert "averaged over crops 0.8, 1.25 times as large" in capsys.readouterr().out
    for scale in ("0", "-1", "nan", "inf", "big"):
        assert f"found '{scale}'" in failure(capsys, *call, "--scales", "1", scale)
    assert "expected at least one argument" in failure(capsys, *call, "--scales")


def wrong_split(tmp_path):
    write_leeds(tmp_path / "small", 3)
    return tmp_path / "small"


def test_evaluate_on_coco_and_mpii(tmp_path, weights, capsys):
    coco, mpii = real_data("coco_mini"), real_data("mpii") / "sample"
    call = ["evaluate", "--weights", weights, "--no-flip", "--json"]
    where = ["--annotations", str(coco / "person_keypoints.json"), "--images", str(coco / "images")]
    results = tmp_path / "results.json"
    assert main([*call, "--data", "coco", "--count", "3", "--results", str(results), *where]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["official"]) == set(minipose.data.oks.FIGURES)
    assert report["results"][0]["per_joint"]["nose"] is None  # LSP knows no nose
    assert len(json.loads(results.read_text())) == 3
    assert book_cli.main(["student-report", "--weights", weights, "--count", "3", *where]) == 0
    theirs = json.loads(capsys.readouterr().out)
    assert sum(theirs["rulers"].values()) <= 3 and theirs["per_joint"]["nose"] is None
    assert 0 <= theirs["as_its_code"]["mean_over_joints"] <= 1
    people = minipose.data.COCO(coco / "person_keypoints.json", coco / "images", min_keypoints=17)
    ids = [str(person["id"]) for person in people.people[:2]]
    assert main([*call[:-1], "--data", "coco", *where, "--min-keypoints", "17", "--ids", *ids]) == 0
    printed = capsys.readouterr().out
    assert "2 people" in printed and all(f"official {name} " in printed for name in minipose.data.oks.FIGURES)
    where = ["--annotations", str(mpii / "annotations.json"), "--images", str(mpii / "images")]
    assert main([*call, "--data", "mpii", *where]) == 0
    assert json.loads(capsys.readouterr().out)["results"][1]["metric"] == "PCKh@0.5"
    message = failure(capsys, "evaluate", "--weights", weights, "--data", "coco")
    assert "coco: --annotations and --images: expected both" in message


def test_data_explains_and_checks(tmp_path, capsys):
    assert main(["data"]) == 0
    explained = capsys.readouterr().out
    assert all(
        text in explained for text in ("puppets", "14 x 3 x N", "3 x 14 x N", "im00001.jpg", "im0001.jpg")
    )
    write_leeds(tmp_path, 3)
    assert "NAME: expected the data set" in failure(capsys, "data", "--root", tmp_path)
    assert "--root: expected lsp or lspet" in failure(capsys, "data", "mpii", "--root", tmp_path)
    assert main(["data", "lspet", "--root", str(tmp_path)]) == 0
    assert "3 people, a readable photo each" in capsys.readouterr().out
    assert "--download: expected no --root" in failure(
        capsys, "data", "coco", "--root", tmp_path, "--download", tmp_path
    )
    assert "NAME: expected the data set" in failure(capsys, "data", "--download", tmp_path)
    (tmp_path / "images" / "im00003.jpg").write_bytes(b"")
    assert "im00003.jpg" in failure(capsys, "data", "lspet", "--root", tmp_path)


def test_every_option_explains_itself():
    commands = parser({name: main for name in ("predict", "train", "evaluate", "data")})
    places = next(a for a in commands._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in places.choices.items():
        for action in command._actions:
            assert action.help and len(action.help) > 10, (name, action.dest)
        assert command.format_help()


def test_unwritten_output_does_not_end_in_a_traceback():
    """`minipose data | head` closes the pipe early."""
    done = subprocess.run(
        f"{sys.executable} -m minipose data | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_importing_reaches_for_nothing():
    """No connection, no CUDA, no data file: watched by Python's own audit hook."""
    code = """
import sys
import torch
seen = []
def watch(event, arguments):
    if event == "socket.connect":
        seen.append("connects")
    elif event == "open" and str(arguments[0]).endswith((".safetensors", ".mat", ".txt", ".jpg", ".pt")):
        seen.append(f"opens {arguments[0]}")
sys.addaudithook(watch)
import minipose
assert not torch.cuda.is_initialized()
print(seen)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name, parameters", [("hg2-puppets-small", 341_632), ("hg2-lspet-small", 341_244)])
def test_a_shipped_network_keeps_its_cards_word(name, parameters):
    """Its card has every part, and it reaches on 100 unseen people about what the card says of all."""
    card = minipose.pretrained.model_card(name)
    for heading in ("Data", "Recipe", "Device", "Scores", "Limits", "Terms"):
        assert f"\n## {heading}\n" in card
    network = minipose.load(name)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert f"{parameters:,} parameters" in card
    if network.skeleton is minipose.MPII:
        dataset = Puppets(100, 1_000_000, network.size)
    else:
        dataset = minipose.data.LSPET(real_data("lspet"), "held-out").subset(range(100))
    metric = minipose.training.metric_name(dataset)
    stated = float(re.search(rf"\| {metric} \| ([0-9.]+)", card)[1])
    summary = minipose.evaluate(network, dataset).summary(dataset.normalizer, dataset.threshold)
    assert summary["mean_over_joints"] == pytest.approx(stated, abs=0.06)


def test_predict_without_weights_named(tmp_path, photo, capsys):
    assert main(["predict", photo, "--out", str(tmp_path / "o.png")]) == 0
    assert "right_ankle" in capsys.readouterr().out


def test_every_shipped_network_is_tested_here():
    shipped = {"hg2-lspet-small", "hg2-puppets-small"}
    for experiment in cards.SOURCES:
        shipped |= records.read(experiment).results["shipped"].keys()
    assert set(pretrained.names()) == shipped
    assert minipose.pretrained.names() == ["hg2-lspet-small", "hg2-puppets-small"]  # to start with
    for name in shipped:
        assert pretrained.model_card(name).startswith(f"# {name}\n")
    folders = (pretrained.FOLDER, minipose.pretrained.FOLDER)
    total = sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors"))
    assert total <= 20e6
