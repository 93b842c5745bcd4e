"""What comes from elsewhere is fixed by checksum, its licences go with MIT, workflows may do little."""

import importlib.metadata
import json
import re
import sys
from contextlib import suppress

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from test_repository import ROOT, read, requirements

sys.path.insert(0, str(ROOT))
from supply import bill, components, licences

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def pins(path: str) -> dict[str, str]:
    lines = [line.split(";")[0].strip(" \\") for line in read(path).splitlines()]
    found = [line.split("==") for line in lines if re.match(r"[\w.-]+==\S+$", line)]
    return {canonicalize_name(name): version for name, version in found}


def test_the_tested_set_is_locked_with_checksums():
    locked, tested = pins("requirements.lock"), components.tested()
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


def installed_are_the_tested_versions() -> bool:
    for name, version in components.tested().items():
        with suppress(importlib.metadata.PackageNotFoundError):
            if importlib.metadata.version(name).partition("+")[0] != version:
                return False
    return True


def test_every_licence_goes_with_mit():
    used = [*components.closure(components.dependencies()).values(), *components.scripts()]
    assert {each.name for each in used} >= {"torch", "numpy", "pillow", "mathjax", "onnxruntime-web"}
    assert licences.refused(used) == []
    strange = components.Component("pypi", "x", "1", "MIT AND GPL-3.0-only")
    assert licences.refused([strange]) == ["x: MIT AND GPL-3.0-only"]
    assert licences.refused([components.Component("pypi", "x", "1", "")]) == ["x: none"]


def test_the_list_of_licences_is_up_to_date():
    if not installed_are_the_tested_versions() or sys.platform != "linux":
        pytest.skip("the list is of the tested versions on Linux")
    assert read("LICENCES.md") == licences.page()


def test_the_bill_names_everything():
    content = bill.bill()
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    found = {each["purl"]: each for each in content["components"]}
    assert len(found) == len(content["components"]) == len(components.tested()) + len(components.scripts())
    assert found["pkg:npm/mathjax@3.2.2"]["licenses"] == [{"expression": "Apache-2.0"}]
    assert len(found["pkg:npm/mathjax@3.2.2"]["hashes"][0]["content"]) == 128  # SHA-512 in hexadecimal
    assert found[f"pkg:pypi/numpy@{components.tested()['numpy']}"]["scope"] == "required"
    assert found[f"pkg:pypi/sphinx@{components.tested()['sphinx']}"]["scope"] == "optional"
    assert json.loads(json.dumps(content)) == bill.bill(), "the same twice"


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
