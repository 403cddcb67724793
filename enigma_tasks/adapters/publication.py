"""Brings a complete night into the tables, whatever other nights do meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.complete_night import complete_night
from enigma_tasks.adapters.night_publication import NightTables, OvertakenError
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.tombstones import read_tombstones
from enigma_tasks.errors import IncompleteError, ObjectMissing, ServiceError, UsageError
from enigma_tasks.notes.done import fingerprint
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    from enigma_tasks.adapters.night_results import NightResults
    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Params, Settings

log = logging.getLogger(__name__)

LOOKS = 10
"""Times that the tables are read again because another publication came first."""


class Publication:
    """Publications to the configured tables."""

    def __init__(self, store: ObjectStore, settings: Settings, params: Params) -> None:
        self._store, self._settings, self._params = store, settings, params
        self._tables = settings.require("tables")

    def into_tables(self, night: NightResults) -> None:
        """Decide which notes other nights have published, leave them out, and commit the others with their spans.

        What was decided holds: no other night is committed between the two commits of this one. A night that was
        killed between its own comes first. Where every note is left out, nothing is committed.

        Raises:
            IncompleteError, DataError, UsageError: another night is in one table only, and its results cannot be read.
            ServiceError: store or tables; or other publications came first each time.
        """
        for _ in range(LOOKS):
            try:
                tables = NightTables.opened(self._tables)
                half = tables.half_published()
                if half is None or half == night.plan.batch_id:
                    self._commit(night, tables)
                    return
                self._finish(half)
            except OvertakenError as error:
                log.info("%s: the tables are read again", error)
        raise ServiceError(f"night tables: {LOOKS} times another publication came first")

    def _commit(self, night: NightResults, tables: NightTables) -> None:
        batch_id = night.plan.batch_id
        self._leave_out(night, tables)
        if self._params.publish.brat:
            night.settle_places(self._tables)
        if next((True for batch in night.batches(NOTES) if batch.num_rows), False):
            for table in (SPANS, NOTES):
                if tables.has(table, batch_id):
                    log.info("%s has the night already", table)
                else:
                    tables.commit(table, night.batches(table), batch_id)

    def _leave_out(self, night: NightResults, tables: NightTables) -> None:
        if tables.has(NOTES, night.plan.batch_id):  # that commit decided
            own = night_table.read_published(self._tables, night.plan.batch_id)
            night.leave_out(lambda identity: fingerprint(identity) not in own)
            return
        tombstones = read_tombstones(self._store, self._settings)
        done = night_table.done_in(tables.notes).has if not night.plan.backfill else lambda _: False
        night.leave_out(done, lambda identity: tombstones.has(*identity[:3]))

    def _finish(self, batch_id: str) -> None:
        """Commit the notes of a night whose spans are committed; the rest is left to its own `publish`."""
        log.warning("%s is in spans and not in notes: it is finished first", batch_id)
        with private_folder() as folder:
            threads = self._params.publish.download_threads
            try:
                night = complete_night(self._store, self._settings, batch_id, folder, threads=threads)
            except (IncompleteError, UsageError, ObjectMissing) as error:
                if NightTables.opened(self._tables).half_published() != batch_id:
                    return  # its own `publish` finished it meanwhile, and deleted the results
                raise IncompleteError(
                    f"{batch_id} is in spans, not in notes, and cannot be finished: {error}"
                ) from None
            self.into_tables(night)
