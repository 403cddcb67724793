"""Alignment of sub-words with words; conversion between character spans and BIO tags of words.

Words are tagged, not sub-words: a span can then neither begin with a tokenizer's leading space nor end between a letter
and its accent, and overlapping sub-words (paper, section 3.2) cannot have contradicting tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import regex  # type: ignore[import-untyped]
from numpy.typing import NDArray

from enigma_tasks.ner.text.overlaps import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OUTSIDE, BEGIN, INSIDE = 0, 1, 2
TAGS = ("O", "B", "I")
IGNORED = -100
"""The tag that losses ignore."""

IntArray = NDArray[np.int32]
Span = tuple[int, int]

_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*|[^\s\x1c-\x1f]\p{M}*")


def split_words(text: str) -> IntArray:
    """Character ranges [W, 2] of the words: runs of letters, marks and digits; any other visible character alone.

    A combining mark (NFD) belongs to the character before it. The words cover every character but white space.
    """
    ranges = [match.span() for match in _WORD.finditer(text)]
    return np.array(ranges, dtype=np.int32).reshape(-1, 2)


def count_words(text: str) -> int:
    """The number of `split_words`."""
    return len(_WORD.findall(text))


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of T sub-words of one text."""

    words: IntArray
    """[W, 2] character ranges, in order; words that share a sub-word are merged."""
    word_of: IntArray
    """[T] index of the sub-word's word; -1 for a sub-word of white space only."""
    scored: NDArray[np.bool_]
    """[T] whether the sub-word contributes to its word's scores; False for white space and tokenizer artifacts."""
    uncovered: IntArray
    """[S, 2] character ranges of visible words without sub-words: the tokenizer's normaliser dropped them."""


def align(text: str, offsets: NDArray[np.int64]) -> Alignment:
    """Align sub-words with character `offsets` [T, 2] (start, end; code points) with the words of `text`."""
    words = split_words(text)
    count = len(offsets)
    if not len(words) or not count:
        return Alignment(np.zeros((0, 2), np.int32), np.full(count, -1, np.int32), np.zeros(count, bool), words)
    first, last = _words_under(words, offsets, len(text))
    visible = first <= last
    covered = np.zeros(len(words) + 1, np.int32)
    joined = np.zeros(len(words) + 1, np.int32)
    np.add.at(covered, first[visible], 1)
    np.add.at(covered, last[visible] + 1, -1)
    np.add.at(joined, first[visible], 1)
    np.add.at(joined, last[visible], -1)
    has_sub_word = np.cumsum(covered)[:-1] > 0
    with_next = np.cumsum(joined)[:-1] > 0  # a sub-word covers this word and the next one: "),"
    opens = has_sub_word & ~np.concatenate(([False], with_next[:-1]))
    closes = has_sub_word & ~with_next
    unit = np.cumsum(opens) - 1
    units = np.stack([words[opens, 0], words[closes, 1]], axis=1)
    word_of = np.where(visible, unit[np.minimum(first, len(words) - 1)], -1).astype(np.int32)
    scored = visible & ~_artifacts(offsets, visible)
    return Alignment(units, word_of, scored, words[~has_sub_word])


def _words_under(words: IntArray, offsets: NDArray[np.int64], length: int) -> tuple[IntArray, IntArray]:
    """First and last word [T] that each sub-word touches; first > last where it touches none."""
    at_or_after = np.searchsorted(words[:, 1], np.clip(offsets[:, 0], 0, length), side="right")
    before = np.searchsorted(words[:, 0], np.clip(offsets[:, 1], 0, length), side="left") - 1
    return at_or_after.astype(np.int32), before.astype(np.int32)


def _artifacts(offsets: NDArray[np.int64], visible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[T] sub-words that overlap another one: the shorter of the two, the later of equally long ones.

    Examples are a single "▁" over the first letter of the next token, the bytes of one character in byte-level BPE, and
    the parts into which the normaliser splits a character ("½").
    """
    artifact = np.zeros(len(offsets), dtype=bool)
    positions = np.flatnonzero(visible)
    if (offsets[positions[1:], 0] >= offsets[positions[:-1], 1]).all():
        return artifact  # the usual case: no two overlap
    kept = -1
    for i in positions.tolist():
        if kept >= 0 and offsets[i, 0] < offsets[kept, 1]:
            longer = offsets[i, 1] - offsets[i, 0] > offsets[kept, 1] - offsets[kept, 0]
            artifact[kept if longer else i] = True
            kept = i if longer else kept
        else:
            kept = i
    return artifact


@dataclass(frozen=True, slots=True)
class Tagging:
    """Gold spans of one type as tags of words."""

    tags: NDArray[np.int8]
    """[W] OUTSIDE, BEGIN or INSIDE."""
    misaligned: int
    """Spans with a boundary inside a word: the whole word is tagged."""
    lost: int
    """Spans that tags cannot represent: nested in a longer one, or without a word."""


def tag_words(words: IntArray, spans: Iterable[Span]) -> Tagging:
    """Character spans -> BIO tags; of overlapping spans the longer is kept, a partly covered word is tagged."""
    tags = np.zeros(len(words), dtype=np.int8)
    misaligned = lost = 0
    tagged = Kept()
    for start, end in sorted(set(spans), key=lambda s: (s[0] - s[1], s)):
        first = int(np.searchsorted(words[:, 1], start, side="right"))
        stop = int(np.searchsorted(words[:, 0], end, side="left"))
        if first >= stop or tagged.overlap(first, stop):
            lost += 1
            continue
        tagged.add(first, stop)
        tags[first] = BEGIN
        tags[first + 1 : stop] = INSIDE
        if (int(words[first, 0]), int(words[stop - 1, 1])) != (start, end):
            misaligned += 1
    return Tagging(tags, misaligned, lost)


def tagged_words(tags: Sequence[int] | NDArray[np.int8]) -> list[Span]:
    """BIO tags [W] -> half-open word ranges; an INSIDE after OUTSIDE begins a range."""
    array = np.asarray(tags, dtype=np.int8)
    previous = np.concatenate((np.zeros(1, np.int8), array[:-1]))
    following = np.concatenate((array[1:], np.zeros(1, np.int8)))
    begins = (array == BEGIN) | ((array == INSIDE) & (previous == OUTSIDE))
    ends = (array != OUTSIDE) & (following != INSIDE)
    return list(zip(np.flatnonzero(begins).tolist(), (np.flatnonzero(ends) + 1).tolist(), strict=True))


def word_spans(words: IntArray, tags: Sequence[int] | NDArray[np.int8]) -> list[Span]:
    """BIO tags [W] of `words` -> character spans."""
    return [(int(words[a, 0]), int(words[b - 1, 1])) for a, b in tagged_words(tags)]
