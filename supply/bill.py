"""Write _build/sbom.json: everything that is installed and loaded, in the format of CycloneDX 1.6."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import uuid
from contextlib import suppress
from typing import Any

import minipose
from supply.components import ROOT, Component, closure, dependencies, licence, scripts, tested, vendor


def entry(component: Component, scope: str) -> dict[str, Any]:
    """A component as CycloneDX describes it; "required" is what `import minipose` needs."""
    found: dict[str, Any] = {
        "type": "library", "bom-ref": component.purl, "name": component.name,
        "version": component.version, "purl": component.purl, "scope": scope,
    }  # fmt: skip
    if component.licence:
        found["licenses"] = [{"expression": component.licence}]
    for package in vendor.PACKAGES:
        if (component.source, component.name) == ("npm", package.name):
            digest = base64.b64decode(package.sha512).hex()
            found["hashes"] = [{"alg": "SHA-512", "content": digest}]
    return found


def bill() -> dict[str, Any]:
    """The bill of the tested set: every pin of constraints.txt, and the scripts of the pages."""
    required = closure(dependencies())
    components = [entry(each, "required") for each in scripts()]
    for name, version in tested().items():
        stated = ""
        with suppress(importlib.metadata.PackageNotFoundError):
            stated = licence(importlib.metadata.metadata(name))
        scope = "required" if name in required else "optional"
        components.append(entry(Component("pypi", name, version, stated), scope))
    name = f"pkg:pypi/minipose@{minipose.__version__}"
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": name, "name": "minipose", "purl": name,
                "version": minipose.__version__, "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": components,
    }  # fmt: skip
    # The same parts have the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content))
    return content | {"serialNumber": number.urn}


if __name__ == "__main__":
    path = ROOT / "_build/sbom.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(bill(), indent=1), encoding="utf-8")
    print(f"wrote {path}")
