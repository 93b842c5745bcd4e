"""The experiments on part heatmap regression, on a few small puppets; and what they count by hand."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from minipose import MPII
from minipose.data import Puppets
from minipose.evaluation import Evaluation
from minipose.models.network import PoseNetwork
from minipose_book.experiments import records
from minipose_book.experiments.bench import Bench, Run
from minipose_book.experiments.bulat2016 import occlusion as part_occlusion
from minipose_book.experiments.bulat2016 import training as part_heatmaps
from minipose_book.experiments.bulat2016.training import ROWS, SMALL_PARTS
from minipose_book.experiments.catalogue import EXPERIMENTS

TINY = replace(SMALL_PARTS, size=32, people=24, watched=6, unseen=40, epochs=3, batch_size=8)


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    monkeypatch.setattr(part_heatmaps, "SMALL_PARTS", TINY)
    monkeypatch.setattr(part_occlusion, "SMALL_SHIPPED", TINY)
    monkeypatch.setattr(part_heatmaps, "seeds", lambda bench: [0])
    monkeypatch.setattr(part_occlusion, "weights", lambda run, name: None)
    return Bench("cpu", tmp_path, resume=True, device="cpu")


def checked(name: str, bench: Bench, where) -> records.Record:
    record = bench.record(name, EXPERIMENTS[name].run(bench))
    records.write(record, where)
    assert records.read(name, "cpu", where).results.keys() == record.results.keys()
    assert record.verdict.endswith(".") and "nan" not in record.verdict
    return record


def state(bench: Bench, label: str) -> dict[str, torch.Tensor]:
    folder = bench.folder / f"{label}-seed0"
    return torch.load(folder / "checkpoint.pt", weights_only=True)["weights"]


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The halves of which anything differs, parameters or statistics."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_table_5_phases_and_inputs(bench, tmp_path):
    record = checked("part-heatmaps", bench, tmp_path)
    assert all(set(rows) == set(ROWS) for rows in record.results["final"].values())
    sizes = record.results["parameters"]["residual"]
    assert sizes["detection only"] == sizes["regression only"] < sizes["detection + regression"]
    assert sizes["detection + regression"] == sizes["regression + regression"]
    # Half a network has one stage to draw.
    assert "pck_stage_2" not in record.curves["VGG detection only"]
    assert "pck_stage_2" in record.curves["VGG detection + regression"]
    bench.record("part-inputs", part_heatmaps.part_inputs(bench))
    runs = {path.name for path in bench.folder.iterdir()}
    assert len(runs) == 2 * len(ROWS) + 1, "part-inputs trained one more network"

    phases = checked("part-phases", bench, tmp_path).results
    assert {path.name for path in bench.folder.iterdir()} - runs == {
        "part-phase-detector-seed0", "part-phase-regressor-seed0", "part-phase-both-seed0"
    }  # fmt: skip
    assert phases["final"]["joint"] == record.results["final"]["residual"]["detection + regression"]
    assert phases["final"]["three phases"] == phases["by_stage"]["both"][1]
    torch.manual_seed(0)
    start = part_heatmaps.cascade(bench, TINY).state_dict()
    states = [start] + [state(bench, f"part-phase-{name}") for name in ("detector", "regressor", "both")]
    changes = [moved(a, b) for a, b in itertools.pairwise(states)]
    assert changes == [{"detector"}, {"regressor"}, {"detector", "regressor"}]


def test_the_gpu_pieces_take_a_few_steps_on_a_cpu(tmp_path, monkeypatch):
    """With the small forms in the published ones' place, which are only looked at."""
    at = Bench("gpu", tmp_path, device="cpu")
    with torch.device("meta"):
        for form, backbone in (("residual", "resnet152"), ("VGG", "vgg16")):
            network = part_heatmaps.cascade(at, TINY, form)
            assert network.arguments["backbone"] == backbone and 256 % network.multiple == 0
    large = part_heatmaps.LARGE_PARTS
    assert (large.data, large.size) == ("puppets", 256)
    tiny = replace(large, size=32, people=16, watched=4, unseen=30, epochs=1, batch_size=8)
    small = {form: (form_small, form_small) for form, (_, form_small) in part_heatmaps.FORMS.items()}
    monkeypatch.setattr(part_heatmaps, "FORMS", small)
    monkeypatch.setattr(part_heatmaps, "LARGE_PARTS", tiny)
    monkeypatch.setattr(part_occlusion, "LARGE_SHIPPED", tiny)
    monkeypatch.setattr(part_occlusion, "weights", lambda run, name: None)
    for name in ("part-heatmaps", "part-reference"):
        path = records.write(at.record(name, EXPERIMENTS[name].run(at)), tmp_path)
        assert path.name == f"{name}-gpu.json"
    settings = torch.load(at.folder / "part-vgg-detection-regression-seed0" / "checkpoint.pt")["settings"]
    assert settings["learning_rate"] == part_heatmaps.VGG_RATE < large.learning_rate


def test_rows_that_skip_a_half_leave_it_as_it_was(bench):
    torch.manual_seed(0)
    start = part_heatmaps.cascade(bench, TINY).state_dict()
    run = part_heatmaps.trained(bench, TINY, "residual", "detection only")
    assert moved(start, run.network.state_dict()) == {"detector"} and part_heatmaps.asked(run) == 0


def test_the_shipped_network_is_asked_about_hidden_parts(bench, tmp_path):
    reference = checked("part-reference", bench, tmp_path)
    folders = list(bench.folder.iterdir())
    occlusion = checked("part-occlusion", bench, tmp_path).results
    assert list(bench.folder.iterdir()) == folders, "nothing is trained twice"
    assert reference.results["shipped"].keys() == {part_occlusion.SHIPPED}
    people = bench.people(TINY, "unseen")
    chosen = [
        MPII.index(f"{side}_{j}") for side in ("left", "right") for j in ("wrist", "elbow", "knee", "ankle")
    ]
    hidden = sum(int((people[n].visibility[chosen] == 1).sum()) for n in range(len(people)))
    assert occlusion["recovered"]["occluded"]["labels"] == hidden > 10


class Painted(PoseNetwork):
    """Two stages whose maps are known: at stride 4 the cells' numbers, at stride 1 their halves."""

    def __init__(self):
        super().__init__(SimpleNamespace(joints=16), [4, 1], 4, [0, 1])

    def forward(self, images):
        count, (height, width) = len(images), images.shape[2:]
        stages = []
        for stride, factor in ((4, 1.0), (1, 0.5)):
            cells = torch.arange(float(height * width // stride**2)) * factor
            stages.append(cells.reshape(1, 1, height // stride, -1).expand(count, 16, -1, -1))
        return stages


def test_confidences_are_read_where_the_label_is(tmp_path):
    people, size = Puppets(3, seed=4, size=32), 32
    at = Bench("cpu", tmp_path, device="cpu")
    (high, here, mean), (high_2, here_2, mean_2) = part_occlusion.confidences(at, Painted(), people, size)
    assert high.shape == (3, 16) and set(high.flatten().tolist()) == {63.0}
    assert set(high_2.flatten().tolist()) == {1023 / 2} and set(mean.flatten().tolist()) == {31.5}
    assert float(mean_2[0, 0]) == pytest.approx(1023 / 4)
    for n in range(3):
        sample = people[n]
        matrix = sample.crop.matrix(size)
        for j in range(16):
            if sample.visibility[j] > 0:
                x, y, _ = matrix.numpy() @ [*sample.keypoints[j], 1.0]
                column, row = (min(max(int((v + 0.5) // 4), 0), 7) for v in (x, y))
                assert here[n, j] == row * 8 + column
                column, row = (min(max(int((v + 0.5) // 1), 0), 31) for v in (x, y))
                assert here_2[n, j] == (row * 32 + column) / 2


def made_up(stages: list[list[float]], visibility: list[int]) -> Evaluation:
    """One person, a head of 10 px; each stage's left wrist, right wrist ... are so many px off."""
    joints = len(MPII)
    target = torch.zeros(1, joints, 2, dtype=torch.float64)
    flags = torch.zeros(1, joints, dtype=torch.long)
    chosen = [MPII.index(name) for name in ("left_wrist", "right_wrist", "left_elbow", "right_elbow")]
    found = []
    for distances in stages:
        predicted = target.clone()
        predicted[0, chosen, 0] = torch.tensor(distances, dtype=torch.float64)
        found.append(predicted)
    flags[0, chosen] = torch.tensor(visibility)
    target[flags == 0] = float("nan")
    nothing = torch.zeros(1, joints)
    sizes = {name: torch.full((1,), 10.0).double() for name in ("head", "torso", "box")}
    return Evaluation(found, nothing, nothing, target, flags, sizes, MPII, True, [])


def test_visible_occluded_and_recovered_by_hand():
    # Within 5 px counts. Stage 1 finds one of two visible and one of two occluded, stage 2 both occluded
    # and the other visible one.
    found = made_up([[1.0, 9.0, 5.0, 5.1], [6.0, 2.0, 4.0, 0.0]], [2, 2, 1, 1])
    by_stage = [part_occlusion.split(found, SMALL_PARTS, k) for k in (0, 1)]
    assert by_stage[0]["limbs"] == {"all": 0.5, "visible": 0.5, "occluded": 0.5}
    assert by_stage[1]["limbs"] == {"all": 0.75, "visible": 0.5, "occluded": 1.0}
    assert by_stage[1]["wrist"] == {"all": 0.5, "visible": 0.5, "occluded": None}
    before, after = (part_occlusion.hits(found, k) for k in (0, 1))
    assert int(before.sum()) == 2 and int(after.sum()) == 3
    assert part_occlusion.recovery(before, after, found.visibility == 1) == {
        "labels": 2, "missed": 1, "found": 1, "lost": 0
    }  # fmt: skip
    assert part_occlusion.recovery(before, after, found.visibility == 2) == {
        "labels": 2, "missed": 1, "found": 1, "lost": 1
    }  # fmt: skip
    run = Run("x", 0, SimpleNamespace(supervised=[0]), [], [], found)
    full = Run("x", 1, SimpleNamespace(supervised=[0, 1]), [], [], found)
    assert part_heatmaps.visible([run, full], SMALL_PARTS)["occluded"]["each"] == [0.5, 1.0]
    table = part_heatmaps.columns([run, full], SMALL_PARTS)
    # Wrists 1 of 2 in both; elbows 1 of 2 and 2 of 2.
    assert (table["wrist"], table["elbow"], table["total"]) == (0.5, 0.75, 0.625)


def test_shares_and_ranges_by_hand():
    assert part_occlusion.shares(torch.tensor([0.0, 0.05, 0.3, 1.0]))["share"][:3] == [0.25, 0.5, 0.5]
    confidence = torch.tensor([[0.05, 0.09, 0.95, 1.0, 0.5]])
    hit = {"detection": torch.tensor([[True, False, True, True, True]])}
    these = torch.tensor([[True, True, True, True, False]])
    rows = part_occlusion.by_confidence(confidence, hit, these)
    assert rows["labels"] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert rows["detection"] == [0.5, *[None] * 8, 1.0]
