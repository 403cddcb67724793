"""Renders the reviewer's page: a note's text with its published entities. It contains patient text."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from enigma_tasks.pages.formats import environment, label_classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from enigma_tasks.documents import Entity

# Lone carriage returns, control characters other than white space, and characters that change the direction or are
# invisible; not the joiners inside words and emoji.
_UNSEEN = re.compile(
    r"\r(?!\n)|[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]"
)
_CONTROLS = {"\r": "CARRIAGE RETURN", "\x0c": "FORM FEED", "\x1b": "ESCAPE", "\ufeff": "BYTE ORDER MARK"}


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity with its number in the list of mentions and its colour."""

    number: int
    entity: Entity
    css: str

    @property
    def tooltip(self) -> str:
        """`DISEASE 17–26, score 0.93`."""
        score = "" if self.entity.score is None else f", score {self.entity.score:.2f}"
        return f"{self.entity.label} {self.entity.char_start}–{self.entity.char_end}{score}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text inside the same mentions; `begins` are those that start here."""

    html: Markup
    over: tuple[Mention, ...]
    begins: tuple[Mention, ...]

    @property
    def css(self) -> str:
        """The classes of its mentions' colours, each once."""
        return " ".join(sorted({f"l-{m.css}" for m in self.over}))

    @property
    def tooltip(self) -> str:
        """A line for each of its mentions."""
        return "\n".join(m.tooltip for m in self.over)


def render_review_page(record: str, text: str, entities: Sequence[Entity], facts: Mapping[str, object]) -> str:
    """HTML of one note, its entities highlighted with a switch for each label; `facts` are shown above. Pure, no clock.

    The text content of the element `note` is `text`, character for character.
    """
    labels = label_classes(e.label for e in entities)
    ordered = sorted(entities, key=lambda e: (e.char_start, -e.char_end, e.label))
    mentions = [Mention(number, e, labels[e.label]) for number, e in enumerate(ordered, 1)]
    return environment().get_template("review.html.jinja").render(
        record=record,
        facts=facts,
        segments=list(segments(text, mentions)),
        mentions=mentions,
        labels=labels,
        counts=Counter(e.label for e in entities),
        characters=len(text),
    )  # fmt: skip


def segments(text: str, mentions: Sequence[Mention]) -> Iterator[Segment]:
    """The complete text in order, divided wherever a mention begins or ends. `mentions` are sorted by start."""
    boundaries = sorted({0, len(text)} | {edge for m in mentions for edge in m.entity.span})
    over: list[Mention] = []
    following = 0
    for start, end in itertools.pairwise(boundaries):
        over = [m for m in over if m.entity.char_end > start]
        first = len(over)
        while following < len(mentions) and mentions[following].entity.char_start == start:
            over.append(mentions[following])
            following += 1
        yield Segment(shown(text[start:end], text[end : end + 1]), tuple(over), tuple(over[first:]))


def shown(text: str, following: str = "") -> Markup:
    """Escaped text that a browser does not change; invisible characters are labelled and isolated.

    A carriage return is written as a reference, as parsers turn a raw one into a line feed. `following` is the
    character after `text`, needed as a carriage return before a line feed is not labelled.
    """
    parts: list[str] = []
    done = 0
    for match in _UNSEEN.finditer(text + following):
        if match.start() >= len(text):
            break
        parts += [_escaped(text[done : match.start()]), _labelled(match.group())]
        done = match.end()
    return Markup("".join([*parts, _escaped(text[done:])]))  # noqa: S704 - each part is escaped


def _escaped(text: str) -> str:
    return str(escape(text)).replace("\r", "&#13;")


def _labelled(character: str) -> str:
    code = f"U+{ord(character):04X}"
    name = _CONTROLS.get(character) or unicodedata.name(character, "control character")
    return f'<span class="code" data-code="{code}" title="{code} {escape(name)}">{_escaped(character)}</span>'
