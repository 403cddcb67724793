"""Removes notes from the night tables so that neither their files nor their logs hold them any more (docs/forget.md)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from enigma_tasks.adapters.night_table import storage_options, typed_table
from enigma_tasks.adapters.object_versions import purge
from enigma_tasks.errors import ServiceError

if TYPE_CHECKING:
    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.notes.forgotten import Target

APPEND_ONLY = "delta.appendOnly"
_LIFTED = "enigma.appendOnlyLifted"
"""While rows are deleted, so that a run after one that was killed sets the other property again."""
IDENTITY = ["bucket", "key", "record_id"]


def purge_table(store: ObjectStore, tables_uri: str, table: str, target: Target) -> int:
    """Delete the notes' rows, the data files that held them, and the log that describes those files.

    Three commits: append-only is lifted, the rows are deleted, append-only is set as it was. Then a checkpoint is
    written and every older entry of the log is deleted: they hold the least and the greatest value of each column, and
    the deletion's condition. The transactions of the nights are in the checkpoint. Versions before it cannot be read.

    Returns:
        The number of deleted rows.

    Raises:
        ServiceError: the store, or a night committed at the same time; a second run completes it.
    """
    uri = f"{tables_uri}/{table}"
    with typed_table(f"forget in {table}"):
        try:
            delta = DeltaTable(uri, storage_options=storage_options())
        except TableNotFoundError:
            return 0
        rows = _deleted(delta, target)
        _purge_files(store, uri, delta, target)
        if delta.metadata().configuration.get(_LIFTED) == "true" or delta.history(1)[0]["operation"] == "DELETE":
            _restore(delta)
        _purge_log(store, uri, delta)
    return rows


def count_rows(tables_uri: str, table: str, target: Target) -> int:
    """The rows of the notes in the newest version. Raises ServiceError."""
    with typed_table(f"count in {table}"):
        try:
            delta = DeltaTable(f"{tables_uri}/{table}", storage_options=storage_options())
        except TableNotFoundError:
            return 0
        scanner = delta.to_pyarrow_dataset().scanner(columns=IDENTITY)
        return sum(_covered(batch, target) for batch in scanner.to_batches())


def covers_rows(data: bytes, target: Target) -> bool:
    """Whether a parquet file has a row of the notes; one without their columns has none."""
    file = pq.ParquetFile(io.BytesIO(data))
    if not set(IDENTITY) <= set(file.schema_arrow.names):
        return False
    return any(_covered(batch, target) for batch in file.iter_batches(columns=IDENTITY))


def _covered(batch: Any, target: Target) -> int:
    columns = [batch.column(name).to_pylist() for name in IDENTITY]
    return sum(target.covers(*row) for row in zip(*columns, strict=True))


def _deleted(delta: Any, target: Target) -> int:
    dataset = delta.to_pyarrow_dataset()
    if not any(_covered(batch, target) for batch in dataset.scanner(columns=IDENTITY).to_batches()):
        return 0
    configured = delta.metadata().configuration
    if configured.get(APPEND_ONLY) == "true":
        delta.alter.set_table_properties({APPEND_ONLY: "false", _LIFTED: "true"}, raise_if_not_exists=False)
    return int(delta.delete(_condition(target))["num_deleted_rows"])


def _condition(target: Target) -> str:
    """The notes' rows, in SQL."""
    key = _quoted(target.key)
    own = f"starts_with(key, {key})" if target.is_prefix else f"key = {key}"
    record = "" if target.record_id is None else f" AND record_id = {_quoted(target.record_id)}"
    return f"bucket = {_quoted(target.bucket)} AND {own}{record}"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _restore(delta: Any) -> None:
    """Set append-only as it was, by a commit after the deletion in any case: that one's log names the note."""
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
        if covers_rows(store.get(info.uri), target):
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
