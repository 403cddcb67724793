"""`make audit`: known vulnerabilities of what the locks install, by pip-audit and its database on the network.

pip-audit leaves out a package that its database does not answer for and still ends with 0. Here a package that was not
looked up is an error: nothing is called free of vulnerabilities that was not audited.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.locks import LOCKS

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE, FOUND, NOT_AUDITED = 0, 1, 3
"""Exit codes."""
COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off"),
    "--requirement",
)
SHOWN = 5
"""Names of packages that were not looked up."""


@dataclass(frozen=True)
class Audit:
    """What was looked up, and what was found."""

    audited: int
    left_out: tuple[str, ...]
    vulnerabilities: tuple[str, ...]
    """`package version: id, corrected in ...`"""

    @property
    def code(self) -> int:
        """A vulnerability weighs more than a package that was not looked up."""
        if self.vulnerabilities:
            return FOUND
        return NOT_AUDITED if self.left_out or not self.audited else NONE


def without_hashes(lock: str) -> str:
    """pip-audit wants a hash for all entries or for none, and torch has none (`infra.locks`)."""
    lines = (line.removesuffix("\\").rstrip() for line in lock.splitlines())
    return "".join(f"{line}\n" for line in lines if not line.lstrip().startswith("--hash="))


def read(output: str) -> Audit:
    """pip-audit's report; one that is not understood is an audit of nothing."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(0, (), ())
    looked_up = [d for d in dependencies if "skip_reason" not in d]
    found = tuple(
        f"{d['name']} {d['version']}: {v['id']}, corrected in {', '.join(v['fix_versions']) or 'no version yet'}"
        for d in looked_up
        for v in d["vulns"]
    )
    return Audit(len(looked_up), tuple(d["name"] for d in dependencies if "skip_reason" in d), found)


def report(lock: str, audit: Audit) -> list[str]:
    """Lines for a person."""
    lines = [f"{lock}: {audit.audited} packages audited, {len(audit.vulnerabilities)} vulnerabilities"]
    lines += [f"  {line}" for line in audit.vulnerabilities]
    if audit.left_out:
        some = ", ".join(audit.left_out[:SHOWN]) + (", ..." if len(audit.left_out) > SHOWN else "")
        lines.append(f"  {len(audit.left_out)} packages are not in the database that was reached: {some}")
    if not audit.audited:
        lines.append("  nothing was audited: run this where the package index or another database can be reached")
    return lines


def main(words: Sequence[str] | None = None) -> int:
    """Audit both environments; the worst code is returned."""
    parser = argparse.ArgumentParser(prog="python -m infra.audit", description=main.__doc__)
    parser.add_argument(
        "--unreachable-passes", action="store_true", help="0 where no database answered for any package"
    )
    given = parser.parse_args(words)
    codes, audited = [], 0
    for lock in ("tasks.lock", "airflow.lock"):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
            pinned.write(without_hashes((LOCKS / lock).read_text()))
            pinned.flush()
            done = subprocess.run([*COMMAND, pinned.name], capture_output=True, text=True, check=False)
        audit = read(done.stdout)
        print("\n".join(report(lock, audit)))
        codes.append(audit.code)
        audited += audit.audited
    if given.unreachable_passes and not audited:
        return NONE
    return FOUND if FOUND in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
