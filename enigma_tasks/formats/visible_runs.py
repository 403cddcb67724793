"""The runs of visible characters of a text, so that a long span is judged without reading it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate

COMPOSED = 4
"""Code points that NFC makes one of, at most (Unicode Standard Annex 15, table of expansion factors)."""
_VISIBLE = re.compile(r"\S+")


class VisibleRuns:
    """Where a text has white space and where it has not."""

    def __init__(self, text: str) -> None:
        """Time is linear in the text."""
        self._text = text
        runs = [match.span() for match in _VISIBLE.finditer(text)]
        self._starts, self._ends = [start for start, _ in runs], [end for _, end in runs]
        self._before = list(accumulate((end - start for start, end in runs), initial=0))
        """Visible characters before each run."""

    def count(self, start: int, end: int) -> int:
        """Visible characters between two offsets."""
        return max(self._count_to(end) - self._count_to(start), 0)

    def squeezed(self, start: int, end: int) -> str:
        """The text between two offsets with each run of white space as one blank."""
        first, after = bisect_right(self._ends, start), bisect_left(self._starts, end)
        runs = zip(self._starts[first:after], self._ends[first:after], strict=True)
        words = [self._text[max(a, start) : min(b, end)] for a, b in runs]
        if not words:
            return " " if start < end else ""
        before = " " if self._starts[first] > start else ""
        behind = " " if self._ends[after - 1] < end else ""
        return f"{before}{' '.join(words)}{behind}"

    def _count_to(self, offset: int) -> int:
        run = bisect_right(self._starts, offset) - 1
        return self._before[run] + min(offset, self._ends[run]) - self._starts[run] if run >= 0 else 0


@lru_cache(maxsize=1)
def visible_runs(text: str) -> VisibleRuns:
    """The runs of the text that spans are looked for in; computed once while they are."""
    return VisibleRuns(text)
