"""Unbalanced brackets and double quotation marks at the ends of a mention."""

from __future__ import annotations

from bisect import bisect_left

_PAIRS = {")": "(", "]": "[", "}": "{", "»": "«", "”": "“"}
_OPENING = frozenset(_PAIRS.values())
_QUOTATION = '"'
MARKS = frozenset({*_PAIRS, *_OPENING, _QUOTATION})


class Brackets:
    """The pairs of a text; those of a part of it are among them."""

    def __init__(self, text: str) -> None:
        """Time is linear in the text."""
        self._text = text
        self._quotations: list[int] = []
        self._partner: dict[int, int] = {}
        opened: dict[str, list[int]] = {mark: [] for mark in _OPENING}
        for position, mark in enumerate(text):
            if mark == _QUOTATION:
                self._quotations.append(position)
            elif mark in _OPENING:
                opened[mark].append(position)
            elif mark in _PAIRS and opened[_PAIRS[mark]]:
                other = opened[_PAIRS[mark]].pop()
                self._partner[position], self._partner[other] = other, position

    def is_lone(self, position: int, start: int, end: int) -> bool:
        """Whether the mark at `position` is unbalanced in text[start:end], of which it is the first or the last."""
        mark = self._text[position]
        if mark == _QUOTATION:
            return (bisect_left(self._quotations, end) - bisect_left(self._quotations, start)) % 2 == 1
        if mark not in _PAIRS and mark not in _OPENING:
            return False
        return not start <= self._partner.get(position, -1) < end

    def without_lone(self, start: int, end: int) -> tuple[int, int]:
        """text[start:end] without one unbalanced mark at an end, if there is one."""
        if self.is_lone(start, start, end):
            return start + 1, end
        if self.is_lone(end - 1, start, end):
            return start, end - 1
        return start, end
