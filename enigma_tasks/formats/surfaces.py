"""Spans as a BRAT or TSV file has them -> entities at their place in the text, if their surfaces lie there.

Decision 0005 says which surfaces are accepted, and how a mention that crosses a line end is cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS, Entity, canonical_label, entity_at
from enigma_tasks.errors import DataError
from enigma_tasks.formats.offset_units import OffsetUnit, other_units

if TYPE_CHECKING:
    from collections.abc import Sequence

Fragments = tuple[tuple[int, int], ...]
# brat reads its files line by line with a reader that ends a line at each of these
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
FOLD_LINE_ENDS = str.maketrans(dict.fromkeys(_LINE_ENDS, " "))
_AROUND_LINE_END = re.compile(rf"\s*[{_LINE_ENDS}]\s*")
_WHITE_SPACE = re.compile(r"\s+")
_LABEL_SHAPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class WrittenSpan:
    """One span as its file has it: offsets in the file's own unit."""

    label: str
    fragments: Fragments
    surface: str = field(repr=False)


def located_all(
    document_id: str, text: str, written: Sequence[WrittenSpan]
) -> tuple[list[tuple[Entity, Fragments]], str | None, list[DataError]]:
    """Every span at its place, the unit that was converted from, and what is wrong with the others.

    One tool counts all its offsets alike: another unit than code points is meant only if every surface lies where that
    unit says, and no third unit puts them elsewhere.
    """
    problems: list[DataError] = []
    own = _under(document_id, text, written, None, problems)
    if not problems:
        return own, None, []
    found: dict[tuple[tuple[Entity, Fragments], ...], str] = {}
    for unit in other_units(text):
        failures: list[DataError] = []
        there = _under(document_id, text, written, unit, failures)
        if not failures:
            found.setdefault(tuple(there), unit.name)
    if len(found) == 1:
        spans, name = next(iter(found.items()))
        return list(spans), name, []
    if found:
        hint = "the surfaces fit several ways of counting"
        problems = [DataError(document_id, "offset_unit_unknown", problems[0].offset, hint)]
    return own, None, problems


def _under(
    document_id: str, text: str, written: Sequence[WrittenSpan], unit: OffsetUnit | None, defects: list[DataError]
) -> list[tuple[Entity, Fragments]]:
    found = []
    for line in written:
        try:
            found.append(located(document_id, text, line, unit))
        except DataError as error:
            defects.append(error)
    return found


def located(document_id: str, text: str, line: WrittenSpan, unit: OffsetUnit | None) -> tuple[Entity, Fragments]:
    """The entity, and its fragments in code points."""
    first = line.fragments[0][0]
    if canonical_label(line.label) not in LABELS:
        raise DataError(document_id, "label_unknown", first, labels_hint(line.label, text))
    fragments = line.fragments
    if unit is not None:
        converted = [(unit.code_point(start), unit.code_point(end)) for start, end in fragments]
        fragments = tuple((start, end) for start, end in converted if start is not None and end is not None)
        if len(fragments) < len(converted):
            raise DataError(document_id, "span_outside_text", first)
    for start, end in fragments:
        entity_at(document_id, text, line.label, start, end)
    entity = entity_at(document_id, text, line.label, min(s for s, _ in fragments), max(e for _, e in fragments))
    if not _same_surface(text, fragments, line.surface):
        raise DataError(document_id, "surface_differs", entity.char_start)
    return entity, fragments


def _same_surface(text: str, fragments: Fragments, surface: str) -> bool:
    """As brat compares, but for the number of blanks between words; nothing, blanks or a comment may follow."""
    written = _folded(surface)
    outer = (min(s for s, _ in fragments), max(e for _, e in fragments))
    parts = [text[s:e] for s, e in fragments]
    for own in dict.fromkeys(map(_folded, (" ".join(parts), "".join(parts), text[slice(*outer)]))):
        rest = written.removeprefix(own)
        if written == own or (written.startswith(own) and own.strip() and _is_comment(text, outer[1], rest, surface)):
            return True
    return False


def _is_comment(text: str, end: int, rest: str, surface: str) -> bool:
    """What follows the surface is no part of the mention: it goes on as the text does where the end is too small."""
    if not rest[0].isspace():
        return False
    follows = _folded(text[end : end + 2 * len(surface)])
    return not rest.strip() or "\t" in surface or not follows.startswith(rest.rstrip())


def _folded(surface: str) -> str:
    return _WHITE_SPACE.sub(" ", surface)


def fragments_of(entity: Entity) -> list[tuple[int, int]]:
    """Places in the surface, cut at the line ends inside it."""
    fragments = []
    first = 0
    for match in _AROUND_LINE_END.finditer(entity.text):
        if match.start() > first and match.end() < len(entity.text):
            fragments.append((first, match.start()))
            first = match.end()
    return [*fragments, (first, len(entity.text))]


def is_discontinuous(text: str, fragments: Fragments) -> bool:
    """Something else than white space lies between the fragments."""
    ordered = sorted(fragments)
    return any(text[end:start].strip() for (_, end), (start, _) in pairwise(ordered))


def labels_hint(label: str, text: str) -> str:
    """Which labels are known; names this one where it looks like one and is no text of the note."""
    shown = f"{label!r}; " if _LABEL_SHAPE.fullmatch(label) and label.casefold() not in text.casefold() else ""
    return f"{shown}known: {', '.join(LABELS)}"
