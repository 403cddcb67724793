"""A note is forgotten in gold and its history: a real S3 server, git repositories and a DVC remote."""

from __future__ import annotations

import gzip
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.gold_revisions import read_gold_revisions
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.note_gold import NoteGold
from enigma_tasks.config import load_settings
from enigma_tasks.formats.packed import read_packed
from enigma_tasks.gold.manifest import unpack_manifest
from enigma_tasks.stages import forget, ingest
from tests.integration.night_helpers import Nights
from tests.integration.test_forget import DAY, OTHER, PATH, SURNAME, TEXT

if TYPE_CHECKING:
    from pathlib import Path

MENTION = "neumoniaqqq"
KNOWN = f"{SURNAME}-77"
LATER = TEXT.replace("sin incidencias", "con fiebre")
AUTHOR = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@h",
    "GIT_COMMITTER_NAME": "Eva",
    "GIT_COMMITTER_EMAIL": "e@h",
}


class Gold(Nights):
    """Nights with a gold repository on this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        super().__init__(monkeypatch)
        self.repository = folder / "gold.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.repository)], check=True)
        monkeypatch.setenv("ENIGMA_FORGET_KEY", "f" * 32)
        monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", str(self.repository))
        self.settings = load_settings()
        self.batches = 0

    def git(self, *words: str, **more: str) -> str:
        return subprocess.run(
            ["git", "--git-dir", str(self.repository), *words], check=True, capture_output=True, text=True,
            env={**os.environ, **AUTHOR, **more},
        ).stdout.strip()  # fmt: skip

    def deliver(self, folder: str, **texts: str) -> None:
        """Texts, and an annotation of their first word."""
        for name, text in texts.items():
            base = f"{self.settings.gold}/es/{folder}/{name.replace('_', '-')}"
            first = text.split()[0].strip(",:")
            self.store.put(f"{base}.txt", text.encode())
            self.store.put(f"{base}.ann", f"T1\tDISEASE 0 {len(first)}\t{first}\n".encode())

    def ingest(self) -> dict[str, Any]:
        self.batches += 1
        words = self.arguments("ingest", "--batch", f"gold-{self.batches}")
        report: dict[str, Any] = ingest.run(words, self.params, self.settings)
        return report

    def forget(self, uri: str, *more: str) -> dict[str, Any]:
        return forget.run(self.arguments("forget", uri, "--gold", *more), self.params, self.settings)

    def holding(self) -> list[str]:
        """Objects of the store and of git whose name or bytes hold the surname or the mention: a search of its own."""
        root, found = self.settings.drops.rpartition("/")[0], []
        for info in self.store.list(f"{root}/"):
            data = self.store.get(info.uri)
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            if any(word in info.uri or word.encode() in data for word in (SURNAME, MENTION)):
                found.append(info.uri.removeprefix(f"{root}/"))
        data_of_note = {
            name.removeprefix("dvc/files/md5/").replace("/", "") for name in found if name.startswith("dvc/")
        }
        for line in self.git(
            "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"
        ).splitlines():
            kind, name = line.split()
            if kind != "tree" and any(
                word in self.git("cat-file", kind, name) for word in (SURNAME, MENTION, *data_of_note)
            ):
                found.append(line)
        return found

    def documents(self) -> dict[str, list[str]]:
        """File of the newest version -> ids."""
        with GoldRepository.configured(self.params, self.settings) as repository:
            names = repository.names()
            repository.fetch(sorted(names))
            packed = {n: read_packed(repository.path(n)) for n in sorted(names) if "/" in n}
            manifest = unpack_manifest(repository.path("ingested.jsonl.gz").read_bytes())
        found = {name: [d.id for d in documents] for name, documents in packed.items()}
        return found | {"manifest": sorted({c[2] for e in manifest.values() for c in e.documents})}

    def log(self) -> list[str]:
        return self.git("log", "--all", "--format=%an %ae %at %cn %ct %B").splitlines()


@pytest.fixture
def gold(s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gold:
    return Gold(monkeypatch, tmp_path)


def history(gold: Gold) -> str:
    """A note in the night and in gold: alone in its type, beside others, in a later text, tagged, on a branch."""
    uri = gold.drop(PATH, TEXT)
    gold.drop(f"{DAY}/n1.txt", OTHER)
    gold.night("night-1")
    gold.deliver("disease", **{"o1": f"Asma: {OTHER}", KNOWN: TEXT})
    first = gold.ingest()["revision"]
    gold.deliver("symptom/txt")
    gold.deliver("disease", **{KNOWN: LATER})  # the same document, corrected
    gold.ingest()
    gold.deliver("disease", o2=f"Tos: {OTHER}")
    gold.ingest()
    gold.git("tag", "v1", first)
    gold.git("tag", "-a", "v2", "-m", "second\r\nmessage", "main")
    gold.git("branch", "trial", first)
    return uri


def test_no_version_of_gold_holds_the_note_afterwards_and_the_rest_is_as_it_was(gold: Gold) -> None:
    uri = history(gold)
    before, log, old = gold.documents(), gold.log(), gold.git("rev-parse", "main")
    assert before["es/disease.jsonl.gz"] == ["Zzyzxova-77", "o1", "o2"]
    dry = gold.forget(uri)
    assert dry["gold_history"] == {"documents": 1, "data_files": 6}
    assert (gold.git("rev-parse", "main"), gold.log()) == (old, log)
    report = gold.forget(uri, "--yes")
    assert (report["left"], report["exit_code"]) == ([], 0)
    assert gold.holding() == []
    done = report["gold_history"]
    assert (done["documents"], done["commits"], done["other_refs"], done["same_id"]) == (1, 3, [], [])
    assert done["moved"] == ["refs/heads/main", "refs/heads/trial", "refs/tags/v1", "refs/tags/v2"]
    assert done["revision"] == gold.git("rev-parse", "main") != old
    assert gold.log() == log
    assert gold.git("cat-file", "tag", "v2").partition("\n\n")[2].startswith("second")
    assert gold.documents() == {"es/disease.jsonl.gz": ["o1", "o2"], "manifest": ["o1", "o2"]}
    standing = read_gold_revisions(gold.store, gold.settings)
    assert list(standing.standing_for(old)) == [old, done["revision"]]
    assert JournalStore(gold.store, gold.settings.journal).names() == []
    with GoldRepository.configured(gold.params, gold.settings) as repository:
        assert [d.claim[2] for d in NoteGold(repository, (), "o2", standing).at(old) or ()] == ["o2"]
        assert NoteGold(repository, (), KNOWN, standing).at(old) == []
    again = gold.forget(uri, "--yes")
    assert (again["found"], again["gold_history"]["commits"], again["gold_history"]["moved"]) == (0, 0, [])
    assert gold.git("rev-parse", "main") == done["revision"]
    assert gold.ingest()["new_version"] is False
    gold.deliver("disease", **{"new": OTHER, KNOWN: TEXT})
    assert gold.ingest()["rules"] == {"forgotten": 1}
    assert gold.documents()["es/disease.jsonl.gz"] == ["new", "o1", "o2"]
