"""Document, Entity, EntityType, Language: the records that every stage uses.

Offsets are Unicode code points of the text exactly as stored, half-open. This module imports the standard library only,
so that the command line starts fast.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Language = str
"""A language code that is a key of `languages` in params.yaml, e.g. `es`."""


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """One entry of entity_types.toml; its header explains each key."""

    aliases: Sequence[str]
    meaning: str
    gliner_labels: Sequence[str]
    colours: Sequence[str]


TYPES_FILE = Path(__file__).with_name("entity_types.toml")
_ENTRIES = {name: TypeEntry(**entry) for name, entry in tomllib.loads(TYPES_FILE.read_text("utf-8")).items()}


LONGEST_EXPANSION = 18
"""Of one character: U+FDFA, a phrase in Arabic script."""


def expanded_length(text: str) -> int:
    """Its length with compatibility characters written out (NFKD), as tokenizers do: about its most sub-words."""
    if text.isascii():
        return len(text)
    return sum(count * len(unicodedata.normalize("NFKD", character)) for character, count in Counter(text).items())


class EntityType(StrEnum):
    """The entity types of entity_types.toml, in its order: those of MultiClinNER (paper, section 2) and added ones.

    The value is the word used in paths and options.
    """

    vars().update({name.upper(): name for name in _ENTRIES})

    @property
    def label(self) -> str:
        """The label as annotation files write it: `DISEASE`."""
        return self.value.upper()

    @property
    def entry(self) -> TypeEntry:
        """The type's entry in entity_types.toml."""
        return _ENTRIES[self.value]


LABELS: tuple[str, ...] = tuple(t.label for t in EntityType)

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")
_ALIASES = {alias: t.label for t in EntityType for alias in t.entry.aliases}
_MOST_QUOTED = 20
"""Unknown labels of one text that messages quote."""
_LABEL_SHAPE = re.compile(r"[\w.:/+-]{1,40}(?: [\w.:/+-]{1,40}){0,2}")


def canonical_label(label: str) -> str:
    """`Disease`, `ENFERMEDAD`, `Síntoma`, ... -> `DISEASE`; an unknown label is returned in upper case.

    Surrounding white space, letter case and accents are ignored.
    """
    upper = label.strip().upper()
    bare = "".join(c for c in unicodedata.normalize("NFD", upper) if not unicodedata.combining(c))
    known = _ALIASES.get(bare, bare)
    return known if known in LABELS else upper


def label_hint(label: str, text: str | None) -> str:
    """A hint for the message on an unknown label; it quotes the label unless that may be text of the note.

    Of one text the first labels are quoted only: each is looked for in all of it.

    `text`: of the note; None where the label itself may be that text.
    """
    expected = f"expected {', '.join(LABELS)}"
    if text is not None and _LABEL_SHAPE.fullmatch(label) and label in _other_labels(text):
        return f"{expected}, found {label}"
    return f"{expected}; the label found may be text of the note and is not shown"


class _OtherLabels:
    """The first labels that are looked for in a text and are not in it."""

    def __init__(self, text: str) -> None:
        self._folded = text.casefold()
        self._known: dict[str, bool] = {}

    def __contains__(self, label: str) -> bool:
        if label not in self._known and len(self._known) < _MOST_QUOTED:
            self._known[label] = label.casefold() not in self._folded
        return self._known.get(label, False)


@lru_cache(maxsize=1)  # one text may have thousands of spans of unknown labels
def _other_labels(text: str) -> _OtherLabels:
    return _OtherLabels(text)


@dataclass(frozen=True, slots=True)
class Entity:
    """One mention: `text == document.text[char_start:char_end]`; `score`: a model's, in [0, 1]; None in gold."""

    label: str
    char_start: int
    char_end: int
    text: str = field(repr=False)
    score: float | None = field(default=None, compare=False)

    @property
    def span(self) -> tuple[int, int]:
        """(char_start, char_end)."""
        return self.char_start, self.char_end


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its mentions, sorted by offset.

    `annotated`: the types that the document was annotated for (in the MultiClinNER release one); of other types nothing
    is known.
    """

    id: str
    text: str = field(repr=False)
    entities: tuple[Entity, ...] = ()
    language: Language | None = None
    annotated: frozenset[EntityType] = frozenset(EntityType)

    def of_type(self, entity_type: EntityType) -> tuple[Entity, ...]:
        """The mentions of one type, in order."""
        return tuple(e for e in self.entities if e.label == entity_type.label)


def check_place(document_id: str, text: str, char_start: int, char_end: int) -> None:
    """Refuse a span that is no place in the text.

    Raises:
        DataError: `span_outside_text` or `span_inverted`, with the span's start.
    """
    if not 0 <= char_start <= len(text) or char_end > len(text):
        raise DataError(document_id, "span_outside_text", char_start)
    if char_end <= char_start:
        raise DataError(document_id, "span_inverted", char_start)


def entity_at(document_id: str, text: str, label: str, char_start: int, char_end: int) -> Entity:
    """Build an Entity whose surface is taken from `text`.

    Raises:
        DataError: `span_outside_text`, `span_inverted` or `label_unknown`, with the span's start.
    """
    check_place(document_id, text, char_start, char_end)
    canonical = canonical_label(label)
    if canonical not in LABELS:
        raise DataError(document_id, "label_unknown", char_start, label_hint(label, text))
    return Entity(canonical, char_start, char_end, text[char_start:char_end])


def sorted_entities(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """Entities by start, end, label: the order in every file that Enigma writes."""
    return tuple(sorted(entities, key=lambda e: (e.char_start, e.char_end, e.label)))


def check_id(document_id: str) -> None:
    """Refuse an id that cannot be a file name in one folder and a cell of a TSV. Raises DataError `id_unsafe`."""
    unsafe = _UNSAFE.search(document_id) or document_id.startswith(".") or document_id.endswith(".txt")
    if not document_id or unsafe or len(document_id.encode()) > 240:
        raise DataError(ascii(document_id), "id_unsafe")
