"""A workspace: a clone of a git repository in which git and DVC run. No other module runs git or DVC.

Each command of Enigma has its own workspace and runs one DVC command at a time in it: DVC's locks are files of a
workspace. Output of git and DVC is not shown: it may quote a password or a name.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from enigma_tasks.config import child_environment
from enigma_tasks.errors import ServiceError
from enigma_tasks.s3_settings import load_s3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

log = logging.getLogger(__name__)

BRANCH = "main"
REMOTE = "storage"
_NO_SUCH_BRANCH = 2
_QUIET = {
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_NAME": "Enigma",
    "GIT_AUTHOR_EMAIL": "enigma@localhost",
    "GIT_COMMITTER_NAME": "Enigma",
    "GIT_COMMITTER_EMAIL": "enigma@localhost",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_WATCH = """
import contextlib, os, signal, sys
sys.stdin.read()
with contextlib.suppress(ProcessLookupError):
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
"""
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


class Workspace:
    """A folder for git and DVC. Not thread-safe.

    Raises, from every method:
        ServiceError: git or DVC failed; names the command only, unless ENIGMA_DEBUG=1.
    """

    called: ClassVar[str]
    """The repository's name in messages."""

    def __init__(
        self, url: str, folder: Path, environment: Mapping[str, str], *, command_seconds: float, debug: bool
    ) -> None:
        self.url = url
        self.folder = folder
        self.environment = dict(environment)
        self._command_seconds, self._debug = command_seconds, debug

    @classmethod
    def newest(cls, url: str, *, command_seconds: float, debug: bool = False) -> str | None:
        """The newest commit at a path or URL, without fetching it; None before the first."""
        with tempfile.TemporaryDirectory(prefix="enigma-") as scratch:
            folder = Path(scratch)
            repository = cls(url, folder, quiet_environment(folder), command_seconds=command_seconds, debug=debug)
            return repository.newest_of(url)

    @property
    def head(self) -> str | None:
        """The workspace's commit; None before the first."""
        done = self.run(["git", "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1))
        return done.stdout.strip() or None

    def newest_of(self, remote: str) -> str | None:
        """The newest commit of the branch at a remote, path or URL; None before the first."""
        command = ["git", "ls-remote", "--exit-code", remote, f"refs/heads/{BRANCH}"]
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
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", check=False, timeout=self._command_seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ServiceError(
                f"{self.called}: {_named(command)} did not end within {self._command_seconds:g} s"
            ) from None
        except FileNotFoundError:
            raise ServiceError(f"{self.called}: {command[0]} is not installed") from None
        if done.returncode not in accepted:
            raise self.failed(_named(command), done)
        return done

    def run_long(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command that may take days, whatever its exit code; it ends when this process dies."""
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", process_group=0,
        ) as process, _ended_with_this_process(process.pid):  # fmt: skip
            stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def failed(self, what: str, done: subprocess.CompletedProcess[str]) -> ServiceError:
        """The error of a command that ended with an exit code that is not accepted."""
        output = f": {done.stderr[-2000:]}" if self._debug else "; ENIGMA_DEBUG=1 shows its output"
        return ServiceError(f"{self.called}: {what} ended with {done.returncode}{output}")


@contextmanager
def _ended_with_this_process(group: int) -> Iterator[None]:
    """Kill the process group when the block ends early or this process dies, also by SIGKILL.

    A watching process has the other end of a pipe, which closes whatever happens here. Otherwise a training whose
    worker was killed would occupy the GPU beside its next attempt.
    """
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCH, str(group)], stdin=subprocess.PIPE, start_new_session=True
    ):
        yield


def dvc_command(*arguments: str) -> list[str]:
    """The command line of DVC in this Python."""
    return [sys.executable, "-m", "dvc", *arguments]


def _named(command: Sequence[str]) -> str:
    if command[0] != "git":
        return f"dvc {command[3]}"
    return f"git {command[3] if command[1] == '--git-dir' else command[1]}"


def quiet_environment(scratch: Path) -> dict[str, str]:
    """This process's environment for git and DVC, without another repository's variables, with caches in `scratch`."""
    places = {f"DVC_{name}_DIR": str(scratch / name.lower()) for name in ("SITE_CACHE", "GLOBAL_CONFIG")}
    found = child_environment(_QUIET | places, _OF_ANOTHER_REPOSITORY)
    if load_s3_settings(found).addressing == "path" and not {"AWS_CONFIG_FILE", "AWS_PROFILE"} & found.keys():
        # DVC's S3 client reads the addressing style from a file only
        settings = scratch / "aws"
        settings.write_text("[default]\ns3 =\n  addressing_style = path\n")
        found["AWS_CONFIG_FILE"] = str(settings)
    return found
