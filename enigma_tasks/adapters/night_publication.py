"""Commits to the night tables: two for each night, spans and then notes, and no other night's between them.

Both commits carry two Delta transactions: one of the night, so that it is committed once, and one that all nights
share, whose version is the number of the publication. Of two commits with one transaction that read the same state,
delta-rs lets the first pass; the other has to read again. docs/decisions/0003-night-tables.md says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.adapters.night_table import storage_options, typed
from enigma_tasks.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL_NIGHTS = "/nights"
"""Application id of the shared transaction; no batch id has a slash."""
ROW_GROUP = 65_536
"""Rows per row group, which the writer keeps in memory."""
FILE_BYTES = 64 * 1024 * 1024
RECENT_COMMITS = 100
"""In which the night of the last publication is looked for."""
_BATCH = "batch_id"


class OvertakenError(ServiceError):
    """Another commit was made since the tables were opened: open them again, and decide again."""


@dataclass(frozen=True, slots=True)
class NightTables:
    """Both tables as they were when they were opened; what is committed builds on that state or fails.

    Spans are opened first: a night that is published whole between the two openings has changed them since, so that
    the commit to them fails.
    """

    spans: Any
    notes: Any

    @classmethod
    def opened(cls, tables_uri: str) -> NightTables:
        """The tables now, created where there are none. Raises ServiceError."""
        return cls(created(tables_uri, SPANS), created(tables_uri, NOTES))

    def has(self, table: str, batch_id: str) -> bool:
        """Whether the night is committed to the table. Raises ServiceError."""
        return _transaction(self._table(table), batch_id) is not None

    def half_published(self) -> str | None:
        """The night that is committed to spans and not to notes, or None.

        Raises:
            ServiceError: the store; or the log of the table does not say which night it is.
        """
        if _number(self.spans) <= _number(self.notes):
            return None
        with typed("log of spans"):
            recent = self.spans.history(RECENT_COMMITS)
        for entry in recent:
            if entry.get(_BATCH):
                return str(entry[_BATCH])
        raise ServiceError("night table: a night is in spans and not in notes, and the log does not name it")

    def commit(self, table: str, batches: Iterable[Any], batch_id: str) -> None:
        """Append record batches as the night's commit, even if there are none.

        Raises:
            OvertakenError: another commit was made meanwhile; nothing of this one is visible.
            ServiceError: the store failed; the night is visible in the table completely or not at all.
        """
        number = _number(self.notes) + 1
        with typed(f"commit {table}"):
            try:
                write_deltalake(
                    self._table(table),
                    pa.RecordBatchReader.from_batches(SCHEMAS[table], batches),
                    mode="append",
                    schema_mode="merge",  # add missing columns to a table of an earlier version
                    target_file_size=FILE_BYTES,
                    writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP),
                    commit_properties=CommitProperties(
                        custom_metadata={_BATCH: batch_id},
                        app_transactions=[Transaction(batch_id, 1), Transaction(ALL_NIGHTS, number)],
                    ),
                )
            except CommitFailedError:  # its message may quote values
                raise OvertakenError(f"night table: commit {table}: another commit came first") from None

    def _table(self, table: str) -> Any:
        return {SPANS: self.spans, NOTES: self.notes}[table]


def created(tables_uri: str, table: str) -> Any:
    """The table, created with its schema and for appending only if there is none. Raises ServiceError."""
    with typed(f"create {table}"):
        return DeltaTable.create(
            f"{tables_uri}/{table}",
            SCHEMAS[table],
            mode="ignore",
            name=f"enigma_{table}",
            configuration={"delta.appendOnly": "true"},
            storage_options=storage_options(),
        )


def _number(table: Any) -> int:
    return _transaction(table, ALL_NIGHTS) or 0


def _transaction(table: Any, application: str) -> int | None:
    """The version of an application's last transaction. A checkpoint may only now be read."""
    with typed("transactions"):
        version: int | None = table.transaction_version(application)
        return version
