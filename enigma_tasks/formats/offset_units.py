"""What a tool's offsets count, where it is not the code points of the stored text.

Tools that read a file in text mode count a CRLF once; a text whose line ends were changed afterwards has offsets that
count each of them twice; tools written in JavaScript, Java or .NET count UTF-16 units, some in C UTF-8 bytes; and a
byte order mark is often skipped. Nothing in a file says so: only the surfaces that it quotes can tell.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WIDTHS: dict[str, Callable[[str], int]] = {
    "code points": lambda _: 1,
    "UTF-16 units": lambda c: 2 if c > "\uffff" else 1,
    "UTF-8 bytes": lambda c: len(c.encode("utf-8", "surrogatepass")),
}
_LINE_ENDS = ("", "CRLF once", "line ends twice")
_BOM = ("", "without BOM")


@dataclass(frozen=True, slots=True)
class OffsetUnit:
    """One way to count the characters of one text."""

    name: str
    positions: tuple[int, ...] = field(repr=False)
    """Of each code point of the text, and of its end; not descending."""

    def code_point(self, position: int) -> int | None:
        """The code point at `position`; None outside the text and inside a character."""
        at = bisect_right(self.positions, position) - 1
        return at if at >= 0 and self.positions[at] == position else None


def other_units(text: str) -> Iterator[OffsetUnit]:
    """Every way of counting that differs from code points in this text, each once."""
    seen = {tuple(range(len(text) + 1))}
    for (name, width), line_ends, bom in product(_WIDTHS.items(), _LINE_ENDS, _BOM):
        steps = [width(c) for c in text]
        for i, c in enumerate(text):
            after_cr = i > 0 and text[i - 1] == "\r"
            if c == "\n" and line_ends == "CRLF once" and after_cr:
                steps[i] = 0
            elif c == "\n" and line_ends == "line ends twice" and not after_cr:
                steps[i] = 2
        if bom and text.startswith("\ufeff"):
            steps[0] = 0
        positions = tuple(accumulate(steps, initial=0))
        if positions not in seen:
            seen.add(positions)
            yield OffsetUnit(", ".join(word for word in (name, line_ends, bom) if word), positions)
