"""`enigma publish`: a night's results -> one commit to each table, BRAT files, the quarantine list, _SUCCESS."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.complete_night import complete_night
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.publication import Publication
from enigma_tasks.adapters.shard_results import Identity, read_batches
from enigma_tasks.artifacts import QuarantinePlaces, RunPlaces
from enigma_tasks.documents import Entity
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.notes.commits import (
    Published,
    PublishedCounts,
    PublishedLanguage,
    QuarantineEntry,
    quarantine_bytes,
    rules_bytes,
)
from enigma_tasks.notes.done import fingerprint
from enigma_tasks.notes.names import Names
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from enigma_tasks.adapters.night_results import NightResults
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.done import FingerprintSet
    from enigma_tasks.notes.plans import Shard

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Publish the night, once. If it is killed and run again, the result is that of an uninterrupted run.

    Order: spans, notes (that commit is the publication), annotations, quarantine, report, _SUCCESS. Then the shards'
    spans, which hold texts, are deleted from `runs/`. A night that was killed between its two commits is brought into
    the tables first.

    Returns:
        batch_id, counts, rules and languages.

    Raises:
        UsageError: the batch has no plan.
        IncompleteError: a planned note has no outcome, or more than one; or another night is in one table only, and
            its results are not there.
        DataError: a result is not the one that was committed, or is not of the planned notes: see `complete_night`.
        ServiceError: store or tables.
    """
    began = time.perf_counter()
    places = RunPlaces.of(settings, arguments.batch)
    store = ObjectStore()
    records = NightRecords.of(store, places, settings)
    published = records.find_published()
    if published is not None:
        log.info("%s is published already", arguments.batch)
        records.delete_texts()
        return published.report()
    with private_folder() as folder:
        results = complete_night(store, settings, arguments.batch, folder, threads=params.publish.download_threads)
        plan = results.plan
        Publication(store, settings, params).into_tables(results)
        counts, rules, languages = _summary(results)
        if params.publish.brat:
            newer = night_table.read_newer(settings.require("tables"), plan.planned_time)
            store.put_many(_annotations(results, newer, settings.require("annotations")))
        quarantine = QuarantinePlaces.of(settings, plan.batch_id)
        entries = _quarantine_entries(results, Names.of(settings))
        store.put(quarantine.notes, quarantine_bytes(entries), "application/x-ndjson")
        store.put(quarantine.rules, rules_bytes(rules), "application/json")
    published = Published(
        batch_id=plan.batch_id,
        planned_at=plan.planned_at,
        counts=counts,
        rules=rules,
        languages=languages,
        seconds=round(time.perf_counter() - began, 3),
    )
    records.write_published(published)
    records.delete_texts()
    return published.report()


def _summary(results: NightResults) -> tuple[PublishedCounts, dict[str, int], dict[str, PublishedLanguage]]:
    """Counts, rules and languages of the notes to publish, from the results only: a second run gives the same."""
    outcomes: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    languages: dict[str, Counter[str]] = {}
    for batch in results.batches(NOTES):
        for row in batch.select(["outcome", "rule", "language", "entities"]).to_pylist():
            outcomes[row["outcome"]] += 1
            if row["rule"]:
                rules[row["rule"]] += 1
                continue
            outcomes["entities"] += row["entities"]
            languages.setdefault(row["language"], Counter()).update(notes=1, entities=row["entities"])
    counts = PublishedCounts(
        annotated=outcomes["annotated"],
        quarantined=outcomes["quarantined"],
        entities=outcomes["entities"],
        listed=results.plan.counts.listed,
        waiting=results.plan.counts.waiting,
        deferred=results.plan.counts.deferred,
        left_out=len(results.left_out),
    )
    by_language = {code: PublishedLanguage.model_validate(found) for code, found in sorted(languages.items())}
    return counts, dict(sorted(rules.items())), by_language


def _annotations(results: NightResults, newer: FingerprintSet, root: str) -> Iterator[tuple[str, bytes]]:
    """One BRAT file for each note, empty without entities; none if a newer version of the note is published."""
    for shard in results.plan.shards:
        spans = itertools.groupby(_rows(results, shard, SPANS), key=_identity)
        identity, group = next(spans, _NOTHING)
        for row in _rows(results, shard, NOTES):
            entities: list[Entity] = []
            if _identity(row) == identity:  # spans are in the order of the notes
                entities = [Entity(s["label"], s["char_start"], s["char_end"], s["text"]) for s in group]
                identity, group = next(spans, _NOTHING)
            if row["outcome"] != "annotated" or fingerprint(_identity(row)[:3]) in newer:
                continue
            yield f"{root}/{row['annotation']}", format_ann(entities).encode()


_NOTHING: tuple[Identity | None, Iterable[dict[str, Any]]] = (None, ())


def _rows(results: NightResults, shard: Shard, table: str) -> Iterator[dict[str, Any]]:
    for batch in read_batches(table, results.file(shard, table)):
        kept = results.kept(batch)
        yield from (results.placed(kept) if table == NOTES else kept).to_pylist()


def _identity(row: dict[str, Any]) -> Identity:
    return row["bucket"], row["key"], row["record_id"] or "", row["version"]


def _quarantine_entries(results: NightResults, names: Names) -> Iterator[QuarantineEntry]:
    columns = ["key", "record_id", "rule", "rule_offset"]
    for batch in results.batches(NOTES):
        for row in batch.select(columns).to_pylist():
            if row["rule"]:
                record = names.record(row["key"], row["record_id"])
                yield QuarantineEntry(record=record, rule=row["rule"], offset=row["rule_offset"])
