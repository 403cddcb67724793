"""The night tables (Delta Lake, with the deltalake package): one commit for each night."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.errors import ServiceError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.done import Done, FingerprintSet, fingerprint
from enigma_tasks.notes.references import TRANSIENT
from enigma_tasks.s3_settings import load_s3_settings

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Iterator, Sequence

log = logging.getLogger(__name__)

ROW_GROUP = 65_536
"""Rows per row group, which the writer keeps in memory."""
FILE_BYTES = 64 * 1024 * 1024


def commit(tables_uri: str, table: str, reader: Any, batch_id: str) -> bool:
    """Append a stream of record batches as the night's commit; False if the night is in the table already.

    The commit has the transaction (batch id, 1), so that a second call finds it and of two concurrent ones one fails.

    Raises:
        ServiceError: the store or the commit failed; the night is visible completely or not at all.
    """
    delta = _created(tables_uri, table)
    with typed_table(f"commit {table}"):
        if delta.transaction_version(batch_id) is not None:
            return False
        write_deltalake(
            delta,
            reader,
            mode="append",
            schema_mode="merge",  # add missing columns to a table of an earlier version
            target_file_size=FILE_BYTES,
            writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP),
            commit_properties=CommitProperties(
                custom_metadata={"batch_id": batch_id}, app_transactions=[Transaction(batch_id, 1)]
            ),
        )
    return True


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
    return delta is not None and delta.transaction_version(batch_id) is not None


def read_notes(tables_uri: str, batch_id: str | None = None, columns: Sequence[str] | None = None) -> Any:
    """Rows of `notes` as a pyarrow Table, of one night or all; empty, with the schema, if there is no table."""
    return _read(tables_uri, NOTES, batch_id, columns)


def read_spans(tables_uri: str, batch_id: str | None = None, columns: Sequence[str] | None = None) -> Any:
    """Rows of `spans`, as `read_notes`."""
    return _read(tables_uri, SPANS, batch_id, columns)


def read_done(tables_uri: str, except_batch: str | None = None) -> Done:
    """The notes that are annotated or in quarantine in the notes table, without those of `except_batch`.

    Rows of a transient rule (object missing or changed during a night) do not count: if that version is listed again,
    it is annotated. The table is streamed; 16 bytes per note are kept in memory.
    """
    columns = ["bucket", "key", "record_id", "version", "object_version", "object_whole", "rule"]
    keep = None if except_batch is None else ds.field("batch_id") != except_batch
    notes = bytearray()
    whole: set[bytes] = set()
    torn: set[bytes] = set()
    for batch in _batches(tables_uri, NOTES, columns, keep):
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
    options = {"aws_region": s3.region, "aws_conditional_put": "etag", "timeout": "60s", "connect_timeout": "10s"}
    if s3.endpoint:
        options |= {
            "aws_endpoint": s3.endpoint,
            "aws_allow_http": str(s3.endpoint.startswith("http://")).lower(),
            "aws_virtual_hosted_style_request": str(s3.addressing == "virtual").lower(),
        }
    return options


def _created(tables_uri: str, table: str) -> Any:
    """The table, created with its schema if there is none."""
    with typed_table(f"create {table}"):
        return DeltaTable.create(
            f"{tables_uri}/{table}",
            SCHEMAS[table],
            mode="ignore",
            name=f"enigma_{table}",
            storage_options=storage_options(),
        )


def _opened(tables_uri: str, table: str) -> Any | None:
    with typed_table(f"open {table}"):
        try:
            return DeltaTable(f"{tables_uri}/{table}", storage_options=storage_options())
        except TableNotFoundError:
            return None


def _batches(tables_uri: str, table: str, columns: Sequence[str], keep: Any) -> Iterator[Any]:
    delta = _opened(tables_uri, table)
    if delta is None:
        return
    with typed_table(f"read {table}"):
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
def typed_table(operation: str) -> Iterator[None]:
    """Turn errors of delta-rs and Arrow into ServiceError, without their messages, which may quote values."""
    try:
        yield
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise ServiceError(f"night table: {operation}: {type(error).__name__}") from None
