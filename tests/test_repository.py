"""The repository keeps its own promises: dependencies in step, one direction of imports, nothing private."""

import ast
import contextlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minipose"

CONDA_NAMES = {"torch": "pytorch"}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


def requirements() -> list[Requirement]:
    """Every dependency of the project: the package's, the book's and the tests'."""
    lines = list(project()["dependencies"])
    for extra in project()["optional-dependencies"].values():
        lines += extra
    return [Requirement(line) for line in lines]


def by_name(lines: list[Requirement]) -> dict[str, SpecifierSet]:
    return {canonicalize_name(line.name): line.specifier for line in lines}


def constraints() -> dict[str, SpecifierSet]:
    lines = read("constraints.txt").splitlines()
    return by_name([Requirement(line) for line in lines if line and not line.startswith("#")])


def repository_files() -> list[Path]:
    """What git tracks or would track. Outside a git checkout there is no telling, and no test."""
    git = ["git", "-c", "safe.directory=*"]  # the checkout may belong to somebody else
    command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for path in (ROOT / name for name in listed.split("\0") if name) if path.is_file()]


def imported(source: str) -> set[str]:
    """Modules that some source imports, anywhere in it: also inside functions and for type checkers only."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called.endswith(("import_module", "__import__")):
                found.add(str(node.args[0].value))
    return found


def commands(text: str) -> list[str]:
    """The `make` lines of some shell text, in order, without comments."""
    stripped = (re.sub(r"\s+#.*", "", line).strip().removeprefix("$ ") for line in text.splitlines())
    return [line for line in stripped if line.startswith("make ")]


# Dependencies


def test_environment_lists_what_pyproject_lists():
    entries = yaml.safe_load(read("environment.yml"))["dependencies"]
    conda = [Requirement(entry) for entry in entries if isinstance(entry, str)]
    [pip] = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert "--editable ." in pip, "environment.yml installs minipose itself"
    listed = by_name(conda + [Requirement(entry) for entry in pip if not entry.startswith("-")])

    expected = {CONDA_NAMES.get(name, name): bound for name, bound in by_name(requirements()).items()}
    expected |= {"python": SpecifierSet(project()["requires-python"]), "pip": SpecifierSet()}
    assert listed == expected


def test_environment_says_on_every_line_what_it_is_for():
    entries = [line for line in read("environment.yml").splitlines() if re.match(r"\s+- (?!pip:)", line)]
    silent = [line for line in entries if "#" not in line and "conda-forge" not in line]
    assert not silent


def test_constraints_satisfy_every_bound():
    pinned = constraints()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt has no version of {name}"
        [pin] = pinned[name]
        assert pin.operator == "==", f"constraints.txt: {name}{pin}"
        satisfied = requirement.specifier.contains(pin.version, prereleases=True)
        assert satisfied, f"constraints.txt has {name}{pin}, pyproject.toml asks for {requirement}"


def test_constraints_install_on_the_oldest_python():
    # Debian 12 brings 3.11.2, and a package may ask for a later 3.11 than the one running here.
    for name, pin in constraints().items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed = importlib.metadata.distribution(name)
            needs = SpecifierSet(installed.metadata.get("Requires-Python") or "")
            if pin.contains(installed.version, prereleases=True):
                assert needs.contains("3.11.2"), f"{name} {installed.version} needs Python {needs}"


def test_bounds_are_lower_bounds():
    for requirement in requirements():
        operators = {bound.operator for bound in requirement.specifier}
        assert ">=" in operators and operators <= {">=", "<"}, f"pyproject.toml: {requirement}"
    for line in project()["dependencies"]:
        assert {bound.operator for bound in Requirement(line).specifier} == {">="}, f"pyproject.toml: {line}"


# Directions of imports


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_minipose_never_imports_the_book(path):
    names = imported(path.read_text(encoding="utf-8"))
    assert not [name for name in names if name.split(".")[0] in ("minipose_book", "book")]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import minipose_book.figures", {"minipose_book.figures"}),
        ("from minipose_book import load", {"minipose_book", "minipose_book.load"}),
        ("def run():\n    from minipose_book import load", {"minipose_book", "minipose_book.load"}),
        ("if TYPE_CHECKING:\n    import minipose_book", {"minipose_book"}),
        ("importlib.import_module('minipose_book.checks')", {"minipose_book.checks"}),
        ("text = 'import minipose_book'", set()),
    ],
)
def test_the_import_check_sees_imports(source, found):
    assert imported(source) == found


def test_importing_minipose_is_light():
    heavy = ["matplotlib.pyplot", "scipy.io", "pycocotools", "ipywidgets", "minipose_book"]
    program = f"import sys, minipose; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_shipped_weights_are_small():
    def megabytes(folder):
        return sum(path.stat().st_size for path in folder.glob("*")) / 2**20

    assert megabytes(PACKAGE / "weights") <= 2 and megabytes(ROOT / "book/minipose_book/weights") <= 20


# What the repository must and must not contain


def test_ci_runs_the_two_commands_of_the_readme():
    blocks = re.findall(r"```\w*\n(.*?)```", read("README.md"), flags=re.DOTALL)
    first = next((commands(block) for block in blocks if commands(block)), [])
    assert sorted(first) == ["make book", "make test"], "README's first block with make in it"
    assert sorted(commands(read(".ci/run"))) == sorted(first)


def test_workflows_run_the_same_checks_with_few_rights():
    files = (ROOT / ".github/workflows").glob("*.yml")
    workflows = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    runs = [step.get("run") for step in workflows["checks"]["jobs"]["checks"]["steps"]]
    assert [run for run in runs if run and run.startswith("make ")] == ["make book", "make test"]
    for name, workflow in workflows.items():
        assert workflow["permissions"] == {"contents": "read"}, name


def test_no_photo_is_tracked():
    photos = {".jpg", ".jpeg", ".webp", ".heic"}
    assert not [path for path in repository_files() if path.suffix.lower() in photos]


def test_no_public_address_of_the_repository_in_the_sources():
    # Any absolute address with the project's name in it, on whatever host.
    address = re.compile(r"(https?://|ssh://|git@|\bwww\.)[^\s\"'<>)]*minipose", re.IGNORECASE)
    found = []
    for path in repository_files():
        if path.suffix in {".png", ".safetensors"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if address.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found
    assert "repository" not in yaml.safe_load(read("_config.yml"))
    assert "urls" not in project()


def test_published_configuration_adds_links_and_changes_nothing_else():
    spec = importlib.util.spec_from_file_location("published_config", ROOT / "book/build/published_config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = yaml.safe_load(read("_config.yml"))

    published = module.published(config, "https://example.org/owner/name/", "main", colab=False)
    assert published["repository"] == {"url": "https://example.org/owner/name", "branch": "main"}
    assert published["html"]["use_repository_button"] and not config["html"]["use_repository_button"]
    assert "binderhub_url" in published["launch_buttons"] and "colab_url" not in published["launch_buttons"]
    assert "colab_url" in module.published(config, "x", "main", colab=True)["launch_buttons"]
    for key in config.keys() - {"html", "launch_buttons"}:
        assert published[key] == config[key]
