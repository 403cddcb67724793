"""The limit of a night, shared among sources: one that sends very many notes delays its own notes only. Pure."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")


class FairShare(Generic[Item]):
    """At most `most` items, of each source the first that it offers; no more are held in memory.

    Max-min fairness: sources with few items have all of them taken, and the others have the same number taken, give or
    take one. Once the limit is reached, an item of a source that has fewer replaces the last of the source that has
    most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sources: dict[str, list[Item]] = {}
        self._held = 0
        self._longest: list[tuple[int, str]] = []
        """A heap of (minus the number of items, source), also of numbers that are no longer so; empty before the limit
        is reached."""

    def __len__(self) -> int:
        return self._held

    def __iter__(self) -> Iterator[Item]:
        """Source by source, of each in the order in which it offered them."""
        for items in self._sources.values():
            yield from items

    def offer(self, source: str, item: Item) -> Item | None:
        """Take the item; returns what is not taken instead: this item, or another that gives way to it."""
        if self._held < self._most:
            self._sources.setdefault(source, []).append(item)
            self._held += 1
            return None
        first = self._source_with_most()
        if len(self._sources.get(source, ())) + 1 >= len(self._sources[first]):
            return item
        self._sources.setdefault(source, []).append(item)
        given_way = self._sources[first].pop()
        for changed in (source, first):
            heapq.heappush(self._longest, (-len(self._sources[changed]), changed))
        return given_way

    def _source_with_most(self) -> str:
        if not self._longest:
            self._longest = [(-len(items), source) for source, items in self._sources.items()]
            heapq.heapify(self._longest)
        while True:
            length, source = self._longest[0]
            if -length == len(self._sources[source]):
                return source
            heapq.heappop(self._longest)
