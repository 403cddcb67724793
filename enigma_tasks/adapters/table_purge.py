"""Removes notes from the night tables so that neither files nor logs hold them any more (docs/forget.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError

from enigma_tasks.adapters.night_publication import FILE_BYTES, ROW_GROUP
from enigma_tasks.adapters.night_table import storage_options, typed
from enigma_tasks.adapters.object_versions import purge
from enigma_tasks.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.notes.forgotten import Target

APPEND_ONLY = "delta.appendOnly"
_LIFTED = "enigma.appendOnlyLifted"
"""While rows are deleted, so that a run after one that was killed sets the other property again."""
IDENTITY = ["bucket", "key", "record_id"]


def purge_table(store: ObjectStore, tables_uri: str, table: str, target: Target) -> int:
    """Delete the notes' rows, the data files that held them, and the log that describes those files.

    Three commits: append-only is lifted, the rows are deleted, append-only is set as it was. Then a checkpoint is
    written and every older entry of the log is deleted: they hold the least and the greatest value of each column.
    The transactions of the nights are in the checkpoint. Versions before it cannot be read.

    Returns:
        The number of deleted rows.

    Raises:
        ServiceError: the store, or a night committed at the same time; a second run completes it.
    """
    uri = f"{tables_uri}/{table}"
    with typed(f"forget in {table}"):
        try:
            delta = DeltaTable(uri, storage_options=storage_options())
        except TableNotFoundError:
            return 0
        rows = _deleted(delta, target)
        _purge_files(store, uri, delta, target)
        last = delta.history(1)[0].get("operationParameters", {})
        if delta.metadata().configuration.get(_LIFTED) == "true" or last.get("mode") == "Overwrite":
            _restore(delta)
        _purge_log(store, uri, delta)
    return rows


def count_rows(tables_uri: str, table: str, target: Target) -> int:
    """The rows of the notes in the newest version. Raises ServiceError."""
    with typed(f"count in {table}"):
        try:
            delta = DeltaTable(f"{tables_uri}/{table}", storage_options=storage_options())
        except TableNotFoundError:
            return 0
        scanner = delta.to_pyarrow_dataset().scanner(columns=IDENTITY)
        return sum(_covered(batch, target) for batch in scanner.to_batches())


def covers_rows(source: BinaryIO, target: Target) -> bool:
    """Whether a parquet file has a row of the notes; one without their columns has none."""
    file = pq.ParquetFile(source)
    if not set(IDENTITY) <= set(file.schema_arrow.names):
        return False
    return any(_covered(batch, target) for batch in file.iter_batches(columns=IDENTITY))


def _covered(batch: Any, target: Target) -> int:
    return sum(target.covers(*row) for row in _identities(batch))


def _deleted(delta: Any, target: Target) -> int:
    """Replace the nights that have the notes by their other rows, in one commit.

    Whole files are replaced: what `DeltaTable.delete` leaves of a file has another type of strings, which Arrow cannot
    compare with those of the other files.
    """
    dataset = delta.to_pyarrow_dataset()
    rows, nights = _nights(dataset, target)
    if not rows:
        return 0
    if delta.metadata().configuration.get(APPEND_ONLY) == "true":
        delta.alter.set_table_properties({APPEND_ONLY: "false", _LIFTED: "true"}, raise_if_not_exists=False)

    def others() -> Iterator[Any]:
        for batch in dataset.scanner(filter=ds.field("batch_id").isin(sorted(nights))).to_batches():
            yield batch.filter(pa.array([not target.covers(*row) for row in _identities(batch)], pa.bool_()))

    write_deltalake(
        delta,
        pa.RecordBatchReader.from_batches(dataset.schema, others()),
        mode="overwrite",
        predicate=f"batch_id IN ({', '.join(map(_quoted, sorted(nights)))})",
        target_file_size=FILE_BYTES,
        writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP),
    )
    return rows


def _nights(dataset: Any, target: Target) -> tuple[int, set[str]]:
    """The number of the notes' rows; the nights of the files that have any, and those that share a file with them."""
    files: list[tuple[int, set[str]]] = []
    for fragment in dataset.get_fragments():
        covered, own = 0, set()
        for batch in fragment.to_batches(schema=dataset.schema, columns=["batch_id", *IDENTITY]):
            covered += _covered(batch, target)
            own |= set(batch.column("batch_id").to_pylist())
        files.append((covered, own))
    nights: set[str] = set().union(*(own for covered, own in files if covered))
    while more := set().union(*(own for _, own in files if own & nights)) - nights:
        nights |= more
    return sum(covered for covered, _ in files), nights


def _identities(batch: Any) -> Iterator[tuple[str, str, str | None]]:
    return zip(*(batch.column(name).to_pylist() for name in IDENTITY), strict=True)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _restore(delta: Any) -> None:
    """Set append-only as it was, by a commit in any case: the newest entry of the log cannot be deleted."""
    lifted = delta.metadata().configuration.get(_LIFTED) == "true"
    append_only = "true" if lifted else delta.metadata().configuration.get(APPEND_ONLY, "false")
    delta.alter.set_table_properties({APPEND_ONLY: append_only, _LIFTED: "false"}, raise_if_not_exists=False)


def _purge_files(store: ObjectStore, uri: str, delta: Any, target: Target) -> None:
    """Delete the data files outside the newest version that hold the notes: deleted ones, and of killed commits."""
    current = {unquote(path).rpartition("/")[2] for path in delta.file_uris()}
    for info in store.list(f"{uri}/"):
        name = info.uri.removeprefix(f"{uri}/")
        if name.startswith("_delta_log/") or name.rpartition("/")[2] in current or not name.endswith(".parquet"):
            continue
        with store.open_stream(info.uri, info.etag) as stream:
            covered = covers_rows(stream, target)
        if covered:
            purge(info.uri)


def _purge_log(store: ObjectStore, uri: str, delta: Any) -> None:
    """Write a checkpoint of the newest version and delete the log before it."""
    log = f"{uri}/_delta_log/"
    newest = delta.version()
    older = [i.uri for i in store.list(log) if _version(i.uri.removeprefix(log)) < newest]
    if not older:
        return
    delta.create_checkpoint()
    if not any(_version(i.uri.removeprefix(log)) == newest and ".checkpoint" in i.uri for i in store.list(log)):
        raise ServiceError("night table: no checkpoint was written; its log is kept")
    for found in older:
        purge(found)


def _version(name: str) -> float:
    """The version that an entry of the log is about; infinite for what is of no version."""
    number = name.split(".", 1)[0]
    return int(number) if number.isdigit() else float("inf")
