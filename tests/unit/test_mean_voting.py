"""Averaged probabilities: the entities of the mean, and members that cannot be averaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ensembles.mean_voting import mean_entities
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.engine import WordProbabilities

DISEASE, PROCEDURE, SYMPTOM = EntityType
WORDS = np.array([[0, 4], [5, 10], [11, 14]], dtype=np.int32)
NOTE = Document("n", "Gota aguda hoy")


def says(*of_words: tuple[float, float, float], types: tuple[EntityType, ...] = (DISEASE,)) -> WordProbabilities:
    values = np.repeat(np.array(of_words, dtype=np.float32)[:, None], len(types), axis=1)
    return WordProbabilities(types, WORDS, values)


SURE = says((0.1, 0.9, 0.0), (0.1, 0.0, 0.9), (1.0, 0.0, 0.0))
UNSURE = says((0.6, 0.4, 0.0), (0.6, 0.0, 0.4), (1.0, 0.0, 0.0))


def test_two_members_of_whom_one_is_sure_find_what_a_vote_would_lose() -> None:
    found = mean_entities([NOTE], [[SURE, UNSURE]], DISEASE)[0]
    assert [(e.label, e.span, e.text, e.score) for e in found] == [
        ("DISEASE", (0, 10), "Gota aguda", pytest.approx(0.65))
    ]


def test_a_type_is_found_by_its_place_among_each_members_types() -> None:
    other = says((0.1, 0.9, 0.0), (1.0, 0.0, 0.0), (1.0, 0.0, 0.0), types=(SYMPTOM, DISEASE))
    other.values[:, 0] = [1.0, 0.0, 0.0]
    assert [e.span for e in mean_entities([NOTE], [[other, SURE]], DISEASE)[0]] == [(0, 4)]


rows = st.lists(st.tuples(*[st.floats(0.01, 1)] * 3), min_size=3, max_size=3)


@settings(max_examples=40)
@given(st.lists(rows, min_size=1, max_size=4), st.data())
def test_the_order_of_members_changes_nothing(
    members: list[list[tuple[float, float, float]]], data: st.DataObject
) -> None:
    given_ = [says(*m) for m in members]
    moved = data.draw(st.permutations(given_))
    first, second = (mean_entities([NOTE], [m], DISEASE)[0] for m in (given_, moved))
    assert [(e.span, e.score) for e in first] == [(e.span, e.score) for e in second]


def test_members_that_do_not_share_words_or_the_type_are_refused() -> None:
    with pytest.raises(UsageError, match="different words"):
        mean_entities([NOTE], [[SURE, replace(SURE, words=WORDS + 1)]], DISEASE)
    with pytest.raises(UsageError, match="no head for symptom"):
        mean_entities([NOTE], [[SURE]], SYMPTOM)
    with pytest.raises(UsageError, match="at least one member"):
        mean_entities([NOTE], [[]], DISEASE)


def test_spans_alone_cannot_be_averaged() -> None:
    with pytest.raises(UsageError, match="mean averages probabilities"):
        vote([[], []], VotingRule("mean"))
