"""Two sets of spans -> for each span of one the best overlap F1 with any of the other; n log n for n spans.

Spans are points (start, end) in a k-d tree. The overlap F1 with a given span never falls when a point's start moves
towards the span's start, nor when its end moves towards the span's end. The upper bound of a box of points is therefore
the value at the corner nearest to the span, and boxes whose bound is not above the best value so far are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Span = tuple[int, int]
_LEAF = 8
"""Largest number of spans in a leaf, which are compared one by one."""


@dataclass(frozen=True, slots=True)
class _Box:
    """Spans with starts and ends within bounds, which are inclusive; `halves` is empty in a leaf."""

    first_start: int
    last_start: int
    first_end: int
    last_end: int
    spans: Sequence[Span]
    halves: tuple[_Box, ...]

    def bound(self, span: Span) -> float:
        """Upper bound of the overlap F1 of `span` with any span in the box."""
        start = min(max(span[0], self.first_start), self.last_start)
        end = min(max(span[1], self.first_end), self.last_end)
        return overlap_f1(span, (start, end))


def overlap_f1(a: Span, b: Span) -> float:
    """Harmonic mean of intersection / length of `a` and intersection / length of `b`; 0 without an intersection."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return 2 * shared / (a[1] - a[0] + b[1] - b[0]) if shared > 0 else 0.0


def best_overlaps(spans: Iterable[Span], others: Iterable[Span]) -> list[float]:
    """The highest `overlap_f1` of each of `spans` with any of `others`, in the order of `spans`."""
    distinct = set(others)
    if not distinct:
        return [0.0 for _ in spans]
    box = _boxed(sorted(distinct), 0)
    return [1.0 if span in distinct else _best(box, span) for span in spans]


def _boxed(spans: list[Span], side: int) -> _Box:
    """The tree of `spans`, which are halved by their starts (`side` 0) or by their ends (1)."""
    starts, ends = [s for s, _ in spans], [e for _, e in spans]
    halves: tuple[_Box, ...] = ()
    if len(spans) > _LEAF:
        spans = sorted(spans, key=lambda span: span[side])
        middle = len(spans) // 2
        halves = (_boxed(spans[:middle], 1 - side), _boxed(spans[middle:], 1 - side))
    return _Box(min(starts), max(starts), min(ends), max(ends), spans, halves)


def _best(root: _Box, span: Span) -> float:
    best = 0.0
    waiting = [(root.bound(span), root)]
    while waiting:
        bound, box = waiting.pop()
        if bound <= best:
            continue
        if not box.halves:
            best = max(best, *(overlap_f1(span, other) for other in box.spans))
        waiting += sorted(((half.bound(span), half) for half in box.halves), key=lambda pair: pair[0])
    return best
