"""`enigma ingest`: what is new under gold/ -> checked; the sound into a new version, the rest into quarantine."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.delivery_reader import contents, listed
from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.tombstones import read_tombstones
from enigma_tasks.artifacts import INGESTED, QuarantinePlaces, ingest_batch, packed_gold
from enigma_tasks.errors import DataError, ServiceError
from enigma_tasks.formats.imports.spans import DUPLICATE_HINT
from enigma_tasks.formats.packed import read_packed, write_packed
from enigma_tasks.gold.deliveries import ReadDelivery, leave_out_superseded, read_delivery, unread
from enigma_tasks.gold.ingestion import Delivery, arrange, content_digest, news
from enigma_tasks.gold.manifest import Manifest, ManifestEntry, documents_of, pack_manifest, unpack_manifest
from enigma_tasks.gold.refusals import Refusal, quarantine_row
from enigma_tasks.gold.rules import Fold
from enigma_tasks.gold.settling import OLDER_HINT, Arriving, Fate, IngestCounts, claims_of, origins_of, settle
from enigma_tasks.gold.summaries import IngestSummary, PlaceCounts
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.references import Rule
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document
    from enigma_tasks.notes.forgotten import Tombstones

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Take in what is new, once. Killed anywhere and run again with the same batch, it ends in the same version.

    Order: data to the DVC remote, the quarantine list, then the commit, which is the publication.

    Returns:
        batch, counts of objects and documents, rules, `revision` (of the data), and `announce` where documents changed.

    Raises:
        UsageError: no gold/, no repository, or a batch id that is no folder's name.
        ServiceError: store, git or DVC; or others pushed versions faster for all of `ingest.attempts`.
        BrokenCheckError: a check itself failed; nothing was taken in.
    """
    gold = settings.require("gold")
    quarantine = QuarantinePlaces.of(settings, ingest_batch(arguments.batch))
    names = Names.of(settings)
    store = ObjectStore()
    deliveries, ignored = arrange(listed(store, gold), params.language, params.ingest.max_bytes)
    with GoldRepository.configured(params, settings) as repository:
        earlier = repository.summary_of(arguments.batch)
        if earlier:
            log.info("%s was ingested already", arguments.batch)
            return _report(arguments.batch, *earlier)
        first = _manifest(repository)
        new = news(deliveries, first, again=arguments.again)
        log.info("%d of %d deliveries are new", len(new), len(deliveries))
        readings = _readings(store, gold, new, {} if arguments.again else first)
        _refuse_forgotten(readings, read_tombstones(store, settings))
        _judge(readings, params)
        for attempt in range(params.ingest.attempts):
            manifest = _manifest(repository) if attempt else first
            # what another ingestion took in meanwhile is its own; if it changed since, the next one sees that
            mine = [r for r in readings if manifest.get(r.delivery.record) == first.get(r.delivery.record)]
            version = _version(repository, manifest, mine, ignored)
            if not version.changed:
                store.delete_many([quarantine.notes, quarantine.rules] if attempt else [])
                return _report(arguments.batch, repository.head, version.summary())
            rows = [quarantine_row(*refused, gold, names) for refused in version.refusals]
            _quarantine(store, quarantine, rows)
            files = [INGESTED, *version.files]
            revision = repository.commit(files, version.subject(), arguments.batch, version.summary())
            if repository.push():
                return _report(arguments.batch, revision, version.summary())
            log.info("another version was published meanwhile: once more on top of it")
            repository.refresh()
            earlier = repository.summary_of(arguments.batch)
            if earlier:  # by another process with this batch, whose quarantine list is there
                return _report(arguments.batch, *earlier)
    raise ServiceError(f"gold repository: other versions were pushed faster, {params.ingest.attempts} times")


@dataclass
class Version:
    """What the workspace's files have become."""

    files: list[str]
    """Packed files that changed."""
    refusals: list[tuple[Delivery, Refusal]]
    counts: IngestCounts
    places: dict[str, PlaceCounts]
    """By `language/type`."""

    @property
    def changed(self) -> bool:
        """Something is to be committed: documents, or that some were refused."""
        return bool(self.files or self.refusals)

    def summary(self) -> IngestSummary:
        """What a commit keeps of its ingestion."""
        rules = Counter(r.rule for _, r in self.refusals)
        return IngestSummary(
            counts=self.counts, rules=dict(sorted(rules.items())), places=self.places, new_version=bool(self.files)
        )

    def subject(self) -> str:
        """A commit's first line."""
        counts = self.counts
        return f"{counts.added} added, {counts.replaced} replaced, {counts.quarantined} quarantined"


def _report(batch: str, revision: str | None, summary: IngestSummary) -> dict[str, Any]:
    tree = summary.model_dump(mode="json")
    report = {"batch": batch, "revision": revision, **tree}
    if summary.new_version:
        counted = {word: tree["counts"][word] for word in ("added", "replaced", "quarantined")}
        report["announce"] = {"revision": revision, **counted, "places": tree["places"]}
    return report


def _manifest(repository: GoldRepository) -> Manifest:
    repository.fetch([INGESTED])
    path = repository.path(INGESTED)
    return unpack_manifest(path.read_bytes()) if path.exists() else {}


def _readings(store: ObjectStore, gold: str, new: Sequence[Delivery], manifest: Manifest) -> list[ReadDelivery]:
    """Every new delivery, read, in the order of writing; one written over is left to the next."""
    readings: list[ReadDelivery] = []
    with private_folder() as scratch:
        for number, (delivery, data) in enumerate(contents(store, gold, new)):
            if delivery.rule:
                readings.append(unread(delivery))
                continue
            digest = content_digest(delivery, data)
            entry = manifest.get(delivery.record)
            if entry is not None and entry.digest == digest:
                reading = ReadDelivery(delivery, read=documents_of(entry) + entry.refused, known=entry)
            else:
                reading = read_delivery(delivery, data, scratch / str(number))
            reading.digest = digest
            readings.append(reading)
    readings.sort(key=lambda r: (r.delivery.modified, r.delivery.record))
    leave_out_superseded(readings)
    return readings


def _refuse_forgotten(readings: Sequence[ReadDelivery], tombstones: Tombstones) -> None:
    """Refuse the documents whose text `enigma forget` removed."""
    for reading in readings if tombstones.digests else ():
        documents, reading.documents = reading.documents, []
        for document in documents:
            if tombstones.has_text(document.text):
                reading.refuse(document.id, [DataError(document.id, Rule.FORGOTTEN)])
            else:
                reading.documents.append(document)


def _judge(readings: Sequence[ReadDelivery], params: Params) -> None:
    """Refuse the documents that break a rule which the drop as a whole breaks more often than params.yaml tolerates."""
    owners = [(reading, document) for reading in readings for document in reading.documents]
    if not owners:
        return
    from enigma_tasks.adapters.expectations import examine

    examination = examine({None: Fold([document for _, document in owners], ())}, params)
    tables = {t.name: t for t in examination.tables}
    wrong: dict[int, list[DataError]] = {}
    for verdict in examination.results:
        if verdict.passed or verdict.severity != "error":
            continue
        for row in tables[verdict.table].breaches(verdict.rule):
            assert row.place
            wrong.setdefault(row.place[0], []).append(DataError(row.document, verdict.rule, row.offset))
    for reading in readings:
        reading.documents = []
    for index, (reading, document) in enumerate(owners):
        if index in wrong:
            reading.refuse(document.id, wrong[index])
        else:
            reading.documents.append(document)


def _version(repository: GoldRepository, manifest: Manifest, readings: Sequence[ReadDelivery], ignored: int) -> Version:
    """Bring the workspace's files up to date; nothing is committed."""
    owners = [(r, d) for r in readings for d in r.documents]
    places = sorted({(d.language or "", t) for _, d in owners for t in d.annotated})
    names = {place: packed_gold(place[0], place[1].value) for place in places}
    repository.fetch(list(names.values()))
    held = {place: _held(repository.path(name)) for place, name in names.items()}
    settled = settle([Arriving(r.delivery.record, d) for r, d in owners], held, origins_of(manifest))
    refusals = [(r.delivery, refused) for r in readings for refused in r.refusals]
    kept: dict[str, list[Document]] = {}
    for (reading, document), fate in zip(owners, settled.fates, strict=True):
        if fate in ("refused", "older"):
            rule, hint = ("older_export", OLDER_HINT) if fate == "older" else ("id_duplicate", DUPLICATE_HINT)
            error = DataError(document.id, rule, hint=hint)
            refusals.append((reading.delivery, reading.refusal_of(document.id, [error])))
        else:
            kept.setdefault(reading.delivery.record, []).append(document)
    files = [names[place] for place in places if place in settled.places]
    for place in settled.places:
        write_packed(list(settled.after[place].values()), repository.path(names[place]))
    if files or refusals:
        refused = Counter(delivery.record for delivery, _ in refusals)
        entries = {r.delivery.record: _entry(r, manifest, kept, refused) for r in readings}
        repository.path(INGESTED).write_bytes(pack_manifest(manifest | entries))
    by_place = {f"{place[0]}/{place[1].value}": found for place, found in sorted(settled.places.items())}
    return Version(
        files,
        refusals,
        _counted(readings, settled.fates, len(refusals), ignored),
        {place: PlaceCounts(added=found["added"], replaced=found["replaced"]) for place, found in by_place.items()},
    )


def _held(path: Path) -> list[Document]:
    return read_packed(path) if path.exists() else []


def _counted(readings: Sequence[ReadDelivery], fates: Sequence[Fate], refused: int, ignored: int) -> IngestCounts:
    fate = Counter(fates)
    known = [r.known for r in readings if r.known]
    return IngestCounts(
        deliveries=len(readings),
        read=sum(r.read for r in readings) + ignored,
        added=fate["added"],
        replaced=fate["replaced"],
        unchanged=fate["unchanged"] + sum(map(documents_of, known)),
        quarantined=refused,
        ignored=ignored + sum(r.superseded for r in readings) + sum(entry.refused for entry in known),
    )


def _entry(
    reading: ReadDelivery, manifest: Manifest, kept: Mapping[str, Sequence[Document]], refused: Mapping[str, int]
) -> ManifestEntry:
    """What to remember of a delivery; what the version holds of it from earlier stays its own."""
    if reading.known:
        return replace(reading.known, state=reading.delivery.state)
    record = reading.delivery.record
    before = manifest[record].documents if record in manifest else ()
    claims = {claim for d in kept.get(record, ()) for claim in claims_of(d)}
    return ManifestEntry(
        reading.delivery.state, reading.digest, refused.get(record, 0), tuple(sorted(claims.union(before)))
    )


def _quarantine(store: ObjectStore, places: QuarantinePlaces, rows: Sequence[dict[str, Any]]) -> None:
    """Write which documents were refused and why, a JSON line each, and how many by rule."""
    rules = Counter(row["rule"] for row in rows)
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in rows]
    store.put(places.notes, "".join(lines).encode(), "application/x-ndjson")
    store.put(places.rules, json.dumps(dict(sorted(rules.items()))).encode(), "application/json")
