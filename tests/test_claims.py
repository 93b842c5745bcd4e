"""The claims ledger: every claim is judged, by its record; the paper's own sums, worked by hand."""

import gzip
import json
import re
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import jupytext
import numpy as np
import pytest
from books import ROOT
from test_mpii_coco import record as mpii_record

from minipose_book.experiments import bench, records
from minipose_book.experiments.newell2016 import mpii_labels as labels
from minipose_book.papers import PAPERS, claims, judge, ledger, summary
from minipose_book.papers.bulat2016 import TABLE_5, TABLE_6, TABLE_7
from minipose_book.papers.claims import APART, FAILS, HOLDS, OPEN, UNMEASURED, VERDICTS, Claim, Found
from minipose_book.papers.lee2020.tables import TABLE_1 as REPORT_1
from minipose_book.papers.lee2020.tables import TABLE_2 as REPORT_2
from minipose_book.papers.lee2020.tables import TABLE_3 as REPORT_3
from minipose_book.papers.newell2016 import TABLE_1, TABLE_2

PAPER = PAPERS["newell2016"]
ALL = [(paper, n) for paper in PAPERS.values() for n in range(len(paper.claims))]
RECORDS = {path.stem: json.loads(path.read_text()) for path in records.folder().glob("*.json")}


def find(start):
    """The claim that begins so."""
    (claim,) = [each for each in PAPER.claims if each.says.startswith(start)]
    return claim


@pytest.mark.parametrize(("paper", "n"), ALL, ids=lambda each: getattr(each, "key", each))
def test_every_claim_is_judged_or_says_why_not(paper, n):
    claim = paper.claims[n]
    assert re.match(r"\d", claim.where) and re.search(r"[.)]$", claim.says)
    assert claim.look or claim.because
    found = judge(claim)
    assert found.verdict in VERDICTS and found.here.endswith(".")
    assert (found.verdict == UNMEASURED) == (claim.look is None)
    if claim.because:
        assert claim.because in found.here
    if claim.record:
        assert f'Record "{claim.record}"' in found.source and re.search(r"\d{4}-\d\d-\d\d\.$", found.source)


# Asked of the records by NumPy: do the differences of all seeds have one sign?
COMPARED = {
    "Residual modules did better": ("layers", "final", "residual", "final", "plain 5x5"),
    "Inception modules did better": ("layers", "final", "Inception", "final", "plain 5x5"),
    "Two hourglasses do a little better": ("stacking", "final", "HG-Stacked", "final", "HG"),
    "Intermediate supervision helps a single": ("stacking", "final", "HG-Int", "final", "HG"),
    "Intermediate supervision helps a stack": ("stacking", "final", "HG-Stacked-Int", "final", "HG-Stacked"),
    "A stack with intermediate supervision": ("stacking", "final", "HG-Stacked-Int", "final", "HG-Int"),
    "At the end 4 stacks beat 2": ("stages", "final", "4", "final", "2"),
    "At the end 8 stacks beat 4": ("stages", "final", "8", "final", "4"),
    "Halfway 4 stacks beat 2": ("stages", "halfway", "4", "halfway", "2"),
    "Halfway 8 stacks beat 4": ("stages", "halfway", "8", "halfway", "4"),
    "8 stacks halfway stay below 2": ("stages", "final", "2", "halfway", "8"),
}


@pytest.mark.parametrize(("start", "paths"), COMPARED.items(), ids=COMPARED)
def test_comparisons_agree_with_the_records_signs(start, paths):
    name, *steps = paths
    results = (RECORDS.get(f"{name}-gpu") or RECORDS[f"{name}-cpu"])["results"]
    signs = np.sign(
        np.subtract(results[steps[0]][steps[1]]["each"], results[steps[2]][steps[3]]["each"])
    ).tolist()
    expected = {(1.0,): HOLDS, (-1.0,): FAILS}.get(tuple(set(signs)), OPEN)
    assert judge(find(start)).verdict == expected


def test_a_comparison_needs_all_seeds():
    assert claims.compare([0.6, 0.7], [0.5, 0.4]) == Found(
        "65.0 against 45.0 on average; the differences by seed are +10.0, +30.0 points.", True
    )
    assert claims.compare([0.5, 0.4], [0.6, 0.7]).holds is False
    assert claims.compare([0.6, 0.4], [0.5, 0.7]).holds is None
    assert claims.compare([0.6, 0.5], [0.5, 0.5]).holds is None  # a tie is not ahead
    assert "the one seed" in claims.compare([0.6], [0.5]).figure


def quarter(mean, error):
    return {"quarter": {"heatmaps": {"gain": {"0.1": {}, "0.5": {"mean": mean, "error": error}}}}}


def people(first, second):
    sizes = {"first_person_s_size": first, "second_person_s_size": second}
    return {"scale_alone_halfway": {"pairs": 400} | sizes}  # two standard errors are at most 0.1


def share(first, second):
    return {"first": first, "second": second}


def knees(area, chance):
    return {"half cut by the border": {"knee": {"mean": {"area": area}, "area_by_chance": chance}}}


CHANGED = [
    ("Averaging with the mirrored picture helps", quarter(0.003, 0.001), HOLDS),
    ("Averaging with the mirrored picture helps", quarter(0.003, 0.002), OPEN),
    ("Averaging with the mirrored picture helps", quarter(-0.003, 0.001), FAILS),
    ("Averaging with the mirrored picture is worth", quarter(0.011, 0.001), HOLDS),
    ("Averaging with the mirrored picture is worth", quarter(0.003, 0.0005), FAILS),
    ("Averaging with the mirrored picture is worth", quarter(0.03, 0.001), FAILS),
    ("With centres only 26 px", people(share(0.6, 0.3), share(0.3, 0.6)), HOLDS),
    ("With centres only 26 px", people(share(0.6, 0.3), share(0.4, 0.45)), OPEN),
    ("With centres only 26 px", people(share(0.3, 0.6), share(0.6, 0.3)), FAILS),
    # 0.921 closes 0.082 of the 0.161 that guessing leaves, which is 0.51.
    ("The mean of a heatmap tells", knees(0.93, 0.8), HOLDS),
    ("The mean of a heatmap tells", knees(0.93, 0.9), FAILS),
    ("An offset of a quarter", {"pck": {"argmax": {"0.1": 0.5}, "quarter": {"0.1": 0.4}}}, FAILS),
    ("Most occluded joints", {"pckh@0.5": {"wrist": {"occluded": 0.4}, "elbow": {"occluded": 0.6}}}, FAILS),
    ("About 3000 people", {"validation": {"people": 4100}}, FAILS),
]


@pytest.mark.parametrize(("start", "results", "verdict"), CHANGED)
def test_another_record_gives_another_verdict(start, results, verdict, monkeypatch):
    claim = find(start)
    record = replace(records.read(claim.record, claim.scale), results=results)
    monkeypatch.setattr(records, "read", lambda name, scale=None: record)
    assert judge(claim).verdict == verdict


def test_a_figure_beside_a_reason_is_not_compared():
    claim = Claim("1", "A claim.", lambda _: Found("Ours is 3."), because="it is something else")
    found = judge(claim)
    assert found.verdict == APART
    assert found.here == "Ours is 3. Not comparable, because it is something else."
    assert judge(Claim("1", "A claim.", because="nobody did")).here == "Not measured, because nobody did."


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_the_page_shows_what_is_judged(paper):
    shown = ledger(paper)
    cards = re.findall(r'id="([\w-]+)">\n\n\*\*Section ([^*]+)\*\* <span class="[\w -]+">([^<]+)<', shown)
    assert cards == [
        (f"{paper.key}-{n}", claim.where, judge(claim).verdict) for n, claim in enumerate(paper.claims, 1)
    ]
    counts = dict(re.findall(r"^- \*\*(.+)\*\*: (\d+) of", summary(paper), re.MULTILINE))
    assert counts == {verdict: str(sum(card[2] == verdict for card in cards)) for verdict in VERDICTS}
    linked = set(re.findall(r"\(#([\w-]+)\)", summary(paper)))
    assert linked == {name for name, _, verdict in cards if verdict in (FAILS, OPEN)}
    page = (ROOT / "book/claims.md").read_text(encoding="utf-8")
    assert f'papers.ledger(papers.PAPERS["{paper.key}"])' in page, "give the paper a heading and a cell"


def test_every_figure_and_every_row_of_the_tables_is_there():
    where = " ".join(claim.where for claim in PAPER.claims)
    assert {int(n) for n in re.findall(r"Figure (\d+)", where)} == set(range(1, 12))
    for number, table in ((1, TABLE_1), (2, TABLE_2)):
        rows = [claim.says for claim in PAPER.claims if claim.where == f"4.1, Table {number}"]
        assert len(rows) == len(table) == 6
        for row, values in zip(rows, table.values(), strict=True):
            assert [float(value) for value in re.findall(r"\d+\.\d", row)] == list(values.values())


def test_tables_are_copied_right():
    """Sums of the rows, added up by hand from the paper."""
    sums = [round(sum(row.values()), 1) for row in TABLE_1.values()]
    assert sums == [135.6, 174.3, 182.1, 187.7, 192.6, 196.0]
    sums = [round(sum(row.values()) - row["total"], 1) for row in TABLE_2.values()]
    assert sums == [567.7, 563.9, 571.9, 572.1, 616.1, 633.9]
    assert [row["total"] for row in TABLE_2.values()] == [82.0, 81.3, 82.4, 82.4, 88.5, 90.9]


def test_the_reports_tables_are_copied_right():
    """Sums worked by hand from the report: the columns of Table 1, the rows of Table 2, those of Table 3."""
    columns = zip(*(limits for _, limits in REPORT_1.values()), strict=True)
    assert [round(sum(column), 4) for column in columns] == [133.95, 100.8, 70.6]
    rows = [value for joint, value in REPORT_2.items() if joint != "average"]
    assert (len(rows), round(sum(rows), 4), REPORT_2["average"]) == (17, 13.3814, 0.7872)
    assert list(REPORT_3.values()).count("Hourglass") == 7 and len(REPORT_3) == 12


def test_nothing_was_measured_on_what_is_said_not_to_be_at_hand():
    measured = set()
    for name, record in RECORDS.items():
        # A record of several networks has settings for each.
        for settings in (record["settings"], *record["settings"].values()):
            if isinstance(settings, dict) and settings.get("data") in ("mpii", "flic"):
                measured.add(name.rsplit("-", 1)[0])
    assert measured == {"labels"}, "the reasons in newell2016/tables.py are no longer true"


def test_the_papers_sums_by_hand():
    """The cells of the page, run; beside them what comes out on paper."""
    page = jupytext.read(ROOT / "book/claims.md", fmt="md:myst")
    said, cells = StringIO(), {}
    with redirect_stdout(said):
        for cell in page.cells:
            if cell.cell_type == "code":
                exec(cell.source, cells)
    # (91.2 + 87.1 + 87.4 + 83.6) / 4 = 87.325 and (88.7 + 84.0 + 82.8 + 79.4) / 4 = 83.725.
    assert cells["errors"] == pytest.approx((16.275, 12.675))
    assert (
        "16.275 for 16.3: comes out\n12.675 for 12.8: does not come out\n3.600 for 3.5: does not"
        in said.getvalue()
    )
    assert cells["mean"](TABLE_2["Our model"], cells["once"]) == pytest.approx(633.9 / 7)
    assert "90.56 for 90.9  Our model" in said.getvalue()
    # Labels of the validation set, from the record's own file.
    joints = RECORDS["labels-cpu"]["results"]["validation"]["joints"]
    kinds = ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"]
    counts = [
        joints["head_top"]["labelled"] + joints["neck"]["labelled"],
        *(joints[k]["labelled"] for k in kinds),
    ]
    for row in TABLE_2.values():
        weighted = np.average(list(row.values())[:7], weights=counts)
        assert cells["mean"](row, cells["labels"]) == pytest.approx(weighted)
        assert round(weighted, 1) == row["total"]
    # (85.5 - 61.1) / (93.6 - 61.1) = 24.4 / 32.5, and (90.5 - 74.0) / (95.1 - 74.0) = 16.5 / 21.1.
    assert cells["shares"] == pytest.approx({"wrist": 0.7508, "elbow": 0.7820}, abs=1e-4)
    # 352.4 - 176 = 176.4, half of it for knees and ankles.
    assert cells["left_over"] == pytest.approx(88.2)
    assert (cells["legs"], cells["arms"]) == pytest.approx((85.5, 89.15))
    assert cells["gains"] == pytest.approx(
        {"head": 0.4, "shoulder": 1.3, "elbow": 2.5, "wrist": 3.1, "hip": 1.7, "knee": 4.6, "ankle": 4.2,
         "total": 2.4})  # fmt: skip
    assert said.getvalue().count("best: True") == 2
    # 88.52 - 6.11 and 79.41 - 10.76: with LSP's people both are Pishchulin's, 82.4 and 68.6.
    assert (cells["second"]["total", "with LSP"], cells["second"]["ankle", "with LSP"]) == pytest.approx(
        (82.41, 68.65)
    )
    lines = (
        "total, MPII alone: 81.84, which is nobody",
        "total, with LSP: 82.41, which is Pishchulin et al. and Hu et al.",
        "ankle, with LSP: 68.65, which is Pishchulin et al.",
    )
    for line in lines:
        assert line in said.getvalue()
    # 97.3 + 95.2 + 89.9 + 85.3 + 89.4 + 85.7 + 81.9 = 624.7; with Table 6's first two 625.2. A seventh each.
    overall = "Part heatmap regression (Res)"
    assert cells["repeated"] == ["elbow", "wrist", "hip", "knee", "ankle"]
    assert cells["sums"][5, overall][1] == pytest.approx(89.243, abs=1e-3)
    assert cells["sums"][6, overall] == pytest.approx((89.72, 89.314), abs=6e-3)
    stated = {number: {who: row["total"] for who, row in table.items()}
              for number, table in ((5, TABLE_5), (6, TABLE_6))}  # fmt: skip
    for (number, who), (by_labels, by_columns) in cells["sums"].items():
        if number == 6:
            assert round(by_labels, 1) == stated[6][who]
        elif number == 5 and who != overall:
            assert abs(by_columns - stated[5][who]) < 0.3
    assert min(cells["sums"][5, overall]) - stated[5][overall] > 1


def test_tables_of_part_heatmap_regression_are_copied_right():
    """Sums of the rows without their totals, added up by hand from the paper."""
    sums = [
        [round(sum(row.values()) - row["total"], 2) for row in table.values()]
        for table in (TABLE_5, TABLE_6, TABLE_7)
    ]
    assert sums == [
        [624.7, 581.4, 576.4, 589.4, 601.8, 535.6],
        [625.2, 573.6, 622.5, 616.1, 615.0, 598.8, 589.3, 571.9, 571.85, 563.9, 551.0, 567.7],
        [634.2, 584.2, 633.4, 630.6, 609.6, 607.0, 514.9, 512.1, 505.8, 511.3, 514.2],
    ]


def test_labels_by_hand(tmp_path):
    """Three people, two of one photo: joint 0, an ankle, has no label, and joint 3, a hip, is hidden."""
    listed = [mpii_record(), mpii_record(isValidation=1.0), mpii_record(isValidation=1.0, img_paths="b.jpg")]
    with gzip.open(tmp_path / labels.FILE, "wt") as file:
        json.dump(listed, file)
    at = bench.Bench("cpu", tmp_path / "runs", root=tmp_path, device="cpu")
    found = labels.labels(at)
    record = records.read("labels", where=records.write(at.record("labels", found), tmp_path).parent)
    validation = record.results["validation"]
    assert (validation["people"], validation["photos"], record.results["train"]["people"]) == (2, 2, 1)
    assert validation["joints"]["ankle"] == {"places": 4, "labelled": 2, "visible": 2}
    assert validation["joints"]["hip"] == {"places": 4, "labelled": 4, "visible": 2}
    assert validation["joints"]["neck"] == {"places": 2, "labelled": 2, "visible": 2}
    assert "50.0% of the ankles have no label" in record.verdict
