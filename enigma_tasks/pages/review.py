"""The reviewer's page: a note's text and published entities in, self-contained HTML out. It holds patient text."""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from enigma_tasks.pages.formats import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity

INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
KEPT = frozenset("\t\n\r")
"""Control characters that are white space of the text itself; a carriage return is written as a reference."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text under the same entities: a nested or overlapping mention starts a segment of its own."""

    char_start: int
    html: Markup
    entities: tuple[Entity, ...]

    @property
    def labels(self) -> list[str]:
        """The labels over it, sorted, once each."""
        return sorted({e.label for e in self.entities})

    @property
    def tooltip(self) -> str:
        """`DISEASE 17..26 (0.93)` for each entity over it."""
        return "\n".join(
            f"{e.label} {e.char_start}..{e.char_end}" + ("" if e.score is None else f" ({e.score:.2f})")
            for e in self.entities
        )


def render_review_page(record: str, text: str, entities: Sequence[Entity], facts: Mapping[str, str]) -> str:
    """HTML of one note, its entities highlighted with a switch per label; `facts` stand above. Pure, no clock."""
    labels = sorted({e.label for e in entities})
    return environment().get_template("review.html.jinja").render(
        record=record,
        facts=facts,
        segments=segments(text, entities),
        labels={label: f"t{i % 4}" for i, label in enumerate(labels)},
        counts={label: sum(e.label == label for e in entities) for label in labels},
        characters=len(text),
    )  # fmt: skip


def segments(text: str, entities: Sequence[Entity]) -> list[Segment]:
    """The text, whole and in order, cut wherever an entity begins or ends."""
    cuts = sorted({0, len(text), *(e.char_start for e in entities), *(e.char_end for e in entities)})
    ordered = sorted(entities, key=lambda e: (e.char_start, -e.char_end, e.label))
    found: list[Segment] = []
    for start, end in itertools.pairwise(cuts):
        over = tuple(e for e in ordered if e.char_start <= start and e.char_end >= end)
        found.append(Segment(start, shown(text[start:end]), over))
    return found


def shown(text: str) -> Markup:
    """Escaped text; a character that would be invisible or turn the text around is shown by its code point."""
    parts = []
    for c in text:
        if c == "\r":
            parts.append(Markup("&#13;"))
        elif unicodedata.category(c) in INVISIBLE and c not in KEPT:
            parts.append(Markup('<span class="code" data-code="U+{:04X}"></span>').format(ord(c)))
        else:
            parts.append(escape(c))
    return Markup("").join(parts)
