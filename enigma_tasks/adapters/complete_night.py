"""A night whose shards are all annotated, fetched onto the local disk and checked against its plan."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.night_results import NightResults
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.object_store import split_uri
from enigma_tasks.adapters.shard_check import check_shard
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.errors import DataError, IncompleteError
from enigma_tasks.notes.names import Names
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    from pathlib import Path

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings
    from enigma_tasks.notes.plans import Shard

NAMED = 10
"""Shard ids in a message."""


def complete_night(
    store: ObjectStore, settings: Settings, batch_id: str, folder: Path, *, threads: int
) -> NightResults:
    """The results of the committed attempt at every shard of a night.

    Raises:
        UsageError: the batch has no plan.
        IncompleteError: a planned note has no outcome, or more than one.
        DataError: a result is not the committed one (`digest`), or not one of the planned notes: see `check_shard`.
        ServiceError: store.
    """
    places = RunPlaces.of(settings, batch_id)
    records = NightRecords.of(store, places, settings)
    plan = records.plan()

    def fetch(shard: Shard) -> str | None:
        commit = records.find_commit(shard)
        if commit is None:
            return shard.id
        for table, written in commit.files.by_table().items():
            path = results.file(shard, table)
            store.download(places.attempt(shard.id, commit.attempt, table), path)
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != written.sha256:
                    raise DataError(f"{shard.id}/{table}", "digest")
        return None

    drops = split_uri(f"{settings.require('drops')}/")[1]
    results = NightResults(plan, folder, drops, records.refusals(plan), Names.of(settings))
    lacking = [shard_id for shard_id in in_order(fetch, plan.shards, threads) if shard_id]
    if lacking:
        named = ", ".join(lacking[:NAMED]) + (", ..." if len(lacking) > NAMED else "")
        raise IncompleteError(f"{plan.batch_id}: {len(lacking)} of {len(plan.shards)} shards have no result: {named}")
    for shard in plan.shards:
        check_shard(plan, shard, records.notes(shard), results.file(shard, NOTES), results.file(shard, SPANS))
    return results
