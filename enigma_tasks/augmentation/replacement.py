"""Edits of a document's text, with its mentions at their new offsets."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import Document, entity_at, sorted_entities
from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `[char_start, char_end)`, not empty, of the old text by `text`; offsets in code points."""

    char_start: int
    char_end: int
    text: str = field(repr=False)


def boundaries_of(document: Document) -> list[int]:
    """Where its mentions begin and end, in order."""
    return sorted(offset for e in document.entities for offset in e.span)


def cuts_a_mention(boundaries: Sequence[int], char_start: int, char_end: int) -> bool:
    """Whether a mention begins or ends inside the span, so that its new boundary would be undefined."""
    first = bisect_right(boundaries, char_start)
    return first < len(boundaries) and boundaries[first] < char_end


def edited(document: Document, new_id: str, edits: Sequence[Edit]) -> Document:
    """A new document with the edits; mentions that contain an edit grow or shrink with it, later ones move.

    Raises:
        DataError: `edit_outside_text`, `edits_overlap`, `edit_cuts_mention` or `edit_empties_mention`, with the offset
            of the edit.
    """
    boundaries = boundaries_of(document)
    ordered = sorted(edits, key=lambda e: e.char_start)
    pieces: list[str] = []
    shifts: list[tuple[int, int]] = [(0, 0)]
    end, shift = 0, 0
    for edit in ordered:
        if not 0 <= edit.char_start < edit.char_end <= len(document.text):
            raise DataError(document.id, "edit_outside_text", edit.char_start)
        if edit.char_start < end:
            raise DataError(document.id, "edits_overlap", edit.char_start)
        if cuts_a_mention(boundaries, edit.char_start, edit.char_end):
            raise DataError(document.id, "edit_cuts_mention", edit.char_start)
        pieces += [document.text[end : edit.char_start], edit.text]
        end = edit.char_end
        shift += len(edit.text) - (edit.char_end - edit.char_start)
        shifts.append((edit.char_end, shift))
    text = "".join([*pieces, document.text[end:]])
    entities = []
    for e in document.entities:
        char_start, char_end = (_moved(offset, shifts) for offset in e.span)
        if char_end <= char_start:
            raise DataError(document.id, "edit_empties_mention", e.char_start)
        entities.append(entity_at(new_id, text, e.label, char_start, char_end))
    return Document(new_id, text, sorted_entities(entities), document.language, document.annotated)


def _moved(offset: int, shifts: Sequence[tuple[int, int]]) -> int:
    """An offset after the edits that end at or before it; `shifts` begins with (0, 0)."""
    return offset + shifts[bisect_right(shifts, offset, key=lambda pair: pair[0]) - 1][1]


def styled(new: str, old: str, known: str) -> str:
    """`new` in the letter case of `old`, whose form in the dictionary is `known`.

    `HYPERTENZE` for hypertenze -> `HYPERTENZNÍ NEMOC`; `Hypertenze` -> `Hypertenzní nemoc`; `AH` for AH -> unchanged.
    """
    if old == known:
        return new
    if old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() and not known[:1].isupper() else new
