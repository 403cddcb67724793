"""Spans of an export -> their places in the text, if their surfaces are there, and what is wrong with the others."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.formats.offset_units import UNITS, fitting_unit
from enigma_tasks.formats.visible_runs import COMPOSED, visible_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.formats.imports.spans import Span
    from enigma_tasks.formats.offset_units import Content, Fragments, Place, Unit

_ESCAPED_LINE_END = re.compile(r"\\[nrt]")


def located(
    record: str, content: Content, spans: Sequence[Span], own: Sequence[Unit]
) -> tuple[list[Place], list[DataError]]:
    """Where the spans are, in code points of the text; or no place and why.

    The defects are `span_malformed` (an offset is no integer), `offset_unit_unknown` (two units fit and give different
    spans), or those of each span in code points: `span_outside_text`, `span_inverted`, `surface_differs`.

    Args:
        record: names the document in errors.
        content: the text.
        spans: as the tool wrote them.
        own: the units that the tool is known to count in. Without surfaces any of them may be meant; with surfaces
            every other unit is tried after them, as the text may have gone through another tool.
    """
    malformed = [
        DataError(record, "span_malformed", hint="start and end must be integers")
        for span in spans
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in (span.start, span.end))
    ]
    if malformed or not spans:
        return [], malformed
    surfaces = any(span.surface is not None for span in spans)
    others = [unit for unit in UNITS if unit not in own] if surfaces else []
    attempts = ((own, _equal), (others, _equal), (own, _equal_but_for_white_space), (others, _equal_between_edges))
    try:
        fit = fitting_unit(record, content, spans, attempts)
    except DataError as error:
        return [], [error]
    return ([fragments[0] for fragments in fit.places], []) if fit else ([], _defects(record, content.text, spans))


def _defects(record: str, text: str, spans: Sequence[Span]) -> list[DataError]:
    found = []
    for span in spans:
        if not 0 <= span.start <= len(text) or span.end > len(text):
            found.append(DataError(record, "span_outside_text", span.start))
        elif span.end <= span.start:
            found.append(DataError(record, "span_inverted", span.start))
        elif span.surface is not None and not _equal_but_for_white_space(text, span.fragments, span.surface):
            hint = "the text at these offsets is another than the span's own"
            found.append(DataError(record, "surface_differs", span.start, hint))
    if found:
        return found
    hint = "each span fits the text in some unit of offsets, all of them in none"
    return [DataError(record, "surface_differs", spans[0].start, hint)]


def _equal(text: str, places: Fragments, written: str) -> bool:
    ((start, end),) = places
    return end - start == len(written) and text[start:end] == written


def _equal_but_for_white_space(text: str, places: Fragments, written: str) -> bool:
    """Tools collapse or trim blanks, drop line ends, write `\\n` as two characters, and compose accents."""
    ((start, end),) = places
    wanted = (_bare(written), _bare(_ESCAPED_LINE_END.sub(" ", written)))
    if end - start <= (longest := COMPOSED * max(map(len, wanted))):
        return _bare(text[start:end]) in wanted
    runs = visible_runs(text)
    return runs.count(start, end) <= longest and _bare(runs.squeezed(start, end)) in wanted


def _equal_between_edges(text: str, places: Fragments, written: str) -> bool:
    """A blank at an edge may come from an offset that is one off, not from a unit that the tool is not known to use."""
    ((start, end),) = places
    same_edges = (text[start].isspace(), text[end - 1].isspace()) == (written[:1].isspace(), written[-1:].isspace())
    return same_edges and _equal_but_for_white_space(text, places, written)


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())
