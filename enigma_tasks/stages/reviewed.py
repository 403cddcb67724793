"""`enigma reviewed`: what reviewers dropped -> strict counts against what was published, note by note."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.delivery_reader import contents, listed
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.adapters.review_subjects import ReviewSubjects
from enigma_tasks.artifacts import QuarantinePlaces
from enigma_tasks.errors import DataError
from enigma_tasks.gold.deliveries import leave_out_superseded, read_delivery, unread
from enigma_tasks.gold.ingestion import arrange
from enigma_tasks.gold.refusals import quarantine_row
from enigma_tasks.gold.settling import origin
from enigma_tasks.monitoring.review_manifest import ReadDrop, ReviewCounts, ReviewImport
from enigma_tasks.monitoring.review_matching import Dropped, compared, fates, subject_of
from enigma_tasks.notes.names import Names
from enigma_tasks.review_places import ReviewIndexPlaces, review_batch
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document
    from enigma_tasks.gold.deliveries import ReadDelivery
    from enigma_tasks.gold.ingestion import Delivery
    from enigma_tasks.monitoring.review_matching import Subject
    from enigma_tasks.monitoring.reviews import ReviewedNote

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Read what is new below reviewed/, once. Killed anywhere and run again with the same batch, it ends the same.

    Order: the quarantine list, then the import, which holds what was read and the reviews.

    Returns:
        batch, counts of documents, and rules of the refused ones.

    Raises:
        UsageError: a batch id that is no folder's name. ServiceError: store or tables.
        DataError: a record of an earlier export or import is damaged, or written by a newer version.
    """
    store, place, names = ObjectStore(), settings.require("reviewed"), Names.of(settings)
    quarantine = QuarantinePlaces.of(settings, review_batch(arguments.batch))
    index = ReviewIndex(store, ReviewIndexPlaces.of(settings))
    earlier = index.find_import(arguments.batch)
    if earlier is not None:
        log.info("%s was imported already", arguments.batch)
        return earlier.report()
    imports = list(index.imports())
    deliveries, ignored = arrange(listed(store, place), None, params.ingest.max_bytes)
    known = {drop for found in imports for drop in found.drops}
    new = [d for d in deliveries if _drop(d) not in known]
    log.info("%d of %d reviewed files are new", len(new), len(deliveries))
    readings = _readings(store, place, new)
    ignored += leave_out_superseded(readings)
    arriving = _matched(readings, ReviewSubjects(store, index, params, settings))
    fate = fates(arriving, [review for found in imports for review in found.reviews])
    refusals = [(r.delivery, refused) for r in readings for refused in r.refusals]
    counts = ReviewCounts(
        read=sum(r.read - r.superseded for r in readings) + ignored,
        new=fate.count("new"),
        unchanged=fate.count("unchanged"),
        superseded=fate.count("superseded"),
        refused=len(refusals),
        ignored=ignored,
    )
    done = ReviewImport(
        batch_id=arguments.batch,
        drops=tuple(_drop(r.delivery) for r in readings),
        counts=counts.to_json(),
        rules=dict(sorted(Counter(refused.rule for _, refused in refusals).items())),
        reviews=tuple(r for r, became in zip(arriving, fate, strict=True) if became != "unchanged"),
    )
    if not readings:
        return done.report()
    rows = [quarantine_row(*refused, place, names) for refused in refusals]
    lines = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    store.put(quarantine.notes, lines.encode(), "application/x-ndjson")
    store.put(quarantine.rules, json.dumps(done.rules).encode(), "application/json")
    index.create_import(done)
    return (index.find_import(arguments.batch) or done).report()


def _drop(delivery: Delivery) -> ReadDrop:
    return ReadDrop(record=delivery.record, state=delivery.state, modified=delivery.modified)


def _readings(store: ObjectStore, place: str, new: Sequence[Delivery]) -> list[ReadDelivery]:
    """Every new delivery, read by the importers of gold."""
    readings: list[ReadDelivery] = []
    with private_folder() as scratch:
        for number, (delivery, data) in enumerate(contents(store, place, new)):
            read = unread(delivery) if delivery.rule else read_delivery(delivery, data, scratch / str(number))
            readings.append(read)
    return readings


def _matched(readings: Sequence[ReadDelivery], notes: ReviewSubjects) -> list[ReviewedNote]:
    """Every document that is of a known note, compared; the others become refusals of their delivery."""
    subjects = notes.subjects(d for r in readings for d in r.documents)
    matched: list[tuple[ReadDelivery, Document, Subject]] = []
    for reading in readings:
        for document in reading.documents:
            try:
                matched.append((reading, document, subject_of(document, subjects.get(document.id, ()))))
            except DataError as error:
                reading.refuse(document.id, [error])
    spans = notes.spans([subject for _, _, subject in matched])
    found: list[ReviewedNote] = []
    for reading, document, subject in matched:
        dropped = Dropped(origin(reading.delivery.record), reading.delivery.modified)
        try:
            published = spans.get((*subject.task.note, subject.night.batch_id), ())
            found.append(compared(document, subject, published, dropped))
        except DataError as error:
            reading.refuse(document.id, [error])
    return found
