"""The gold repository: a git repository of DVC pointers, its data in the object store.

Every ingestion has its own workspace (a clone) and runs one DVC command at a time in it: DVC's locks are files of a
workspace. Data is pushed before the commit that names it, so every visible commit can be pulled. Only files with
Enigma's names are written, and output of git and DVC is not shown: it may quote a password or a name.
"""

from __future__ import annotations

import configparser
import logging
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from enigma_tasks.adapters.workspace import BRANCH, REMOTE, Workspace, quiet_environment
from enigma_tasks.artifacts import gold_place
from enigma_tasks.errors import UsageError
from enigma_tasks.gold.summaries import read_summary, summary_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enigma_tasks.gold.summaries import IngestSummary

log = logging.getLogger(__name__)

BATCH_TRAILER, REPORT_TRAILER = "Enigma-Batch", "Enigma-Report"
_FIELD, _RECORD = "\x1f", "\x1e"
_NOT_THERE = 128
_COMMIT = re.compile("[0-9a-f]{40,64}")


class GoldRepository(Workspace):
    """A workspace at the newest version. Not thread-safe.

    Raises, from every method:
        ServiceError: git or DVC failed; names the command only, unless ENIGMA_DEBUG=1.
    """

    called = "gold repository"

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
                quiet_environment(Path(scratch)),
                command_seconds=command_seconds,
                debug=debug,
            )
            repository.folder.mkdir()
            repository.git("init", "-q", "--template=", "-b", BRANCH)
            repository.git("remote", "add", "origin", url)
            repository.refresh()
            if repository.head is None:
                repository._initialise(storage)
            yield repository

    def path(self, name: str) -> Path:
        """The path of a file in the workspace."""
        return self.folder / name

    def refresh(self) -> None:
        """Reset to the newest version; commits that were not pushed are discarded."""
        if self.newest_of("origin") is None:
            return
        self.git("fetch", "-q", "origin", BRANCH)
        self.git("reset", "-q", "--hard", "FETCH_HEAD")
        # git ignores data files, so those that the newest version does not have must be removed
        self.git("clean", "-q", "-ffdx", "-e", "/.dvc/cache", "-e", "/.dvc/tmp")

    def names(self) -> set[str]:
        """The data files of the version."""
        listed = self.run(["git", "ls-files", "-z", "--", "*.dvc"]).stdout
        return {name.removesuffix(".dvc") for name in listed.split("\0") if name}

    def digests(self) -> dict[str, dict[str, str]]:
        """Language -> entity type -> the digest of its documents in this version; no data is fetched."""
        found: dict[str, dict[str, str]] = {}
        for name in sorted(self.names()):
            if place := gold_place(name):
                (out,) = yaml.safe_load(self.path(f"{name}.dvc").read_bytes())["outs"]
                found.setdefault(place[0], {})[place[1]] = str(out["md5"])
        return found

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
        self.git("add", "-A")
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
        done = self.run(["git", "push", "--porcelain", "origin", f"HEAD:refs/heads/{BRANCH}"], accepted=(0, 1))
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

    def _initialise(self, storage: str) -> None:
        self.dvc("init")
        config = configparser.ConfigParser()
        config["core"] = {"analytics": "false", "check_update": "false", "autostage": "false", "remote": REMOTE}
        config[f"'remote \"{REMOTE}\"'"] = {"url": storage}
        with self.path(".dvc/config").open("w") as file:
            config.write(file)
