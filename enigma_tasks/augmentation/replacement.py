"""Edits of a document's text, with its mentions at their new offsets."""

from __future__ import annotations

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


def cuts_a_mention(document: Document, char_start: int, char_end: int) -> bool:
    """Whether a mention begins or ends inside the span, so that its new boundary would be undefined."""
    return any(
        char_start < offset < char_end
        for e in document.entities
        if e.char_start < char_end and e.char_end > char_start
        for offset in e.span
    )


def edited(document: Document, new_id: str, edits: Sequence[Edit]) -> Document:
    """A new document with the edits; mentions that contain an edit grow or shrink with it, later ones move.

    Raises:
        DataError: `edit_outside_text`, `edits_overlap`, `edit_cuts_mention` or `edit_empties_mention`, with the offset
            of the edit.
    """
    ordered = sorted(edits, key=lambda e: e.char_start)
    pieces: list[str] = []
    shifts: list[tuple[int, int]] = []
    end, shift = 0, 0
    for edit in ordered:
        if not 0 <= edit.char_start < edit.char_end <= len(document.text):
            raise DataError(document.id, "edit_outside_text", edit.char_start)
        if edit.char_start < end:
            raise DataError(document.id, "edits_overlap", edit.char_start)
        if cuts_a_mention(document, edit.char_start, edit.char_end):
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
    """An offset after the edits that end at or before it."""
    moved = offset
    for edit_end, shift in shifts:
        if edit_end > offset:
            break
        moved = offset + shift
    return moved


def styled(new: str, old: str, known: str) -> str:
    """`new` in the letter case of `old`, whose form in the dictionary is `known`.

    `HYPERTENZE` for hypertenze -> `HYPERTENZNÍ NEMOC`; `Hypertenze` -> `Hypertenzní nemoc`; `AH` for AH -> unchanged.
    """
    if old == known:
        return new
    if old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() and not known[:1].isupper() else new
