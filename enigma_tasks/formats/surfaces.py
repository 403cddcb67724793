"""Spans as a BRAT or TSV file has them -> entities at their place in the text, if their surfaces are there.

Decision 0005 says which surfaces are accepted, and how a mention that crosses a line end is cut.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS, Entity, canonical_label, check_place, entity_at, label_hint
from enigma_tasks.errors import DataError
from enigma_tasks.formats.limits import check_spans
from enigma_tasks.formats.offset_units import CODE_POINTS, UNITS, Content, fitting_unit
from enigma_tasks.formats.visible_runs import COMPOSED, visible_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.formats.offset_units import Fragments, Place

# brat reads its files line by line with a reader that ends a line at each of these
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
FOLD_LINE_ENDS = str.maketrans(dict.fromkeys(_LINE_ENDS, " "))
_AROUND_LINE_END = re.compile(rf"\s*[{_LINE_ENDS}]\s*")
_WHITE_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class BratSpan:
    """One span of a BRAT or TSV file, with its offsets in the file's own unit."""

    label: str
    fragments: Fragments
    surface: str = field(repr=False)


def located_all(
    document_id: str, text: str, written: Sequence[BratSpan]
) -> tuple[list[tuple[Entity, Fragments]], str | None, list[DataError]]:
    """Every span at its place, the unit that was converted from, and what is wrong with the others.

    Offsets count code points. Where the surfaces are not there, another unit is meant only if every surface is where
    that unit says, and no third unit puts them elsewhere. A document with too much to be checked has one defect.
    """
    attempts = ((UNITS[:1], same_surface), (UNITS[1:], same_surface))
    try:
        check_spans(document_id, len(text), [span.fragments for span in written])
        fit = fitting_unit(document_id, Content(text), written, attempts)
    except DataError as error:
        return [], None, [error]
    found: list[tuple[Entity, Fragments]] = []
    defects: list[DataError] = []
    for line, fragments in zip(written, fit.places if fit else [w.fragments for w in written], strict=True):
        try:
            found.append((located(document_id, text, line, fragments), fragments))
        except DataError as error:
            defects.append(error)
    return found, fit.unit.name if fit and fit.unit != CODE_POINTS else None, defects


def located(document_id: str, text: str, line: BratSpan, fragments: Fragments) -> Entity:
    """The entity at `fragments`, in code points.

    Raises:
        DataError: `label_unknown`, `span_outside_text`, `span_inverted` or `surface_differs`.
    """
    if canonical_label(line.label) not in LABELS:
        raise DataError(document_id, "label_unknown", line.fragments[0][0], label_hint(line.label, text))
    for place in fragments:
        check_place(document_id, text, *place)
    start, end = _outer(fragments)
    check_place(document_id, text, start, end)
    if not same_surface(text, fragments, line.surface):
        raise DataError(document_id, "surface_differs", start)
    return entity_at(document_id, text, line.label, start, end)


def same_surface(text: str, fragments: Fragments, surface: str) -> bool:
    """As brat compares, but for composed accents and the number of blanks; nothing, blanks or a comment may follow."""
    written = _folded(surface)
    outer = _outer(fragments)
    longest = COMPOSED * len(written)
    parts, whole = _parts(text, fragments, longest), _parts(text, [outer], longest)
    spelt = [*([" ".join(parts), "".join(parts)] if parts else []), *whole]
    for own in dict.fromkeys(map(_folded, spelt)):
        rest = written.removeprefix(own)
        if written == own or (written.startswith(own) and own.strip() and _is_comment(text, outer[1], rest, surface)):
            return True
    return False


def _parts(text: str, places: Sequence[Place], longest: int) -> list[str]:
    """The characters at these places, with blanks squeezed; none where more than `longest` of them are visible."""
    if sum(end - start for start, end in places) <= longest:
        return [text[start:end] for start, end in places]
    runs = visible_runs(text)
    if sum(runs.count(*place) for place in places) > longest:
        return []
    return [runs.squeezed(*place) for place in places]


def _outer(fragments: Fragments) -> Place:
    return min(start for start, _ in fragments), max(end for _, end in fragments)


def _is_comment(text: str, end: int, rest: str, surface: str) -> bool:
    """What follows the surface is no part of the mention: where the end is too small, it continues as the text does."""
    if not rest[0].isspace():
        return False
    follows = _folded(text[end : end + 2 * len(surface)])
    return not rest.strip() or "\t" in surface or not follows.startswith(rest.rstrip())


def _folded(surface: str) -> str:
    return unicodedata.normalize("NFC", _WHITE_SPACE.sub(" ", surface))


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
    """Something else than white space is between the fragments."""
    gaps = [(end, start) for (_, end), (start, _) in pairwise(sorted(fragments)) if end < start]
    return bool(gaps) and any(visible_runs(text).count(*gap) for gap in gaps)
