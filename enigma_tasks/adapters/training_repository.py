"""The training project: the git repository with dvc.yaml, params.yaml and code, in which people work on the models.

A retraining runs in clones of it, at one commit. Data and models are on the DVC remote, results of its steps in the
object store (`adapters.training_steps`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from enigma_tasks.adapters.git_environment import allowed_remote, public_url, quiet_environment
from enigma_tasks.adapters.gold_pointers import check_revision
from enigma_tasks.adapters.training_files import DVC_YAML, read_lock, trains_on_imported_gold
from enigma_tasks.adapters.workspace import BRANCH, Workspace, dvc_command
from enigma_tasks.artifacts import DVC_LOCK, FOLDS, SPLIT_CARD
from enigma_tasks.config import PARAMS_FILE, load_params
from enigma_tasks.errors import DataError, ModelError, ServiceError, UsageError
from enigma_tasks.paths import below
from enigma_tasks.training_places import (
    FROZEN,
    TRAINING_GOLD,
    TrainingFolders,
    frozen_digests,
    frozen_folder,
    pointer,
)
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from enigma_tasks.config import Params, Settings

ATTEMPTS = 5
"""To push a commit, while others push theirs."""
_MAIN = f"refs/remotes/origin/{BRANCH}"
_EXITED = re.compile(r"exited with (-?\d+)")
_SAID = re.compile(r"^enigma [a-z]+: .*$", re.MULTILINE)
_ONE_STAGE, _WITH_UPSTREAM = ("--single-item",), ()


class TrainingRepository(Workspace):
    """A clone at one commit, with DVC's remote set. Not thread-safe.

    Raises, from every method:
        ServiceError: git or DVC failed; names the command only, unless ENIGMA_DEBUG=1.
        DataError: a commit that is fetched holds a `symbolic_link` or a `submodule`.
    """

    called = "training repository"

    @classmethod
    @contextmanager
    def open(
        cls, settings: Settings, *, command_seconds: float, commit: str = "", checkpoints: str = ""
    ) -> Iterator[TrainingRepository]:
        """A clone in a temporary folder, at `commit` or at the newest one.

        Args:
            settings: where the repository and the DVC remote are.
            command_seconds: time limit of one git or DVC command, but not of a stage.
            commit: in the history of the branch `main`.
            checkpoints: `s3://` folder for the checkpoint of a training.

        Raises:
            UsageError: no repository is configured, or it has no project of the training path.
            DataError: `commit_gone`: the history was rewritten since the commit was read.
        """
        url = settings.training_repository
        if not url:
            raise UsageError("set ENIGMA_TRAINING_REPOSITORY to the path or URL of the training project")
        with private_folder() as scratch:
            folder = scratch / "workspace"
            quiet = quiet_environment(scratch, url, settings.gold_repository)
            environment = quiet | {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{quiet.get('PATH', os.defpath)}",
                "PYTHONPATH": str(folder),  # the code of the commit, which DVC compares, is the code that runs
                "ENIGMA_CACHE": str(settings.cache.absolute()),
                "ENIGMA_CHECKPOINTS": checkpoints,
            }
            repository = cls(url, folder, environment, command_seconds=command_seconds, debug=settings.debug)
            folder.mkdir()
            repository._clone(commit)
            repository.storage = settings.require("dvc")
            repository.own_dvc_settings()
            yield repository

    def params(self) -> Params:
        """The project's params.yaml."""
        return load_params(self.folder / PARAMS_FILE)

    def import_gold(self, url: str, language: str, revision: str) -> None:
        """Bring a language's gold of a revision into the project, as `dvc import` does.

        Raises:
            DataError: `revision_gone`: the gold repository's history was rewritten since the revision was read; or the
                revision holds what no ingestion writes, as `GoldRepository`, or `settings_unexpected`.
        """
        url = public_url(url)
        self.run(["git", "fetch", "-q", "--", url, BRANCH])
        if self.run(["git", "cat-file", "-e", f"{revision}^{{commit}}"], accepted=(0, 1, 128)).returncode:
            raise DataError(f"gold {revision[:12]}", "revision_gone", hint="trigger the retraining again")
        check_revision(self, revision, allowed_remote(self.storage, self.environment))
        (self.folder / TRAINING_GOLD).mkdir(exist_ok=True)
        place = TrainingFolders(language).gold
        # as a URL: of a path below a DVC project, such as `.enigma/` of a checkout, DVC would open that project instead
        source = Path(url).absolute().as_uri() if Path(url).is_dir() else url
        self.dvc("import", "--force", "--rev", revision, source, language, "--out", place)

    def take_frozen(self) -> None:
        """Take the frozen sets of the newest commit, which may be later than this workspace's."""
        self._fetch()
        self.git("checkout", "-q", _MAIN, "--", FROZEN)

    def is_frozen(self, language: str) -> bool:
        """Whether a test set of the language has been frozen.

        Raises:
            DataError: `frozen_set_removed`: it was, and is removed.
        """
        if (self.folder / pointer(frozen_folder(language))).is_file():
            return True
        if self.git("log", "-1", "--format=%H", _MAIN, "--", pointer(frozen_folder(language))).strip():
            raise DataError(frozen_folder(language), "frozen_set_removed", hint="restore it from the history")
        return False

    def frozen_history(self, language: str) -> list[dict[str, list[str]]]:
        """The digests of the frozen texts in every commit that changed them, the newest first."""
        name = frozen_digests(language)
        commits = self.git("log", "--format=%H", "--diff-filter=AM", _MAIN, "--", name).split()
        return [json.loads(self.git("show", f"{commit}:{name}")) for commit in commits]

    def freeze(self, language: str, digests: Mapping[str, list[str]]) -> None:
        """Freeze dev and test of the workspace's split: in the DVC remote and in a commit of the branch `main`.

        If another retraining was first, its frozen set is taken instead.
        """
        target, source = frozen_folder(language), self.folder / TrainingFolders(language).split
        for name in (*FOLDS[1:], SPLIT_CARD):
            if (source / name).is_dir():
                shutil.copytree(source / name, self.folder / target / name)
            elif (source / name).is_file():
                (self.folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, self.folder / target / name)
        (self.folder / frozen_digests(language)).write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")
        self.dvc("add", target)
        self.dvc("push", pointer(target))
        names = [pointer(target), frozen_digests(language)]
        for _ in range(ATTEMPTS):
            if self._committed_to_main(names, f"Freeze the test set of {language}"):
                return
            shutil.rmtree(self.folder / target)
            self.take_frozen()
            if self.git("ls-tree", _MAIN, "--", names[0]):
                return
        raise ServiceError(f"training repository: other commits were pushed faster, {ATTEMPTS} times")

    def _committed_to_main(self, names: list[str], subject: str) -> bool:
        """Commit files of this workspace on top of the newest commit and push; False if another was faster."""
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as scratch:
            other = Path(scratch) / BRANCH
            self.git("worktree", "add", "-q", "--detach", str(other), _MAIN)
            try:
                for name in names:
                    (other / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.folder / name, other / name)
                at = ["git", "-C", str(other)]
                self.run([*at, "add", "--force", "--", *names])
                self.run([*at, "commit", "-q", "--no-verify", "-m", subject])
                done = self.push_to_origin(f"HEAD:refs/heads/{BRANCH}", folder=other)
                if done.returncode == 0:
                    self._fetch()
                    return True
            finally:
                self.git("worktree", "remove", "--force", str(other))
        if any(line.startswith("!") for line in done.stdout.splitlines()):
            return False
        raise self.failed("git push", done)

    def reproduce(self, target: str, *, with_upstream: bool = False) -> None:
        """`dvc repro`: one stage, or with all that it depends on; what is up to date is pulled, not run.

        Raises:
            ModelError: the stage's command ended with 1: data or model did not pass; UsageError: with 2.
        """
        options = _WITH_UPSTREAM if with_upstream else _ONE_STAGE
        # without the run cache, which would be transferred as a whole: `TrainingSteps` hands results over
        done = self.run_long(dvc_command("repro", "--pull", "--no-run-cache", *options, target))
        if done.returncode == 0:
            return
        said = "; ".join(_SAID.findall(done.stderr)) or f"dvc repro {target} failed"
        codes = [int(code) for code in _EXITED.findall(done.stderr)]
        if codes[:1] == [ModelError.exit_code]:
            raise ModelError(said)
        if codes[:1] == [UsageError.exit_code]:
            raise UsageError(said)
        raise self.failed(f"dvc repro {target} ({said})", done)

    def pull(self, *names: str) -> None:
        """Fetch data or models from the DVC remote."""
        self.dvc("pull", *names)

    def push(self, *targets: str) -> None:
        """Store what stages have written on the DVC remote."""
        self.dvc("push", *targets)

    def locked(self) -> dict[str, Any]:
        """The entries of dvc.lock. Raises as `read_lock` does."""
        path = self.folder / DVC_LOCK
        return read_lock(path.read_bytes()) if path.is_file() else {}

    def lock(self, entries: Mapping[str, Any]) -> None:
        """Put entries into dvc.lock. DVC compares each with the workspace: a wrong one runs the stage again."""
        stages = self.locked() | dict(entries)
        tree = {"schema": "2.0", "stages": dict(sorted(stages.items()))}
        (self.folder / DVC_LOCK).write_text(yaml.safe_dump(tree, sort_keys=False))

    def texts(self, names: Iterable[str]) -> dict[str, str]:
        """The content of small files that DVC does not store: pointers, metrics."""
        return {name: self._path(name).read_text() for name in names}

    def write(self, texts: Mapping[str, str]) -> None:
        """Back from `texts`. Raises DataError `path_outside`: a name leaves the project."""
        for name, text in texts.items():
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _path(self, name: str) -> Path:
        return below(self.folder, name, "training step")

    def publish(self, branch: str, subject: str) -> str:
        """Commit what a retraining has changed, as a branch of its own; returns the commit.

        The same content is the same commit: a step that is run again pushes nothing new.
        """
        when = self.git("log", "-1", "--format=%cI").strip()
        self.environment |= {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        self.git("add", "--all", "--", ".", ":(exclude).dvc/config*")  # the settings are this workspace's
        self.git("commit", "-q", "--no-verify", "--allow-empty", "-m", subject)
        done = self.push_to_origin("--force", f"HEAD:refs/heads/{branch}")
        if done.returncode:
            raise self.failed("git push", done)
        head = self.head
        assert head
        return head

    def _fetch(self) -> None:
        self.git("fetch", "-q", "origin", f"+refs/heads/{BRANCH}:{_MAIN}")
        self.files_of(_MAIN)

    def _clone(self, commit: str) -> None:
        self.git("init", "-q", "--template=", "-b", BRANCH)
        self.git("remote", "add", "--", "origin", self.url)
        if self.newest_of("origin") is None:
            raise UsageError(f"the training repository has no branch {BRANCH}")
        self._fetch()
        if commit and self.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], accepted=(0, 1, 128)).returncode:
            raise DataError(f"training project {commit[:12]}", "commit_gone", hint="trigger the retraining again")
        self.files_of(commit or _MAIN)
        self.git("reset", "-q", "--hard", commit or _MAIN)
        if not (self.folder / ".dvc").is_dir() or not (self.folder / DVC_YAML).is_file():
            raise UsageError("the training repository holds no project of the training path: no dvc.yaml or no .dvc")

    def check_gold(self) -> None:
        """Raise UsageError unless the project trains on imported gold (docs/training-path.md, "Your own gold")."""
        if trains_on_imported_gold((self.folder / DVC_YAML).read_bytes()):
            return
        raise UsageError(f"the training project's dvc.yaml does not say `gold: {TRAINING_GOLD}`: it trains on a sample")
