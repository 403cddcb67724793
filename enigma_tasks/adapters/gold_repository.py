"""The gold repository: a git repository of DVC pointers, its data in the object store.

Every ingestion has its own workspace (a clone) and runs one DVC command at a time in it: DVC's locks are files of a
workspace. Data is pushed before the commit that names it, so every visible commit can be pulled. Only files with
Enigma's names are written, and output of git and DVC is not shown: it may quote a password or a name.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.adapters.git_environment import DVC_CONFIG, quiet_environment
from enigma_tasks.adapters.gold_pointers import read_pointer, refuse_unexpected
from enigma_tasks.adapters.workspace import BRANCH, Workspace
from enigma_tasks.artifacts import gold_place
from enigma_tasks.errors import UsageError
from enigma_tasks.gold.summaries import read_summary, summary_bytes
from enigma_tasks.paths import below
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.gold.summaries import IngestSummary

log = logging.getLogger(__name__)

BATCH_TRAILER, REPORT_TRAILER = "Enigma-Batch", "Enigma-Report"
_FIELD, _RECORD = "\x1f", "\x1e"
_NOT_THERE = 128
_COMMIT = re.compile("[0-9a-f]{40,64}")
_IGNORED, _OWN_IGNORED, _GIT_IGNORED = ".dvcignore", ".dvc/.gitignore", ".gitignore"


class GoldRepository(Workspace):
    """A workspace at the newest version. Not thread-safe.

    Raises, from every method:
        ServiceError: git or DVC failed; names the command only, unless ENIGMA_DEBUG=1.
        DataError: the repository holds what no ingestion writes: `symbolic_link`, `submodule`, `file_unexpected`,
            `pointer_unexpected`. Nothing of that version is written then.
    """

    called = "gold repository"

    @classmethod
    def configured(cls, params: Params, settings: Settings) -> AbstractContextManager[GoldRepository]:
        """`open` that of the settings. Raises UsageError: there is none, or no place `dvc`."""
        return cls.open(
            settings.gold_repository,
            settings.require("dvc"),
            command_seconds=params.ingest.command_seconds,
            debug=settings.debug,
        )

    @classmethod
    @contextmanager
    def open(cls, url: str, storage: str, *, command_seconds: float, debug: bool = False) -> Iterator[GoldRepository]:
        """A workspace in a temporary folder; in an empty repository DVC is initialised, not pushed yet.

        Args:
            url: path or URL of a bare git repository.
            storage: `s3://` URI of the DVC remote, whatever the repository's own settings say.
            command_seconds: time limit of one git or DVC command, in case the network hangs.
            debug: show the output of git and DVC when they fail.

        Raises:
            UsageError: `url` is empty.
        """
        if not url:
            raise UsageError("set ENIGMA_GOLD_REPOSITORY to the path or URL of a bare git repository")
        with private_folder() as scratch:
            repository = cls(
                url,
                scratch / "workspace",
                quiet_environment(scratch, url),
                command_seconds=command_seconds,
                debug=debug,
            )
            repository.storage = storage
            repository.folder.mkdir()
            repository.git("init", "-q", "--template=", "-b", BRANCH)
            repository.git("remote", "add", "--", "origin", repository.url)
            repository.refresh()
            if repository.head is None:
                repository._initialise()
            yield repository

    def path(self, name: str) -> Path:
        """The path of a file in the workspace. Raises DataError `path_outside`."""
        return below(self.folder, name, self.called)

    def refresh(self) -> None:
        """Reset to the newest version; commits that were not pushed are discarded."""
        if self.newest_of("origin") is None:
            return
        self.git("fetch", "-q", "origin", BRANCH)
        refuse_unexpected(self.files_of("FETCH_HEAD"))
        self.git("reset", "-q", "--hard", "FETCH_HEAD")
        # git ignores data files, so those that the newest version does not have must be removed
        self.git("clean", "-q", "-ffdx", "-e", "/.dvc/cache", "-e", "/.dvc/tmp")
        for name in self.names():
            self._pointer(name)
        self._use_own_settings()

    def names(self) -> set[str]:
        """The data files of the version."""
        listed = self.git("ls-files", "-z", "--", "*.dvc")
        return {name.removesuffix(".dvc") for name in listed.split("\0") if name}

    def digests(self) -> dict[str, dict[str, str]]:
        """Language -> entity type -> the digest of its documents in this version; no data is fetched."""
        found: dict[str, dict[str, str]] = {}
        for name in sorted(self.names()):
            if place := gold_place(name):
                found.setdefault(place[0], {})[place[1]] = self._pointer(name)
        return found

    def _pointer(self, name: str) -> str:
        return read_pointer(name, self.path(f"{name}.dvc").read_bytes())

    def fetch(self, names: Sequence[str]) -> None:
        """Pull data files of the version into the workspace; names that it does not have are skipped."""
        known = sorted(self.names() & set(names))
        if known:
            self.dvc("pull", "--force", *(f"{name}.dvc" for name in known))

    def read_at(self, revision: str, name: str) -> bytes | None:
        """A data file as it was in a version; None where the repository has no such version, or that no such file."""
        if not _COMMIT.fullmatch(revision):
            return None
        pointer = self.run(["git", "show", f"{revision}:{name}.dvc"], accepted=(0, _NOT_THERE))
        if pointer.returncode:
            return None
        read_pointer(name, pointer.stdout.encode())
        self.path(f"{name}.dvc").write_text(pointer.stdout)
        try:
            self.dvc("pull", "--force", f"{name}.dvc")
            return self.path(name).read_bytes()
        finally:
            self.git("checkout", "-q", "HEAD", "--", f"{name}.dvc")

    def commit(self, names: Sequence[str], subject: str, batch: str, summary: IngestSummary) -> str:
        """Commit data files as a version and push their data to the store; the version is not visible before `push`.

        Returns:
            The data revision: the commit's id.
        """
        self.dvc("add", *names)
        self.dvc("push", *(f"{name}.dvc" for name in names))
        written = {f"{name}.dvc" for name in names} | {str(Path(name).parent / _GIT_IGNORED) for name in names}
        self.git("add", "--force", "--", *sorted(written))  # not the settings, which are this workspace's
        trailers = f"{BATCH_TRAILER}: {batch}\n{REPORT_TRAILER}: {summary_bytes(summary).decode()}"
        # empty where deliveries that are read again are refused again: the batch and its report are in the message
        options = ("-q", "--allow-empty", "--no-verify", "--cleanup=verbatim")
        self.git("commit", *options, "-m", f"{subject}\n\n{trailers}\n")
        head = self.head
        assert head
        return head

    def push(self) -> bool:
        """Publish the version; False if another was published since: the caller must `refresh` and commit again.

        Raises ServiceError where the server's hook declines it.
        """
        done = self.push_to_origin(f"HEAD:refs/heads/{BRANCH}")
        if done.returncode == 0:
            self._point_head()
            return True
        refused = [line for line in done.stdout.splitlines() if line.startswith("!")]
        if refused and not any("declined" in line for line in refused):  # by a hook of the server, which stays so
            return False
        raise self.failed("git push", done)

    def _point_head(self) -> None:
        """Make the branch the default of a repository on this machine, whose `git init` may have chosen another name.

        For repositories on a server, the server does this, or `git clone --branch` names the branch.
        """
        folder = Path(self.url.removeprefix("file://"))
        if not (folder / "HEAD").is_file():
            return
        bare = ["git", "--git-dir", str(folder)]
        head = self.run([*bare, "rev-parse", "-q", "--verify", "HEAD"], accepted=(0, 1, _NOT_THERE))
        if head.returncode:
            self.run([*bare, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}"])

    def summary_of(self, batch: str) -> tuple[str, IngestSummary] | None:
        """(data revision, summary) of a batch's version, or None. Raises DataError as `read_summary` does."""
        if self.head is None:
            return None
        trailers = [f"%(trailers:key={key},valueonly,unfold)" for key in (BATCH_TRAILER, REPORT_TRAILER)]
        line_format = f"{_FIELD.join(['%H', *trailers])}{_RECORD}"
        for record in self.run(["git", "log", f"--format={line_format}"]).stdout.split(_RECORD):
            revision, *rest = record.strip("\n").split(_FIELD)
            if rest and rest[0].strip() == batch:
                return revision, read_summary(revision, rest[1].encode())
        return None

    def _initialise(self) -> None:
        self.dvc("init")
        self.own_dvc_settings()
        self.git("add", "--force", "--", DVC_CONFIG, _IGNORED, _OWN_IGNORED)

    def _use_own_settings(self) -> None:
        """Where data goes and what is ignored is Enigma's to say: what the version says stays in it, unread."""
        config = self.path(DVC_CONFIG)
        config.parent.mkdir(exist_ok=True)
        if config.is_file() and f"url = {self.storage}" not in config.read_text(errors="replace"):
            log.warning("the gold repository's %s names another remote than ENIGMA_S3_DVC: it is not used", DVC_CONFIG)
        self.own_dvc_settings()
        self.path(_IGNORED).write_text("")
        for ignored in (*self.folder.glob(_GIT_IGNORED), *self.folder.glob(f"*/{_GIT_IGNORED}")):
            ignored.unlink()
        for name in sorted(self.names()):
            with self.path(name).with_name(_GIT_IGNORED).open("a") as file:
                file.write(f"/{Path(name).name}\n")
