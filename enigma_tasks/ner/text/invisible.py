"""Removes invisible characters from texts, and maps offsets back to the text as stored.

Soft hyphens, joiners, zero-width spaces, byte order marks and bidirectional marks (Unicode category Cf) occur inside
words of Word and HTML exports, and are in no vocabulary. Tokenizers, sentence rules and post-processing get the text
without them; spans count the characters of the text as stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import regex  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from enigma_tasks.documents import Document, Entity

_INVISIBLE = regex.compile(r"\p{Cf}+")

Span = tuple[int, int]


def without_invisible(text: str) -> str:
    """The text without characters of the category Cf; the same object if there are none."""
    if text.isascii() or _INVISIBLE.search(text) is None:
        return text
    return str(_INVISIBLE.sub("", text))


def visible_length(start: int, end: int, surface: str) -> int:
    """Number of visible characters of a span; `surface` is its text as stored."""
    return end - start - (len(surface) - len(without_invisible(surface)))


@dataclass(frozen=True, slots=True)
class VisibleText:
    """A text without its invisible characters, with the offsets of the others in the text as stored."""

    text: str
    stored: NDArray[np.int64] | None = None
    """[len(text) + 1] offset of each character in the text as stored, then that text's length; None: the same text."""

    @classmethod
    def of(cls, text: str) -> VisibleText:
        """Remove the invisible characters of a text as stored."""
        visible = without_invisible(text)
        if visible is text:
            return cls(text)
        is_visible = np.ones(len(text) + 1, dtype=bool)
        for match in _INVISIBLE.finditer(text):
            is_visible[match.start() : match.end()] = False
        return cls(visible, np.flatnonzero(is_visible))

    def stored_span(self, start: int, end: int) -> Span:
        """A span of the visible text, not empty -> the span of the text as stored."""
        if self.stored is None:
            return start, end
        return int(self.stored[start]), int(self.stored[end - 1]) + 1

    def stored_spans(self, spans: NDArray[np.int32]) -> NDArray[np.int32]:
        """`stored_span` for spans [N, 2], none empty."""
        if self.stored is None:
            return spans
        ends = self.stored[spans[:, 1] - 1] + 1
        return np.stack([self.stored[spans[:, 0]], ends], axis=1).astype(np.int32)

    def stored_offset(self, offset: int) -> int:
        """An offset in the visible text -> in the text as stored; its length -> that text's length."""
        return offset if self.stored is None else int(self.stored[offset])

    def visible_span(self, start: int, end: int) -> Span:
        """A span of the text as stored -> of the visible text; empty if it has invisible characters only."""
        if self.stored is None:
            return start, end
        found = np.searchsorted(self.stored, (start, end))
        return int(found[0]), int(found[1])

    def with_neighbours(self, spans: Iterable[Span]) -> list[Span]:
        """`stored_span` with the adjacent invisible characters; `spans` must not be adjacent to each other."""
        if self.stored is None:
            return list(spans)
        before = np.concatenate(([0], self.stored[:-1] + 1))  # end of the previous character
        return [(int(before[start]), int(self.stored[end])) for start, end in spans]


@dataclass(frozen=True, slots=True)
class VisibleDocument:
    """A document without invisible characters in its text and mentions, and the document as stored."""

    document: Document
    stored: Document
    text: VisibleText

    def as_stored(self, entities: Iterable[Entity]) -> tuple[Entity, ...]:
        """Entities of `document` -> those of the document as stored."""
        if self.text.stored is None:
            return tuple(entities)
        return tuple(_moved(e, self.stored.text, self.text.stored_span(*e.span)) for e in entities)


def visible_document(document: Document) -> VisibleDocument:
    """The document without invisible characters; mentions of only such are left out."""
    visible = VisibleText.of(document.text)
    if visible.stored is None:
        return VisibleDocument(document, document, visible)
    spans = [(e, visible.visible_span(*e.span)) for e in document.entities]
    entities = tuple(_moved(e, visible.text, (start, end)) for e, (start, end) in spans if start < end)
    return VisibleDocument(replace(document, text=visible.text, entities=entities), document, visible)


def _moved(entity: Entity, text: str, span: Span) -> Entity:
    return replace(entity, char_start=span[0], char_end=span[1], text=text[slice(*span)])
