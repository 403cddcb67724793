"""The gold repository: a git repository of DVC pointers, its data in the object store. No other module runs git or DVC.

Every ingestion has its own workspace (a clone) and runs one DVC command at a time in it: DVC's locks are files of a
workspace. Data is pushed before the commit that names it, so every visible commit can be pulled. Only files with
Enigma's names are written, and output of git and DVC is not shown: it may quote a password or a name.
"""

from __future__ import annotations

import configparser
import json
import logging
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.config import child_environment, load_s3_settings
from enigma_tasks.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

log = logging.getLogger(__name__)

BRANCH = "main"
REMOTE = "storage"
BATCH_TRAILER, REPORT_TRAILER = "Enigma-Batch", "Enigma-Report"
_FIELD, _RECORD = "\x1f", "\x1e"
_NO_SUCH_BRANCH = 2
_NOT_THERE = 128
_QUIET = {
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_NAME": "Enigma",
    "GIT_AUTHOR_EMAIL": "enigma@localhost",
    "GIT_COMMITTER_NAME": "Enigma",
    "GIT_COMMITTER_EMAIL": "enigma@localhost",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


class GoldRepository:
    """A workspace at the newest version. Not thread-safe.

    Raises, from every method:
        ServiceError: git or DVC failed; names the command only, unless ENIGMA_DEBUG=1.
    """

    def __init__(
        self, url: str, folder: Path, environment: Mapping[str, str], *, command_seconds: float, debug: bool
    ) -> None:
        self.url = url
        self.folder = folder
        self._environment = dict(environment)
        self._command_seconds, self._debug = command_seconds, debug

    @classmethod
    @contextmanager
    def open(cls, url: str, storage: str, *, command_seconds: float, debug: bool = False) -> Iterator[GoldRepository]:
        """A workspace in a temporary folder; in an empty repository DVC is initialised, not pushed yet.

        Args:
            url: path or URL of a bare git repository.
            storage: `s3://` URI of the DVC remote for a new repository; an existing one has it in its settings.
            command_seconds: time limit of one git or DVC command, in case the network hangs.
            debug: show the output of git and DVC when they fail.

        Raises:
            UsageError: `url` is empty.
        """
        if not url:
            raise UsageError("set ENIGMA_GOLD_REPOSITORY to the path or URL of a bare git repository")
        with tempfile.TemporaryDirectory(prefix="enigma-gold-") as scratch:
            repository = cls(
                url,
                Path(scratch) / "workspace",
                _environment(Path(scratch)),
                command_seconds=command_seconds,
                debug=debug,
            )
            repository.folder.mkdir()
            repository._git("init", "-q", "--template=", "-b", BRANCH)
            repository._git("remote", "add", "origin", url)
            repository.refresh()
            if repository.head is None:
                repository._initialise(storage)
            yield repository

    @classmethod
    def newest(cls, url: str, *, command_seconds: float, debug: bool = False) -> str | None:
        """The newest version (a commit) at a path or URL, without fetching it; None before the first."""
        with tempfile.TemporaryDirectory(prefix="enigma-gold-") as scratch:
            folder = Path(scratch)
            repository = cls(url, folder, _environment(folder), command_seconds=command_seconds, debug=debug)
            return repository._newest(url)

    @property
    def head(self) -> str | None:
        """The version (a commit) of the workspace; None before the first."""
        done = self._run(["git", "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1))
        return done.stdout.strip() or None

    def path(self, name: str) -> Path:
        """The path of a file in the workspace."""
        return self.folder / name

    def refresh(self) -> None:
        """Reset to the newest version; commits that were not pushed are discarded."""
        if self._newest("origin") is None:
            return
        self._git("fetch", "-q", "origin", BRANCH)
        self._git("reset", "-q", "--hard", "FETCH_HEAD")
        # git ignores data files, so those that the newest version does not have must be removed
        self._git("clean", "-q", "-ffdx", "-e", "/.dvc/cache", "-e", "/.dvc/tmp")

    def names(self) -> set[str]:
        """The data files of the version."""
        listed = self._run(["git", "ls-files", "-z", "--", "*.dvc"]).stdout
        return {name.removesuffix(".dvc") for name in listed.split("\0") if name}

    def fetch(self, names: Sequence[str]) -> None:
        """Pull data files of the version into the workspace; names that it does not have are skipped."""
        known = sorted(self.names() & set(names))
        if known:
            self._dvc("pull", "--force", *(f"{name}.dvc" for name in known))

    def commit(self, names: Sequence[str], subject: str, batch: str, report: Mapping[str, Any]) -> str:
        """Commit data files as a version and push their data to the store; the version is not visible before `push`.

        Returns:
            The data revision: the commit's id.
        """
        self._dvc("add", *names)
        self._dvc("push", *(f"{name}.dvc" for name in names))
        self._git("add", "-A")
        trailers = f"{BATCH_TRAILER}: {batch}\n{REPORT_TRAILER}: {json.dumps(report, sort_keys=True)}"
        self._git("commit", "-q", "--no-verify", "--cleanup=verbatim", "-m", f"{subject}\n\n{trailers}\n")
        head = self.head
        assert head
        return head

    def push(self) -> bool:
        """Publish the version; False if another was published since: the caller must `refresh` and commit again."""
        done = self._run(["git", "push", "--porcelain", "origin", f"HEAD:refs/heads/{BRANCH}"], accepted=(0, 1))
        if done.returncode == 0:
            self._point_head()
            return True
        if any(line.startswith("!") for line in done.stdout.splitlines()):
            return False
        raise self._failed("git push", done)

    def _point_head(self) -> None:
        """Make the branch the default of a repository on this machine, whose `git init` may have chosen another name.

        For repositories on a server, the server does this, or `git clone --branch` names the branch.
        """
        folder = Path(self.url.removeprefix("file://"))
        if not (folder / "HEAD").is_file():
            return
        bare = ["git", "--git-dir", str(folder)]
        head = self._run([*bare, "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1, _NOT_THERE))
        if head.returncode:
            self._run([*bare, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}"])

    def report_of(self, batch: str) -> tuple[str, dict[str, Any]] | None:
        """(data revision, report) of a batch's version, or None."""
        if self.head is None:
            return None
        trailers = [f"%(trailers:key={key},valueonly,unfold)" for key in (BATCH_TRAILER, REPORT_TRAILER)]
        line_format = f"{_FIELD.join(['%H', *trailers])}{_RECORD}"
        for record in self._run(["git", "log", f"--format={line_format}"]).stdout.split(_RECORD):
            revision, *rest = record.strip("\n").split(_FIELD)
            if rest and rest[0].strip() == batch:
                return revision, json.loads(rest[1])
        return None

    def _newest(self, remote: str) -> str | None:
        command = ["git", "ls-remote", "--exit-code", remote, f"refs/heads/{BRANCH}"]
        done = self._run(command, accepted=(0, _NO_SUCH_BRANCH))
        return None if done.returncode == _NO_SUCH_BRANCH else done.stdout.split()[0]

    def _initialise(self, storage: str) -> None:
        self._dvc("init")
        config = configparser.ConfigParser()
        config["core"] = {"analytics": "false", "check_update": "false", "autostage": "false", "remote": REMOTE}
        config[f"'remote \"{REMOTE}\"'"] = {"url": storage}
        with self.path(".dvc/config").open("w") as file:
            config.write(file)

    def _git(self, *arguments: str) -> None:
        self._run(["git", *arguments])

    def _dvc(self, *arguments: str) -> None:
        self._run([sys.executable, "-m", "dvc", arguments[0], "--quiet", *arguments[1:]])

    def _run(self, command: list[str], accepted: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", check=False, timeout=self._command_seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ServiceError(
                f"gold repository: {_named(command)} did not end within {self._command_seconds:g} s"
            ) from None
        except FileNotFoundError:
            raise ServiceError(f"gold repository: {command[0]} is not installed") from None
        if done.returncode not in accepted:
            raise self._failed(_named(command), done)
        return done

    def _failed(self, what: str, done: subprocess.CompletedProcess[str]) -> ServiceError:
        output = f": {done.stderr[-2000:]}" if self._debug else "; ENIGMA_DEBUG=1 shows its output"
        return ServiceError(f"gold repository: {what} ended with {done.returncode}{output}")


def _named(command: Sequence[str]) -> str:
    if command[0] != "git":
        return f"dvc {command[3]}"
    return f"git {command[3] if command[1] == '--git-dir' else command[1]}"


def _environment(scratch: Path) -> dict[str, str]:
    """This process's environment for git and DVC, without another repository's variables, with caches in `scratch`."""
    places = {f"DVC_{name}_DIR": str(scratch / name.lower()) for name in ("SITE_CACHE", "GLOBAL_CONFIG")}
    found = child_environment(_QUIET | places, _OF_ANOTHER_REPOSITORY)
    if load_s3_settings(found).addressing == "path" and not {"AWS_CONFIG_FILE", "AWS_PROFILE"} & found.keys():
        # DVC's S3 client reads the addressing style from a file only
        settings = scratch / "aws"
        settings.write_text("[default]\ns3 =\n  addressing_style = path\n")
        found["AWS_CONFIG_FILE"] = str(settings)
    return found
