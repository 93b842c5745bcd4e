"""The packages and scripts that minipose and its book use, their versions and licences."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book/build"))  # vendor.py lists the scripts
import vendor  # noqa: E402

# All of these allow what MIT allows as long as their own files keep their terms and notices.
COMPATIBLE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "HPND", "ISC", "MIT",
    "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "LLVM-exception",
}  # fmt: skip
# SPDX's names for what older packages say in words, in a field or in a classifier.
WORDS = {
    "Apache 2.0": "Apache-2.0", "Apache Software License": "Apache-2.0", "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause", "BSD 3-Clause License": "BSD-3-Clause", "FreeBSD": "BSD-2-Clause",
    "MIT License": "MIT", "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "ISC License (ISCL)": "ISC",
}  # fmt: skip


@dataclass(frozen=True)
class Component:
    """A package of PyPI ("pypi") or npm ("npm"), with its licence as an SPDX expression, or "" if unknown."""

    source: str
    name: str
    version: str
    licence: str

    @property
    def purl(self) -> str:
        """The address by which tools for vulnerabilities know it."""
        return f"pkg:{self.source}/{self.name.replace('@', '%40')}@{self.version}"


def licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """The SPDX expression that an installed package states, in whatever way."""
    if expression := metadata.get("License-Expression"):
        return expression
    said = (metadata.get("License") or "").strip()
    if is_expression(said):
        return said
    classifiers = [each.split("::")[-1].strip() for each in metadata.get_all("Classifier") or []]
    return next((WORDS[each] for each in [said, *classifiers] if each in WORDS), "")


def parts(expression: str) -> list[str]:
    """The licences in an SPDX expression."""
    return [each for each in re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", expression) if each]


def is_expression(text: str) -> bool:
    return bool(parts(text)) and all(part in COMPATIBLE for part in parts(text))


def closure(names: list[str]) -> dict[str, Component]:
    """The installed packages of these names and all that they require here, by name."""
    found: dict[str, Component] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        package = importlib.metadata.distribution(name)
        version = package.version.partition("+")[0]  # torch's builds add where they run
        found[name] = Component("pypi", name, version, licence(package.metadata))
        for line in package.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return dict(sorted(found.items()))


def dependencies(extra: str | None = None) -> list[str]:
    """Names that pyproject.toml asks for: the package's own, or those of an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return [Requirement(line).name for line in lines]


def tested() -> dict[str, str]:
    """Name -> version of everything in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def scripts() -> list[Component]:
    """What the built pages load in a reader's browser."""
    return [
        Component("npm", package.name, package.version, package.licence)
        for package in vendor.PACKAGES
        if package.folder.is_relative_to(vendor.PAGES)
    ]
