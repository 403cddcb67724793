"""Which note and night a reviewed document may be of: what was exported for review, and what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.night_table import rows_among
from enigma_tasks.adapters.note_reader import read_notes
from enigma_tasks.adapters.object_store import split_uri
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.documents import Entity
from enigma_tasks.file_names import site_of
from enigma_tasks.monitoring.review_manifest import ReviewNight, ReviewTask, note_of_task
from enigma_tasks.monitoring.review_matching import Subject
from enigma_tasks.notes.references import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.adapters.review_index import ReviewIndex
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document

NOTE_COLUMNS = ["batch_id", "bucket", "key", "record_id", "note_id", "version", "object_version", "language"]
SPAN_COLUMNS = ["batch_id", "bucket", "key", "record_id", "version", "label", "char_start", "char_end", "text"]


class ReviewSubjects:
    """Notes of all nights. Raises, from every method, what the store, the tables and the index raise."""

    def __init__(self, store: ObjectStore, index: ReviewIndex, params: Params, settings: Settings) -> None:
        self._store, self._index, self._params, self._settings = store, index, params, settings
        self._tables = settings.require("tables")

    def subjects(self, documents: Iterable[Document]) -> dict[str, list[Subject]]:
        """Document id -> the task that was exported under it; else the published notes that have it."""
        ids = {d.id for d in documents}
        if not ids:
            return {}
        found = {t.task: [(t, m.night)] for m in self._index.manifests() for t in m.tasks if t.task in ids}
        for task, night in self._published(ids - found.keys()):
            found.setdefault(task.task, []).append((task, night))
        notes = {note.identity: note for pairs in found.values() for note in (note_of_task(t) for t, _ in pairs)}
        ordered = sorted(notes.values(), key=lambda n: (n.record_id is not None, n.uri, n.identity))
        read = read_notes(self._store, ordered, self._params.notes, self._params.annotate.read_threads)
        texts = {(r.note if isinstance(r, Refused) else r[0]).identity: r for r in read}
        return {name: [_subject(t, n, texts[t.note]) for t, n in pairs] for name, pairs in found.items()}

    def spans(self, subjects: Sequence[Subject]) -> dict[tuple[str, ...], list[Entity]]:
        """(note, batch) -> what was published."""
        batches, keys = {s.night.batch_id for s in subjects}, {s.task.key for s in subjects}
        found: dict[tuple[str, ...], list[Entity]] = {}
        if subjects:
            for row in rows_among(self._tables, SPANS, SPAN_COLUMNS, batch_id=batches, key=keys):
                place = (row["bucket"], row["key"], row["record_id"] or "", row["version"], row["batch_id"])
                entity = Entity(row["label"], row["char_start"], row["char_end"], row["text"])
                found.setdefault(place, []).append(entity)
        return found

    def _published(self, ids: set[str]) -> list[tuple[ReviewTask, ReviewNight]]:
        """Each version of a note with one of the ids, as the last night that annotated it has it."""
        if not ids:
            return []
        nights: dict[str, ReviewNight | None] = {}
        latest: dict[tuple[str, ...], tuple[ReviewTask, ReviewNight]] = {}
        drops = split_uri(f"{self._settings.require('drops')}/")[1]
        for row in rows_among(self._tables, NOTES, NOTE_COLUMNS, note_id=ids, outcome=["annotated"]):
            batch = row.pop("batch_id")
            night = nights[batch] if batch in nights else nights.setdefault(batch, self._night(batch))
            if night is None:
                continue
            task = ReviewTask(**row, task=row["note_id"], site=site_of(row["key"].removeprefix(drops)), stream="chosen")
            other = latest.get(task.note)
            if other is None or (night.planned_at, batch) > (other[1].planned_at, other[1].batch_id):
                latest[task.note] = task, night
        return list(latest.values())

    def _night(self, batch: str) -> ReviewNight | None:
        """From the night's plan, which may have been deleted since: then what its models were is unknown."""
        plan = NightRecords(self._store, RunPlaces.of(self._settings, batch)).find_plan()
        if plan is None:
            return None
        models = {code: {kind: pin.digest for kind, pin in pins.items()} for code, pins in plan.models.items()}
        return ReviewNight(batch_id=batch, planned_at=plan.planned_at, models=models)


def _subject(task: ReviewTask, night: ReviewNight, read: tuple[Any, str] | Refused) -> Subject:
    return Subject(task, night, rule=read.rule) if isinstance(read, Refused) else Subject(task, night, read[1])
