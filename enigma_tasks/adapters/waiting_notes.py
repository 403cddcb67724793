"""A note that no published night has: whether it lies in drops/, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.mlflow_registry import registered_name
from enigma_tasks.adapters.note_history import names_of
from enigma_tasks.adapters.object_store import split_uri
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.records import read_lines
from enigma_tasks.notes.references import Refused, Rule, line_name, named_language, note_of_object

if TYPE_CHECKING:
    from enigma_tasks.adapters.note_history import NoteName
    from enigma_tasks.adapters.object_store import ObjectInfo, ObjectStore
    from enigma_tasks.config import Params, Settings

UNPLANNED = "in drops/, in no published night"
WAITING = "in drops/, its language has no champion"
REFUSED = "in drops/, the night will refuse it"


@dataclass(frozen=True, slots=True)
class WaitingNote:
    """A note in drops/ that the tables do not have."""

    key: str
    record_id: str | None
    state: str
    """One of the sentences of this module."""
    rule: str | None = None
    """Why it will be refused, as far as its key and its line say."""


def find_waiting(store: ObjectStore, uri: str, params: Params, settings: Settings) -> WaitingNote | None:
    """The note that a URI means, or None where it is not in drops/; a text is not read, a file of records is.

    Raises:
        UsageError: no `s3://` URI of an object, or no place `drops` or `journal`.
        DataError: the journal was edited. ServiceError: as `ObjectStore` does.
    """
    bucket, prefix = split_uri(f"{settings.require('drops')}/")
    for name in names_of(uri):
        if name.bucket != bucket or not name.key.startswith(prefix):
            continue
        if name.record_id is None and holds_records(name.key):
            continue  # its records are the notes
        item = store.head(f"s3://{name.bucket}/{name.key}")
        if item is None:
            continue
        found = note_of_object(
            bucket,
            name.key,
            etag=item.etag,
            size=item.size,
            drop_path=name.key.removeprefix(prefix),
            language_of=params.language,
        )
        if isinstance(found, Refused):
            return _note(name, found.rule)
        line = _line(store, item, name, params) if name.record_id is not None else ""
        if line is None:
            continue
        if isinstance(line, DataError):
            return _note(name, Rule(line.rule))
        language = params.language(line) if line else found.language
        if language is None:
            return _note(name, Rule.LANGUAGE)
        champion = not language or _has_champion(language, JournalStore(store, settings.require("journal")))
        return WaitingNote(name.key, name.record_id, UNPLANNED if champion else WAITING)
    return None


def _note(name: NoteName, rule: Rule) -> WaitingNote:
    return WaitingNote(name.key, name.record_id, REFUSED, rule.value)


def _line(store: ObjectStore, item: ObjectInfo, name: NoteName, params: Params) -> str | DataError | None:
    """The language that a record names (empty where it names none), or its defect; None where the file has no such."""
    with store.open_stream(item.uri, item.etag) as stream:
        for line, outcome in read_lines(stream, name.key, params.notes):
            if isinstance(outcome, DataError):
                if line is not None and line_name(line.number) == name.record_id:
                    return outcome
            elif outcome.id == name.record_id:
                return named_language(outcome.language) or ""
    return None


def _has_champion(language: str, journal: JournalStore) -> bool:
    lasts = (journal.last(registered_name(language, t)) for t in EntityType)
    return any(last is not None and last.champion is not None for last in lasts)
