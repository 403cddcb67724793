"""The commit of a bundle: its files, its time, and its history as a file that git clones from."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BRANCH = "main"


class BundleError(Exception):
    """A bundle cannot be made; says why."""


@dataclass(frozen=True)
class Commit:
    """A commit of a repository."""

    repository: Path
    name: str
    """Its full digest."""
    time: int
    """In Unix seconds."""

    def file(self, path: str) -> bytes:
        """The content of a file. Raises BundleError: the commit has none of that name."""
        return _git(self.repository, "show", f"{self.name}:{path}")

    def write_history(self, out: Path) -> None:
        """Write the commit and all before it as a git bundle with one branch.

        Deltas are looked for again in a repository of its own, by one thread: how the commit's repository happens to be
        packed does not show.

        Raises:
            BundleError: the repository does not have the whole history.
        """
        if _git(self.repository, "rev-parse", "--is-shallow-repository").strip() == b"true":
            raise BundleError("the repository is shallow: `git fetch --unshallow` first")
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            _git(out.parent, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", folder)
            in_folder = ("-c", "pack.threads=1", "-C", folder)
            fetched = f"{self.name}:refs/heads/{BRANCH}"
            _git(out.parent, *in_folder, "fetch", "--quiet", "--no-tags", str(self.repository.absolute()), fetched)
            _git(out.parent, *in_folder, "repack", "-a", "-d", "-f", "--quiet")
            _git(out.parent, *in_folder, "bundle", "create", "--quiet", str(out), "HEAD", BRANCH)


def find_commit(repository: Path, revision: str = "HEAD") -> Commit:
    """The commit that a revision names. Raises BundleError: there is none."""
    name = _git(repository, "rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    return Commit(repository, name, int(_git(repository, "log", "-1", "--format=%ct", name)))


def _git(folder: Path, *words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise BundleError(f"git {' '.join(words)} failed: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout
