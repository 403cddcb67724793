"""Debian's packages in a CycloneDX list beside the Python packages."""

from __future__ import annotations

import json

EMPTY = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1})
"""The list of an image without an environment of its own."""


def with_debian(bom: str, packages: str) -> str:
    """The list with `packages` added: lines of name, version and architecture, as `dpkg-query` prints them."""
    listed = json.loads(bom)
    lines = sorted(line.split("\t") for line in packages.splitlines())
    listed["components"] = listed.get("components", []) + [
        {
            "bom-ref": f"deb:{name}:{architecture}",
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={architecture}",
        }
        for name, version, architecture in lines
    ]
    return json.dumps(listed, indent=1, sort_keys=True) + "\n"
