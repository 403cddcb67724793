"""Windows hold everything, and word scores come back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.ner.text.sentences import split_sentences
from enigma_tasks.ner.text.windows import Window, characters_read, cut_windows, packed_ranges, pool, sliding_ranges
from tests.unit.ner_builders import KINDS, SENTENCES, tokenizer
from tests.unit.strategies import texts

flags = st.lists(st.booleans(), min_size=1, max_size=120).map(np.array)


@given(flags, st.integers(1, 30), st.integers(0, 29))
def test_sliding_windows_hold_every_sub_word_and_none_is_too_long(starts: np.ndarray, size: int, overlap: int) -> None:
    ranges = sliding_ranges(starts, size, min(overlap, size - 1))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(starts)
    assert all(0 < b - a <= size for a, b in ranges)
    assert all(a < c <= b < d for (a, b), (c, d) in pairwise(ranges))
    assert all(b - c <= overlap for (_, b), (c, _) in pairwise(ranges))


@given(flags, st.integers(1, 30))
def test_a_window_cuts_a_word_only_when_the_word_is_longer_than_a_window(starts: np.ndarray, size: int) -> None:
    starts[0] = True
    bounds = [*np.flatnonzero(starts).tolist(), len(starts)]
    for _, stop in sliding_ranges(starts, size, size // 3)[:-1]:
        if not starts[stop]:
            word = next((a, b) for a, b in pairwise(bounds) if a < stop < b)
            assert word[1] - word[0] > size


def test_neighbours_share_whole_words() -> None:
    assert sliding_ranges(np.array([True, False] * 6), 6, 3) == [(0, 6), (4, 10), (8, 12)]


@given(flags, st.sets(st.integers(0, 119), max_size=12), st.integers(1, 30))
def test_packed_windows_hold_every_sub_word_once_unless_a_sentence_slides(
    starts: np.ndarray, sentences: set[int], size: int
) -> None:
    begins = sorted(s for s in sentences if s < len(starts))
    ranges = packed_ranges(starts, begins, size, size // 3)
    seen = np.zeros(len(starts), dtype=int)
    for a, b in ranges:
        assert 0 < b - a <= size
        seen[a:b] += 1
    assert seen.min() == 1
    edges = {0, len(starts), *begins}
    assert all(seen[a:b].max() == 1 for a, b in pairwise(sorted(edges)) if b - a <= size)


def test_sentences_are_packed_as_many_as_fit() -> None:
    assert packed_ranges(np.ones(10, bool), [0, 3, 5, 9], 6, 2) == [(0, 5), (5, 10)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_sentence", [False, True])
@given(pieces=st.lists(st.sampled_from(SENTENCES) | texts, min_size=1, max_size=4), size=st.integers(2, 40), first=...)
def test_every_word_of_any_text_is_seen_in_windows_of_any_size(
    kind: str, by_sentence: bool, pieces: list[str], size: int, first: bool
) -> None:
    text = " ".join(pieces)
    (encoded,) = tokenizer(kind).encode([text])
    sentences = split_sentences(text, "es") if by_sentence else None
    windows = cut_windows(encoded, size, size // 2, sentences=sentences, first_only=first)
    assert all(len(w.ids) <= size for w in windows)
    scores = [w.words[:, None].astype(np.float32) for w in windows]
    pooled, seen = pool(windows, scores, len(encoded.alignment.words))
    assert seen.all()
    assert pooled.flatten().tolist() == list(range(len(seen)))
    assert characters_read(encoded, seen) == len(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_sentence", [False, True])
@given(
    pieces=st.lists(st.sampled_from(SENTENCES) | texts, min_size=1, max_size=4),
    room=st.integers(2, 30),
    context=st.integers(0, 8),
)
def test_context_is_seen_and_carries_no_label_and_every_sub_word_carries_its_label_once(
    kind: str, by_sentence: bool, pieces: list[str], room: int, context: int
) -> None:
    text = " ".join(pieces)
    (encoded,) = tokenizer(kind).encode([text])
    sentences = split_sentences(text, "es") if by_sentence else None
    shown = cut_windows(encoded, room + 2 * context, 0, sentences=sentences, context=context)
    plain = cut_windows(encoded, room, 0, sentences=sentences)
    assert len(shown) == len(plain)
    spoken = [w.words[w.owner[w.owner >= 0]] for w in shown]
    assert [s.tolist() for s in spoken] == [w.words[w.owner[w.owner >= 0]].tolist() for w in plain]
    assert sum(map(len, spoken)) == np.count_nonzero(encoded.alignment.scored)
    position = 0
    for window, bare in zip(shown, plain, strict=True):
        first, last = max(0, position - context), position + len(bare.ids) + context
        assert window.ids.tolist() == encoded.ids[first:last].tolist()
        own = slice(position - first, position - first + len(bare.ids))
        assert window.owner[own].tolist() == bare.owner.tolist()
        assert (np.delete(window.owner, own) == -1).all()
        position += len(bare.ids)


def test_a_word_in_two_windows_gets_the_mean_of_both() -> None:
    ids = np.zeros(2, np.int32)
    windows = [Window(ids, np.array([0, 1]), np.array([0, 1])), Window(ids, np.array([0, 1]), np.array([1, 2]))]
    pooled, _ = pool(windows, [np.array([[1.0], [2.0]], np.float32), np.array([[4.0], [8.0]], np.float32)], 3)
    assert pooled[:, 0].tolist() == [1.0, 3.0, 8.0]


def test_what_no_window_held_counts_as_unread() -> None:
    (encoded,) = tokenizer("wordpiece").encode(["tos fiebre asma"])
    assert characters_read(encoded, np.array([True, False, True])) == 4


def test_windows_that_look_alike_have_the_same_key() -> None:
    first, second, third = (
        cut_windows(t, 30, 5)[0] for t in tokenizer("wordpiece").encode(["a tos", "a  tos", "b tos"])
    )
    assert first.key == second.key != third.key


def test_an_empty_text_has_no_window_and_is_read() -> None:
    (encoded,) = tokenizer("wordpiece").encode([""])
    assert cut_windows(encoded, 10, 2) == []
    assert characters_read(encoded, np.zeros(0, bool)) == 0
