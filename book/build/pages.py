"""What this book adds to Sphinx: student notebooks to download, and no script that only fails.

_config.yml names it under local_extensions.
"""

import os
import re
import shutil
from pathlib import Path

import citations  # noqa: F401  registers the style that bibtex_default_style names
import docstrings

# What a page may load and ask: itself, whatever a reader gives it. In the live lab photos and cameras are
# looked at, and this keeps them where they are. Scripts and styles stand in the pages, so they are allowed
# there; WebAssembly is what the lab's networks run in.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'wasm-unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}


def notebook(app, page: str) -> Path:
    """Where the student notebook of a page stands, if it has one (book/build/notebooks.py)."""
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
    body = body.replace(' role="doc-biblioentry"', "").replace(
        '<div role="list" class="cit', '<div class="cit'
    )
    # Arguments with a line each are a list of definitions without anything defined.
    context["body"] = re.sub(r'<dt class="sig .*?</dt>', plain_arguments, body, flags=re.DOTALL)


def plain_arguments(signature: re.Match) -> str:
    """The same signature, its arguments in spans that book.css sets as lines."""
    plain = re.sub(r"<d([ld])>", r'<span class="sig-arguments-\1">', signature[0])
    return re.sub(r"</d[ld]>", "</span>", plain)


def keep_at_home(app, page, template, context, doctree) -> None:
    """The browser refuses what POLICY does not name: a page asks no other host, and tells none anything."""
    policy = "; ".join(f"{what} {where}" for what, where in POLICY.items())
    if "application/vnd.jupyter.widget-" in context.get("body", ""):
        # ipywidgets makes functions out of text to check what it is given.
        policy = policy.replace("script-src", "script-src 'unsafe-eval'")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
    context["metatags"] = meta + context.get("metatags", "")


def copy_modules(app, exception) -> None:
    """The package's own JavaScript, which the live lab shares with the figures that move."""
    if exception is None:
        source = Path(__file__).resolve().parents[2] / "book/minipose_book/figures/static"
        shutil.copytree(source, Path(app.outdir) / "_static/minipose", dirs_exist_ok=True)


def copy_notebooks(app, exception) -> None:
    if exception is None:
        for page in app.env.all_docs:
            if notebook(app, page).exists():
                shutil.copy(notebook(app, page), Path(app.outdir) / f"{page}.ipynb")


def setup(app):
    # The chapters' kernels inherit it: what moves on a page has no kernel to ask (figures/moving.py).
    os.environ["MINIPOSE_PAGES"] = "1"
    # After the theme (501), whose lists the first two change.
    app.connect("html-page-context", offer_downloads, priority=900)
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.connect("html-page-context", mend_accessibility)
    app.connect("html-page-context", keep_at_home)
    app.connect("build-finished", copy_notebooks)
    app.connect("build-finished", copy_modules)
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", docstrings.process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
