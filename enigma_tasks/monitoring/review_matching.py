"""Reviewed documents -> which note and night each is about, and what it says of what was published; pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.monitoring.reviews import ReviewedCounts, ReviewedNote, latest_reviews
from enigma_tasks.ner.scoring import Counts, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.documents import Document, Entity
    from enigma_tasks.monitoring.review_manifest import ReviewNight, ReviewTask
    from enigma_tasks.notes.references import Rule

Fate = Literal["new", "unchanged", "superseded"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A version of a note, and the night whose annotations of it may have been reviewed."""

    task: ReviewTask
    night: ReviewNight
    text: str | None = field(default=None, repr=False)
    """None where the note's object is no longer this version."""
    rule: Rule | None = None
    """Why there is no text."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Where a reviewed document came from."""

    source: str
    """Its name, without what differs when it is dropped again."""
    at: str
    """UTC, ISO 8601."""


def subject_of(document: Document, subjects: Sequence[Subject]) -> Subject:
    """The one note that a reviewed document is of: its text is the document's.

    Args:
        document: what a reviewer dropped.
        subjects: the task of its id; or, if it was never exported, every published note of its id.

    Raises:
        DataError: `note_unknown` (no subjects), `changed_since_plan` or `missing_since_plan` (the note was overwritten
            or deleted since), `text_differs`, `note_ambiguous` (several notes have the id and the text).
    """
    if not subjects:
        hint = "neither exported for review nor the id of a note of a known night"
        raise DataError(document.id, "note_unknown", hint=hint)
    same = [s for s in subjects if s.text == document.text]
    if len(same) > 1:
        raise DataError(document.id, "note_ambiguous", hint=f"{len(same)} notes have this id and text")
    if same:
        return same[0]
    rules = [s.rule for s in subjects]
    if rules[0] is not None and None not in rules:
        hint = "the version that was annotated is not there any more"
        raise DataError(document.id, rules[0].value, hint=hint)
    raise DataError(document.id, "text_differs", _first_difference(document.text, subjects))


def compared(document: Document, subject: Subject, published: Iterable[Entity], dropped: Dropped) -> ReviewedNote:
    """Strict counts of what was published against the reviewer's document, by entity type.

    Args:
        document: whose text is the subject's.
        subject: the note.
        published: the night's spans of it.
        dropped: where the document came from.

    Raises:
        DataError: `types_not_published` (annotated for no type that the night's models annotate), `label_unexpected` (a
            span of another type, with its offset).
    """
    task, night = subject.task, subject.night
    models = night.models.get(task.language, {})
    types = [t for t in EntityType if t in document.annotated and t.value in models]
    if not types:
        raise DataError(document.id, "types_not_published", hint=f"published: {', '.join(models) or 'none'}")
    labels = {t.label for t in types}
    for entity in document.entities:
        if entity.label not in labels:
            hint = f"found {entity.label}, expected {', '.join(sorted(labels))}"
            raise DataError(document.id, "label_unexpected", entity.char_start, hint)
    found = count(document.entities, (e for e in published if e.label in labels))
    return ReviewedNote(
        bucket=task.bucket,
        key=task.key,
        record_id=task.record_id,
        version=task.version,
        language=task.language,
        site=task.site,
        batch_id=night.batch_id,
        planned_at=night.planned_at,
        models={t.value: models[t.value] for t in types},
        reviewed_at=dropped.at,
        source=hashlib.sha256(dropped.source.encode("utf-8", "surrogatepass")).hexdigest(),
        marks=_digest([sorted(labels), sorted([e.label, *e.span] for e in document.entities)]),
        stream=task.stream,
        also_chosen=task.also_chosen,
        probability=task.probability,
        stratum=task.stratum,
        counts={t.value: _counts(found.get(t.label, Counts())) for t in types},
    )


def fates(arriving: Sequence[ReviewedNote], held: Sequence[ReviewedNote]) -> list[Fate]:
    """What becomes of each arriving review.

    `unchanged`: its source said the same of the note when it was read last. Otherwise it is kept: as `new` if it now
    counts, as `superseded` if another review of the note is later.
    """
    said: dict[tuple[str, ...], ReviewedNote] = {
        (*review.reviewed_place, review.source): review for review in sorted(held, key=lambda r: r.order)
    }
    found: list[Fate] = ["new"] * len(arriving)
    for i in sorted(range(len(arriving)), key=lambda i: arriving[i].order):
        place = (*arriving[i].reviewed_place, arriving[i].source)
        before = said.get(place)
        if before is not None and before.marks == arriving[i].marks:
            found[i] = "unchanged"
        said[place] = arriving[i]
    kept = [review for review, fate in zip(arriving, found, strict=True) if fate != "unchanged"]
    counting = {id(review) for review in latest_reviews([*held, *kept])}
    return [
        "superseded" if fate == "new" and id(review) not in counting else fate
        for review, fate in zip(arriving, found, strict=True)
    ]


def _counts(counts: Counts) -> ReviewedCounts:
    strict = counts.strict
    return ReviewedCounts(tp=strict.tp, fp=strict.fp, fn=strict.fn)


def _first_difference(text: str, subjects: Sequence[Subject]) -> int:
    """The offset up to which the text is that of the note that it resembles longest."""
    return max(_common(text, s.text) for s in subjects if s.text is not None)


def _common(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _digest(tree: object) -> str:
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()
