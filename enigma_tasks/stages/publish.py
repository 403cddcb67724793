"""`enigma publish`: a night's results -> one commit to each table, BRAT files, the quarantine list, _SUCCESS."""

from __future__ import annotations

import hashlib
import itertools
import logging
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.night_results import Identity, NightResults
from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.adapters.object_store import ObjectStore, split_uri
from enigma_tasks.adapters.shard_results import (
    identities,
    read_batches,
)
from enigma_tasks.adapters.tombstones import read_tombstones
from enigma_tasks.artifacts import QuarantinePlaces, RunPlaces
from enigma_tasks.documents import Entity
from enigma_tasks.errors import DataError, IncompleteError
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.notes.commits import (
    Published,
    PublishedCounts,
    PublishedLanguage,
    QuarantineEntry,
    quarantine_bytes,
    rules_bytes,
)
from enigma_tasks.notes.done import Done, FingerprintSet, fingerprint
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.references import Rule
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.forgotten import Tombstones
    from enigma_tasks.notes.plans import Shard

log = logging.getLogger(__name__)

NAMED = 10
"""Shard ids in a message."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Publish the night, once. If it is killed and run again, the result is that of an uninterrupted run.

    Order: spans, notes (that commit is the publication), annotations, quarantine, report, _SUCCESS.

    Returns:
        batch_id, counts, rules and languages.

    Raises:
        UsageError: the batch has no plan.
        IncompleteError: a planned note has no outcome, or more than one.
        DataError: a result's digest is not that of its commit (`digest`).
        ServiceError: store or tables.
    """
    began = time.perf_counter()
    places = RunPlaces.of(settings, arguments.batch)
    store = ObjectStore()
    records = NightRecords(store, places)
    published = records.find_published()
    if published is not None:
        log.info("%s is published already", arguments.batch)
        return published.report()
    plan = records.plan()
    tables = settings.require("tables")
    with tempfile.TemporaryDirectory(prefix="enigma-") as folder:
        results = NightResults(
            plan,
            Path(folder),
            split_uri(f"{settings.require('drops')}/")[1],
            records.refusals(plan),
            Names.of(settings),
        )
        _fetch(store, records, places, results, threads=params.publish.download_threads)
        _check(records, results, None if plan.backfill else night_table.read_done(tables, except_batch=plan.batch_id))
        _leave_out_forgotten(results, read_tombstones(store, settings))
        if params.publish.brat:
            results.settle_places(tables)
        counts, rules, languages = _summary(results)
        if counts.entities:
            _commit(results, tables, SPANS)
        if counts.annotated + counts.quarantined:
            _commit(results, tables, NOTES)
        if params.publish.brat:
            newer = night_table.read_newer(tables, plan.planned_time)
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
    return published.report()


def _fetch(
    store: ObjectStore, records: NightRecords, places: RunPlaces, results: NightResults, *, threads: int
) -> None:
    """Download the results of the committed attempts. Raises IncompleteError naming the shards without one."""

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

    plan = results.plan
    lacking = [shard_id for shard_id in in_order(fetch, plan.shards, threads) if shard_id]
    if lacking:
        named = ", ".join(lacking[:NAMED]) + (", ..." if len(lacking) > NAMED else "")
        raise IncompleteError(f"{plan.batch_id}: {len(lacking)} of {len(plan.shards)} shards have no result: {named}")


def _check(records: NightRecords, results: NightResults, elsewhere: Done | None) -> None:
    """Check that every planned note has exactly one outcome; leave out those that are done by `elsewhere`.

    Raises:
        IncompleteError: with the shard and the number of notes without outcome, with several, or unplanned.
    """
    for shard in results.plan.shards:
        planned = {note.identity for note in records.notes(shard)}
        outcomes: Counter[Identity] = Counter()
        for batch in read_batches(NOTES, results.file(shard, NOTES)):
            outcomes.update(identities(batch))
        missing, unplanned = planned - outcomes.keys(), outcomes.keys() - planned
        doubled = outcomes.total() - len(outcomes)
        if missing or unplanned or doubled:
            found = f"{len(missing)} without an outcome, {doubled} doubled, {len(unplanned)} never planned"
            raise IncompleteError(f"{shard.id}: of {shard.notes} planned notes {found}")
        if elsewhere is not None:
            results.left_out.update(i for i in outcomes if elsewhere.has(i))
    if elsewhere is not None:
        results.left_out.update(r.note.identity for r in results.refused if elsewhere.has(r.note.identity))


def _leave_out_forgotten(results: NightResults, tombstones: Tombstones) -> None:
    """Leave out the notes that were forgotten since they were annotated; a refusal by that rule stays."""
    for shard in results.plan.shards if tombstones.digests else ():
        for batch in read_batches(NOTES, results.file(shard, NOTES)):
            for identity, rule in zip(identities(batch), batch.column("rule").to_pylist(), strict=True):
                if rule != Rule.FORGOTTEN and tombstones.has(*identity[:3]):
                    results.left_out.add(identity)
    for refused in results.refused:
        note = refused.note
        if refused.rule is not Rule.FORGOTTEN and tombstones.has(note.bucket, note.key, note.record_id):
            results.left_out.add(note.identity)


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
        left_out=len(results.left_out),
    )
    by_language = {code: PublishedLanguage.model_validate(found) for code, found in sorted(languages.items())}
    return counts, dict(sorted(rules.items())), by_language


def _commit(results: NightResults, tables: str, table: str) -> None:
    reader = pa.RecordBatchReader.from_batches(SCHEMAS[table], results.batches(table))
    if not night_table.commit(tables, table, reader, results.plan.batch_id):
        log.info("%s has the night already", table)


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
