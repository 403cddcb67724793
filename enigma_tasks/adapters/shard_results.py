"""A shard's rows of the night tables as parquet files: written by `annotate`, read by `publish`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.ner.text.alignment import count_words
from enigma_tasks.notes.garbled import garbled_characters
from enigma_tasks.notes.references import NoteRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from enigma_tasks.ensembles.runner import AnnotatedDocument
    from enigma_tasks.notes.plans import Plan
    from enigma_tasks.notes.references import Refused

Identity = tuple[str, str, str, str]
"""`NoteRef.identity`."""
BATCH_ROWS = 4096
DECIMALS = 6


def models_of(plan: Plan, language: str) -> str:
    """The night's models of one language: `enigma-es-disease/3,enigma-es-procedure/1`."""
    return ",".join(sorted(model_names(plan, language).values()))


def model_names(plan: Plan, language: str) -> dict[str, str]:
    """Label -> `name/version` of its model."""
    pins = plan.models.get(language, {})
    return {entity.upper(): f"{pin.name}/{pin.version}" for entity, pin in pins.items()}


def _identity(plan: Plan, note: NoteRef) -> dict[str, Any]:
    return {
        "batch_id": plan.batch_id,
        "bucket": note.bucket,
        "key": note.key,
        "record_id": note.record_id,
        "note_id": note.note_id,
        "version": note.version,
    }


def planned_columns(plan: Plan, note: NoteRef) -> dict[str, Any]:
    """The columns of a row of `notes` that follow from the plan, whatever the outcome."""
    return {
        **_identity(plan, note),
        "object_version": note.object_version,
        "object_whole": note.object_whole,
        "line": note.line,
        "language": note.language or None,
        "language_source": note.language_source,
        "drop_date": dt.date.fromisoformat(note.drop_date) if note.drop_date else None,
        "size_bytes": note.size,
        "planned_at": plan.planned_time,
    }


def note_of_row(row: Mapping[str, Any]) -> NoteRef:
    """A row of `notes`, with all of its columns -> the note, to read the text that was annotated."""
    return NoteRef(
        bucket=row["bucket"],
        key=row["key"],
        record_id=row["record_id"],
        line=row["line"],
        version=row["version"],
        object_version=row["object_version"],
        note_id=row["note_id"],
        language=row["language"] or "",
        language_source=row["language_source"],
        drop_date=str(row["drop_date"] or ""),
        size=row["size_bytes"],
    )


def quarantined_row(plan: Plan, refused: Refused) -> dict[str, Any]:
    """The row of `notes` for a refusal."""
    outcome = {"outcome": "quarantined", "rule": refused.rule.value, "rule_offset": refused.offset}
    return planned_columns(plan, refused.note) | outcome


def annotated_row(plan: Plan, note: NoteRef, text: str, result: AnnotatedDocument) -> dict[str, Any]:
    """The row of `notes` for an annotated note; lengths in code points."""
    outcome = {
        "outcome": "annotated",
        "characters": len(text),
        "characters_read": result.characters_read,
        "characters_garbled": garbled_characters(text),
        "words": result.size.words if result.size else count_words(text),
        "sub_words": result.size and result.size.sub_words,
        "sub_words_unknown": result.size and result.size.sub_words_unknown,
        "entities": len(result.entities),
        "member_spans": result.agreement and result.agreement.spans,
        "member_spans_agreed": result.agreement and result.agreement.agreed,
        "models": models_of(plan, note.language),
        "missed": [(label, round(value, DECIMALS)) for label, value in sorted(result.missed.items())] or None,
    }
    return planned_columns(plan, note) | outcome


def span_rows(plan: Plan, note: NoteRef, result: AnnotatedDocument) -> list[dict[str, Any]]:
    """A row of `spans` for each entity."""
    probabilities = result.probabilities or (None,) * len(result.entities)
    names, day = model_names(plan, note.language), plan.planned_time.date()
    return [
        {
            **_identity(plan, note),
            "language": note.language,
            "label": e.label,
            "char_start": e.char_start,
            "char_end": e.char_end,
            "text": e.text,
            "score": e.score,
            "probability": probability,
            "model": names.get(e.label, ""),
            "nlp_date": day,
        }
        for e, probability in zip(result.entities, probabilities, strict=True)
    ]


def batch_of(table: str, rows: list[dict[str, Any]]) -> Any:
    """Rows -> a record batch with the table's schema."""
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMAS[table])


class ResultWriter:
    """Writes notes.parquet and spans.parquet of one attempt, row group by row group."""

    def __init__(self, folder: Path) -> None:
        self.files = {table: folder / f"{table}.parquet" for table in (NOTES, SPANS)}
        self.rows = dict.fromkeys(self.files, 0)
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._writers = {
            table: pq.ParquetWriter(path, SCHEMAS[table], compression="zstd") for table, path in self.files.items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Append rows, as one row group."""
        if rows:
            self._writers[table].write_batch(batch_of(table, rows))
            self.rows[table] += len(rows)


def read_batches(table: str, path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """Record batches of a result file, a few thousand rows each."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            yield batch if columns else batch.cast(SCHEMAS[table])
