"""Reads planned notes on threads: references -> (reference, text) or refusals."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import Wanted
from enigma_tasks.documents import expanded_length
from enigma_tasks.errors import DataError, ObjectChanged, ObjectMissing
from enigma_tasks.notes.records import texts
from enigma_tasks.notes.references import NoteRef, Refused, Rule, check_subwords, text_of_bytes
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.notes.forgotten import Tombstones
    from enigma_tasks.params.limits import RecordLimits


def read_notes(
    store: ObjectStore, notes: Iterable[NoteRef], limits: RecordLimits, threads: int
) -> Iterator[tuple[NoteRef, str] | Refused]:
    """Every note's text, or the rule that it breaks; in order, except for records of a file that has changed.

    Raises:
        ServiceError: the store, after retries. A missing or changed object is a refusal.
    """
    for is_record, group in itertools.groupby(notes, key=lambda n: n.record_id is not None):
        if not is_record:
            yield from _texts(store, group, limits, threads)
            continue
        for _, records in itertools.groupby(group, key=lambda n: n.uri):
            yield from _records(store, list(records), limits)


def refuse_forgotten(
    items: Iterable[tuple[NoteRef, str] | Refused], tombstones: Tombstones
) -> Iterator[tuple[NoteRef, str] | Refused]:
    """The same without the texts that were forgotten, under whatever key, and the notes forgotten since the plan."""
    for item in items:
        if not isinstance(item, Refused):
            note, text = item
            if tombstones.has_text(text) or tombstones.has(note.bucket, note.key, note.record_id):
                yield Refused(note, Rule.FORGOTTEN)
                continue
        yield item


def chunks(
    items: Iterable[tuple[NoteRef, str] | Refused], notes: int, characters: int
) -> Iterator[list[tuple[NoteRef, str] | Refused]]:
    """Lists of at most `notes` items; a list ends when its texts reach `characters` in total, by `expanded_length`."""
    chunk: list[tuple[NoteRef, str] | Refused] = []
    chunk_characters = 0
    for item in items:
        chunk.append(item)
        chunk_characters += 0 if isinstance(item, Refused) else expanded_length(item[1])
        if len(chunk) >= notes or chunk_characters >= characters:
            yield chunk
            chunk, chunk_characters = [], 0
    if chunk:
        yield chunk


def _texts(
    store: ObjectStore, notes: Iterable[NoteRef], limits: RecordLimits, threads: int
) -> Iterator[tuple[NoteRef, str] | Refused]:
    listed, requested = itertools.tee(notes)
    fetched = store.get_many((Wanted(n.uri, n.object_version, n.size) for n in requested), threads)
    for note, item in zip(listed, fetched, strict=True):
        if item.data is None:
            yield Refused(note, rule_of(item.error))
            continue
        try:
            with refused_if_unforeseen(note.record):
                text = text_of_bytes(note.record, item.data, limits.max_bytes)
                check_subwords(note.record, text, limits.max_subwords)
        except DataError as error:
            yield Refused(note, Rule(error.rule), error.offset)
            continue
        yield note, text


def _records(store: ObjectStore, notes: list[NoteRef], limits: RecordLimits) -> Iterator[tuple[NoteRef, str] | Refused]:
    """The planned records of one file, found by the digest of their lines, also in a file that has grown since."""
    wanted = {n.version: n for n in notes}
    first = notes[0]
    rule = Rule.CHANGED
    for etag, start in ((first.object_version, first.line_start or 0), (None, 0)):
        try:
            with store.open_stream(first.uri, etag, start) as stream:
                for version, text in texts(stream, first.key, wanted.keys(), limits):
                    note = wanted.pop(version)
                    if isinstance(text, DataError):  # a limit was lowered since the plan
                        yield Refused(note, Rule(text.rule), text.offset)
                    else:
                        yield note, text
        except ObjectChanged:
            continue
        except ObjectMissing:
            rule = Rule.MISSING
        break
    for note in wanted.values():
        yield Refused(note, rule)


def rule_of(error: Exception | None) -> Rule:
    """The rule for an object that changed or disappeared since it was listed."""
    return Rule.CHANGED if isinstance(error, ObjectChanged) else Rule.MISSING
