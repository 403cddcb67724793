"""review: one published note -> a page with its entities highlighted, for a reviewer who asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.note_reader import read_notes
from enigma_tasks.adapters.object_store import ObjectStore, split_uri
from enigma_tasks.documents import Entity
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.notes.references import NoteRef, Refused, holds_records, record_name
from enigma_tasks.pages.review import render_review_page

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write the page of the note's latest published version.

    Raises:
        UsageError: no such note in the tables.
        DataError: its latest version is in quarantine (that rule), or the text has changed since it was annotated.
        ServiceError: store or tables.
    """
    bucket, key, record_id = _note(arguments.note)
    row = _latest(settings.require("tables"), bucket, key, record_id)
    record = record_name(key, record_id)
    if row["rule"]:
        raise DataError(record, row["rule"], row["rule_offset"], "in quarantine")
    text = _text(row, params)
    entities = [
        Entity(s["label"], s["char_start"], s["char_end"], s["text"], s["score"])
        for s in night_table.read_history(settings.require("tables"), night_table.SPANS, bucket, key)
        if all(s[name] == row[name] for name in ("batch_id", "record_id", "version"))
    ]
    facts = {name: row[name] for name in ("language", "batch_id", "version", "models")}
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render_review_page(record, text, entities, facts), encoding="utf-8", newline="")
    return {"page": str(out), "record": record, "entities": len(entities), "characters": len(text)}


def _note(uri: str) -> tuple[str, str, str | None]:
    """`s3://bucket/key` or `s3://bucket/file.jsonl#id` -> bucket, key, record id."""
    bucket, key = split_uri(uri)
    file, hash_sign, record_id = key.partition("#")
    if hash_sign and holds_records(file):
        return bucket, file, record_id
    return bucket, key, None


def _latest(tables: str, bucket: str, key: str, record_id: str | None) -> dict[str, Any]:
    history = night_table.read_history(tables, night_table.NOTES, bucket, key)
    rows = [r for r in history if r["record_id"] == record_id]
    if not rows:
        raise UsageError("the tables hold no such note; name it as quarantine and pages do: s3://bucket/drops/...")
    latest: dict[str, Any] = max(rows, key=lambda r: (r["planned_at"], r["batch_id"]))
    return latest


def _text(row: dict[str, Any], params: Params) -> str:
    """The text of exactly the version that was annotated."""
    note = NoteRef(
        bucket=row["bucket"],
        key=row["key"],
        record_id=row["record_id"],
        line=row["line"],
        version=row["version"],
        object_version=row["object_version"],
        note_id=row["note_id"],
        language=row["language"],
        language_source=row["language_source"],
        drop_date=str(row["drop_date"]),
        size=row["size_bytes"],
    )
    found = next(iter(read_notes(ObjectStore(), [note], params.notes.max_bytes, threads=1)))
    if isinstance(found, Refused):
        raise DataError(found.note.record, found.rule, found.offset)
    return found[1]
