"""Words, sub-words and tags."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.ner.text.alignment import align, split_words, tag_words, tagged_words, word_spans
from tests.unit.ner_builders import KINDS, SENTENCES, tokenizer
from tests.unit.strategies import texts


def words_of(text: str) -> list[str]:
    return [text[a:b] for a, b in split_words(text).tolist()]


def units_of(text: str, offsets: list[tuple[int, int]]) -> list[str]:
    return [text[a:b] for a, b in align(text, np.array(offsets)).words.tolist()]


@given(texts)
def test_words_hold_every_visible_character_once(text: str) -> None:
    held = np.zeros(len(text), dtype=int)
    for start, end in split_words(text).tolist():
        held[start:end] += 1
    assert held.max(initial=0) <= 1
    assert all(h == 1 for h, c in zip(held, text, strict=True) if not c.isspace())


def test_a_combining_mark_stays_with_its_letter() -> None:
    assert words_of("cafe\u0301s a\u0302\u0323") == ["cafe\u0301s", "a\u0302\u0323"]


def test_punctuation_is_a_word_each() -> None:
    assert words_of("(T/A 12,5)…") == ["(", "T", "/", "A", "12", ",", "5", ")", "…"]


def test_a_leading_space_inside_a_sub_word_is_not_part_of_its_word() -> None:
    alignment = align("a paciente", np.array([(0, 1), (1, 6), (6, 10)]))
    assert alignment.words.tolist() == [[0, 1], [2, 10]]
    assert alignment.word_of.tolist() == [0, 1, 1]


def test_a_lone_marker_over_the_first_letter_of_the_next_sub_word_does_not_speak() -> None:
    alignment = align("un tumor", np.array([(0, 2), (3, 4), (3, 8)]))
    assert alignment.word_of.tolist() == [0, 1, 1]
    assert alignment.scored.tolist() == [True, False, True]


def test_of_sub_words_on_the_same_character_the_first_speaks() -> None:
    alignment = align("½ mg", np.array([(0, 1), (0, 1), (0, 1), (1, 4)]))
    assert alignment.scored.tolist() == [True, False, False, True]


def test_words_that_share_a_sub_word_become_one() -> None:
    assert units_of("(tos), fin", [(0, 1), (1, 4), (4, 6), (6, 10)]) == ["(", "tos", "),", "fin"]
    assert units_of("te\x10st", [(0, 5)]) == ["te\x10st"]


def test_a_sub_word_of_white_space_only_belongs_to_no_word() -> None:
    alignment = align("a  b", np.array([(0, 1), (1, 3), (3, 4)]))
    assert alignment.word_of.tolist() == [0, -1, 1]
    assert not alignment.scored[1]


def test_a_word_without_sub_words_is_told() -> None:
    alignment = align("a \u200b b", np.array([(0, 1), (4, 5)]))
    assert alignment.words.tolist() == [[0, 1], [4, 5]]
    assert alignment.uncovered.tolist() == [[2, 3]]


@pytest.mark.parametrize("kind", KINDS)
@given(pieces=st.lists(st.sampled_from(SENTENCES) | texts, min_size=1, max_size=3))
def test_every_tokenizer_lays_its_sub_words_on_disjoint_ordered_words(kind: str, pieces: list[str]) -> None:
    text = " ".join(pieces)
    (encoded,) = tokenizer(kind).encode([text])
    alignment = encoded.alignment
    ranges = alignment.words.tolist()
    assert all(a < b for a, b in ranges)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ranges))
    assert not any(text[a].isspace() or text[b - 1].isspace() for a, b in ranges)
    assert set(alignment.word_of[alignment.scored].tolist()) == set(range(len(ranges)))
    inside = alignment.word_of[alignment.word_of >= 0]
    assert (np.diff(inside) >= 0).all()
    assert encoded.unread_from == len(text)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_gold_spans_that_end_at_words_come_back_as_they_were(kind: str, data: st.DataObject) -> None:
    text = " ".join(data.draw(st.lists(st.sampled_from(SENTENCES) | texts, min_size=1, max_size=3)))
    (encoded,) = tokenizer(kind).encode([text])
    words = encoded.alignment.words
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=8)))
    gold = [(int(words[a, 0]), int(words[b - 1, 1])) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    tagging = tag_words(words, gold)
    assert word_spans(words, tagging.tags) == gold
    assert (tagging.misaligned, tagging.lost) == (0, 0)


def test_neighbouring_spans_stay_two() -> None:
    words = split_words("tos fiebre asma")
    assert tag_words(words, [(0, 3), (4, 10)]).tags.tolist() == [1, 1, 0]


def test_a_boundary_inside_a_word_takes_the_whole_word_and_is_counted() -> None:
    tagging = tag_words(split_words("hepatopatía crónica"), [(6, 19)])
    assert (tagging.tags.tolist(), tagging.misaligned, tagging.lost) == ([1, 2], 1, 0)


def test_of_nested_spans_the_longer_is_tagged_and_the_other_counted() -> None:
    tagging = tag_words(split_words("dolor de cabeza"), [(0, 5), (0, 15), (9, 15)])
    assert (tagging.tags.tolist(), tagging.lost) == ([1, 2, 2], 2)


def test_a_span_of_white_space_is_lost_and_counted() -> None:
    assert tag_words(split_words("a  b"), [(1, 3)]).lost == 1


def test_an_inside_after_an_outside_begins_a_span() -> None:
    assert tagged_words([2, 2, 0, 1, 1, 2]) == [(0, 2), (3, 4), (4, 6)]
