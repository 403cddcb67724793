"""Units that annotation tools count offsets in, and which of them the spans of one document were counted in.

A unit counts one for each code point, except for what its parts match: tools written in JavaScript, Java or .NET count
UTF-16 units, some in C UTF-8 bytes; a file read in text mode has its CRLF counted once; a text whose line ends were
changed afterwards has offsets that count each of them twice; a byte order mark, or white space at the head, is often
skipped. No file names its unit. The unit in which every span has the surface that the tool wrote decides.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import regex  # type: ignore[import-untyped]

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Place = tuple[int, int]
"""(start, end), half-open."""
Fragments = tuple[Place, ...]
"""Where a span is; most have one fragment."""
if TYPE_CHECKING:
    Comparison = Callable[[str, Fragments, str], bool]
    """Whether a text has, at these places, the surface that a tool wrote."""


class WrittenSpan(Protocol):
    """A span as its tool wrote it."""

    @property
    def fragments(self) -> Fragments:
        """In the tool's own unit."""

    @property
    def surface(self) -> str | None:
        """None where the tool wrote none."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is not counted one for each code point; a match of it is not divided."""

    name: str
    pattern: Any
    width: Callable[[str], int] = field(default=len)
    """A match -> how much it counts."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a tool counts a text; without parts, in code points."""

    parts: tuple[Part, ...] = ()
    """Where two match at one place, the first counts."""
    last: int = 0
    """What is to be added to an end: 1 where the tool writes the position of the last character."""

    @property
    def name(self) -> str:
        """For reports: `UTF-16 units, CRLF once`."""
        characters = [part.name for part in self.parts if part in _CHARACTERS] or ["code points"]
        others = [part.name for part in self.parts if part not in _CHARACTERS]
        return ", ".join(characters + others + ["end included"] * self.last)


def _utf16(match: str) -> int:
    return len(match.encode("utf-16-le")) // 2


_UTF16 = Part("UTF-16 units", regex.compile("[\U00010000-\U0010ffff]"), _utf16)
_BYTES = Part("UTF-8 bytes", regex.compile(r"[^\x00-\x7f]"), lambda found: len(found.encode("utf-8", "surrogatepass")))
# only what may be a cluster of several code points is looked at: below U+0300 that is a line end alone; the letters of
# flags are paired here, as \X would count all of them before each
_CLUSTERS = Part(
    "grapheme clusters",
    regex.compile(
        r"(?s)\r\n|[\U0001f1e6-\U0001f1ff]{1,2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+"
        r"|(?=[\u0600-\U0010ffff]|.[\u0300-\U0010ffff])\X"
    ),
    lambda _: 1,
)
_CHARACTERS = (_UTF16, _BYTES, _CLUSTERS)
_CRLF_ONCE = Part("CRLF once", regex.compile("\r\n"), lambda _: 1)
_LINE_ENDS = (
    _CRLF_ONCE,
    Part("line ends twice", regex.compile(r"(?<!\r)\n"), lambda _: 2),
    Part("without line ends", regex.compile(r"\r?\n"), lambda _: 0),
)
_HEADS = (
    Part("without BOM", regex.compile("\\A\ufeff"), lambda _: 0),
    Part("without white space at the head", regex.compile(r"\A\s+"), lambda _: 0),
)
_BLANKS = Part("a run of blanks once", regex.compile(r"\s{2,}"), lambda _: 1)

CODE_POINTS = Unit()
UTF16 = Unit((_UTF16,))
CRLF_ONCE = Unit((_CRLF_ONCE,))
UTF16_CRLF_ONCE = Unit((_CRLF_ONCE, _UTF16))
GRAPHEMES = Unit((_CLUSTERS,))
UNITS = (
    *(
        Unit(tuple(part for part in parts if part))
        for parts in product((None, *_HEADS), (None, *_LINE_ENDS), (None, _UTF16, _BYTES))
    ),
    GRAPHEMES,
    Unit((_BLANKS,)),
    Unit(last=1),
)
"""Every unit that a surface may show, code points first."""


@dataclass(frozen=True, slots=True)
class Content:
    """A text, and the positions of those of its characters that no tool counted because an importer inserted them."""

    text: str = field(repr=False)
    inserted: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Fit:
    """The unit of a document's spans, and their places in code points."""

    unit: Unit
    places: tuple[Fragments, ...]


def fitting_unit(
    record: str,
    content: Content,
    spans: Sequence[WrittenSpan],
    attempts: Iterable[tuple[Iterable[Unit], Comparison]],
) -> Fit | None:
    """The unit in which every span is inside the text and has its surface; None where no unit is such.

    Args:
        record: names the document in errors.
        content: the text.
        spans: all spans of the document: one tool counts all its offsets alike.
        attempts: units, and how a surface is compared; the first attempt with a unit that fits decides.

    Raises:
        DataError: `offset_unit_unknown`, where two units of one attempt fit and give different places (offset: of the
            first such span, as written).
    """
    counted = _Counted(content, spans)
    for units, alike in attempts:
        fits: dict[tuple[Fragments, ...], Unit] = {}
        for unit in units:
            places = counted.places(unit)
            if places is not None and all(
                span.surface is None or alike(content.text, place, span.surface)
                for span, place in zip(spans, places, strict=True)
            ):
                fits.setdefault(places, unit)
        if len(fits) > 1:
            first = next(i for i, places in enumerate(zip(*fits, strict=True)) if len(set(places)) > 1)
            hint = "the text has characters that tools count differently, and the surfaces fit several units"
            raise DataError(record, "offset_unit_unknown", spans[first].fragments[0][0], hint)
        for places, unit in fits.items():
            return Fit(unit, places)
    return None


class _Counted:
    """The places of one document's spans by unit, each unit computed once."""

    def __init__(self, content: Content, spans: Sequence[WrittenSpan]) -> None:
        self._content = content
        self._spans = spans
        self._matches: dict[str, list[tuple[int, int, int]]] = {}
        self._places: dict[Unit, tuple[Fragments, ...] | None] = {}

    def places(self, unit: Unit) -> tuple[Fragments, ...] | None:
        """Every span in code points; None where one is not in the text, or divides what the unit does not.

        None too for a unit with a part that the text does not have: another unit counts this text alike.
        """
        if unit not in self._places:
            matches = [self._of_part(part) for part in unit.parts]
            self._places[unit] = self._converted(unit, matches) if all(matches) else None
        return self._places[unit]

    def _of_part(self, part: Part) -> list[tuple[int, int, int]]:
        """(start, length, what it counts) of every match in the text."""
        if part.name not in self._matches:
            found = part.pattern.finditer(self._content.text)
            self._matches[part.name] = [(m.start(), m.end() - m.start(), part.width(m[0])) for m in found]
        return self._matches[part.name]

    def _converted(self, unit: Unit, matches: Sequence[Sequence[tuple[int, int, int]]]) -> tuple[Fragments, ...] | None:
        pieces = [(i, 1, 0) for i in sorted(self._content.inserted)] + [piece for part in matches for piece in part]
        pieces.sort(key=lambda piece: piece[0])
        runs = _Runs(len(self._content.text), pieces)
        converted = []
        for span in self._spans:
            fragments = []
            for start, end in span.fragments:
                first, after = runs.start(start), runs.end(end + unit.last)
                if first is None or after is None or first >= after:
                    return None
                fragments.append((first, after))
            converted.append(tuple(fragments))
        return tuple(converted)


class _Runs:
    """A text cut at its pieces: between two of them each code point counts one."""

    def __init__(self, length: int, pieces: Iterable[tuple[int, int, int]]) -> None:
        self._at: list[int] = [0]
        """The code point where each run begins."""
        self._from: list[int] = [0]
        """What is counted before its beginning ..."""
        self._to: list[int] = []
        """... and before its end."""
        for start, size, width in pieces:
            if start >= self._at[-1]:  # else it is part of the piece before
                self._to.append(self._from[-1] + start - self._at[-1])
                self._from.append(self._to[-1] + width)
                self._at.append(start + size)
        self._to.append(self._from[-1] + length - self._at[-1])

    def start(self, count: int) -> int | None:
        """The code point before which `count` is counted, after anything that counts nothing; None inside a piece."""
        run = bisect_right(self._from, count) - 1
        return self._at[run] + count - self._from[run] if run >= 0 and count <= self._to[run] else None

    def end(self, count: int) -> int | None:
        """The same, before anything that counts nothing."""
        run = bisect_left(self._to, count)
        return self._at[run] + count - self._from[run] if run < len(self._to) and count >= self._from[run] else None
