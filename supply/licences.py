"""Write LICENCES.md: the terms of all that comes with minipose, which have to go with MIT."""

from __future__ import annotations

import sys

from supply.components import ROOT, Component, closure, dependencies, is_expression, scripts

PAGE = """# Licences of what minipose uses

minipose is under the MIT licence ([LICENSE](LICENSE)). It ships none of the following. `pip` fetches the
packages, the built book contains the scripts. Each keeps its own terms, and all of them go with MIT.

Written by `make licences`, from what the tested versions say of themselves on Linux.

## Packages that minipose needs

{packages}

The wheel of opencv-python also holds FFmpeg and Qt, which are under the LGPL, version 2.1 and 3. PyTorch's
builds for NVIDIA's GPUs bring NVIDIA's libraries, which have terms of their own.

## Scripts in the built pages

{scripts}
"""


def table(components: list[Component]) -> str:
    rows = [f"| {each.name} | {each.version} | {each.licence} |" for each in components]
    return "\n".join(["| name | version | licence |", "|---|---|---|", *rows])


def refused(components: list[Component]) -> list[str]:
    """Those whose licence is not known, or not known to go with MIT."""
    return [
        f"{each.name}: {each.licence or 'none'}" for each in components if not is_expression(each.licence)
    ]


def page() -> str:
    packages = list(closure(dependencies()).values())
    if wrong := refused([*packages, *scripts()]):
        sys.exit(f"Licences to look at: {', '.join(wrong)}")
    return PAGE.format(packages=table(packages), scripts=table(scripts()))


if __name__ == "__main__":
    (ROOT / "LICENCES.md").write_text(page(), encoding="utf-8")
    print("wrote LICENCES.md")
