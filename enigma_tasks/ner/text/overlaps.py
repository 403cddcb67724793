"""Which spans overlap those that were kept, without comparing each with all of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enigma_tasks.documents import Entity


class Kept:
    """Spans, half-open and not empty; they may overlap each other."""

    def __init__(self) -> None:
        """Without a span."""
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Keep a span."""
        insort(self._starts, start)
        insort(self._ends, end)

    def overlap(self, start: int, end: int) -> bool:
        """Whether any kept span overlaps this one: more have begun before its end than have ended before its start."""
        return bisect_left(self._starts, end) > bisect_right(self._ends, start)


def without_overlaps(entities: Iterable[Entity]) -> list[Entity]:
    """The entities in their order, without those that overlap one of their label before them."""
    kept: list[Entity] = []
    by_label: dict[str, Kept] = {}
    for entity in entities:
        own = by_label.setdefault(entity.label, Kept())
        if not own.overlap(*entity.span):
            own.add(*entity.span)
            kept.append(entity)
    return kept
