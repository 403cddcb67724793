"""`python -m infra.locks LOCK...` takes out the hashes of packages whose build is chosen where they are installed.

torch has a build for CPUs and one for each CUDA, of one version and under one name: which of them an index or a folder
of wheels gives, a lock for all places cannot say. Any other package is installed only if its file has a hash of the
lock.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHOSEN_BUILDS = ("torch",)
_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==")


def without_chosen_hashes(lock: str) -> str:
    """The lock with entries of `CHOSEN_BUILDS` as `name==version`: no hash, no local version (`+cpu`)."""
    kept: list[str] = []
    chosen = False
    for line in lock.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            chosen = entry["name"].lower() in CHOSEN_BUILDS
            kept.append(re.sub(r"\+\w+|\s*\\$", "", line) if chosen else line)
        elif not (chosen and line.lstrip().startswith("--hash=")):
            kept.append(line)
    return "\n".join(kept) + "\n"


def main(paths: list[str]) -> None:
    """Rewrite each lock."""
    for path in map(Path, paths):
        path.write_text(without_chosen_hashes(path.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
