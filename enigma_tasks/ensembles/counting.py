"""What ensembles found in annotated documents -> counts by document and entity type; the time that they take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from enigma_tasks.ner.scoring import Counts, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.documents import Document, Entity, EntityType
    from enigma_tasks.ensembles.runner import EnsembleAnnotator

CountedDocuments = list[tuple["Document", dict["EntityType", Counts]]]
"""Each document with the counts of the types that it was annotated for and that were predicted."""
TIMED_NOTES = 20
TIMED_RUNS = 3


def counted(
    documents: Sequence[Document], found: Sequence[Sequence[Entity]], types: Iterable[EntityType]
) -> CountedDocuments:
    """Compare what was found in each document with its gold; `types` are those that were looked for."""
    wanted = list(types)
    rows: CountedDocuments = []
    for document, entities in zip(documents, found, strict=True):
        counts = count(document.entities, entities)
        rows.append((document, {t: counts.get(t.label, Counts()) for t in wanted if t in document.annotated}))
    return rows


def length_range(place: int, lengths: Sequence[int]) -> str:
    """The name of a range of document length; `place` is its index among the ranges that `lengths` bounds."""
    if place < len(lengths):
        return f"up to {lengths[place]}"
    return f"over {lengths[-1]}" if lengths else "all"


def seconds_per_note(annotator: EnsembleAnnotator, documents: Sequence[Document]) -> float:
    """The time of one note, models loaded: the fastest of a few runs on some of the documents.

    Of a language model behind an endpoint this is the time without its replies, which are cached.
    """
    timed = documents[:TIMED_NOTES]
    runs = []
    for _ in range(TIMED_RUNS):
        began = time.perf_counter()
        annotator.annotate(timed)
        runs.append(time.perf_counter() - began)
    return min(runs) / len(timed)
