"""Print the book's configuration for a public copy: _config.yml plus the repository's address.

Used by `make book` when REPOSITORY_URL is set (REPOSITORY_BRANCH: default main). Only then does the
book get repository links and launch buttons, so that no address has to stand in the sources.
"""

import os
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def published(config: dict, url: str, branch: str, colab: bool) -> dict:
    """`config` with the links and buttons of a public repository added, nothing else changed."""
    buttons = {"binderhub_url": "https://mybinder.org"}
    if colab:
        buttons["colab_url"] = "https://colab.research.google.com"
    links = {"use_repository_button": True, "use_issues_button": True, "use_edit_page_button": True}
    return config | {
        "repository": {"url": url.rstrip("/"), "branch": branch},
        "html": config.get("html", {}) | links,
        "launch_buttons": config.get("launch_buttons", {}) | buttons,
    }


def notebooks_stand_beside(pages: list[Path]) -> bool:
    """Whether every executed page has its notebook. Without one the page's Colab link leads nowhere."""
    executed = [page for page in pages if "\nkernelspec:" in page.read_text(encoding="utf-8")]
    return bool(executed) and all(page.with_suffix(".ipynb").exists() for page in executed)


def main() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    colab = notebooks_stand_beside(sorted((ROOT / "book").rglob("*.md")))
    branch = os.environ.get("REPOSITORY_BRANCH") or "main"
    public = published(config, os.environ["REPOSITORY_URL"], branch, colab)
    yaml.safe_dump(public, sys.stdout, sort_keys=False)  # scripts load in the order of the configuration


if __name__ == "__main__":
    main()
