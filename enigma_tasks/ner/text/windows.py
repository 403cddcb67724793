"""Windows of bounded length that cover all sub-words of a text; pooling of the windows' word scores.

The text is tokenised once, without truncation; a window begins and ends at a word, unless a word is longer than it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.ner.text.sentences import pack_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.ner.text.alignment import IntArray, Span
    from enigma_tasks.ner.text.tokenizer import TokenisedText


@dataclass(frozen=True, slots=True)
class Window:
    """One piece of a text, an input of the encoder (special tokens are added in batching)."""

    ids: IntArray
    """[t] sub-word ids."""
    owner: IntArray
    """[t] index of the window's word that the sub-word is scored for; -1 for none."""
    words: IntArray
    """[w] indexes of the text's words in the window, ascending: those with a scored sub-word in it."""

    @property
    def key(self) -> bytes:
        """Equal for windows that are equal inputs of the encoder."""
        return self.ids.tobytes() + b"|" + self.owner.tobytes()


def sliding_ranges(starts_word: NDArray[np.bool_], size: int, overlap: int) -> list[Span]:
    """Sub-word ranges of at most `size`, overlapping by at most `overlap`, bounded where `starts_word` [T] is True.

    Only a word of more than `size` sub-words is divided.
    """
    count = len(starts_word)
    cuts = np.unique(np.concatenate(([0], np.flatnonzero(starts_word), [count])))
    ranges: list[Span] = []
    start = stop = 0
    while stop < count:
        reach = int(cuts[np.searchsorted(cuts, start + size, side="right") - 1])
        if reach <= stop:  # the word after `stop` does not fit into this window, or into any
            start = stop
            reach = int(cuts[np.searchsorted(cuts, start + size, side="right") - 1])
        stop = reach if reach > stop else min(start + size, count)
        ranges.append((start, stop))
        start = min(int(cuts[np.searchsorted(cuts, max(stop - overlap, start + 1))]), stop)
    return ranges


def packed_ranges(
    starts_word: NDArray[np.bool_], sentence_starts: Sequence[int], size: int, overlap: int
) -> list[Span]:
    """Sub-word ranges of as many complete sentences as `size` allows; a longer sentence gets sliding ranges.

    `sentence_starts`: ascending sub-word positions at which sentences begin.
    """
    bounds = sorted({0, len(starts_word), *sentence_starts})
    sentences = list(pairwise(bounds))
    ranges: list[Span] = []
    for start, stop in pack_sentences(sentences, [b - a for a, b in sentences], size):
        ranges += [(start + a, start + b) for a, b in sliding_ranges(starts_word[start:stop], size, overlap)]
    return ranges


def cut_windows(
    text: TokenisedText,
    size: int,
    overlap: int,
    *,
    sentences: Iterable[Span] | None = None,
    first_only: bool = False,
    context: int = 0,
) -> list[Window]:
    """Windows of at most `size` sub-words over the whole text.

    `sentences`: character ranges; if given, windows are complete sentences, else they slide with `overlap`.
    `first_only`: only a word's first sub-word is scored. `context`: number of sub-words of `size` at either end that
    are context only and not scored (Jonker and others 2026).
    """
    size -= 2 * context
    word_of = text.alignment.word_of
    previous = np.concatenate((np.full(1, -2, np.int32), word_of[:-1]))
    starts_word = word_of != previous
    if sentences is None:
        ranges = sliding_ranges(starts_word, size, overlap)
    else:
        ranges = packed_ranges(starts_word, _first_sub_words(text, sentences), size, overlap)
    scored = text.alignment.scored
    if first_only:
        scored = scored & _first_of_each(word_of, scored)
    owner = np.where(scored, word_of, -1)
    return [_window(text.ids, owner, a, b, context) for a, b in ranges]


def _window(ids: IntArray, owner: IntArray, start: int, stop: int, context: int) -> Window:
    first, last = max(0, start - context), min(len(ids), stop + context)
    owner = owner[first:last].copy()
    owner[: start - first] = owner[stop - first :] = -1
    ids = ids[first:last]
    words = np.unique(owner[owner >= 0])
    return Window(ids, np.where(owner >= 0, np.searchsorted(words, owner), -1).astype(np.int32), words.astype(np.int32))


def _first_sub_words(text: TokenisedText, sentences: Iterable[Span]) -> list[int]:
    """The first sub-word of each sentence's first word."""
    starts = np.array([start for start, _ in sentences], dtype=np.int64)
    words = np.searchsorted(text.alignment.words[:, 0], starts, side="left")
    running = np.maximum.accumulate(text.alignment.word_of)
    return [int(i) for i in np.searchsorted(running, words, side="left")]


def _first_of_each(word_of: IntArray, scored: NDArray[np.bool_]) -> NDArray[np.bool_]:
    first = np.zeros(len(word_of), dtype=bool)
    positions = np.flatnonzero(scored)
    _, index = np.unique(word_of[positions], return_index=True)
    first[positions[index]] = True
    return first


def pool(
    windows: Sequence[Window], scores: Sequence[NDArray[np.float32]], words: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Mean score of each word over its windows (paper, section 3.1).

    `scores`: one [w, ...] per window -> ([words, ...], which words are in a window [words]).
    """
    shape = scores[0].shape[1:] if scores else ()
    total = np.zeros((words, *shape), dtype=np.float32)
    seen = np.zeros(words, dtype=np.float32)
    for window, values in zip(windows, scores, strict=True):
        total[window.words] += values  # a word occurs once in a window
        seen[window.words] += 1
    divisor = np.maximum(seen, 1).reshape(-1, *([1] * len(shape)))
    total /= divisor
    return total, seen > 0


def characters_read(text: TokenisedText, seen: NDArray[np.bool_]) -> int:
    """Code points of the text before the first word that is in no window; the text's length if there is none."""
    unseen = np.flatnonzero(~seen)
    words = text.alignment.words
    return min(text.unread_from, int(words[unseen[0], 0]) if len(unseen) else text.length)
