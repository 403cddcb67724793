"""Gold drops over HTTP into a git repository with DVC: versions, quarantine, again, and two at once."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import ServiceError, UsageError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.notes.names import Names
from enigma_tasks.stages import ingest
from tests.unit.memory import traced

PARAMS = Path(__file__).parents[2] / "params.yaml"
TEXT = "Paciente con neumonía y fiebre alta. Ingresa en planta, caso {}."


def text(number: int | str) -> str:
    return TEXT.format(number)


def ann(content: str, label: str = "DISEASE", word: str = "neumonía") -> str:
    start = content.index(word)
    return f"T1\t{label} {start} {start + len(word)}\t{word}\n"


class Hospital:
    """A gold repository, and a bucket to drop into."""

    def __init__(self, repository: Path) -> None:
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
        self.repository = repository
        self.settings = load_settings()
        self.store = ObjectStore()

    def drop(self, path: str, data: bytes | str) -> None:
        self.store.put(f"{self.settings.gold}/{path}", data.encode() if isinstance(data, str) else data)

    def pair(self, folder: str, name: str, content: str, annotation: str | None = None) -> None:
        self.drop(f"{folder}/{name}.txt", content)
        self.drop(f"{folder}/{name}.ann", ann(content) if annotation is None else annotation)

    def ingest(
        self, batch: str, *more: str, overrides: tuple[str, ...] = (), gold: str | None = None
    ) -> dict[str, Any]:
        arguments = build_parser().parse_args(["ingest", "--batch", batch, *more])
        settings = self.settings.model_copy(update={"gold": gold or self.settings.gold})
        return ingest.run(arguments, load_params(PARAMS, overrides), settings)

    def commits(self) -> list[str]:
        log = subprocess.run(
            ["git", "-C", str(self.repository), "log", "--format=%H", "main"],
            capture_output=True,
            text=True,
            check=False,
        )
        return log.stdout.split()

    def documents(self, folder: Path, language: str = "es") -> dict[str, Document]:
        """What a clone of the newest version holds, through the reader of corpora."""
        with GoldRepository.open(str(self.repository), self.settings.dvc, command_seconds=600) as version:
            names = sorted(version.names() - {"ingested.jsonl.gz"})
            version.fetch(names)
            for name in names:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(version.path(name).read_bytes())
        return {d.id: d for d in read_corpus(folder, language)}

    def quarantined(self, batch: str) -> list[dict[str, Any]]:
        uri = f"{self.settings.quarantine}/gold-{batch}/quarantine.jsonl"
        return [json.loads(line) for line in self.store.get(uri).splitlines()] if self.store.exists(uri) else []


@pytest.fixture
def hospital(s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", str(tmp_path / "gold.git"))
    return Hospital(tmp_path / "gold.git")


def test_sound_documents_become_a_version_bad_ones_go_to_quarantine_and_the_same_again_changes_nothing(
    hospital: Hospital, tmp_path: Path
) -> None:
    for number in range(5):
        hospital.pair("es/disease/june", f"case-{number}", text(number))
    hospital.pair("es/disease/june", "outside", text("o"), "T1\tDISEASE 4000 4008\tneumonía\n")
    hospital.pair("es/disease/june", "differs", text("d"), "T1\tDISEASE 0 8\tneumonía\n")
    hospital.drop("es/disease/june/latin.txt", text("l").encode("latin-1"))
    hospital.drop("es/disease/june/latin.ann", ann(text("l")))

    report = hospital.ingest("first")
    assert report["counts"] == {
        "deliveries": 8, "read": 8, "added": 5, "replaced": 0, "unchanged": 0, "quarantined": 3, "ignored": 0,
    }  # fmt: skip
    assert report["rules"] == {"not_utf8": 1, "span_outside_text": 1, "surface_differs": 1}
    assert report["announce"]["revision"] == report["revision"] == hospital.commits()[0]
    held = hospital.documents(tmp_path / "clone")
    assert sorted(held) == [f"case-{n}" for n in range(5)]
    assert held["case-3"].text == text(3)
    assert held["case-3"].annotated == {EntityType.DISEASE}
    assert {(q["document"], q["rule"], q["offset"]) for q in hospital.quarantined("first")} == {
        ("es/disease/june/outside.txt", "span_outside_text", 4000),
        ("es/disease/june/differs.txt", "surface_differs", 0),
        ("es/disease/june/latin.txt", "not_utf8", text("l").encode("latin-1").index(b"\xed")),
    }

    again = hospital.ingest("second")
    assert "announce" not in again
    assert again["counts"]["deliveries"] == 0
    assert again["revision"] == report["revision"]
    assert len(hospital.commits()) == 1
    assert hospital.quarantined("second") == []


def test_with_a_name_key_no_file_or_id_of_the_hospital_is_in_the_quarantine_list(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_NAME_KEY", "a secret of this hospital")
    hospital.settings = load_settings()
    number = "HC434881"
    span = {"start": 0, "end": 3, "text": "tos", "labels": ["DISEASE"]}
    tasks = [
        {"id": n, "data": {"text": "Tos y asma.", "note_id": note}, "annotations": [{"result": [{"value": span}]}]}
        for n, note in ((7, f"{number}-x"), (8, f"{number}\0y"))
    ]
    hospital.pair("es/disease/june", number, text(1), "T1\tDISEASE 4000 4008\tneumonía\n")
    hospital.drop(f"es/all/{number}.json", json.dumps(tasks))
    hospital.drop(f"es/all/{number}.jsonl", '{"text": "a", "label": []}\n{"id"\n')
    hospital.drop(f"{number}.txt", "key_layout")
    hospital.ingest("first")
    rows = hospital.quarantined("first")
    names, root = Names.of(hospital.settings), hospital.settings.gold.split("/", 3)[3]
    assert len(rows) == 6
    assert number not in json.dumps(rows)

    def shown(path: str) -> str:
        return names.shown(f"{root}/{path}")

    lines, export = shown(f"es/all/{number}.jsonl"), shown(f"es/all/{number}.json")
    pair = shown(f"es/disease/june/{number}.txt")
    assert {(r["record"], r["document"], r["rule"], r["offset"]) for r in rows} == {
        (pair, pair, "span_outside_text", 4000),
        (export, f"{export}#1", "surface_differs", 0),
        (export, f"{export}#2", "id_unsafe", None),
        (lines, f"{lines}#1", "id_missing", None),
        (lines, lines, "json_invalid", 2),
        (shown(f"{number}.txt"), None, "key_layout", None),
    }
    assert {o for r in rows for o in r["objects"]} >= {names.uri(f"{hospital.settings.gold}/es/all/{number}.json")}


def test_a_newer_text_replaces_and_the_same_elsewhere_is_no_version(hospital: Hospital, tmp_path: Path) -> None:
    hospital.pair("es/disease/june", "kept", text("kept"))
    hospital.pair("es/disease/june", "changed", text("old"))
    first = hospital.ingest("first")

    hospital.pair("es/disease/july", "kept", text("kept"))
    same = hospital.ingest("second")
    assert same["counts"]["unchanged"] == 1
    assert (same["revision"], "announce" in same, len(hospital.commits())) == (first["revision"], False, 1)

    hospital.pair("es/disease/june", "changed", text("new"))
    hospital.pair("es/disease/july", "changed", text("of another ward"))
    # the same document for two types of its own, from an annotation tool
    value = {"start": 24, "end": 30, "text": "fiebre", "labels": ["SYMPTOM"]}
    task = {"id": 1, "data": {"text": text("both")}, "annotations": [{"result": [{"type": "labels", "value": value}]}]}
    hospital.drop("es/all/export.json", json.dumps([task]))
    third = hospital.ingest("third")
    assert third["counts"] == {
        "deliveries": 4, "read": 4, "added": 1, "replaced": 1, "unchanged": 1, "quarantined": 1, "ignored": 0,
    }  # fmt: skip
    assert [(q["record"], q["rule"]) for q in hospital.quarantined("third")] == [
        ("es/disease/july/changed.txt", "id_duplicate")
    ]
    assert third["announce"]["places"] == {
        "es/disease": {"added": 1, "replaced": 1},
        "es/procedure": {"added": 1, "replaced": 0},
        "es/symptom": {"added": 1, "replaced": 0},
    }
    held = hospital.documents(tmp_path / "clone")
    assert held["changed"].text == text("new")
    assert held["labelstudio-1"].annotated == frozenset(EntityType)
    assert held["labelstudio-1"].entities == (Entity("SYMPTOM", 24, 30, "fiebre"),)
    assert hospital.ingest("fourth")["counts"]["deliveries"] == 0


def test_over_any_drops_the_counts_add_up_and_the_repository_holds_what_they_say(
    hospital: Hospital, tmp_path: Path
) -> None:
    """Sound and broken pairs, exports, packed files; ids that collide; the same again, copied, changed and touched."""
    hospital.pair("es/disease/ward-1", "0001", text(1))
    hospital.pair("es/disease/ward-2", "0001", text(2))
    hospital.pair("es/disease/ward-2", "0002", text(2))
    hospital.drop("es/disease/ward-2/lonely.ann", "")
    hospital.drop("es/disease/ward-2/scan.pdf", b"x")
    hospital.drop("es/disease/ward-2/Thumbs.db", b"x")
    line = {"text": text("d"), "label": [[13, 21, "DISEASE"]]}
    export = "\n".join(json.dumps(line | {"id": number}) for number in (1, 2, 2))
    hospital.drop("es/disease/doccano.jsonl", export)
    hospital.drop("es/disease/empty.jsonl.gz", gzip.compress(b""))
    first = hospital.ingest("first")["counts"]
    assert first == {
        "deliveries": 7, "read": 10, "added": 2, "replaced": 0, "unchanged": 0, "quarantined": 7, "ignored": 1,
    }  # fmt: skip
    assert hospital.ingest("idle")["counts"]["read"] == 1
    assert set(hospital.documents(tmp_path / "first")) == {"0002", "doccano-1"}

    hospital.drop("es/disease/doccano.jsonl", export + "\n")
    hospital.pair("es/disease/ward-3", "0002", text(2))
    hospital.pair("es/disease/ward-1", "0001", text("1, corrected"))
    second = hospital.ingest("second")
    assert second["counts"] == {
        "deliveries": 3, "read": 6, "added": 1, "replaced": 0, "unchanged": 2, "quarantined": 2, "ignored": 1,
    }  # fmt: skip
    held = hospital.documents(tmp_path / "second")
    assert set(held) == {"0001", "0002", "doccano-1"}
    assert held["0001"].text == text("1, corrected")


def test_two_at_once_both_arrive_and_nothing_is_taken_in_twice(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.pair("es/disease/june", "first", text(1))
    hospital.drop("es/disease/june/bad.txt", text("bad"))
    push = GoldRepository.push
    between: list[dict[str, Any]] = []

    def push_late(repository: GoldRepository) -> bool:
        monkeypatch.setattr(GoldRepository, "push", push)
        hospital.pair("es/disease/july", "second", text(2))
        between.append(hospital.ingest("quick"))
        hospital.pair("es/disease/july", "second", text("written over"))
        return push(repository)

    hospital.pair(
        "ro/symptom/june", "third", "Pacient cu febră mare.", ann("Pacient cu febră mare.", "SYMPTOM", "febră")
    )
    monkeypatch.setattr(GoldRepository, "push", push_late)
    slow = hospital.ingest("slow")
    (quick,) = between
    assert quick["counts"]["added"] == 3
    assert (slow["counts"]["added"], slow["revision"], "announce" in slow) == (0, quick["revision"], False)
    assert hospital.commits() == [quick["revision"]]
    assert [q["rule"] for q in hospital.quarantined("quick")] == ["text_without_annotation"]
    assert hospital.quarantined("slow") == []
    assert hospital.ingest("later")["counts"]["replaced"] == 1
    assert hospital.documents(tmp_path / "clone")["second"].text == text("written over")


def test_of_two_at_once_with_one_batch_the_later_reports_the_version_and_keeps_the_quarantine_list(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.pair("es/disease/june", "first", text(1))
    hospital.drop("es/disease/june/bad.txt", text("bad"))
    push = GoldRepository.push
    between: list[dict[str, Any]] = []

    def push_late(repository: GoldRepository) -> bool:
        monkeypatch.setattr(GoldRepository, "push", push)
        between.append(hospital.ingest("same"))
        return push(repository)

    monkeypatch.setattr(GoldRepository, "push", push_late)
    assert hospital.ingest("same") == between[0]
    assert hospital.commits() == [between[0]["revision"]]
    assert [q["rule"] for q in hospital.quarantined("same")] == ["text_without_annotation"]


def test_a_version_that_was_pushed_meanwhile_is_built_upon_and_loses_nothing(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other ward's drop is of another language: of what this one wrote first, the newest version has no file."""
    push = GoldRepository.push
    content = "Pacient cu febră mare."
    elsewhere = f"{hospital.settings.gold}-of-another-ward"

    def push_late(repository: GoldRepository) -> bool:
        monkeypatch.setattr(GoldRepository, "push", push)
        hospital.store.put(f"{elsewhere}/ro/symptom/b.txt", content.encode())
        hospital.store.put(f"{elsewhere}/ro/symptom/b.ann", ann(content, "SYMPTOM", "febră").encode())
        between.append(hospital.ingest("quick", gold=elsewhere))
        return push(repository)

    between: list[dict[str, Any]] = []
    hospital.pair("es/disease/june", "a", text(1))
    hospital.drop("es/disease/june/bad.txt", text("bad"))
    monkeypatch.setattr(GoldRepository, "push", push_late)
    slow = hospital.ingest("slow")
    assert hospital.commits() == [slow["revision"], between[0]["revision"]]
    assert (slow["counts"]["added"], between[0]["counts"]["added"]) == (1, 1)
    assert [q["rule"] for q in hospital.quarantined("slow")] == ["text_without_annotation"]
    assert set(hospital.documents(tmp_path / "es")) == {"a"}
    assert set(hospital.documents(tmp_path / "ro", "ro")) == {"b"}


@pytest.mark.slow
def test_two_processes_with_a_drop_each_lose_nothing(hospital: Hospital, tmp_path: Path) -> None:
    def ingest_in_a_process(batch: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "enigma_tasks", "ingest", "--batch", batch, "--json", "--quiet"],
            cwd=PARAMS.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    hospital.pair("es/disease/june", "one", text(1))
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(ingest_in_a_process, batch) for batch in ("left", "right")]
        hospital.pair("es/disease/july", "two", text(2))
        reports = [r.result() for r in running]
    reports.append(hospital.ingest("rest"))
    assert sum(r["counts"]["added"] for r in reports) == 2
    assert set(hospital.documents(tmp_path / "clone")) == {"one", "two"}
    assert len(hospital.commits()) == sum("announce" in r for r in reports)


def test_killed_before_or_after_its_push_and_run_again_a_batch_makes_one_version(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.pair("es/disease/june", "one", text(1))
    hospital.drop("es/disease/june/lonely.ann", "")
    push = GoldRepository.push

    def killed_before(_: GoldRepository) -> bool:
        raise KeyboardInterrupt

    def killed_after(repository: GoldRepository) -> bool:
        assert push(repository)
        raise KeyboardInterrupt

    for kill in (killed_before, killed_after):
        monkeypatch.setattr(GoldRepository, "push", kill)
        with pytest.raises(KeyboardInterrupt):
            hospital.ingest("night")
    monkeypatch.setattr(GoldRepository, "push", push)
    hospital.pair("es/disease/june", "two", text(2))
    report = hospital.ingest("night")
    assert hospital.commits() == [report["revision"]]
    assert report["announce"] | {"places": {}} == {
        "revision": report["revision"], "added": 1, "replaced": 0, "quarantined": 1, "places": {},
    }  # fmt: skip
    assert [q["rule"] for q in hospital.quarantined("night")] == ["annotation_without_text"]


def test_a_rule_that_the_drop_breaks_refuses_only_the_documents_that_break_it_until_the_rule_is_changed(
    hospital: Hospital, tmp_path: Path
) -> None:
    """And names are hostile, the place is wrong: each to quarantine, nothing of them in git."""
    hospital.pair("nl/disease/june", "goed", "Patiënt met astma. " * 8, ann("Patiënt met astma. " * 8, word="astma"))
    hospital.pair("nl/disease/june", "leeg", "Patiënt met astma, " * 8, "T1\tDISEASE 18 19\t \n")
    hospital.drop("nl/disease/june/$(touch x); --upload.pdf", b"x")
    hospital.drop("nl/disease/june/a\tb.txt", b"x")
    report = hospital.ingest("first")
    assert report["counts"]["added"] == 1
    assert report["rules"] == {"file_type": 1, "key_unsafe": 1, "span_blank": 1}
    assert set(hospital.documents(tmp_path / "clone", "nl")) == {"goed"}
    tracked = subprocess.run(
        ["git", "-C", str(hospital.repository), "ls-tree", "-r", "--name-only", "main"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert [name for name in tracked if not name.startswith(".")] == [
        "ingested.jsonl.gz.dvc", "nl/.gitignore", "nl/disease.jsonl.gz.dvc",
    ]  # fmt: skip

    again = hospital.ingest("second", "--again", overrides=("validate.rules.span_blank.severity=warn",))
    assert (again["counts"]["added"], again["counts"]["quarantined"]) == (1, 2)


def test_a_repository_that_cannot_be_reached_is_a_service_error_without_its_password(
    s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", f"https://user:hunter2@127.0.0.1:9/{tmp_path.name}.git")
    arguments = build_parser().parse_args(["ingest", "--batch", "b"])
    with pytest.raises(ServiceError) as failure:
        ingest.run(arguments, load_params(PARAMS), load_settings())
    assert "git ls-remote" in str(failure.value)
    assert "hunter2" not in str(failure.value)
    assert "hunter2" not in repr(load_settings())


def test_without_a_repository_the_variable_is_named(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENIGMA_GOLD_REPOSITORY", raising=False)
    with pytest.raises(UsageError, match="ENIGMA_GOLD_REPOSITORY"):
        ingest.run(build_parser().parse_args(["ingest", "--batch", "b"]), load_params(PARAMS), load_settings())


def test_small_files_that_hold_far_too_much_cost_themselves_only(hospital: Hospital, tmp_path: Path) -> None:
    hospital.pair("es/disease/june", "sound", text("s"))
    long = "a b " * 250_000
    hospital.pair("es/disease/june", "fragments", long, f"T1\tDISEASE {';'.join(['0 1000000'] * 500)}\tx\n")
    hospital.pair("es/disease/june", "phrases", "\ufdfa" * 300_000, "")
    sound = {"id": 2, "text": text("two"), "label": [[13, 21, "DISEASE"]]}
    spans = {"id": 1, "text": "a" * 1000, "label": [[0, 1, "DISEASE"]] * 100_000}
    hospital.drop("es/disease/july/spans.jsonl", "\n".join(map(json.dumps, (spans, sound))))
    hospital.drop("es/disease/july/values.json", "[" + ",".join(["[]"] * 2_600_000) + "]")
    hospital.drop("es/disease/july/deep.json", "[" * 200 + "]" * 200)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b" " * 50_000_000)
    hospital.drop("es/disease/july/zip.zip", packed.getvalue())
    line = {"id": "a", "text": text("p"), "language": "es", "annotated": ["disease"], "entities": []}
    hospital.drop("es/disease/july/lines.jsonl.gz", gzip.compress(json.dumps(line).encode()))
    hospital.drop("es/disease/august/lines.jsonl.gz", gzip.compress((json.dumps(line).encode() + b"\n") * 400_000))
    importlib.import_module("enigma_tasks.adapters.expectations")  # not while memory is traced: it takes a minute
    report, most = traced(lambda: hospital.ingest("first"))
    assert report["rules"] == {
        "too_many_fragments": 1, "too_many_subwords": 1, "too_many_spans": 1, "too_many_values": 1, "too_deep": 1,
        "unpacked_ratio": 2,
    }  # fmt: skip
    assert report["counts"]["added"] == len(hospital.documents(tmp_path / "clone")) == 3
    assert most < 200_000_000
    assert hospital.ingest("second")["counts"]["deliveries"] == 0
