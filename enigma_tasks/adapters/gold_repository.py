"""The gold repository: a git repository of DVC pointers, its data in the object store. The only place that runs either.

Every ingestion has a workspace (a clone) of its own, and runs one DVC command at a time there: DVC's locks are files of
a workspace. Data is pushed before the commit that names it, so a commit that can be seen can be pulled. Only files with
names of ours are ever written here, and what git and DVC say is not passed on: it may quote a password or a name.
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
    """A workspace on the newest version. Not safe among threads.

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
        """A workspace in a folder of its own, gone at the end; an empty repository gets its first, unpushed settings.

        Args:
            url: path or URL of a bare git repository.
            storage: `s3://` URI of the DVC remote of a new repository; an old one has its own written down.
            command_seconds: what one git or DVC command may take: a hung network must not hold a worker for ever.
            debug: say what git and DVC said when they fail.

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
                repository._begin(storage)
            yield repository

    @classmethod
    def newest(cls, url: str, *, command_seconds: float, debug: bool = False) -> str | None:
        """The newest version at a path or URL, a commit, without fetching it; None before the first."""
        with tempfile.TemporaryDirectory(prefix="enigma-gold-") as scratch:
            folder = Path(scratch)
            repository = cls(url, folder, _environment(folder), command_seconds=command_seconds, debug=debug)
            return repository._newest(url)

    @property
    def head(self) -> str | None:
        """The version of the workspace, a commit; None before the first."""
        done = self._run(["git", "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1))
        return done.stdout.strip() or None

    def path(self, name: str) -> Path:
        """Where a file of the version lies in the workspace."""
        return self.folder / name

    def refresh(self) -> None:
        """Go to the newest version; what was committed here and not pushed is given up."""
        if self._newest("origin") is None:
            return
        self._git("fetch", "-q", "origin", BRANCH)
        self._git("reset", "-q", "--hard", "FETCH_HEAD")
        # git ignores the data files: one that the newest version does not have must not be taken for its own
        self._git("clean", "-q", "-ffdx", "-e", "/.dvc/cache", "-e", "/.dvc/tmp")

    def names(self) -> set[str]:
        """The data files of the version."""
        listed = self._run(["git", "ls-files", "-z", "--", "*.dvc"]).stdout
        return {name.removesuffix(".dvc") for name in listed.split("\0") if name}

    def fetch(self, names: Sequence[str]) -> None:
        """Bring data files of the version into the workspace; those that it has not are left out."""
        known = sorted(self.names() & set(names))
        if known:
            self._dvc("pull", "--force", *(f"{name}.dvc" for name in known))

    def commit(self, names: Sequence[str], subject: str, batch: str, report: Mapping[str, Any]) -> str:
        """Make data files a version, and bring their data to the store; nobody sees it before `push`.

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
        """Publish the version; False when another one was published meanwhile: `refresh`, and do it again."""
        done = self._run(["git", "push", "--porcelain", "origin", f"HEAD:refs/heads/{BRANCH}"], accepted=(0, 1))
        if done.returncode == 0:
            self._point_head()
            return True
        if any(line.startswith("!") for line in done.stdout.splitlines()):
            return False
        raise self._failed("git push", done)

    def _point_head(self) -> None:
        """Make a clone of a repository on this machine check the branch out, whatever `git init` called its own.

        A git server does that itself, or `git clone --branch` names the branch.
        """
        folder = Path(self.url.removeprefix("file://"))
        if not (folder / "HEAD").is_file():
            return
        bare = ["git", "--git-dir", str(folder)]
        there = self._run([*bare, "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1, _NOT_THERE))
        if there.returncode:
            self._run([*bare, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}"])

    def report_of(self, batch: str) -> tuple[str, dict[str, Any]] | None:
        """(data revision, report) of the version that a batch made, or None."""
        if self.head is None:
            return None
        wanted = [f"%(trailers:key={key},valueonly,unfold)" for key in (BATCH_TRAILER, REPORT_TRAILER)]
        form = f"{_FIELD.join(['%H', *wanted])}{_RECORD}"
        for record in self._run(["git", "log", f"--format={form}"]).stdout.split(_RECORD):
            revision, *rest = record.strip("\n").split(_FIELD)
            if rest and rest[0].strip() == batch:
                return revision, json.loads(rest[1])
        return None

    def _newest(self, where: str) -> str | None:
        ask = ["git", "ls-remote", "--exit-code", where, f"refs/heads/{BRANCH}"]
        done = self._run(ask, accepted=(0, _NO_SUCH_BRANCH))
        return None if done.returncode == _NO_SUCH_BRANCH else done.stdout.split()[0]

    def _begin(self, storage: str) -> None:
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
            raise ServiceError(f"gold repository: there is no {command[0]} on this machine") from None
        if done.returncode not in accepted:
            raise self._failed(_named(command), done)
        return done

    def _failed(self, what: str, done: subprocess.CompletedProcess[str]) -> ServiceError:
        said = f": {done.stderr[-2000:]}" if self._debug else "; ENIGMA_DEBUG=1 shows what it said"
        return ServiceError(f"gold repository: {what} ended with {done.returncode}{said}")


def _named(command: Sequence[str]) -> str:
    if command[0] != "git":
        return f"dvc {command[3]}"
    return f"git {command[3] if command[1] == '--git-dir' else command[1]}"


def _environment(scratch: Path) -> dict[str, str]:
    """For git and DVC: this process's, with nothing of another repository, and DVC's caches in `scratch`."""
    places = {f"DVC_{name}_DIR": str(scratch / name.lower()) for name in ("SITE_CACHE", "GLOBAL_CONFIG")}
    found = child_environment(_QUIET | places, _OF_ANOTHER_REPOSITORY)
    if load_s3_settings(found).addressing == "path" and not {"AWS_CONFIG_FILE", "AWS_PROFILE"} & found.keys():
        # no variable says so to DVC's S3 client; a file does
        settings = scratch / "aws"
        settings.write_text("[default]\ns3 =\n  addressing_style = path\n")
        found["AWS_CONFIG_FILE"] = str(settings)
    return found
