"""Built books for the tests: the project's own, a small one with every piece in it, and a server for both."""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import notebooks
import published_config
import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "_build" / "html"
REPOSITORY = "https://github.com/owner/name"  # made up


def built() -> Path:
    """The pages of the project's book, or a skip."""
    if not (ROOT / "_build" / "built").exists():
        pytest.skip("no built book: run make book")
    return PAGES


def build_sample(folder: Path) -> Path:
    """Build tests/sample as if it were published at REPOSITORY; its pages."""
    shutil.copytree(ROOT / "tests" / "sample", folder, dirs_exist_ok=True)
    for path in [ROOT / "book/references.bib", ROOT / "book/bibliography.md"]:
        shutil.copy(path, folder / "book")
    # Copied, not linked: a script finds the book that it belongs to by its own place.
    shutil.copytree(ROOT / "book/build", folder / "book/build", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "book" / "_static").symlink_to(ROOT / "book" / "_static")
    (folder / "minipose").symlink_to(ROOT / "minipose")
    (folder / "book/minipose_book").symlink_to(ROOT / "book/minipose_book")
    for path, text in notebooks.build(folder).items():
        path.write_text(text, encoding="utf-8")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    colab = published_config.notebooks_stand_beside(sorted((folder / "book").glob("*.md")))
    public = published_config.published(config, REPOSITORY, "main", colab)
    (folder / "_config.yml").write_text(yaml.safe_dump(public, sort_keys=False), encoding="utf-8")
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "--keep-going", "--quiet"]
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "_build" / "html"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address at which a folder is served."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
