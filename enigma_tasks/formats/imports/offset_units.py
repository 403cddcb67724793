"""Units that annotation tools count offsets in, and which of them a document's spans were counted in.

A unit counts one for each code point, except for what its pattern matches. The unit in which every span of a document
has the surface that the tool wrote decides; where no surface is written, all units that the tool is known to count in
must agree.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import regex  # type: ignore[import-untyped]

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from enigma_tasks.formats.imports.spans import Span

Place = tuple[int, int]
"""(start, end) of a span in code points, half-open."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a tool counts a text."""

    name: str
    pattern: Any
    """What does not count one for each code point; None where everything does. A match is not divided."""
    width: Callable[[str], int] = len
    """A match -> how many it counts."""
    last: int = 0
    """What is to be added to an end: 1 where the tool writes the last character's position."""


@dataclass(frozen=True, slots=True)
class Content:
    """A text and the positions of those characters in it that no tool counted, because the importer inserted them."""

    text: str = field(repr=False)
    inserted: frozenset[int] = frozenset()


def _utf16(match: str) -> int:
    return len(match.encode("utf-16-le")) // 2


def _line_end_is_one(match: str) -> int:
    return 1 if match == "\r\n" else _utf16(match)


_ASTRAL = "[\U00010000-\U0010ffff]"
CODE_POINTS = Unit("code points", None)
UTF16 = Unit("UTF-16 code units", regex.compile(_ASTRAL), _utf16)
CRLF_ONCE = Unit("code points, CRLF as one", regex.compile("\r\n"), lambda _: 1)
UTF16_CRLF_ONCE = Unit("UTF-16 code units, CRLF as one", regex.compile(f"\r\n|{_ASTRAL}"), _line_end_is_one)
# only what may be a cluster of several code points is looked at: none begins and goes on below U+0300 but a line end
_CLUSTER = regex.compile(r"(?s)\r\n|(?=[\u0600-\U0010ffff]|.[\u0300-\U0010ffff])\X")
GRAPHEMES = Unit("grapheme clusters", _CLUSTER, lambda _: 1)
_OTHERS = (
    GRAPHEMES,
    Unit("UTF-8 bytes", regex.compile(r"[^\x00-\x7f]"), lambda found: len(found.encode())),
    Unit(
        "UTF-8 bytes, CRLF as one", regex.compile(r"\r\n|[^\x00-\x7f]"), lambda found: len(found.strip("\r").encode())
    ),
    Unit("code points, LF as two", regex.compile(r"(?<!\r)\n"), lambda _: 2),
    Unit("UTF-16 code units, LF as two", regex.compile(rf"(?<!\r)\n|{_ASTRAL}"), lambda _: 2),
    Unit("code points, line ends as none", regex.compile(r"\r?\n"), lambda _: 0),
    Unit("code points, a run of blanks as one", regex.compile(r"\s{2,}"), lambda _: 1),
    Unit("code points, without a BOM", regex.compile("\\A\ufeff"), lambda _: 0),
    Unit("code points, end included", None, last=1),
)
"""No tool that is read here is known to count so; a surface may tell that its text went through one that does."""


def located(
    record: str, content: Content, spans: Sequence[Span], own: Sequence[Unit]
) -> tuple[list[Place], list[DataError]]:
    """Where the spans lie, in code points of the text; or no place and why.

    The defects are `span_malformed` (an offset is no integer), `offset_unit_unknown` (two units fit and give different
    spans), or those of each span in code points: `span_outside_text`, `span_inverted`, `surface_differs`.

    Args:
        record: names the document in errors.
        content: the text.
        spans: as the tool wrote them.
        own: the units that the tool is known to count in; without surfaces, any of them may be meant.
    """
    malformed = [
        DataError(record, "span_malformed", hint="start and end must be integers")
        for span in spans
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in (span.start, span.end))
    ]
    if malformed or not spans:
        return [], malformed
    surfaces = any(span.surface is not None for span in spans)
    others = [unit for unit in _OTHERS if unit not in own] if surfaces else []
    tries = ((own, _equal), (others, _equal), (own, _equal_but_for_white_space), (others, _equal_between_edges))
    for units, alike in tries:
        fitting = _fitting(content, spans, units, alike)
        if len(fitting) > 1:
            first = next(i for i, places in enumerate(zip(*fitting, strict=True)) if len(set(places)) > 1)
            hint = "the text has characters that tools count differently, and nothing tells how these were counted"
            return [], [DataError(record, "offset_unit_unknown", spans[first].start, hint)]
        if fitting:
            return list(fitting[0]), []
    return [], _defects(record, content.text, spans)


def _fitting(
    content: Content, spans: Sequence[Span], units: Iterable[Unit], alike: Callable[[str, str], bool]
) -> list[tuple[Place, ...]]:
    """The different readings of all spans, by the units in which every one of them fits."""
    readings: dict[tuple[Place, ...], None] = {}
    for unit in units:
        if unit.pattern and not unit.pattern.search(content.text):
            continue  # counts as code points do
        places = _places(content, spans, unit)
        if places and all(
            span.surface is None or alike(content.text[start:end], span.surface)
            for span, (start, end) in zip(spans, places, strict=True)
        ):
            readings[places] = None
    return list(readings)


def _places(content: Content, spans: Sequence[Span], unit: Unit) -> tuple[Place, ...] | None:
    """Every span in code points, or None where one does not lie in the text, or divides what the unit does not."""
    if unit is CODE_POINTS and not content.inserted:
        inside = all(0 <= span.start < span.end <= len(content.text) for span in spans)
        return tuple((span.start, span.end) for span in spans) if inside else None
    counts, indices = [0], [0]
    for length, width in _pieces(content, unit):
        counts.append(counts[-1] + width)
        indices.append(indices[-1] + length)
    places = []
    for span in spans:
        # between two boundaries of one count lies what the unit does not count: it is no part of the span
        start, end = bisect_right(counts, span.start) - 1, bisect_left(counts, span.end + unit.last)
        if start < 0 or end == len(counts) or counts[start] != span.start or counts[end] != span.end + unit.last:
            return None
        if indices[start] >= indices[end]:
            return None
        places.append((indices[start], indices[end]))
    return tuple(places)


def _pieces(content: Content, unit: Unit) -> Iterator[Place]:
    """(code points, what they count) of what the unit does not divide, from the text's start to its end."""
    at = 0
    for match in unit.pattern.finditer(content.text) if unit.pattern else ():
        yield from ((1, int(i not in content.inserted)) for i in range(at, match.start()))
        at = match.end()
        yield at - match.start(), 0 if match.start() in content.inserted else unit.width(match[0])
    yield from ((1, int(i not in content.inserted)) for i in range(at, len(content.text)))


def _defects(record: str, text: str, spans: Sequence[Span]) -> list[DataError]:
    found = []
    for span in spans:
        if not 0 <= span.start <= len(text) or span.end > len(text):
            found.append(DataError(record, "span_outside_text", span.start))
        elif span.end <= span.start:
            found.append(DataError(record, "span_inverted", span.start))
        elif span.surface is not None and not _equal_but_for_white_space(text[span.start : span.end], span.surface):
            hint = "the text at these offsets is another than the span's own"
            found.append(DataError(record, "surface_differs", span.start, hint))
    if found:
        return found
    hint = "each span fits the text in some unit of offsets, all of them in none"
    return [DataError(record, "surface_differs", spans[0].start, hint)]


def _equal(own: str, written: str) -> bool:
    return own == written


def _equal_but_for_white_space(own: str, written: str) -> bool:
    """Tools collapse or trim blanks, drop line ends, write `\\n` as two characters, and compose accents."""
    bare = _bare(own)
    return bare in (_bare(written), _bare(regex.sub(r"\\[nrt]", " ", written)))


def _equal_between_edges(own: str, written: str) -> bool:
    """A blank at an edge may come from an offset that is one off: not from a unit that nobody is known to use."""
    same_edges = (own[:1].isspace(), own[-1:].isspace()) == (written[:1].isspace(), written[-1:].isspace())
    return same_edges and _equal_but_for_white_space(own, written)


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())
