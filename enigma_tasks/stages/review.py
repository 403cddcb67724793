"""`enigma review`: one published note -> a page with its entities highlighted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.night_schema import SPANS
from enigma_tasks.adapters.note_history import latest_row
from enigma_tasks.adapters.note_reader import read_notes
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.shard_results import note_of_row
from enigma_tasks.documents import Entity
from enigma_tasks.errors import DataError
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.references import Refused
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
    tables = settings.require("tables")
    row = latest_row(tables, arguments.note)
    record = Names.of(settings).record(row["key"], row["record_id"])
    if row["rule"]:
        raise DataError(record, row["rule"], row["rule_offset"], "in quarantine")
    text = _text(record, row, params)
    entities = [
        Entity(s["label"], s["char_start"], s["char_end"], s["text"], s["score"])
        for s in night_table.read_history(tables, SPANS, row["bucket"], row["key"])
        if all(s[name] == row[name] for name in ("batch_id", "record_id", "version"))
    ]
    for e in entities:
        if text[e.char_start : e.char_end] != e.text:
            raise DataError(record, "span_surface", e.char_start)
    facts = {"language": row["language"], "night": row["batch_id"], "version": row["version"]}
    facts["models"] = row["models"].replace(",", " ")
    _write_private(Path(arguments.out), render_review_page(record, text, entities, facts))
    return {"page": arguments.out, "record": record, "entities": len(entities), "characters": len(text)}


def _write_private(path: Path, html: str) -> None:
    """Readable by this user only: the file contains patient text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(html, encoding="utf-8", newline="")


def _text(record: str, row: dict[str, Any], params: Params) -> str:
    """The text of the version that was annotated."""
    found = next(iter(read_notes(ObjectStore(), [note_of_row(row)], params.notes, threads=1)))
    if isinstance(found, Refused):
        raise DataError(record, found.rule, found.offset)
    return found[1]
