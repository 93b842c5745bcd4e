"""What this book adds to Sphinx: student notebooks to download, and no script that only fails.

_config.yml names it under local_extensions.
"""

import os
import shutil
from pathlib import Path

import citations  # noqa: F401  registers the style that bibtex_default_style names


def notebook(app, page: str) -> Path:
    """Where the student notebook of a page stands, if it has one (book/notebooks.py)."""
    return Path(app.env.doc2path(page)).with_suffix(".ipynb")


def offer_downloads(app, page, template, context, doctree) -> None:
    """The download button: the student notebook and print. The theme's own offers every solution."""
    for button in context.get("header_buttons", []):
        if button["label"] == "download-buttons":
            button["buttons"] = [each for each in button["buttons"] if each["text"] == ".pdf"]
            if page in app.env.all_docs and notebook(app, page).exists():
                button["buttons"].insert(
                    0,
                    {
                        "type": "link",
                        "url": f"{Path(page).name}.ipynb",
                        "text": ".ipynb",
                        "icon": "fas fa-code",
                        "tooltip": "Download this page as a notebook",
                        "label": "download-notebook-button",
                    },
                )


def leave_out_thebe(app, page, template, context, doctree) -> None:
    """Thebe, which Jupyter Book always brings and this book does not use, fails on every page."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "thebe" not in f"{script.filename}{script.attributes.get('body')}".lower()
    ]


def mend_accessibility(app, page, template, context, doctree) -> None:
    """Names and roles that docutils and MyST-NB write and that a screen reader stumbles over."""
    body = context.get("body", "")
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    context["body"] = body.replace(' role="doc-biblioentry"', "").replace(
        '<div role="list" class="cit', '<div class="cit'
    )


def copy_notebooks(app, exception) -> None:
    if exception is None:
        for page in app.env.all_docs:
            if notebook(app, page).exists():
                shutil.copy(notebook(app, page), Path(app.outdir) / f"{page}.ipynb")


def setup(app):
    # The chapters' kernels inherit it: what moves on a page has no kernel to ask (minipose/widgets.py).
    os.environ["MINIPOSE_PAGES"] = "1"
    # After the theme (501), whose lists the first two change.
    app.connect("html-page-context", offer_downloads, priority=900)
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.connect("html-page-context", mend_accessibility)
    app.connect("build-finished", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
