"""The learned rule: its evidence against the definition, whatever the order of members, and what it learns."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.documents import Entity
from enigma_tasks.ensembles.learned_voting import LearnedWeights, correct_probabilities, evidence, fit
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import UsageError
from tests.unit.strategies import spans_within

Members = list[list[Entity]]
members_of = st.lists(spans_within(40), min_size=1, max_size=5)
numbers = st.floats(-3, 3).map(lambda x: round(x, 6))


def weights_for(size: int) -> st.SearchStrategy[LearnedWeights]:
    votes = st.lists(numbers, min_size=size, max_size=size).map(tuple)
    return st.builds(LearnedWeights, numbers, votes, numbers, numbers, numbers, numbers, numbers)


def keys(entities: tuple[Entity, ...]) -> list[tuple[str, int, int, float | None]]:
    return [(e.label, e.char_start, e.char_end, e.score) for e in entities]


@given(members_of)
def test_the_evidence_is_what_its_names_say(members: Members) -> None:
    found = [{e.span for e in spans if e.label == "DISEASE"} for spans in members]
    spans = sorted(set().union(*found))
    voters = [sum(1 << i for i, own in enumerate(found) if s in own) for s in spans]
    votes = Counter(s for own in found for s in own)
    expected = []
    for s in spans:
        touching = [{o for o in own if o[0] < s[1] and s[0] < o[1]} for own in found]
        rivals = [votes[o] for own in touching for o in own if o != s]
        expected.append(
            [
                *(float(s in own) for own in found),
                sum(any(o[0] == s[0] for o in own) for own in found),
                sum(any(o[1] == s[1] for o in own) for own in found),
                sum(bool(own) for own in touching),
                max(rivals, default=0),
                math.log(s[1] - s[0]),
            ]
        )
    rows = evidence(spans, voters, len(members))
    assert rows.shape == (len(spans), len(members) + 5)
    assert np.allclose(rows, np.array(expected).reshape(rows.shape))


@settings(max_examples=60)
@given(members_of, st.data())
def test_the_order_of_members_and_spans_changes_neither_spans_nor_scores(members: Members, data: st.DataObject) -> None:
    weights = data.draw(weights_for(len(members)))
    order = data.draw(st.permutations(range(len(members))))
    moved = LearnedWeights(**{**weights.to_json(), "votes": tuple(weights.votes[i] for i in order)})
    shuffled = [data.draw(st.permutations(members[i])) for i in order]
    threshold = data.draw(st.sampled_from([0.1, 0.5, 0.9]))
    first = vote(members, VotingRule("learned", threshold=threshold, learned=weights))
    assert keys(vote(shuffled, VotingRule("learned", threshold=threshold, learned=moved))) == keys(first)


@settings(max_examples=60)
@given(members_of, st.data())
def test_the_answer_is_flat_likely_enough_and_leaves_out_only_what_a_likelier_span_covers(
    members: Members, data: st.DataObject
) -> None:
    weights = data.draw(weights_for(len(members)))
    all_spans = vote(members, VotingRule("learned", threshold=1e-12, learned=weights))
    kept = vote(members, VotingRule("learned", threshold=0.5, learned=weights))
    assert [k for k in keys(all_spans) if (k[3] or 0) >= 0.5] == [k for k in keys(kept) if (k[3] or 0) >= 0.5]
    for a in kept:
        assert not any(a != b and a.label == b.label and a.char_start < b.char_end > a.char_end > b.char_start
                       for b in kept)  # fmt: skip


def test_a_model_that_is_always_right_alone_gets_the_weight_and_the_same_data_the_same_weights() -> None:
    spans = [(i * 10, i * 10 + 4) for i in range(60)]
    voters = [0b01 if i % 2 else 0b10 for i in range(60)]
    rows = evidence(spans, voters, 2)
    right = np.array([v == 0b01 for v in voters])
    weights = fit(rows, right, 0.1)
    assert weights == fit(rows, right, 0.1)
    assert weights.votes[0] > 0 > weights.votes[1]
    likely = correct_probabilities(weights, rows)
    assert min(c for c, r in zip(likely, right, strict=True) if r) > max(
        c for c, r in zip(likely, right, strict=True) if not r
    )


@pytest.mark.parametrize("right", [True, False])
def test_where_there_is_nothing_to_tell_apart_only_the_intercept_speaks(right: bool) -> None:
    rows = evidence([(0, 3), (5, 9)], [1, 3], 2)
    weights = fit(rows, np.array([right, right]), 0.1)
    assert weights.votes == (0.0, 0.0)
    assert (correct_probabilities(weights, rows)[0] > 0.5) == right
    assert fit(evidence([], [], 2), np.array([], dtype=bool), 0.1).votes == (0.0, 0.0)


def test_ten_thousand_spans_on_one_place_take_no_square_of_time() -> None:
    spans = [(0, end) for end in range(1, 10_001)]
    rows = evidence(spans, [1 + i % 3 for i in range(10_000)], 2)
    assert rows[0].tolist() == pytest.approx([1.0, 0.0, 2.0, 1.0, 2.0, 2.0, 0.0])


@given(st.integers(1, 4).flatmap(weights_for))
def test_a_learned_rule_survives_its_json(weights: LearnedWeights) -> None:
    rule = VotingRule("learned", threshold=0.4, learned=weights)
    assert VotingRule.from_json(rule.to_json()) == rule


@pytest.mark.parametrize(
    "change",
    [{"votes": 1.0}, {"votes": ["1"]}, {"length": None}, {"length": float("nan")}, {"age": 1.0}, {"rival": True}],
)
def test_damaged_weights_are_refused(change: dict[str, object]) -> None:
    sound = LearnedWeights(0.0, (1.0,), 0.0, 0.0, 0.0, 0.0, 0.0).to_json()
    with pytest.raises(UsageError):
        LearnedWeights.from_json({**sound, **change})


def test_a_learned_rule_of_other_members_is_refused() -> None:
    rule = VotingRule("learned", threshold=0.4, learned=LearnedWeights(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(UsageError, match="2 weights for 3 members"):
        vote([[], [], []], rule)
    with pytest.raises(UsageError, match="learned needs its weights"):
        VotingRule("learned", threshold=0.4)
