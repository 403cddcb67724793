"""What no reader foresees costs its own record, and is not quoted."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.errors import DataError, ServiceError
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.imports import read_export
from enigma_tasks.gold.deliveries import read_delivery
from enigma_tasks.gold.ingestion import GoldObject, arrange
from enigma_tasks.gold.rules import HARD, Fold, tables
from enigma_tasks.notes.record_planning import Judgement, scan
from enigma_tasks.notes.records import read_lines
from enigma_tasks.notes.references import NoteRef, Refused, Rule
from enigma_tasks.params.limits import RecordLimits, Unpacked
from enigma_tasks.unforeseen import refused_if_unforeseen
from tests.unit.import_builders import zipped
from tests.unit.inception_builders import as_json, cas_of

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
TEXT = "Ingresa por asma."

LIMITS = RecordLimits(
    max_bytes=1000, max_subwords=1000, max_records=1000, unpacked=Unpacked(max_bytes=100_000, max_ratio=100)
)


class PanicException(BaseException):
    """Stands in for a library's."""


@pytest.mark.parametrize("kind", [TypeError, RecursionError, KeyError, PanicException])
def test_an_exception_becomes_a_refusal_with_its_type_and_the_place_in_the_log(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError) as raised, refused_if_unforeseen("n17"):
        raise kind(TEXT)
    assert str(raised.value) == f"n17: unreadable ({kind.__name__})"
    assert raised.value.__suppress_context__
    assert "asma" not in caplog.text
    assert f"{kind.__name__} in test_unforeseen.py" in caplog.text


@pytest.mark.parametrize(
    "error", [DataError("n17", "blank"), ServiceError("s3"), OSError(28), MemoryError(), KeyboardInterrupt()]
)
def test_what_is_about_no_record_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, refused_if_unforeseen("n17"):
        raise error
    assert raised.value is error


def fails_on_asthma(_: str, text: str) -> None:
    """Not the check of a text: a fault of ours that only one record meets, whose message quotes it."""
    if "asma" in text:
        raise TypeError(text)


def gold(records: list[dict[str, Any]], key: str, tmp_path: Path) -> dict[str, str]:
    """Place in the file -> the rule or nothing, as `ingest` reads a file of gold."""
    path = f"es/disease/{key}"
    data = b"".join(json.dumps(r).encode() + b"\n" for r in records)
    if key.endswith(".gz"):
        data = gzip.compress(data)
    (delivery,), _ = arrange([GoldObject(path, "e", len(data), "2026-06-11")], PARAMS.language, 1 << 20)
    reading = read_delivery(delivery, {path: data}, tmp_path / key)
    assert reading.read == len(reading.documents) + len(reading.refusals)
    assert "asma" not in repr(reading.refusals)
    return {reading.places[d.id]: "" for d in reading.documents} | {f"{r.document}": r.rule for r in reading.refusals}


TEXTS = ["Tiene tos.", TEXT, "Tiene fiebre."]
LABEL_STUDIO = [
    {"id": n, "data": {"text": text}, "annotations": [{"id": n, "result": []}]} for n, text in enumerate(TEXTS, 1)
]
DOCCANO = [{"id": n, "text": text, "label": [[0, 5, "DISEASE"]]} for n, text in enumerate(TEXTS, 1)]
PACKED = [
    {"id": f"n{n}", "text": text, "language": "es", "annotated": ["disease"], "entities": []}
    for n, text in enumerate(TEXTS, 1)
]
ONE_REFUSED = {"1": "", "2": "unreadable", "3": ""}


@pytest.mark.parametrize(
    ("records", "key", "reader"),
    [
        (LABEL_STUDIO, "tasks.jsonl", "formats.imports.spans"),
        (DOCCANO, "lines.jsonl", "formats.imports.spans"),
        (PACKED, "packed.jsonl.gz", "formats.packed"),
    ],
)
def test_of_a_file_of_gold_only_the_record_is_refused(
    records: list[dict[str, Any]], key: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"enigma_tasks.{reader}.check_text", fails_on_asthma)
    assert gold(records, key, tmp_path) == ONE_REFUSED


def test_a_record_on_which_a_tool_fails_before_it_has_documents_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def places(task: dict[str, Any]) -> list[Any]:
        fails_on_asthma("", task["data"]["text"])
        return []

    monkeypatch.setattr("enigma_tasks.formats.imports.label_studio._id_places", places)
    assert gold(LABEL_STUDIO, "tasks.jsonl", tmp_path) == ONE_REFUSED


def test_of_a_zip_only_the_document_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {f"{n}.json": as_json(cas_of(text=text)) for n, text in enumerate(TEXTS, 1)}
    monkeypatch.setattr("enigma_tasks.formats.imports.spans.check_text", fails_on_asthma)
    found = read_export("cases.zip", zipped(cases), "es", frozenset(EntityType))
    assert [[d.rule for d in one.defects] for one in found] == [[], ["unreadable"], []]


def test_of_a_folder_only_the_pair_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, data: bytes, _: int) -> str:
        fails_on_asthma(name, data.decode())
        return data.decode()

    for n, text in enumerate(TEXTS, 1):
        (tmp_path / f"{n}.txt").write_text(text)
        (tmp_path / f"{n}.ann").write_text("")
    monkeypatch.setattr("enigma_tasks.formats.corpus_reader.text_of_bytes", broken)
    report = CorpusReport()
    assert [d.id for d in read_corpus(tmp_path, report=report)] == ["1", "3"]
    assert [(d.record, d.rule) for d in report.defects] == [("2", "unreadable")]


def test_of_a_file_of_notes_only_the_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(json.dumps({"id": f"n{n}", "text": text}).encode() + b"\n" for n, text in enumerate(TEXTS, 1))
    monkeypatch.setattr("enigma_tasks.notes.records.check_text", fails_on_asthma)
    found = [outcome for _, outcome in read_lines(io.BytesIO(data), "day.jsonl", LIMITS)]
    assert [f.rule if isinstance(f, DataError) else f.id for f in found] == ["n1", "unreadable", "n3"]


@pytest.mark.parametrize("done", [False, True])
def test_a_text_on_which_the_detector_of_languages_fails_is_refused_alone_and_once(*, done: bool) -> None:
    def detect(text: str) -> str:
        fails_on_asthma("", text)
        return "es"

    file = NoteRef("b", "d.jsonl", "e", "e", "d", language="", language_source="detected", drop_date="", size=1)
    data = b"".join(json.dumps({"id": f"n{n}", "text": text}).encode() + b"\n" for n, text in enumerate(TEXTS, 1))
    judgement = Judgement(LIMITS, lambda _: "es", detect, is_done=lambda note: done and note.record_id == "#L2")
    found = list(scan(file, io.BytesIO(data), judgement))
    refused = [(f.note.record_id, f.rule, f.offset) for f in found if isinstance(f, Refused)]
    assert refused == ([] if done else [("#L2", Rule.UNREADABLE, 2)])
    assert [f.record_id for f in found if isinstance(f, NoteRef)] == ["n1", "n3"]


def test_a_document_on_which_the_detector_fails_breaks_a_rule_without_tolerance() -> None:
    long = [Document(f"n{n}", text * 40, language="es") for n, text in enumerate(TEXTS, 1)]

    def detect(text: str) -> str:
        fails_on_asthma("", text)
        return "es"

    found = {t.name: t for t in tables({None: Fold(long, ())}, PARAMS.validation, detect, {})}
    table = found["documents-es"]
    assert [row.document for row in table.breaches("unreadable")] == ["n2"]
    assert table.rules["unreadable"] == HARD
