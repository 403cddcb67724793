"""Checks a shard's results against its plan, as `publish` reads them: any writer under `runs/` may have made them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.shard_results import Identity, model_names, models_of, planned_columns, read_batches
from enigma_tasks.documents import LABELS
from enigma_tasks.errors import DataError, IncompleteError
from enigma_tasks.notes.references import NoteRef, Rule, record_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from enigma_tasks.notes.plans import Plan, Shard

_RULES = frozenset(Rule)


def check_shard(plan: Plan, shard: Shard, planned: Iterable[NoteRef], notes: Path, spans: Path) -> None:
    """Check that every planned note has exactly one outcome, and that every span is one of its note.

    `notes` and `spans` are the shard's result files.

    Raises:
        IncompleteError: with the number of notes without outcome, with several, or unplanned.
        DataError: `result_schema`, the file is no table of the schema; `result_note`, a note's row is not as planned;
            `result_outcome`, its outcome, rule, length or models cannot be; `span_note`, a span of no annotated note
            of the shard, or out of the notes' order; `span_offsets`, outside of the note, or not as long as its text;
            `span_label`, an unknown label or another model than the planned one; `span_score`, no probability;
            `span_count`, not as many as the note's row says.
    """
    of_plan = {note.identity: note for note in planned}
    rows = list(_rows(shard, NOTES, notes))
    outcomes = Counter(_identity(row) for row in rows)
    missing, unplanned = of_plan.keys() - outcomes.keys(), outcomes.keys() - of_plan.keys()
    doubled = outcomes.total() - len(outcomes)
    if missing or unplanned or doubled:
        found = f"{len(missing)} without an outcome, {doubled} doubled, {len(unplanned)} never planned"
        raise IncompleteError(f"{shard.id}: of {shard.notes} planned notes {found}")
    annotated: dict[Identity, tuple[int, dict[str, Any]]] = {}
    for number, row in enumerate(rows):
        note = of_plan[_identity(row)]
        _check_note(plan, shard, note, row)
        if row["outcome"] == "annotated":
            annotated[note.identity] = number, row
    _check_spans(plan, shard, annotated, _rows(shard, SPANS, spans))


def _check_note(plan: Plan, shard: Shard, note: NoteRef, row: dict[str, Any]) -> None:
    expected = planned_columns(plan, note)
    if note.language != shard.language or any(row[column] != value for column, value in expected.items()):
        raise DataError(note.record, "result_note")
    if row["outcome"] == "annotated":
        length, read, entities = row["characters"], row["characters_read"], row["entities"]
        sound = (
            row["rule"] is None
            and length is not None
            and read is not None
            and entities is not None
            and 0 <= read <= length <= note.size
            and entities >= 0
            and row["models"] == models_of(plan, note.language)
        )
    else:
        sound = row["outcome"] == "quarantined" and row["rule"] in _RULES and row["models"] is None
    if not sound:
        raise DataError(note.record, "result_outcome")


def _check_spans(
    plan: Plan, shard: Shard, annotated: dict[Identity, tuple[int, dict[str, Any]]], spans: Iterable[dict[str, Any]]
) -> None:
    names, day = model_names(plan, shard.language), plan.planned_time.date()
    counts: Counter[Identity] = Counter()
    at = 0
    for span in spans:
        identity, start = _identity(span), span["char_start"]
        if identity not in annotated or annotated[identity][0] < at:
            raise DataError(shard.id, "span_note")
        at, note = annotated[identity]
        record = record_name(note["key"], note["record_id"])
        if any(span[column] != note[column] for column in ("batch_id", "note_id", "language")):
            raise DataError(record, "span_note", start)
        if not 0 <= start < span["char_end"] <= note["characters"] or len(span["text"]) != span["char_end"] - start:
            raise DataError(record, "span_offsets", start)
        if span["label"] not in LABELS or span["model"] != names.get(span["label"], "") or span["nlp_date"] != day:
            raise DataError(record, "span_label", start)
        if not all(span[column] is None or 0 <= span[column] <= 1 for column in ("score", "probability")):
            raise DataError(record, "span_score", start)
        counts[identity] += 1
    for identity, (_, note) in annotated.items():
        if counts[identity] != note["entities"]:
            raise DataError(record_name(note["key"], note["record_id"]), "span_count")


def _rows(shard: Shard, table: str, path: Path) -> Iterator[dict[str, Any]]:
    try:
        for batch in read_batches(table, path):
            yield from batch.to_pylist()
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:  # the message may quote values
        raise DataError(f"{shard.id}/{table}", "result_schema", hint=type(error).__name__) from None


def _identity(row: dict[str, Any]) -> Identity:
    return row["bucket"], row["key"], row["record_id"] or "", row["version"]
