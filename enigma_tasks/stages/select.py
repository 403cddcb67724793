"""`enigma select`: a published night -> notes to review, as BRAT files and Label Studio tasks with predictions."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.adapters.night_table import rows_among
from enigma_tasks.adapters.note_reader import read_notes
from enigma_tasks.adapters.object_store import ObjectStore, split_uri
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.adapters.shard_results import note_of_row
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.documents import Document, Entity, EntityType, sorted_entities
from enigma_tasks.errors import IncompleteError
from enigma_tasks.file_names import site_of
from enigma_tasks.formats.imports.ids import shown_id
from enigma_tasks.formats.label_studio_tasks import brat_configuration, labelling_configuration, tasks_json
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.monitoring.review_manifest import (
    ReviewManifest,
    ReviewNight,
    ReviewTask,
    Stratum,
    task_id,
)
from enigma_tasks.monitoring.review_sample import Candidate, draw, entropy, most_useful
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.references import Refused
from enigma_tasks.review_places import ReviewIndexPlaces, ToReviewPlaces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.monitoring.review_sample import Drawn, Identity
    from enigma_tasks.notes.plans import Plan
    from enigma_tasks.notes.references import NoteRef

log = logging.getLogger(__name__)

IDENTITY = ["bucket", "key", "record_id", "version"]
CANDIDATE = ["language", "characters", "member_spans", "member_spans_agreed", "missed"]
SURFACE_DIFFERS = "surface_differs"


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Export the night's notes for review, once: what is exported already is not written again.

    Order: the files, then the manifest, which is the export; what an earlier run left without one is removed.

    Returns:
        batch, folder, counts by stream, and rules of the chosen notes that could not be exported.

    Raises:
        UsageError: the batch has no plan. IncompleteError: it is not published. ServiceError: store or tables.
    """
    store, places = ObjectStore(), ToReviewPlaces.of(settings, arguments.batch)
    index = ReviewIndex(store, ReviewIndexPlaces.of(settings))
    earlier = index.find_manifest(arguments.batch)
    if earlier is not None:
        log.info("%s is exported for review already", arguments.batch)
        return _report(earlier, places)
    records = NightRecords.of(store, RunPlaces.of(settings, arguments.batch), settings)
    plan = records.plan()
    if records.find_published() is None:
        raise IncompleteError(f"{plan.batch_id} is not published: there is nothing to review yet")
    night = _Night(plan, settings.require("tables"), split_uri(f"{settings.require('drops')}/")[1], Names.of(settings))
    sample = _sample(night, params)
    documents, skipped = _documents(night, store, sample, params)
    tasks = [sample.task(night, note) for note in documents]
    manifest = ReviewManifest(
        night=ReviewNight(batch_id=plan.batch_id, planned_at=plan.planned_at, models=night.models),
        tasks=tuple(tasks),
        strata=sample.strata,
        skipped=dict(sorted(skipped.items())),
    )
    _write(store, places, manifest, list(documents.values()))
    if not index.create_manifest(manifest):
        log.warning("%s was exported by another process meanwhile", plan.batch_id)
    return _report(index.find_manifest(plan.batch_id) or manifest, places)


@dataclass(frozen=True, slots=True)
class _Night:
    plan: Plan
    tables: str
    drops: str
    """The prefix of the drops' keys."""
    names: Names

    @property
    def models(self) -> dict[str, dict[str, str]]:
        """Language -> entity type -> digest of the pinned ensemble."""
        pins = self.plan.models
        return {code: {kind: pin.digest for kind, pin in sorted(of.items())} for code, of in sorted(pins.items())}

    def rows(self, table: str, columns: Sequence[str], **among: Collection[str]) -> Iterator[dict[str, Any]]:
        """The night's rows of a table."""
        return rows_among(self.tables, table, columns, batch_id=[self.plan.batch_id], **among)

    def task(self, note: NoteRef) -> str:
        """The id of the note's document in the exports, which begins with its own as that may be shown."""
        shown = self.names.shown if self.names.hidden else shown_id
        return task_id(self.plan.batch_id, note, shown(note.note_id))

    def site(self, key: str) -> str:
        return site_of(key.removeprefix(self.drops))


@dataclass(frozen=True, slots=True)
class _Sample:
    drawn: Mapping[Identity, Drawn]
    useful: frozenset[Identity]
    chosen: Sequence[Identity]
    """The random ones first."""
    strata: dict[str, Stratum]

    def task(self, night: _Night, note: NoteRef) -> ReviewTask:
        random = self.drawn.get(note.identity)
        return ReviewTask(
            task=night.task(note),
            bucket=note.bucket,
            key=note.key,
            record_id=note.record_id,
            version=note.version,
            object_version=note.object_version,
            note_id=note.note_id,
            language=note.language,
            site=night.site(note.key),
            stream="chosen" if random is None else "random",
            also_chosen=random is not None and note.identity in self.useful,
            probability=None if random is None else random.probability,
            stratum="" if random is None else random.stratum,
        )


def _sample(night: _Night, params: Params) -> _Sample:
    candidates = _candidates(night)
    seed = f"{params.seed}/{night.plan.batch_id}"
    drawn = draw(candidates, params.review.random_notes, params.review.strata, seed)
    useful = most_useful(candidates, params.review.useful_notes, seed)
    notes = Counter(c.stratum(params.review.strata) for c in candidates)
    found = Counter(one.stratum for one in drawn)
    return _Sample(
        {one.note: one for one in drawn},
        frozenset(useful),
        list(dict.fromkeys([*(one.note for one in drawn), *useful])),
        {name: Stratum(notes=notes[name], drawn=found[name]) for name in sorted(notes)},
    )


def _candidates(night: _Night) -> list[Candidate]:
    """The night's annotated notes, and what probabilities and the members' agreement say of their spans."""
    labels: dict[Identity, set[str]] = {}
    uncertainty: dict[Identity, float] = {}
    for row in night.rows(SPANS, [*IDENTITY, "label", "score", "probability"]):
        note = _identity(row)
        labels.setdefault(note, set()).add(row["label"])
        calibrated = row["probability"]
        uncertainty[note] = uncertainty.get(note, 0.0) + entropy(row["score"] if calibrated is None else calibrated)
    return [
        Candidate(
            note := _identity(row),
            row["language"],
            night.site(row["key"]),
            row["characters"],
            frozenset(labels.get(note, ())),
            uncertainty=uncertainty.get(note, 0.0),
            disagreement=float((row["member_spans"] or 0) - (row["member_spans_agreed"] or 0)),
            missed=math.fsum(value for _, value in row["missed"] or ()),
        )
        for row in night.rows(NOTES, [*IDENTITY, *CANDIDATE], outcome=["annotated"])
    ]


def _documents(
    night: _Night, store: ObjectStore, sample: _Sample, params: Params
) -> tuple[dict[NoteRef, Document], Counter[str]]:
    """The chosen notes with what was published of them, in their order; and rules of those that are skipped."""
    keys = {note[1] for note in sample.chosen}
    wanted = set(sample.chosen)
    entities: dict[Identity, list[Entity]] = {note: [] for note in sample.chosen}
    for row in night.rows(SPANS, [*IDENTITY, "label", "char_start", "char_end", "text", "score"], key=keys):
        if (identity := _identity(row)) in wanted:
            entity = Entity(row["label"], row["char_start"], row["char_end"], row["text"], row["score"])
            entities[identity].append(entity)
    rows = (row for row in night.rows(NOTES, SCHEMAS[NOTES].names, key=keys) if _identity(row) in wanted)
    notes = sorted(map(note_of_row, rows), key=lambda n: (n.record_id is not None, n.uri, n.identity))
    found: dict[Identity, tuple[NoteRef, Document]] = {}
    skipped: Counter[str] = Counter()
    for one in read_notes(store, notes, params.notes, params.annotate.read_threads):
        if isinstance(one, Refused):
            skipped[one.rule.value] += 1
            continue
        note, text = one
        own = sorted_entities(entities[note.identity])
        if any(text[e.char_start : e.char_end] != e.text for e in own):
            skipped[SURFACE_DIFFERS] += 1
            continue
        types = frozenset(map(EntityType, night.models[note.language]))
        name = night.task(note)
        found[note.identity] = note, Document(name, text, own, note.language, types)
    return dict(found[identity] for identity in sample.chosen if identity in found), skipped


def _write(store: ObjectStore, places: ToReviewPlaces, manifest: ReviewManifest, documents: list[Document]) -> None:
    """The files of each language, and none besides them."""
    objects: dict[str, bytes] = {}
    for language in sorted({d.language or "" for d in documents}):
        own = [d for d in documents if d.language == language]
        models = manifest.night.models[language]
        version = ",".join(f"{kind}:{digest}" for kind, digest in models.items())
        types = [EntityType(kind) for kind in models]
        objects[places.tasks(language)] = tasks_json((d, version) for d in own).encode()
        objects[places.labels(language)] = labelling_configuration(types).encode()
        objects[places.brat_configuration(language)] = brat_configuration(types).encode()
        for d in own:
            text, annotation = places.brat(language, d.id)
            objects |= {text: d.text.encode(), annotation: format_ann(d.entities).encode()}
    left = [info.uri for info in store.list(f"{places.root}/") if info.uri not in objects]
    store.delete_many(left)
    store.put_many(objects.items())


def _identity(row: Mapping[str, Any]) -> Identity:
    return row["bucket"], row["key"], row["record_id"] or "", row["version"]


def _report(manifest: ReviewManifest, places: ToReviewPlaces) -> dict[str, Any]:
    return {
        "batch": manifest.night.batch_id,
        "folder": places.root,
        "counts": manifest.counts(),
        "rules": manifest.skipped,
    }
