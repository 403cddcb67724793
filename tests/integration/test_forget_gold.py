"""A note is forgotten in gold and its history: a real S3 server, git repositories and a DVC remote."""

from __future__ import annotations

import gzip
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import object_versions
from enigma_tasks.adapters.forget_gold import ForgottenGold
from enigma_tasks.adapters.gold_history import GoldHistory
from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.gold_revisions import read_gold_revisions
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.note_gold import NoteGold
from enigma_tasks.adapters.s3_client import s3_client
from enigma_tasks.adapters.workspace import Workspace
from enigma_tasks.config import load_settings
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.packed import read_packed
from enigma_tasks.gold.manifest import unpack_manifest
from enigma_tasks.stages import forget, ingest
from tests.integration.night_helpers import Nights
from tests.integration.test_forget import DAY, OTHER, PATH, SURNAME, TEXT, Killed

if TYPE_CHECKING:
    from collections.abc import Callable
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
    gold.deliver("disease", **{KNOWN: LATER})  # the same document, corrected
    gold.ingest()
    gold.deliver("disease", o2=f"Tos: {OTHER}")
    gold.ingest()
    gold.git("tag", "v1", first)
    gold.git("tag", "-a", "v2", "-m", "second\r\nmessage", "main")
    gold.git("branch", "trial", first)
    return uri


@pytest.mark.slow
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


@pytest.mark.slow
def test_killed_at_each_write_and_run_again_it_ends_the_same(gold: Gold, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = gold.drop(PATH, TEXT)
    gold.deliver("disease", **{"o1": f"Asma: {OTHER}", KNOWN: TEXT})
    gold.ingest()
    gold.deliver("disease", **{KNOWN: LATER})
    gold.ingest()
    whole, kills, log = ForgottenGold.remove, [], gold.log()

    def killed_everywhere(self: ForgottenGold) -> dict[str, Any]:
        while True:
            with monkeypatch.context() as patch:
                stop = Stopwatch(len(kills) % 2)
                for owner, name in (
                    (s3_client(), "put_object"), (s3_client(), "delete_object"), (Workspace, "push_to_origin"),
                ):  # fmt: skip
                    patch.setattr(owner, name, stop.before(getattr(owner, name)))
                try:
                    return whole(self)
                except Killed:
                    kills.append(stop.at)
                    assert len(kills) < 60

    monkeypatch.setattr(ForgottenGold, "remove", killed_everywhere)
    report = gold.forget(uri, "--yes")
    assert {"put_object", "delete_object", "push_to_origin"} == set(kills)
    assert (report["left"], report["exit_code"], gold.holding()) == ([], 0, [])
    assert gold.documents() == {"es/disease.jsonl.gz": ["o1"], "manifest": ["o1"]}
    assert gold.log() == log


class Stopwatch:
    """Kills the process after its first write, or before its second one."""

    def __init__(self, allowed: int) -> None:
        self.allowed, self.count, self.at = allowed, 0, ""

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*words: Any, **named: Any) -> Any:
            self.count, self.at = self.count + 1, call.__name__
            if self.allowed and self.count > self.allowed:
                raise Killed
            reply = call(*words, **named)
            if not self.allowed:
                raise Killed
            return reply

        return killing


def test_killed_between_the_push_and_the_deletion_the_whole_command_ends_it(
    gold: Gold, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = gold.drop(PATH, TEXT)
    gold.deliver("disease", **{"o1": f"Asma: {OTHER}", KNOWN: LATER})
    gold.ingest()

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ForgottenGold, "_purge", killed)
        with pytest.raises(Killed):
            gold.forget(uri, "--yes", "--document", KNOWN)
    assert gold.holding()
    assert gold.forget(uri, "--yes")["exit_code"] == 0
    assert gold.holding() == []


def test_what_another_ingestion_publishes_meanwhile_stays(gold: Gold, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = gold.drop(PATH, TEXT)
    gold.deliver("disease", **{"o1": f"Asma: {OTHER}", KNOWN: TEXT})
    gold.ingest()
    push, pushed = GoldHistory.push, []

    def overtaken(self: GoldHistory, rewritten: Any) -> Any:
        if not pushed:
            gold.deliver("disease", o2=f"Tos: {OTHER}")
            pushed.append(gold.ingest())
        return push(self, rewritten)

    monkeypatch.setattr(GoldHistory, "push", overtaken)
    report = gold.forget(uri, "--yes")
    assert (report["exit_code"], gold.holding()) == (0, [])
    assert gold.documents() == {"es/disease.jsonl.gz": ["o1", "o2"], "manifest": ["o1", "o2"]}
    assert report["gold_history"]["commits"] == 2
    assert len(gold.git("log", "main", "--format=%H").split()) == 2


def test_a_server_that_refuses_rewriting_keeps_its_history_and_is_named(gold: Gold) -> None:
    uri = gold.drop(PATH, TEXT)
    gold.deliver("disease", **{KNOWN: TEXT})
    gold.ingest()
    gold.git("config", "receive.denyNonFastForwards", "true")
    old = gold.git("rev-parse", "main")
    with pytest.raises(UsageError, match="denyNonFastForwards"):
        gold.forget(uri, "--yes")
    assert gold.git("rev-parse", "main") == old
    gold.git("config", "--unset", "receive.denyNonFastForwards")
    assert gold.forget(uri, "--yes")["found"] == 0
    assert gold.documents() == {"manifest": []}


def test_documents_of_its_id_are_named_and_removed_when_asked_for(gold: Gold) -> None:
    uri = gold.drop(PATH, TEXT)
    gold.deliver("disease", o1=f"Asma: {OTHER}")
    for name, text in ((KNOWN, LATER), ("o3", TEXT)):
        first = text.split()[0].strip(",")
        gold.store.put(f"{gold.settings.gold}/es/all/txt/{name}.txt", text.encode())
        gold.store.put(f"{gold.settings.gold}/es/all/ann/{name}.ann", f"T1\tDISEASE 0 8\t{first}\n".encode())
    rows = "".join(f"{name}\tDISEASE\t0\t8\t{SURNAME}\n" for name in (KNOWN, "o3"))
    gold.store.put(f"{gold.settings.gold}/es/all/tsv/all.tsv", f"filename\tlabel\n{rows}o4\tDISEASE\n".encode())
    gold.ingest()
    report = gold.forget(uri, "--yes")
    assert report["gold_history"]["documents"] == 1
    assert report["gold_history"]["same_id"] == [
        {"document": KNOWN, "language": "es", "type": t} for t in ("disease", "procedure", "symptom")
    ]
    assert "es/all/txt/o3.txt" not in " ".join(gold.holding())
    with pytest.raises(UsageError, match="--gold"):
        forget.run(gold.arguments("forget", uri, "--document", KNOWN), gold.params, gold.settings)
    again = gold.forget(uri, "--yes", "--document", KNOWN)
    assert (again["exit_code"], again["gold_history"]["same_id"], gold.holding()) == (0, [], [])
    assert gold.store.get(f"{gold.settings.gold}/es/all/tsv/all.tsv") == b"filename\tlabel\no4\tDISEASE\n"
    assert set(gold.documents()) == {"es/disease.jsonl.gz", "manifest"}


def test_merges_signatures_and_any_bytes_of_messages_are_kept_or_dropped_as_they_must_be(gold: Gold) -> None:
    gold.deliver("disease", **{"o1": f"Asma: {OTHER}", KNOWN: TEXT})
    gold.ingest()
    first = gold.git("rev-parse", "main")
    content = gold.git("cat-file", "commit", first).partition("\n\n")[0]
    head = f"{content}\nparent {first}\nparent {first}".replace(f"{content}\n", "")
    tree, _, people = content.partition("\n")
    message = "mensaje en latin\u00f3 \r\n fin\r".encode("latin-1")
    raw = (
        f"{tree}\n{head}\n{people}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END".encode()
        + b"\n\n"
        + message
    )
    (gold.repository / "raw").write_bytes(raw)
    merge = gold.git("hash-object", "-t", "commit", "-w", "--literally", str(gold.repository / "raw"))
    gold.git("update-ref", "refs/heads/main", merge)
    with GoldRepository.configured(gold.params, gold.settings) as repository:
        history = GoldHistory(repository)
        (file,) = (f for f in history.data_files() if f[0] == "es/disease.jsonl.gz")
        rewritten = history.rewrite({file: None})
        assert rewritten.keys() == {first, merge}
        new = repository.object_bytes("commit", rewritten[merge])
        head_of_new, _, found = new.partition(b"\n\n")
        assert found == message
        assert head_of_new.count(f"parent {rewritten[first]}".encode()) == 2
        assert b"gpgsig" not in new
        assert b"abc" not in new
        assert f"{file[0]}.dvc" not in repository.files_of(rewritten[merge])
        assert history.rewrite({}) == {}


def test_every_version_of_a_delivery_in_a_bucket_with_versions(gold: Gold, s3_root: str) -> None:
    bucket, place = s3_root.removeprefix("s3://").partition("/")[0], f"{gold.settings.gold}/es/all"
    s3_client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    uri = gold.drop(PATH, TEXT)
    gold.store.put(f"{place}/txt/{KNOWN}.txt", TEXT.encode())
    for mention in (SURNAME, MENTION):
        gold.store.put(f"{place}/ann/{KNOWN}.ann", f"T1\tDISEASE 0 8\t{mention}\n".encode())
        gold.store.put(f"{place}/tsv/all.tsv", f"{KNOWN}\tDISEASE\t0\t8\t{mention}\no4\tDISEASE\n".encode())
    gold.store.delete_many([f"{place}/txt/{KNOWN}.txt", f"{place}/ann/{KNOWN}.ann"])
    report = gold.forget(uri, "--yes")
    assert (report["left"], report["gold_history"]["documents"]) == ([], 0)
    for version in object_versions.versions_below(f"{gold.settings.gold}/"):
        assert KNOWN not in version.key
        with object_versions.open_version(version) as stream:
            assert KNOWN.encode() not in stream.read()
    assert gold.store.get(f"{place}/tsv/all.tsv") == b"o4\tDISEASE\n"
