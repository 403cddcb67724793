"""`enigma plan`: drops and tables -> shards of new notes, each of one language; champions pinned for the night."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import champions, night_table
from enigma_tasks.adapters.champions import ChampionLookup
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.note_reader import read_notes, rule_of
from enigma_tasks.adapters.object_store import ObjectStore, split_uri
from enigma_tasks.adapters.tombstones import read_tombstones
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.errors import DataError, ObjectChanged, ObjectMissing, UsageError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.fair_share import FairShare
from enigma_tasks.notes.planning import Backfill, Night, cut_shards, scan_listing
from enigma_tasks.notes.plans import Plan, PlanCounts
from enigma_tasks.notes.record_planning import Judgement, scan
from enigma_tasks.notes.references import WHOLE_FILE, NoteRef, Refused, Rule
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from enigma_tasks.adapters.champions import Champions
    from enigma_tasks.config import Params, Settings

log = logging.getLogger(__name__)

TEXTS_AT_ONCE = 10_000
"""References to texts of unknown language that are kept until they are read."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Plan the batch, once: if it has a plan already, that one is reported and nothing is written.

    Returns:
        batch_id, plan (URI), counts, waiting and deferred by language, and `shards`, the URIs to annotate.

    Raises:
        UsageError: a place is not set, the batch id or the back-fill range is malformed or has more notes than a
            night may have, there are tombstones and not their key, or the store ignores conditional writes.
        DataError: the journal of champions was edited; names the line.
        ModelError: the registry has no version of a champion's digest.
        ServiceError: store, tables or registry.
    """
    began = time.perf_counter()
    places = RunPlaces.of(settings, arguments.batch)
    store = ObjectStore()
    records = NightRecords.of(store, places, settings)
    journal = JournalStore(store, settings.require("journal"))
    planned = records.find_plan()
    if planned is not None:
        _check_and_repair(planned, records, journal, settings)
        return _report(planned, places)
    backfill = Backfill.parse(arguments.backfill) if arguments.backfill else None
    done = night_table.read_done(settings.require("tables"))
    drops = f"{settings.require('drops')}/"
    prefix = split_uri(drops)[1]
    lookup, tombstones = ChampionLookup(journal), read_tombstones(store, settings)
    night = Night(
        prefix,
        FairShare(params.plan.max_notes),
        is_served=lookup.has,
        is_forgotten=lambda note: tombstones.has(note.bucket, note.key, note.record_id),
    )
    listing = scan_listing(
        store.list(drops),
        prefix,
        done,
        max_bytes=params.notes.max_bytes,
        language_of=params.language,
        backfill=backfill,
    )
    judgement = Judgement(
        params.notes,
        params.language,
        _detector(params),
        is_done=lambda note: backfill is None and done.has(note.identity),
    )
    listed = _fill(night, listing, store, judgement, params)
    if backfill and night.deferred:
        total = len(night.taken) + night.deferred.total()
        raise UsageError(f"--backfill: {total} notes are more than plan.max_notes: take fewer days, or --set it")
    plan = _write(records, night, params, arguments, found=lookup.found(), listed=listed, began=began)
    if not records.create_plan(plan):
        log.warning("another process planned this night first: its plan is used")
        plan = records.plan()
    _check_and_repair(plan, records, journal, settings)
    return _report(plan, places)


def _fill(
    night: Night,
    listing: Iterable[NoteRef | Refused | None],
    store: ObjectStore,
    judgement: Judgement,
    params: Params,
) -> int:
    """Give the night the notes of a listing; returns the number of objects listed.

    Within a site, texts come before records, and small files of records before large ones.
    """
    listed = 0
    texts: list[NoteRef] = []
    files: list[NoteRef] = []
    for found in listing:
        listed += 1
        if not isinstance(found, NoteRef) or night.is_forgotten(found):
            night.add(found)
        elif holds_records(found.key):
            files.append(found)
        elif found.language:
            night.add(found)
        else:
            texts.append(found)
        if len(texts) >= TEXTS_AT_ONCE:
            _add_texts(night, texts, store, judgement, params)
    _add_texts(night, texts, store, judgement, params)
    log.info("%d objects listed, %d done, %d files to open", listed, night.done, len(files))
    for file in sorted(files, key=lambda ref: (ref.size, ref.key)):
        for record in _of_one_file(_records(store, file, judgement)):
            night.add(record)
    return listed


def _add_texts(night: Night, texts: list[NoteRef], store: ObjectStore, judgement: Judgement, params: Params) -> None:
    """Detect the languages of texts and give them to the night; the list is empty afterwards."""
    for item in _detected(store, texts, params, judgement.detect):
        night.add(item)
    texts.clear()


def _of_one_file(records: Iterator[NoteRef | Refused | None]) -> list[NoteRef | Refused | None]:
    """The records of one file, or its one refusal where it exceeds a limit of files."""
    found: list[NoteRef | Refused | None] = []
    for record in records:
        if isinstance(record, Refused) and record.rule in WHOLE_FILE:
            return [record]
        found.append(record)
    return found


def _detector(params: Params) -> Callable[[str], str | None]:
    """A function from a text to a configured language or None; the detector is loaded on first use."""

    @functools.cache
    def loaded() -> Any:
        from enigma_tasks.adapters.language_detection import LanguageDetector

        return LanguageDetector(params.languages)

    return lambda text: params.language(loaded().detect(text) or "")


def _detected(
    store: ObjectStore, notes: list[NoteRef], params: Params, detect: Callable[[str], str | None]
) -> Iterator[NoteRef | Refused]:
    """Notes of unknown language with the detected one, or refused; one text in memory at a time."""
    for item in read_notes(store, notes, params.notes, params.annotate.read_threads):
        if isinstance(item, Refused):
            yield item
            continue
        note, text = item
        try:
            with refused_if_unforeseen(note.record):
                language = detect(text)
        except DataError as error:
            yield Refused(note, Rule(error.rule))
            continue
        yield replace(note, language=language) if language else Refused(note, Rule.LANGUAGE)


def _records(store: ObjectStore, file: NoteRef, judgement: Judgement) -> Iterator[NoteRef | Refused | None]:
    try:
        with store.open_stream(file.uri, file.object_version) as stream:
            yield from scan(file, stream, judgement)
    except (ObjectMissing, ObjectChanged) as error:
        yield Refused(file, rule_of(error))


def _check_and_repair(plan: Plan, records: NightRecords, journal: JournalStore, settings: Settings) -> None:
    """After the plan is written, so that what was found is reported even if this is interrupted."""
    records.check_creation()
    champions.repair(plan.aliases, journal, by=settings.actor or f"plan {plan.batch_id}", batch_id=plan.batch_id)


def _write(
    records: NightRecords,
    night: Night,
    params: Params,
    arguments: argparse.Namespace,
    *,
    found: Champions,
    listed: int,
    began: float,
) -> Plan:
    """Pin the champions and write the shards; returns the plan, which is written last."""
    for word, left in (("no champion", night.waiting), ("deferred, as plan.max_notes is reached", night.deferred)):
        if left:
            log.warning("%s: %s", word, ", ".join(f"{n} notes in {lang or '?'}" for lang, n in sorted(left.items())))
    parts = cut_shards(night.planned, params.plan.notes_per_shard, params.plan.max_shards)
    marked = ((language, number, [night.marked(note) for note in notes]) for language, number, notes in parts)
    shards = records.write_shards(marked)
    quarantined_sha256 = records.write_refusals(night.refused)
    planned = sum(shard.notes for shard in shards)
    return Plan(
        batch_id=arguments.batch,
        planned_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        backfill=arguments.backfill,
        models={lang: dict(pins) for lang, pins in found.pins.items()},
        journal=dict(found.lines),
        aliases=found.moved,
        shards=shards,
        quarantined=len(night.taken) - planned,
        quarantined_sha256=quarantined_sha256,
        counts=PlanCounts(
            listed=listed,
            done=night.done,
            planned=planned,
            quarantined=len(night.taken) - planned,
            waiting=night.waiting.total(),
            deferred=night.deferred.total(),
        ),
        waiting=dict(sorted(night.waiting.items())),
        deferred=dict(sorted(night.deferred.items())),
        seconds=round(time.perf_counter() - began, 3),
    )


def _report(plan: Plan, places: RunPlaces) -> dict[str, Any]:
    return {
        "batch_id": plan.batch_id,
        "plan": places.plan,
        "planned_at": plan.planned_at,
        "counts": plan.counts.model_dump(),
        "waiting": plan.waiting,
        "deferred": plan.deferred,
        "languages": dict(sorted(_notes(plan).items())),
        "aliases_moved": [item.name for item in plan.aliases],
        "shards": [s.uri for s in plan.shards],
    }


def _notes(plan: Plan) -> Counter[str]:
    counts: Counter[str] = Counter()
    for shard in plan.shards:
        counts[shard.language] += shard.notes
    return counts
