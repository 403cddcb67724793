"""Reads the night tables (Delta Lake, with the deltalake package); `night_publication` writes them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from enigma_tasks.adapters.night_schema import IDENTITY, NOTES, SCHEMAS, SPANS, identities
from enigma_tasks.errors import ServiceError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.done import Done, FingerprintSet, fingerprint
from enigma_tasks.notes.references import TRANSIENT
from enigma_tasks.patience import NO_ANSWER, delta_options
from enigma_tasks.s3_settings import load_s3_settings
from enigma_tasks.unforeseen import is_panic

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Iterator, Sequence

_AWAY = re.compile(r"error sending request|HTTP error|after \d+ retries")
"""In the messages of delta-rs where the store cannot be reached or failed after retries; it has one class for all."""


def read_history(tables_uri: str, table: str, bucket: str, key: str) -> list[dict[str, Any]]:
    """Every night's rows of one object in `notes` or `spans`."""
    return list(rows_among(tables_uri, table, SCHEMAS[table].names, bucket=[bucket], key=[key]))


def rows_among(
    tables_uri: str, table: str, columns: Sequence[str], **among: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Rows that have one of the given values in each of the named columns, one batch in memory at a time."""
    if not all(among.values()):
        return  # Arrow cannot tell the type of an empty list
    keep = None
    for column, values in among.items():
        one = ds.field(column).isin(list(values))
        keep = one if keep is None else keep & one
    for batch in _batches(tables_uri, table, columns, keep):
        yield from batch.to_pylist()


def is_committed(tables_uri: str, table: str, batch_id: str) -> bool:
    """Whether the night is in the table; False if there is no table. Raises ServiceError."""
    delta = _opened(tables_uri, table)
    with typed(f"transactions of {table}"):
        return delta is not None and delta.transaction_version(batch_id) is not None


def read_notes(tables_uri: str, batch_id: str | None = None, columns: Sequence[str] | None = None) -> Any:
    """Rows of `notes` as a pyarrow Table, of one night or all; empty, with the schema, if there is no table."""
    return _read(tables_uri, NOTES, batch_id, columns)


def read_spans(tables_uri: str, batch_id: str | None = None, columns: Sequence[str] | None = None) -> Any:
    """Rows of `spans`, as `read_notes`."""
    return _read(tables_uri, SPANS, batch_id, columns)


def read_night(
    tables_uri: str, batch_id: str, note_columns: Sequence[str], span_columns: Sequence[str]
) -> tuple[Any, Any]:
    """Rows of `notes` and of `spans` of a night as pyarrow Tables: spans joined with notes, as the tables are read."""
    notes = read_notes(tables_uri, batch_id, [*dict.fromkeys((*IDENTITY, *note_columns))])
    spans = read_spans(tables_uri, batch_id, [*dict.fromkeys((*IDENTITY, *span_columns))])
    published = set(identities(notes))
    joined = spans.filter(pa.array([identity in published for identity in identities(spans)], pa.bool_()))
    return notes.select(list(note_columns)), joined.select(list(span_columns))


def read_published(tables_uri: str, batch_id: str) -> FingerprintSet:
    """`NoteRef.identity` of the notes that the night has in the notes table."""
    found = bytearray()
    for batch in _batches(tables_uri, NOTES, IDENTITY, ds.field("batch_id") == batch_id):
        for identity in identities(batch):
            found += fingerprint(identity)
    return FingerprintSet(found)


def read_done(tables_uri: str) -> Done:
    """The notes that are annotated or in quarantine in the notes table, as it is now. Raises ServiceError."""
    delta = _opened(tables_uri, NOTES)
    return Done() if delta is None else done_in(delta)


def done_in(notes_table: Any) -> Done:
    """The notes that are annotated or in quarantine in the notes table, as it was when it was opened.

    Rows of a transient rule (object missing or changed during a night) do not count: if that version is listed again,
    it is annotated. The table is streamed; 16 bytes per note are kept in memory.
    """
    columns = ["bucket", "key", "record_id", "version", "object_version", "object_whole", "rule"]
    notes = bytearray()
    whole: set[bytes] = set()
    torn: set[bytes] = set()
    for batch in _batches_of(notes_table, NOTES, columns, None):
        for bucket, key, record_id, version, object_version, object_whole, rule in zip(
            *(column.to_pylist() for column in batch.columns), strict=True
        ):
            if rule not in TRANSIENT:
                notes += fingerprint((bucket, key, record_id or "", version))
            if holds_records(key):
                if rule in TRANSIENT:
                    torn.add(fingerprint((bucket, key, object_version)))
                elif object_whole:
                    whole.add(fingerprint((bucket, key, object_version)))
    return Done(FingerprintSet(notes), FingerprintSet(b"".join(whole - torn)))


def read_newer(tables_uri: str, planned_time: dt.datetime) -> FingerprintSet:
    """(bucket, key, record id or "") of the notes that a later planned night has annotated."""
    keep = (ds.field("planned_at") > planned_time) & (ds.field("outcome") == "annotated")
    found = bytearray()
    for batch in _batches(tables_uri, NOTES, ["bucket", "key", "record_id"], keep):
        for bucket, key, record_id in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            found += fingerprint((bucket, key, record_id or ""))
    return FingerprintSet(found)


def read_places(
    tables_uri: str, days: Iterable[dt.date], except_batch: str
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """(bucket, key, record id or "") and annotation of the notes of these drop dates, of all nights but one."""
    keep = ds.field("drop_date").isin(list(days)) & (ds.field("batch_id") != except_batch)
    columns = ["bucket", "key", "record_id", "annotation"]
    for batch in _batches(tables_uri, NOTES, columns, keep):
        for bucket, key, record_id, place in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if place is not None:
                yield (bucket, key, record_id or ""), place


def storage_options() -> dict[str, str]:
    """The S3 settings for delta-rs; credentials are from the environment or the machine's role."""
    s3 = load_s3_settings()
    options = {"aws_region": s3.region, "aws_conditional_put": "etag", **delta_options()}
    if s3.endpoint:
        options |= {
            "aws_endpoint": s3.endpoint,
            "aws_allow_http": str(s3.endpoint.startswith("http://")).lower(),
            "aws_virtual_hosted_style_request": str(s3.addressing == "virtual").lower(),
        }
    return options


def _opened(tables_uri: str, table: str) -> Any | None:
    with typed(f"open {table}"):
        try:
            return DeltaTable(f"{tables_uri}/{table}", storage_options=storage_options())
        except TableNotFoundError:
            return None


def _batches(tables_uri: str, table: str, columns: Sequence[str], keep: Any) -> Iterator[Any]:
    delta = _opened(tables_uri, table)
    if delta is not None:
        yield from _batches_of(delta, table, columns, keep)


def _batches_of(delta: Any, table: str, columns: Sequence[str], keep: Any) -> Iterator[Any]:
    with typed(f"read {table}"):
        dataset = delta.to_pyarrow_dataset()
        there = [name for name in columns if name in dataset.schema.names]
        for batch in dataset.scanner(columns=there, filter=keep).to_batches():
            yield batch if len(there) == len(columns) else _widened(batch, table, columns)


def _widened(batch: Any, table: str, columns: Sequence[str]) -> Any:
    """A batch of an earlier version's table, with nulls in the columns that it lacks."""
    schema = pa.schema([SCHEMAS[table].field(name) for name in columns])
    arrays = [batch.column(f.name) if f.name in batch.schema.names else pa.nulls(len(batch), f.type) for f in schema]
    return pa.RecordBatch.from_arrays([a.cast(f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)


def _read(tables_uri: str, table: str, batch_id: str | None, columns: Sequence[str] | None) -> Any:
    schema = SCHEMAS[table]
    wanted = list(columns) if columns is not None else schema.names
    keep = None if batch_id is None else ds.field("batch_id") == batch_id
    empty = pa.schema([schema.field(name) for name in wanted])
    batches = [b.cast(empty) for b in _batches(tables_uri, table, wanted, keep)]
    return pa.Table.from_batches(batches, empty)


@contextmanager
def typed(operation: str) -> Iterator[None]:
    """Turn errors of delta-rs and Arrow into ServiceError, without their messages, which may quote values."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, DeltaError | pa.ArrowException | OSError) or is_panic(error):
            word = NO_ANSWER if _AWAY.search(str(error)) else type(error).__name__
            raise ServiceError(f"night table: {operation}: {word}") from None
        raise
