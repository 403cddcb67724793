"""A shard's results, changed in one place each: `publish` refuses them by a rule."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.adapters.shard_check import check_shard
from enigma_tasks.adapters.shard_results import annotated_row, quarantined_row, span_rows
from enigma_tasks.documents import Entity
from enigma_tasks.ensembles.runner import AnnotatedDocument
from enigma_tasks.errors import DataError, IncompleteError
from enigma_tasks.notes.plans import Pin, Plan, PlanCounts, Shard
from enigma_tasks.notes.references import NoteRef, Refused, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Rows = dict[str, list[dict[str, Any]]]

TEXTS = ("Ingresa por neumonía.", "Sin neumonía. Fiebre.", "Nada.")
SHARD = Shard(id="es-0001-abc", uri="s3://b/s", language="es", notes=4, bytes=99, sha256="f" * 64)
PIN = Pin(name="enigma-es-disease", version="3", digest="ab12", source_uri="s3://models/1")
PLAN = Plan(
    batch_id="night-1",
    planned_at="2026-06-11T01:00:00+00:00",
    backfill=None,
    models={"es": {"disease": PIN}},
    journal={},
    aliases=(),
    shards=(SHARD,),
    quarantined=0,
    quarantined_sha256="0" * 64,
    counts=PlanCounts(listed=4, done=0, planned=4, quarantined=0, waiting=0, deferred=0),
    waiting={},
    deferred={},
    seconds=1,
)


def note(number: int, size: int) -> NoteRef:
    return NoteRef(
        "clinic", f"drops/es/2026-06-11/n{number}.txt", object_version="e", version=f"v{number}", note_id=f"n{number}",
        language="es", language_source="path", drop_date="2026-06-11", size=size,
    )  # fmt: skip


NOTES_PLANNED = [note(n, len(text.encode())) for n, text in enumerate(TEXTS)] + [note(3, 0)]


def sound() -> Rows:
    rows: Rows = {NOTES: [], SPANS: []}
    for planned, text in zip(NOTES_PLANNED, TEXTS, strict=False):
        words = [w for w in ("neumonía", "Fiebre") if w in text]
        found = tuple(Entity("DISEASE", text.index(w), text.index(w) + len(w), w, 0.5) for w in words)
        result = AnnotatedDocument(found, len(text), probabilities=(0.75,) * len(found))
        rows[NOTES].append(annotated_row(PLAN, planned, text, result))
        rows[SPANS] += span_rows(PLAN, planned, result)
    rows[NOTES].append(quarantined_row(PLAN, Refused(NOTES_PLANNED[3], Rule.MISSING)))
    return rows


def check(folder: Path, rows: Rows) -> None:
    files = {table: folder / f"{table}.parquet" for table in rows}
    for table, path in files.items():
        pq.write_table(pa.Table.from_pylist(rows[table], schema=SCHEMAS[table]), path)
    check_shard(PLAN, SHARD, NOTES_PLANNED, files[NOTES], files[SPANS])


def test_what_annotate_writes_passes(tmp_path: Path) -> None:
    assert len(sound()[SPANS]) == 3
    check(tmp_path, sound())


def changed(table: str, row: int, **values: Any) -> Callable[[Rows], None]:
    return lambda rows: rows[table][row].update(values)


FORGED: list[tuple[str, Callable[[Rows], None]]] = [
    ("result_note", changed(NOTES, 0, batch_id="night-0")),
    ("result_note", changed(NOTES, 0, note_id="../../other")),
    ("result_note", changed(NOTES, 0, language="it")),
    ("result_note", changed(NOTES, 0, object_version="other")),
    ("result_note", changed(NOTES, 1, object_whole=False)),
    ("result_note", changed(NOTES, 1, drop_date=dt.date(2026, 6, 10))),
    ("result_note", changed(NOTES, 1, planned_at=dt.datetime(2030, 1, 1, tzinfo=dt.UTC))),
    ("result_outcome", changed(NOTES, 0, outcome="approved")),
    ("result_outcome", changed(NOTES, 0, rule="blank")),
    ("result_outcome", changed(NOTES, 0, characters=10_000)),
    ("result_outcome", changed(NOTES, 0, characters=None)),
    ("result_outcome", changed(NOTES, 0, characters_read=-1)),
    ("result_outcome", changed(NOTES, 0, entities=-1)),
    ("result_outcome", changed(NOTES, 0, models="enigma-es-disease/9")),
    ("result_outcome", changed(NOTES, 3, rule="a sentence of the note")),
    ("span_note", changed(SPANS, 0, key="drops/es/2026-06-11/n9.txt")),
    ("span_note", changed(SPANS, 0, key=NOTES_PLANNED[3].key, version=NOTES_PLANNED[3].version)),
    ("span_note", changed(SPANS, 0, batch_id="night-0")),
    ("span_note", changed(SPANS, 0, language="it")),
    ("span_note", changed(SPANS, 0, note_id="n1")),
    ("span_note", lambda rows: rows[SPANS].reverse()),
    ("span_offsets", changed(SPANS, 0, char_start=-1, text="x" * 21)),
    ("span_offsets", changed(SPANS, 0, char_start=20, char_end=20, text="")),
    ("span_offsets", changed(SPANS, 0, char_start=20, char_end=28)),
    ("span_offsets", changed(SPANS, 0, char_end=2**62)),
    ("span_offsets", changed(SPANS, 0, text="neumonías")),
    ("span_label", changed(SPANS, 0, label="SECRET")),
    ("span_label", changed(SPANS, 0, label="SYMPTOM")),
    ("span_label", changed(SPANS, 0, model="enigma-es-disease/9")),
    ("span_label", changed(SPANS, 0, nlp_date=dt.date(2030, 1, 1))),
    ("span_score", changed(SPANS, 0, score=1.5)),
    ("span_score", changed(SPANS, 0, probability=float("nan"))),
    ("span_count", lambda rows: rows[SPANS].pop(0)),
    ("span_count", lambda rows: rows[SPANS].append(rows[SPANS][-1])),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "forge"), FORGED, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(FORGED)])
def test_forged_results_are_refused_by_a_rule_and_quoted_nowhere(
    tmp_path: Path, rule: str, forge: Callable[[Rows], object]
) -> None:
    rows = sound()
    forge(rows)
    with pytest.raises(DataError) as caught:
        check(tmp_path, rows)
    assert caught.value.rule == rule
    for word in ("neumon", "sentence", "SECRET"):
        assert word not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[NOTES].pop(),
        lambda rows: rows[NOTES].append(rows[NOTES][0]),
        lambda rows: rows[NOTES].append(rows[NOTES][0] | {"key": "other"}),
    ],
)
def test_each_planned_note_has_one_outcome(tmp_path: Path, change: Callable[[Rows], object]) -> None:
    rows = sound()
    change(rows)
    with pytest.raises(IncompleteError, match="planned notes"):
        check(tmp_path, rows)


@pytest.mark.parametrize("table", [NOTES, SPANS])
@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PAR1" + b"\xff" * 64 + b"PAR1", "columns", "types"],
    ids=["empty", "magic", "random", "columns", "types"],
)
def test_a_file_that_is_no_table_of_the_schema_is_refused(tmp_path: Path, table: str, data: bytes | str) -> None:
    check(tmp_path, sound())
    path = tmp_path / f"{table}.parquet"
    if data == "columns":
        pq.write_table(pa.table({"secret": ["neumonía"]}), path)
    elif data == "types":
        rows = pq.read_table(path)
        strings = pa.schema([pa.field(f.name, pa.string()) for f in rows.schema])
        pq.write_table(pa.Table.from_pylist([dict.fromkeys(strings.names, "neumonía")], schema=strings), path)
    else:
        assert isinstance(data, bytes)
        path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        check_shard(PLAN, SHARD, NOTES_PLANNED, tmp_path / "notes.parquet", tmp_path / "spans.parquet")
    assert caught.value.rule == "result_schema"
    assert "neumon" not in str(caught.value)
