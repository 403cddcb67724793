"""`python -m infra.licences` writes `requirements/licences.tsv`: the licence of every package of the locks.

As the packages declare it themselves: a licence expression (SPDX), else classifiers, else the first line of a text.
A package that only other systems install is not listed.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

from infra.locks import LOCKS

ENVIRONMENTS = ("tasks", "airflow")
TABLE = LOCKS / "licences.tsv"
UNKNOWN = "not declared"
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "


def table() -> str:
    """A line for each package: name, licence, and the environments that have it."""
    found: dict[str, set[str]] = {}
    for environment in ENVIRONMENTS:
        for name in _ENTRY.findall((LOCKS / f"{environment}.lock").read_text()):
            found.setdefault(name, set()).add(environment)
    rows = [
        f"{name}\t{declared}\t{' '.join(e for e in ENVIRONMENTS if e in environments)}\n"
        for name, environments in sorted(found.items())
        if (declared := licence_of(name)) is not None
    ]
    return "package\tlicence\tenvironments\n" + "".join(rows)


def licence_of(name: str) -> str | None:
    """What an installed package declares; None if it is not installed."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return None
    (expression,) = package.metadata.get_all("License-Expression") or [""]
    classifiers = [c for c in package.metadata.get_all("Classifier") or () if c.startswith(_CLASSIFIER)]
    (text,) = package.metadata.get_all("License") or [""]
    classified = "; ".join(sorted(c.removeprefix(_CLASSIFIER) for c in classifiers))
    return expression or classified or text.strip().partition("\n")[0][:80].strip() or UNKNOWN


if __name__ == "__main__":
    TABLE.write_text(table())
