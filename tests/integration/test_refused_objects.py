"""Hostile objects among sound ones: each is refused by its rule, all others are taken in, nothing is quoted."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from tests.integration.night_helpers import Nights, stand_in_engine
from tests.integration.test_ingest import Hospital, ann, hospital, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from enigma_tasks.documents import Document
    from enigma_tasks.ensembles.runner import AnnotatedDocument

__all__ = ["hospital"]

SECRET = "zanahoria"
DAY = "es/2026-06-11"
NOTE = "Ingresa por neumonía, paciente número {}, estable y sin fiebre."
DEEP = "[" * 5000 + "]" * 5000


def line(**fields: Any) -> bytes:
    return json.dumps({"id": "r1", "text": SECRET, **fields}).encode() + b"\n"


def zipped(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()


HOSTILE_NOTES: dict[str, tuple[str | bytes, str]] = {
    f"{DAY}/empty.txt": (b"", "empty"),
    f"{DAY}/blank.txt": (" \n\t\ufeff\u200b\u202e", "blank"),
    f"{DAY}/latin1.txt": (f"{SECRET} neumonía".encode("latin-1"), "not_utf8@16"),
    f"{DAY}/cut.txt": (f"{SECRET} neumoní".encode()[:-1], "not_utf8@16"),
    f"{DAY}/surrogate.txt": (SECRET.encode() + b"\xed\xa0\x80", "not_utf8@9"),
    f"{DAY}/overlong.txt": (SECRET.encode() + b"\xc0\x80", "not_utf8@9"),
    f"{DAY}/nul.txt": (f"{SECRET}\0", "nul_byte@9"),
    f"{DAY}/large.txt": (SECRET * 1000, "too_large"),
    f"{DAY}/utf16.txt": (f"\ufeff{SECRET}".encode("utf-16-le"), "not_plain_text"),
    f"{DAY}/pdf.txt": (f"%PDF-1.7\n{SECRET}", "not_plain_text"),
    f"{DAY}/gzip.txt": (gzip.compress(SECRET.encode(), mtime=0), "not_plain_text"),
    f"{DAY}/zip.txt": (zipped("note.txt", SECRET.encode()), "not_plain_text"),
    f"{DAY}/page.txt": (f"<html><body onload='x()'>{SECRET}</body></html>", "not_plain_text"),
    f"{DAY}/entities.txt": (f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "{SECRET}">]><a>&b;</a>', "not_plain_text"),
    f"{DAY}/rtf.txt": (f"{{\\rtf1\\ansi {SECRET}}}", "not_plain_text"),
    f"{DAY}/base64.txt": (base64.b64encode(f"{SECRET} neumonía".encode() * 9), "not_plain_text"),
    f"{DAY}/json.txt": (f'{{"text": "{SECRET}"}}', "not_plain_text"),
    f"{DAY}/hl7.txt": (f"MSH|^~\\&|HIS|A|B|C|20260611||ORU^R01|1|P|2.5\rOBX|1|TX|||{SECRET}", "not_plain_text"),
    f"{DAY}/scan.pdf": (SECRET, "file_type"),
    f"{DAY}/run.exe": (b"MZ" + SECRET.encode(), "file_type"),
    f"{DAY}/../up.txt": (SECRET, "key_unsafe"),
    "es/2026-02-30/day.txt": (SECRET, "key_layout"),
    "stray.txt": (SECRET, "key_layout"),
    f"{DAY}/.txt": (SECRET, "key_layout"),
    "xx/2026-06-11/language.txt": (SECRET, "language_not_configured"),
    "auto/2026-06-11/german.txt": (
        f"Der Patient wurde wegen Husten stationär aufgenommen, {SECRET}.",
        "language_not_configured",
    ),
    "auto/2026-06-11/signs.txt": ("\U0001f600" * 50, "language_not_configured"),
    f"{DAY}/deep.jsonl#L1": (f'{{"id": "r1", "text": "{SECRET}", "x": {DEEP}}}', "json_invalid@1"),
    f"{DAY}/digits.jsonl#L1": (f'{{"id": {"9" * 5000}, "text": "{SECRET}"}}', "json_invalid@1"),
    f"{DAY}/half.jsonl#L1": (f'{{"id": "r1", "text": "{SECRET}\\ud800"}}', "not_utf8@9"),
    f"{DAY}/id.jsonl#L1": (line(id={"x": 1}), "json_fields@1"),
    f"{DAY}/text.jsonl#L1": (line(text=[SECRET]), "json_fields@1"),
    f"{DAY}/infinite.jsonl#L1": (line(id=float("inf")), "json_fields@1"),
    f"{DAY}/array.jsonl": (json.dumps([{"id": 1, "text": SECRET}]), "not_plain_text"),
    f"{DAY}/none.jsonl": (b"\n \n", "blank"),
    f"{DAY}/plain.jsonl.gz": (line(), "gzip_damaged@1"),
    f"{DAY}/cut.jsonl.gz": (gzip.compress(line(), mtime=0)[:-9], "gzip_damaged@1"),
    f"{DAY}/twice.jsonl.gz": (gzip.compress(gzip.compress(line(), mtime=0), mtime=0), "not_plain_text"),
    f"{DAY}/many.jsonl.gz": (gzip.compress(line() * 100_000, mtime=0), "too_many_records@51"),
    f"{DAY}/panic.txt": (f"{SECRET} panic", "annotation_failed"),
}


class PanicException(BaseException):
    """Stands in for that of a library in Rust, which is no Exception."""


def engine(documents: Sequence[Document]) -> list[AnnotatedDocument]:
    for document in documents:
        if "panic" in document.text:
            raise PanicException(document.text)
    return stand_in_engine(documents)


def test_a_night_with_40_hostile_objects_annotates_the_200_notes_and_refuses_each_by_its_rule(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nights = Nights(monkeypatch, "notes.max_records=50", "plan.notes_per_shard=100")
    nights.engine = engine
    for number in range(200):
        nights.drop(f"{DAY}/n{number}.txt", NOTE.format(number))
    for name, (data, _) in HOSTILE_NOTES.items():
        nights.drop(name.removesuffix("#L1"), data)
    report = nights.night("night-1")
    found = nights.outcomes()
    sound = [name for name, outcome in found.items() if outcome == "annotated"]
    assert {name: rule for name, rule in found.items() if rule != "annotated"} == {
        name: rule for name, (_, rule) in HOSTILE_NOTES.items()
    }
    assert sorted(sound) == sorted(f"{DAY}/n{number}.txt" for number in range(200))
    assert (report["counts"]["annotated"], report["counts"]["quarantined"]) == (200, len(HOSTILE_NOTES)) == (200, 40)
    assert len(nights.spans()) == 200
    assert SECRET not in caplog.text + json.dumps(report)
    stored = nights.objects("runs", "quarantine", "annotations", "tables")
    assert not [uri for uri, data in stored.items() if SECRET.encode() in data]
    again = nights.plan("night-2")["counts"]
    assert (again["planned"], again["quarantined"]) == (0, 0)


def exported(*spans: Any, content: Any = f"Tiene {SECRET}.", **more: Any) -> dict[str, Any]:
    """A line of doccano's."""
    return {"id": 1, "text": content, "label": [[6, 15, "DISEASE"], *spans]} | more


def as_cas(**sofa: Any) -> dict[str, Any]:
    """INCEpTION's, with another text than it should have."""
    first = {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaNum": 1, "sofaID": "_InitialView", "mimeType": "text"} | sofa
    span = {"%ID": 2, "%TYPE": "custom.Disease", "@sofa": 1, "begin": 6, "end": 15}
    views = {"_InitialView": {"%SOFA": 1, "%MEMBERS": [2]}}
    return {"%TYPES": {}, "%FEATURE_STRUCTURES": [first, span], "%VIEWS": views}


def tasks(**value: Any) -> list[dict[str, Any]]:
    """Label Studio's, with one region."""
    region = {"start": 6, "end": 15, "text": SECRET, "labels": ["DISEASE"]} | value
    return [{"id": 1, "data": {"text": f"Tiene {SECRET}."}, "annotations": [{"id": 1, "result": [{"value": region}]}]}]


HOSTILE_GOLD: dict[str, tuple[Any, set[tuple[str, str | None]]]] = {
    "digits.jsonl": (exported([10**30, 10**31, "DISEASE"]), {("span_outside_text", "1")}),
    "deep.json": (f'[{{"id": 1, "text": "{SECRET}", "label": {DEEP}}}]'.encode(), {("too_deep", "")}),
    "infinite.jsonl": (exported([float("inf"), float("nan"), "DISEASE"]), {("span_malformed", "1")}),
    "numbers.jsonl": (exported(content=7), {("text_missing", "1")}),
    "half.jsonl": (exported(content=f"Tiene {SECRET}\ud800"), {("not_utf8", "1")}),
    "label.jsonl": (exported([0, 5, SECRET]), {("label_unknown", "1")}),
    "no-sofa.json": (as_cas(), {("uima_invalid", "")}),
    "sofa-list.json": (as_cas(sofaString=[SECRET]), {("uima_invalid", "")}),
    "sofa-id.json": (as_cas(sofaString=SECRET, sofaID=[SECRET]), {("uima_invalid", "")}),
    "places.json": (tasks(start=SECRET, end=None), {("span_malformed", "1")}),
    "labels.json": (tasks(labels={"a": SECRET}), {("span_malformed", "1")}),
    "page.json": (tasks(start=f"/{SECRET}", end="/p[1]"), {("hypertext_not_understood", "1")}),
    "dtd.xmi": (f'<!DOCTYPE a [<!ENTITY b "{SECRET}">]><a>&b;</a>'.encode(), {("type_system_missing", "")}),
    "cut.zip": (zipped("a.json", SECRET.encode())[:-30], {("zip_invalid", "")}),
    "nested.zip": (zipped("a.zip", zipped("b.zip", b"x")), {("zip_of_several", "")}),
    "noise.jsonl.gz": (b"\x1f\x8b" + SECRET.encode(), {("packed_damaged", "")}),
    "cells.csv": (f'text,id,label\n"{SECRET}'.encode(), {("table_invalid", "")}),
    "row.json": ([[SECRET]], {("export_unknown", "")}),
    "tool.exe": (b"MZ" + SECRET.encode(), {("file_type", None)}),
    "mixed.jsonl": (
        b"\n".join(
            json.dumps(one).encode()
            for one in (
                exported(id=5, content=f"Tiene {SECRET} leve, caso cinco."),
                exported(["0", "5", "DISEASE"], id=6),
                exported(id=7, content=f"Tiene {SECRET} grave, caso siete."),
            )
        ),
        {("span_malformed", "2")},
    ),
}
"""What each holds, and (rule, place in the file) of its refusals; place None where the file is not opened."""


def test_of_20_hostile_files_among_20_sound_ones_each_is_refused_by_file_and_number(
    hospital: Hospital,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(20):
        hospital.pair("es/disease/june", f"case-{number}", text(number), ann(text(number)))
    for name, (data, _) in HOSTILE_GOLD.items():
        hospital.drop(f"es/all/{name}", data if isinstance(data, bytes) else json.dumps(data))
    report = hospital.ingest("first")
    held = hospital.documents(tmp_path / "clone")
    assert sorted(held) == sorted([*(f"case-{n}" for n in range(20)), "doccano-5", "doccano-7"])
    quarantined = hospital.quarantined("first")
    found: dict[str, set[tuple[str, str | None]]] = {name: set() for name in HOSTILE_GOLD}
    for row in quarantined:
        place = None if row["document"] is None else row["document"].partition("#")[2]
        found[row["record"].removeprefix("es/all/")].add((row["rule"], place))
    assert found == {name: refusals for name, (_, refusals) in HOSTILE_GOLD.items()}
    assert report["counts"]["quarantined"] == len(quarantined) == 20
    assert report["counts"]["read"] == sum(report["counts"][word] for word in ("added", "quarantined"))
    assert SECRET not in caplog.text + json.dumps(report) + json.dumps(quarantined)
    again = hospital.ingest("second")
    assert again["counts"]["deliveries"] == 0
