"""Removes a forgotten note from gold: deliveries, every version in the repository's history, and its data files.

Order: deliveries; new data files; the record of the rewriting; the rewritten branches and tags, all at once; then the
old data files, which that record names, and in a repository on this machine what no branch or tag leads to. Killed
anywhere and run again, it ends the same: a rewriting of the same history gives the same commits.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.forget_deliveries import remove_deliveries
from enigma_tasks.adapters.forget_search import holds
from enigma_tasks.adapters.gold_data import GoldData
from enigma_tasks.adapters.gold_history import GoldHistory, NewData, head_of
from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.gold_revisions import Rewriting, read_gold_revisions, write_rewriting
from enigma_tasks.adapters.note_gold import NoteGold
from enigma_tasks.artifacts import INGESTED, gold_place
from enigma_tasks.errors import DataError, ServiceError
from enigma_tasks.gold.removal import manifest_without, packed_without, texts_in
from enigma_tasks.notes.forgotten import TEXT_CHARACTERS, Kind, text_digest
from enigma_tasks.notes.names import Names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from enigma_tasks.adapters.gold_history import DataFile
    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.gold.removal import DocumentKey
    from enigma_tasks.notes.forgetting import Traces

log = logging.getLogger(__name__)

GIT = "gold repository"
_RECENT_HOOK = "gc.recentobjectshook"
_NO_SUCH_KEY = 1


@dataclass(frozen=True)
class ForgottenGold:
    """A note's documents in gold; `traces` has the names and texts by which they are known."""

    store: ObjectStore
    params: Params
    settings: Settings
    traces: Traces

    @classmethod
    def of(
        cls, store: ObjectStore, params: Params, settings: Settings, traces: Traces, documents: Collection[str]
    ) -> ForgottenGold:
        """`documents`: ids of gold documents that are the note, whatever their text.

        Raises:
            UsageError: a place is not set.
        """
        for place in ("gold", "dvc", "journal"):
            settings.require(place)
        return cls(store, params, settings, replace(traces, names=traces.names | set(documents)))

    def texts(self) -> set[tuple[Kind, str]]:
        """Tombstones of the documents' texts, in all versions, one of which may be a correction of the note.

        Raises as `remove` does.
        """
        with GoldRepository.configured(self.params, self.settings) as repository:
            texts, known = self._texts(GoldHistory(repository).data_files()), self.traces.texts.digests
        found: set[tuple[Kind, str]] = set()
        while True:  # another document may have the text of a correction
            keys = self._documents(texts, known.union(found))
            new = {digest for key in keys for digest in texts[key]}
            if new <= found:
                return found
            found |= new

    def planned(self) -> dict[str, int]:
        """What `remove` would rewrite; nothing is written. Raises as `remove` does."""
        with GoldRepository.configured(self.params, self.settings) as repository:
            files = GoldHistory(repository).data_files()
        keys = self._documents(self._texts(files), self.traces.texts.digests)
        return {"documents": len(keys), "data_files": sum(1 for _ in self._changed(files, keys))}

    def remove(self) -> dict[str, Any]:
        """Remove the documents; can be repeated.

        Returns:
            `deliveries` (objects), `documents`, `data_files`, `commits` that were rewritten, `revision` (the newest),
            `moved` (branches and tags), `rewriting` (URI of the record, if there was one), and `other_refs`, which no
            client can move.

        Raises:
            UsageError: the server refuses that history is rewritten.
            DataError: a data file of any version, or a setting of a repository on this machine, is not as expected.
            ServiceError: store, git, or others pushed faster for all of `ingest.attempts`.
        """
        report: dict[str, Any] = {"deliveries": remove_deliveries(self.settings, self.store, self.traces)}
        for _ in range(self.params.ingest.attempts):
            with GoldRepository.configured(self.params, self.settings) as repository:
                history = GoldHistory(repository)
                found = self._rewritten(history)
                if found is None:
                    log.info("another version was published meanwhile: once more")
                    continue
            with GoldRepository.configured(self.params, self.settings) as repository:
                self._purge(repository)
                return report | found
        raise ServiceError(f"gold repository: other versions were pushed faster, {self.params.ingest.attempts} times")

    def of_ids(self, note_ids: Collection[str]) -> list[dict[str, str]]:
        """Documents of the newest version with one of these ids, which may be the note in another text."""
        names, revisions = Names.of(self.settings), read_gold_revisions(self.store, self.settings)
        with GoldRepository.configured(self.params, self.settings) as repository:
            found = [d for i in sorted(note_ids) for d in NoteGold(repository, (), i, revisions).newest()]
        return [{"document": names.shown(d.claim[2]), "language": d.claim[0], "type": d.claim[1]} for d in found]

    def left(self) -> list[str]:
        """Objects of git that name the note or its data files: of the repository on this machine, or of all versions.

        Raises:
            ServiceError: git failed.
        """
        data = read_gold_revisions(self.store, self.settings).data
        with GoldRepository.configured(self.params, self.settings) as repository:
            GoldHistory(repository)  # fetches every version
            git_folder = _git_folder(repository) or repository.folder / ".git"
            at = ["--git-dir", str(git_folder)]
            listed = repository.git(*at, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
            found = []
            for kind, name in map(str.split, listed.splitlines()):
                if kind == "tree":
                    continue
                content = repository.object_bytes(kind, name, git_folder)
                if holds(content, self.traces) or any(md5.encode() in content for md5 in data):
                    found.append(f"{kind} {name}")
        return found

    def _rewritten(self, history: GoldHistory) -> dict[str, Any] | None:
        """Rewrite and push; None where another process pushed meanwhile."""
        files = history.data_files()
        keys = self._documents(self._texts(files), self.traces.texts.digests)
        new = {
            file: None if content is None else NewData(self._data.write(content), len(content))
            for file, content in self._changed(files, keys)
        }
        commits = history.rewrite(new) if new else {}
        report: dict[str, Any] = {"documents": len(keys), "data_files": len(new), "other_refs": history.others}
        if commits:
            old = tuple(sorted({md5 for _, md5 in new}))
            report["rewriting"] = write_rewriting(self.store, self.settings, Rewriting(commits=commits, data=old))
        moved = history.push(commits)
        if moved is None:
            return None
        return report | {"commits": len(commits), "moved": moved, "revision": head_of(history, commits)}

    @property
    def _data(self) -> GoldData:
        return GoldData(self.store, self.settings.require("dvc"))

    def _texts(self, files: Collection[DataFile]) -> dict[DocumentKey, set[tuple[Kind, str]]]:
        """Every document of all versions, with the tombstones that its texts have or would have."""
        secret = self.traces.texts.secret
        found: dict[DocumentKey, set[tuple[Kind, str]]] = defaultdict(set)
        for (name, _), data in self._read([file for file in files if file[0] != INGESTED]):
            for key, text in texts_in(name, _language(name), data):
                found[key] |= {(Kind.TEXT, text_digest(secret, text))} if len(text) >= TEXT_CHARACTERS else set()
        return found

    def _documents(
        self, texts: Mapping[DocumentKey, set[tuple[Kind, str]]], forgotten: Collection[tuple[str, str]]
    ) -> set[DocumentKey]:
        """Those that are the note: by their id, or because one of their texts was forgotten."""
        return {k for k, own in texts.items() if k[1] in self.traces.names or not own.isdisjoint(forgotten)}

    def _changed(
        self, files: Collection[DataFile], keys: Collection[DocumentKey]
    ) -> Iterator[tuple[DataFile, bytes | None]]:
        """The data files that hold one of the documents, and what is left of them."""
        for file, data in self._read(files) if keys else ():
            rest = _without(file[0], data, keys)
            if rest is not data:
                yield file, rest

    def _read(self, files: Collection[DataFile]) -> Iterator[tuple[DataFile, bytes]]:
        """Data files, one in memory at a time; what the remote does not have holds nothing."""
        for file in sorted(files):
            data = self._data.read(file[1])
            if data is not None:
                yield file, data

    def _purge(self, repository: GoldRepository) -> None:
        """Delete the data files that rewritings left, and in a repository on this machine what nothing leads to."""
        named = {md5 for _, md5 in GoldHistory(repository).data_files()}
        for md5 in sorted(read_gold_revisions(self.store, self.settings).data - named):
            self._data.purge(md5)
        git_folder = _git_folder(repository)
        if git_folder is None:
            return
        at = ["git", "--git-dir", str(git_folder)]
        hook = repository.run([*at, "config", "--get-all", _RECENT_HOOK], accepted=(0, _NO_SUCH_KEY))
        if hook.returncode == 0:
            raise DataError(GIT, "settings_unexpected", hint=f"its settings name a program ({_RECENT_HOOK})")
        repository.run([*at, "reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"])
        repository.run([*at, "gc", "--quiet", "--prune=now"])


def _git_folder(repository: GoldRepository) -> Path | None:
    """Of a repository on this machine."""
    if not repository.is_local:
        return None
    folder = Path(repository.url.removeprefix("file://"))
    return folder / ".git" if (folder / ".git").is_dir() else folder


def _language(name: str) -> str:
    place = gold_place(name)
    return place[0] if place else ""


def _without(name: str, data: bytes, keys: Collection[DocumentKey]) -> bytes | None:
    if name == INGESTED:
        return manifest_without(data, keys)
    return packed_without(name, _language(name), data, keys)
