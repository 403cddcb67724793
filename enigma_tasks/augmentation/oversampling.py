"""Oversampling: new documents of the sentences with entities, OS x N (paper, section 3.2)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from enigma_tasks.documents import Document, entity_at, sorted_entities
from enigma_tasks.gold.augmented import Augmented, augmented_id
from enigma_tasks.ner.text.sentences import split_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.params.augment import OversampleParams


def oversample(documents: Iterable[Document], rule: OversampleParams) -> Iterator[Augmented]:
    """`rule.times` new documents for each with mentions; its sentences with mentions in order, a line each."""
    for document in documents:
        parts = sentences_with_mentions(document)
        if not parts:
            continue
        for number in range(1, rule.times + 1):
            new_id = augmented_id(document.id, "oversample", number)
            yield Augmented(_joined(document, new_id, parts), (document.id,), "oversample", len(parts))


def sentences_with_mentions(document: Document) -> list[tuple[int, int]]:
    """Spans of the sentences with a mention, in order; sentences that share a mention are merged."""
    sentences = split_sentences(document.text, document.language or "")
    starts, ends = [s for s, _ in sentences], [e for _, e in sentences]
    merged: list[tuple[int, int]] = []
    for char_start, char_end in sorted(e.span for e in document.entities):
        first, after = bisect_right(ends, char_start), bisect_left(starts, char_end)
        start, end = char_start, char_end
        if first < after:  # otherwise the mention is white space between two sentences
            start, end = min(start, starts[first]), max(end, ends[after - 1])
        if merged and start < merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


def _joined(document: Document, new_id: str, parts: list[tuple[int, int]]) -> Document:
    text = "\n".join(document.text[start:end] for start, end in parts)
    mentions = sorted_entities(document.entities)
    starts = [e.char_start for e in mentions]
    entities = []
    begin = 0
    for start, end in parts:
        shift = begin - start
        entities += [
            entity_at(new_id, text, e.label, e.char_start + shift, e.char_end + shift)
            for e in mentions[bisect_left(starts, start) : bisect_left(starts, end)]
            if e.char_end <= end
        ]
        begin += end - start + 1
    return Document(new_id, text, sorted_entities(entities), document.language, document.annotated)
