"""The Delta tables on a real S3 server."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.night_publication import NightTables, OvertakenError
from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.errors import ServiceError

PLANNED = dt.datetime(2026, 6, 11, 1, tzinfo=dt.UTC)


def note_row(batch_id: str, key: str, **more: Any) -> dict[str, Any]:
    row = {
        "batch_id": batch_id, "bucket": "clinic", "key": key, "note_id": key, "version": "v1", "object_version": "v1",
        "object_whole": True, "language": "es", "outcome": "annotated", "size_bytes": 5, "planned_at": PLANNED,
    }  # fmt: skip
    return row | more


def commit(tables: str, table: str, rows: list[dict[str, Any]], batch_id: str) -> None:
    """Commit rows as a night's, to tables opened now."""
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMAS[table])
    NightTables.opened(tables).commit(table, [batch], batch_id)


def test_a_table_that_does_not_exist_reads_as_empty_with_its_schema(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    assert night_table.read_notes(tables).schema == SCHEMAS[NOTES]
    assert night_table.read_spans(tables, "b", ["label", "text"]).schema.names == ["label", "text"]
    assert night_table.read_notes(tables).num_rows == len(night_table.read_done(tables).notes) == 0
    assert not night_table.is_committed(tables, NOTES, "b")


def test_a_commit_holds_for_the_state_of_the_tables_that_it_was_decided_on(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    before = NightTables.opened(tables)
    commit(tables, NOTES, [note_row("b1", f"k{n}") for n in range(3)], "b1")
    assert night_table.is_committed(tables, NOTES, "b1")
    for batch_id in ("b1", "b2"):
        with pytest.raises(OvertakenError):
            before.commit(
                NOTES, [pa.RecordBatch.from_pylist([note_row(batch_id, "k")], schema=SCHEMAS[NOTES])], batch_id
            )
    assert NightTables.opened(tables).has(NOTES, "b1")
    assert not NightTables.opened(tables).has(NOTES, "b2")
    commit(tables, NOTES, [note_row("b2", "k9")], "b2")
    assert night_table.read_notes(tables).num_rows == 4
    assert night_table.read_notes(tables, "b1", ["key"]).column("key").to_pylist() == ["k0", "k1", "k2"]
    history = DeltaTable(f"{tables}/notes", storage_options=night_table.storage_options()).history()
    assert [h.get("batch_id") for h in history] == ["b2", "b1", None]


def test_a_night_in_spans_and_not_in_notes_is_half_published_also_without_a_span(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    assert NightTables.opened(tables).half_published() is None
    NightTables.opened(tables).commit(SPANS, [], "b1")
    assert NightTables.opened(tables).half_published() == "b1"
    commit(tables, NOTES, [note_row("b1", "k")], "b1")
    assert NightTables.opened(tables).half_published() is None


def test_rows_of_the_tables_cannot_be_deleted(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    commit(tables, NOTES, [note_row("b1", "k")], "b1")
    with pytest.raises(DeltaError, match="append-only"):
        NightTables.opened(tables).notes.delete("key = 'k'")
    assert night_table.read_notes(tables, columns=["key"]).to_pylist() == [{"key": "k"}]


def test_a_table_of_an_earlier_version_is_read_and_gets_the_columns_that_it_lacks(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = f"{s3_root}/tables"
    earlier = pa.schema([f for f in SCHEMAS[NOTES] if f.name != "characters_garbled"])
    with monkeypatch.context() as patch:
        patch.setitem(SCHEMAS, NOTES, earlier)
        commit(tables, NOTES, [note_row("b1", "k1", characters=7)], "b1")
    before = night_table.read_notes(tables)
    assert before.schema == SCHEMAS[NOTES]
    assert before.select(["key", "characters", "characters_garbled"]).to_pylist() == [
        {"key": "k1", "characters": 7, "characters_garbled": None}
    ]
    rows = [note_row("b2", "k2", characters=9, characters_garbled=3)]
    commit(tables, NOTES, rows, "b2")
    after = night_table.read_notes(tables, columns=["key", "characters_garbled"]).to_pylist()
    assert sorted((r["key"], r["characters_garbled"]) for r in after) == [("k1", None), ("k2", 3)]
    assert len(night_table.read_done(tables).notes) == 2


def test_a_stream_that_breaks_leaves_nothing_in_the_table_and_no_value_in_the_message(s3_root: str) -> None:
    tables = f"{s3_root}/tables"

    def breaks() -> Any:
        yield pa.RecordBatch.from_pylist([note_row("b1", "k")], schema=SCHEMAS[NOTES])
        raise ValueError("geheim")

    with pytest.raises(Exception) as caught:  # noqa: PT011
        NightTables.opened(tables).commit(NOTES, breaks(), "b1")
    assert isinstance(caught.value, ServiceError)
    assert "geheim" not in str(caught.value)
    assert night_table.read_notes(tables).num_rows == 0
    commit(tables, NOTES, [note_row("b1", "k")], "b1")


def test_done_is_what_has_an_outcome_and_files_are_done_as_a_whole(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    rows = [
        note_row("b1", "a.txt"),
        note_row("b1", "b.txt", outcome="quarantined", rule="blank"),
        note_row("b1", "c.txt", outcome="quarantined", rule="missing_since_plan"),
        note_row("b1", "whole.jsonl", record_id="r1", version="s1"),
        note_row("b1", "torn.jsonl", record_id="r1", version="s1", object_whole=False),
        note_row("b1", "lost.jsonl", record_id="r1", version="s1"),
        note_row("b1", "lost.jsonl", record_id="r2", version="s2", outcome="quarantined", rule="changed_since_plan"),
        note_row("b1", "bad.jsonl.gz", outcome="quarantined", rule="empty"),
    ]
    commit(tables, NOTES, rows, "b1")
    done = night_table.read_done(tables)
    assert [k for k in "abc" if done.has(("clinic", f"{k}.txt", "", "v1"))] == ["a", "b"]
    assert not done.has(("clinic", "a.txt", "", "v2"))
    files = ["whole.jsonl", "torn.jsonl", "lost.jsonl", "bad.jsonl.gz"]
    assert [k for k in files if done.has_object("clinic", k, "v1")] == ["whole.jsonl", "bad.jsonl.gz"]
    assert done.has(("clinic", "torn.jsonl", "r1", "s1"))
    assert not done.has(("clinic", "lost.jsonl", "r2", "s2"))


def test_newer_versions_are_those_of_nights_planned_later(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    commit(tables, NOTES, [note_row("b1", "k")], "b1")
    assert len(night_table.read_newer(tables, PLANNED - dt.timedelta(hours=1))) == 1
    assert len(night_table.read_newer(tables, PLANNED)) == 0


def test_a_span_keeps_its_text_and_offsets(s3_root: str) -> None:
    tables = f"{s3_root}/tables"
    row = {
        "batch_id": "b1", "bucket": "clinic", "key": "k", "record_id": "r", "note_id": "r", "version": "v",
        "language": "cs", "label": "SYMPTOM", "char_start": 3, "char_end": 9, "text": "kašel\u0301",
        "score": 0.25, "probability": None, "model": "enigma-cs-symptom/1", "nlp_date": PLANNED.date(),
    }  # fmt: skip
    commit(tables, SPANS, [row], "b1")
    assert night_table.read_spans(tables, "b1").to_pylist() == [row]


def test_an_unreachable_store_is_a_service_error(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(
        night_table, "storage_options", lambda real=night_table.storage_options: real() | {"max_retries": "0"}
    )
    forget_client()
    with pytest.raises(ServiceError):
        night_table.read_notes(f"{s3_root}/tables")
