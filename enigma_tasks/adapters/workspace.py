"""A workspace: a clone of a git repository in which git and DVC run. No other module runs git or DVC.

Each command of Enigma has its own workspace and runs one DVC command at a time in it: DVC's locks are files of a
workspace. Output of git and DVC is not shown: it may quote a password or a name.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from enigma_tasks.adapters.git_environment import (
    DVC_CONFIG,
    LOCAL_RECEIVER,
    dvc_settings,
    public_url,
    quiet_environment,
)
from enigma_tasks.children import run_child, run_child_bytes
from enigma_tasks.errors import DataError, ServiceError
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BRANCH = "main"
_NO_SUCH_BRANCH = 2
_LINK, _SUBMODULE = "120000", "160000"
"""Modes of the entries of a git tree."""


class Workspace:
    """A folder for git and DVC. Not thread-safe.

    Raises, from every method:
        ServiceError: git or DVC failed; names the command only, unless ENIGMA_DEBUG=1.
    """

    called: ClassVar[str]
    """The repository's name in messages."""
    storage = ""
    """The DVC remote."""

    def __init__(
        self, url: str, folder: Path, environment: Mapping[str, str], *, command_seconds: float, debug: bool
    ) -> None:
        self.url = public_url(url)
        self.folder = folder
        self.environment = dict(environment)
        self._command_seconds, self._debug = command_seconds, debug

    @classmethod
    def newest(cls, url: str, *, command_seconds: float, debug: bool = False) -> str | None:
        """The newest commit at a path or URL, without fetching it; None before the first."""
        with private_folder() as scratch:
            folder = scratch
            quiet = quiet_environment(folder, url)
            repository = cls(url, folder, quiet, command_seconds=command_seconds, debug=debug)
            return repository.newest_of(repository.url)

    @property
    def head(self) -> str | None:
        """The workspace's commit; None before the first."""
        done = self.run(["git", "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1))
        return done.stdout.strip() or None

    def newest_of(self, remote: str) -> str | None:
        """The newest commit of the branch at a remote, path or URL; None before the first."""
        command = ["git", "ls-remote", "--exit-code", "--", remote, f"refs/heads/{BRANCH}"]
        done = self.run(command, accepted=(0, _NO_SUCH_BRANCH))
        return None if done.returncode == _NO_SUCH_BRANCH else done.stdout.split()[0]

    def git(self, *arguments: str) -> str:
        """Run one git command; returns its standard output."""
        return self.run(["git", *arguments]).stdout

    def dvc(self, *arguments: str) -> None:
        """Run one DVC command."""
        self.run(dvc_command(*arguments, "--quiet"))

    def run(self, command: Sequence[str], accepted: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command in the workspace, for `command_seconds` at most, in case the network hangs."""
        try:
            done = self.run_long(command, self._command_seconds)
        except subprocess.TimeoutExpired:
            raise ServiceError(
                f"{self.called}: {_named(command)} did not end within {self._command_seconds:g} s"
            ) from None
        except FileNotFoundError:
            raise ServiceError(f"{self.called}: {command[0]} is not installed") from None
        if done.returncode not in accepted:
            raise self.failed(_named(command), done)
        return done

    def run_long(self, command: Sequence[str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that may take days, whatever its exit code; it ends when this process dies."""
        return run_child(command, folder=self.folder, environment=self.environment, seconds=seconds)

    def object_bytes(self, kind: str, name: str, git_folder: Path | None = None) -> bytes:
        """A git object (`blob`, `commit`, `tag`) of the workspace, or of a repository on this machine, as it is."""
        at = ["--git-dir", str(git_folder)] if git_folder else []
        command = ["git", *at, "cat-file", kind, name]
        done = run_child_bytes(command, folder=self.folder, environment=self.environment)  # no network
        if done.returncode:
            raise ServiceError(f"{self.called}: {_named(command)} ended with {done.returncode}")
        return done.stdout

    def push_to_origin(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`git push` from the workspace, or from a work tree of it; 1 where the remote refuses."""
        at = ["-C", str(folder)] if folder else []
        local = [f"--receive-pack={LOCAL_RECEIVER}"] if self.is_local else []
        return self.run(["git", *at, "push", *local, "--porcelain", "origin", *arguments], accepted=(0, 1))

    @property
    def is_local(self) -> bool:
        """The repository is on this machine."""
        return Path(self.url.removeprefix("file://")).is_dir()

    def files_of(self, commit: str) -> list[str]:
        """The files of a commit, none of which is written yet.

        Raises:
            DataError: `symbolic_link`, `submodule`: the commit holds one.
        """
        names = []
        for entry in filter(None, self.git("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")):
            kind, _, name = entry.partition("\t")
            mode = kind.partition(" ")[0]
            if mode in (_LINK, _SUBMODULE):
                raise DataError(self.called, "symbolic_link" if mode == _LINK else "submodule")
            names.append(name)
        return names

    def own_dvc_settings(self) -> None:
        """Replace the repository's settings of DVC in the workspace, where they would say where data goes."""
        (self.folder / ".dvc/config.local").unlink(missing_ok=True)
        (self.folder / DVC_CONFIG).write_text(dvc_settings(self.storage))

    def failed(self, what: str, done: subprocess.CompletedProcess[str]) -> ServiceError:
        """The error of a command that ended with an exit code that is not accepted."""
        output = f": {done.stderr[-2000:]}" if self._debug else "; ENIGMA_DEBUG=1 shows its output"
        return ServiceError(f"{self.called}: {what} ended with {done.returncode}{output}")


def dvc_command(*arguments: str) -> list[str]:
    """The command line of DVC in this Python."""
    return [sys.executable, "-m", "dvc", *arguments]


def _named(command: Sequence[str]) -> str:
    if command[0] != "git":
        return f"dvc {command[3]}"
    return f"git {command[3] if command[1] in ('--git-dir', '-C') else command[1]}"
