"""What comes from elsewhere is fixed by checksum, licences are listed, workflows may do little."""

import re

import pytest
import vendor
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from test_repository import ROOT, read, requirements

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def pins(path: str) -> dict[str, str]:
    lines = [line.split(";")[0].strip(" \\") for line in read(path).splitlines()]
    found = [line.split("==") for line in lines if re.match(r"[\w.-]+==\S+$", line)]
    return {canonicalize_name(name): version for name, version in found}


def test_the_tested_set_is_locked_with_checksums():
    locked, tested = pins("requirements.lock"), pins("constraints.txt")
    assert locked == {name: version for name, version in tested.items() if name != "torch"}
    for entry in re.split(r"\n(?=\S)", read("requirements.lock")):
        assert entry.startswith("#") or re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


def test_the_install_asks_for_the_checksums():
    assert "--require-hashes --requirement requirements.lock" in read("Makefile")


def test_the_oldest_set_is_the_lower_bounds():
    oldest = pins("constraints-oldest.txt")
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        if name == "torch":
            assert name not in oldest
            continue
        [bound] = [each.version for each in requirement.specifier if each.operator == ">="]
        # The first release at or above a bound need not have just that number.
        assert Version(bound) <= Version(oldest[name]), name
        assert Version(oldest[name]).major == Version(bound).major, name


def test_the_scripts_in_the_pages_are_listed_with_their_licences():
    listed = re.findall(r"^\| (\S+) \| (\d\S+) \| (\S+) \|$", read("LICENCES.md"), flags=re.MULTILINE)
    packages = [each for each in vendor.PACKAGES if each.folder.is_relative_to(vendor.PAGES)]
    assert listed == [(each.name, each.version, each.licence) for each in packages]
    assert {each.licence for each in packages} <= {"Apache-2.0", "BSD-3-Clause", "MIT"}, "go with MIT"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_pinned_and_may_do_little(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow[True]  # YAML takes the word "on" for a truth
    for name, job in workflow["jobs"].items():
        assert "timeout-minutes" in job, name
        # Only the job that publishes may write, and only the pages.
        allowed = (
            {"pages": "write", "id-token": "write"} if (path.stem, name) == ("publish", "deploy") else None
        )
        assert job.get("permissions") == allowed, name
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            # What somebody else can write, a title say, may not become part of a script.
            assert "${{" not in step.get("run", "")
    versions = re.findall(r"uses: (\S+)@[0-9a-f]{40} # v\d+\.\d+\.\d+$", path.read_text(), flags=re.MULTILINE)
    assert len(versions) == path.read_text().count("uses:"), "each commit has its version beside it"


def test_workflows_try_every_python_and_the_newest_of_everything():
    workflows = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS}
    assert workflows["checks"]["jobs"]["checks"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "schedule" in workflows["weekly"][True]
    assert {"newest", "oldest", "vulnerabilities"} <= workflows["weekly"]["jobs"].keys()
    for name, job in (("checks", "supply"), ("weekly", "vulnerabilities")):
        runs = [step.get("run", "") for step in workflows[name]["jobs"][job]["steps"]]
        assert any("pip_audit" in run and "constraints.txt" in run for run in runs)


def test_audited_names_are_requirements():
    for line in read("constraints.txt").splitlines():
        if line and not line.startswith("#"):
            assert str(Requirement(line).specifier).startswith("=="), line
