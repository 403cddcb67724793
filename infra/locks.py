"""`python -m infra.locks` rewrites the locks in `requirements/` after `uv pip compile`.

torch has a build for CPUs and one for each CUDA, of one version and under one name: which of them an index or a folder
of wheels gives, a lock for all places cannot say, so its entry has no hash. What only the builds for CUDA need, 3.4 GB,
goes to `cuda.lock`, a constraint: it is installed with such a build and not with the build for CPUs. Any other package
is installed only if its file has a hash of the lock.
"""

from __future__ import annotations

import re
from pathlib import Path

CHOSEN_BUILDS = ("torch",)
CUDA = re.compile(r"nvidia-|cuda-|triton==")
LOCKS = Path(__file__).resolve().parents[1] / "requirements"
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


def without_cuda(lock: str) -> tuple[str, str]:
    """The lock without the entries that only CUDA needs, and those entries."""
    parts: dict[bool, list[str]] = {False: [], True: []}
    cuda = False
    for line in lock.splitlines(keepends=True):
        if _ENTRY.match(line):
            cuda = CUDA.match(line) is not None
        parts[cuda].append(line)
    return "".join(parts[False]), "".join(parts[True])


def main(folder: Path = LOCKS) -> None:
    """Rewrite each lock."""
    for path in sorted([*folder.glob("*.lock"), *folder.glob("tools/*.lock")]):
        if path.name == "cuda.lock":
            continue
        lock, cuda = without_cuda(without_chosen_hashes(path.read_text()))
        path.write_text(lock)
        if path.name == "dev.lock":
            (folder / "cuda.lock").write_text(cuda)


if __name__ == "__main__":
    main()
