"""A note's URI -> its rows of the table `notes`, of all nights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from enigma_tasks.adapters.night_schema import NOTES
from enigma_tasks.adapters.night_table import read_history, read_notes
from enigma_tasks.adapters.object_store import split_uri
from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.references import record_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.notes.names import Names

NOT_IN_TABLES = "the note is not in the tables; name it as s3://bucket/drops/.../note.txt or ...jsonl#id"


class NoteName(NamedTuple):
    """A note in all its versions."""

    bucket: str
    key: str
    record_id: str | None


def names_of(uri: str) -> Iterator[NoteName]:
    """The objects and records `file.jsonl#id` that a URI may mean; keys and ids may both contain a `#`.

    Raises:
        UsageError: no `s3://` URI of an object.
    """
    bucket, key = split_uri(uri)
    yield NoteName(bucket, key, None)
    for at in (i for i, c in enumerate(key) if c == "#" and holds_records(key[:i])):
        yield NoteName(bucket, key[:at], key[at + 1 :])
        yield NoteName(bucket, key[:at], key[at:])


def uri_of(note: str, tables: str, names: Names) -> str:
    """The URI of a note that is named as lists and pages show it: by a URI, or by its keyed hash.

    Raises:
        UsageError: no note in the tables has that hash.
    """
    if not names.hidden or not names.is_shown(note):
        return note
    columns = ["bucket", "key", "record_id"]
    for row in read_notes(tables, columns=columns).to_pylist():
        if names.record(row["key"], row["record_id"]) == note:
            return f"s3://{row['bucket']}/{record_name(row['key'], row['record_id'])}"
    raise UsageError(NOT_IN_TABLES)


def find_history(tables: str, uri: str) -> list[dict[str, Any]]:
    """The rows of the note that a URI means, in the order of the nights; empty where it is not in the tables."""
    for bucket, key, record_id in names_of(uri):
        history = read_history(tables, NOTES, bucket, key)
        if rows := [row for row in history if row["record_id"] == record_id]:
            return sorted(rows, key=lambda r: (r["planned_at"], r["batch_id"]))
    return []


def latest_row(tables: str, uri: str) -> dict[str, Any]:
    """The last of `find_history`. Raises UsageError where there is none."""
    history = find_history(tables, uri)
    if not history:
        raise UsageError(NOT_IN_TABLES)
    return history[-1]
