"""Windows of GLiNER's words that together cover a text; each span belongs to one window."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.ner.text.windows import sliding_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gliner.model import UniEncoderSpanGLiNER

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.text.alignment import Span
    from enigma_tasks.params.annotators import GlinerMemberParams

_BYTES = 4  # the most sub-words of one character


@dataclass(frozen=True, slots=True)
class WordWindow:
    """Neighbouring words of a text."""

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    """Character range of each word in the text."""
    core: Span
    """Character range: spans with their middle in it belong to this window. Cores do not overlap."""

    def owns(self, start: int, end: int) -> bool:
        """Whether the span belongs to this window, the one with most context around it."""
        return self.core[0] <= (start + end) // 2 < self.core[1]


def cut_words(network: UniEncoderSpanGLiNER, text: str, recipe: GlinerMemberParams) -> list[WordWindow]:
    """Windows of at most `recipe.window_tokens` sub-words over the whole text, cut between words.

    A word that might not fit into a window is divided into several.
    """
    words = list(_words(network, text, max(1, recipe.window_tokens // _BYTES)))
    if not words:
        return []
    surfaces = [text[a:b] for a, b in words]
    encoded = network.data_processor.transformer_tokenizer(
        surfaces, is_split_into_words=True, add_special_tokens=False, truncation=False
    )
    counts = np.bincount([w for w in encoded.word_ids() if w is not None], minlength=len(words)).clip(1)
    starts_word = np.zeros(int(counts.sum()), dtype=bool)
    first = np.concatenate(([0], np.cumsum(counts)))
    starts_word[first[:-1]] = True
    ranges = [
        (int(np.searchsorted(first, a)), int(np.searchsorted(first, b)))
        for a, b in sliding_ranges(starts_word, recipe.window_tokens, recipe.overlap_tokens)
    ]
    # neighbours overlap; their cores meet in the middle of the overlap
    middles = [words[(left[1] + right[0]) // 2][0] for left, right in pairwise(ranges)]
    bounds = [0, *middles, len(text) + 1]
    return [
        WordWindow(tuple(surfaces[a:b]), tuple(words[a:b]), (bounds[i], bounds[i + 1]))
        for i, (a, b) in enumerate(ranges)
    ]


def _words(network: UniEncoderSpanGLiNER, text: str, longest: int) -> Iterator[Span]:
    for _, start, end in network.data_processor.words_splitter(text):
        for at in range(start, end, longest):
            yield at, min(at + longest, end)


def labelled(
    windows: Sequence[WordWindow], document: Document, names: dict[str, str]
) -> list[list[tuple[int, int, str]]]:
    """Gold of a document per window, in GLiNER's format: first word, last word, label.

    `names`: the entity label (`DISEASE`) -> GLiNER's label. A mention that begins or ends inside a word gets the whole
    word; a mention that is only partly in a window is left out there.
    """
    found: list[list[tuple[int, int, str]]] = []
    for window in windows:
        starts, ends = [a for a, _ in window.spans], [b for _, b in window.spans]
        gold = []
        for entity in document.entities:
            if entity.label not in names or entity.char_start < starts[0] or entity.char_end > ends[-1]:
                continue
            first = bisect_right(ends, entity.char_start)
            last = bisect_right(starts, entity.char_end - 1) - 1
            if first <= last:
                gold.append((first, last, names[entity.label]))
        found.append(gold)
    return found
