"""A CycloneDX list of Python packages -> that of an image: with licences that the tool missed, with Debian packages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EMPTY = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1})
"""The list of an image without an environment of its own."""


def completed(bom: str, packages: str, licences: Mapping[str, str]) -> str:
    """The list with more in it.

    Args:
        bom: CycloneDX as JSON.
        packages: lines of name, version and architecture, as `dpkg-query` prints them.
        licences: Python package (`normalised`) -> licence, for those whose declaration the tool does not read.
    """
    listed = json.loads(bom)
    components = listed.get("components", [])
    for component in components:
        if not component.get("licenses") and (declared := licences.get(normalised(component["name"]))):
            component["licenses"] = [{"license": {"name": declared}}]
    lines = sorted(line.split("\t") for line in packages.splitlines())
    listed["components"] = components + [
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


def declared_licences(table: str) -> dict[str, str]:
    """Package (`normalised`) -> licence, of `requirements/licences.tsv`; without those that declare none."""
    rows = (line.split("\t") for line in table.splitlines()[1:])
    return {normalised(name): licence for name, licence, _ in rows if licence != "not declared"}


def normalised(name: str) -> str:
    """A Python package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
