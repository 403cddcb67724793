"""Voting: each strategy against its definition, whatever the order of members."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Entity, entity_at
from enigma_tasks.ensembles.candidates import FITS
from enigma_tasks.ensembles.learned_voting import LearnedWeights
from enigma_tasks.ensembles.voting import WINNERS, vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import UsageError
from enigma_tasks.params.strategies import STRATEGIES
from tests.unit.strategies import spans_within

LENGTH = 40
Members = list[list[Entity]]
members_of = st.lists(spans_within(LENGTH), min_size=1, max_size=5)


def mention(start: int, end: int, score: float | None = None, label: str = "DISEASE") -> Entity:
    return Entity(label, start, end, "x" * (end - start), score)


def keys(entities: tuple[Entity, ...] | list[Entity]) -> list[tuple[str, int, int]]:
    return [(e.label, e.char_start, e.char_end) for e in entities]


def overlap(a: tuple[str, int, int], b: tuple[str, int, int]) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


def flat(spans: list[tuple[str, int, int]]) -> bool:
    return not any(overlap(a, b) for a, b in itertools.combinations(spans, 2))


def exact_votes(members: Members) -> Counter[tuple[str, int, int]]:
    return Counter(key for spans in members for key in set(keys(spans)))


def rules_for(size: int) -> st.SearchStrategy[VotingRule]:
    weights = st.lists(st.floats(0.1, 1), min_size=size, max_size=size).map(tuple)
    return st.one_of(
        st.builds(VotingRule, st.sampled_from(["majority", "agreement"]), st.none() | st.integers(1, size)),
        st.builds(VotingRule, st.just("weighted"), st.none(), weights, st.none() | st.floats(0.1, 0.1 * size)),
        st.just(VotingRule("union")),
    )


@given(members_of, st.data())
def test_the_order_of_members_and_of_their_spans_changes_nothing(members: Members, data: st.DataObject) -> None:
    rule = data.draw(rules_for(len(members)))
    order = data.draw(st.permutations(range(len(members))))
    weights = None if rule.weights is None else tuple(rule.weights[i] for i in order)
    permuted = VotingRule(rule.strategy, rule.k, weights, rule.threshold)
    shuffled = [data.draw(st.permutations(members[i])) for i in order]
    assert keys(vote(shuffled, permuted)) == keys(vote(members, rule))


@given(members_of, st.data())
def test_a_span_repeated_within_a_member_counts_once(members: Members, data: st.DataObject) -> None:
    rule = data.draw(rules_for(len(members)))
    assert vote([spans * 2 for spans in members], rule) == vote(members, rule)


@given(members_of, st.data())
def test_every_winner_was_predicted_by_a_member_and_the_answer_is_sorted(members: Members, data: st.DataObject) -> None:
    answer = keys(vote(members, data.draw(rules_for(len(members)))))
    assert set(answer) <= set(exact_votes(members))
    assert answer == sorted(answer, key=lambda k: (k[1], k[2], k[0]))


@given(members_of, st.data())
def test_with_k_over_half_majority_is_exactly_the_spans_of_k_votes(members: Members, data: st.DataObject) -> None:
    k = data.draw(st.integers(len(members) // 2 + 1, len(members)))
    expected = {span for span, votes in exact_votes(members).items() if votes >= k}
    assert set(keys(vote(members, VotingRule("majority", k)))) == expected


@given(members_of, st.data())
def test_with_a_smaller_k_a_span_is_dropped_only_for_a_rival_of_more_votes_or_length(
    members: Members, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(members)))
    votes = exact_votes(members)
    answer = set(keys(vote(members, VotingRule("majority", k))))

    def rank(s: tuple[str, int, int]) -> tuple[int, int, int]:
        return votes[s], s[2] - s[1], -s[1]

    for span in (s for s in votes if votes[s] >= k and s not in answer):
        assert any(overlap(span, other) and rank(other) > rank(span) for other in answer)
    for a, b in itertools.combinations(answer, 2):
        assert not overlap(a, b) or any({a, b} <= set(keys(spans)) for spans in members)


@given(members_of)
def test_one_member_alone_is_its_own_majority(members: Members) -> None:
    assert set(keys(vote(members[:1], VotingRule("majority")))) == set(keys(members[0]))


@given(members_of)
def test_equal_weights_are_a_majority(members: Members) -> None:
    weighted = VotingRule("weighted", weights=(0.7,) * len(members))
    assert vote(members, weighted) == vote(members, VotingRule("majority"))


@given(members_of, members_of)
def test_a_member_without_weight_has_no_say(members: Members, others: Members) -> None:
    heard = VotingRule("weighted", weights=(0.7,) * len(members), threshold=0.5)
    all_of = VotingRule("weighted", weights=(0.7,) * len(members) + (0.0,) * len(others), threshold=0.5)
    assert vote([*members, *others], all_of) == vote(members, heard)


def test_a_member_without_weight_makes_no_rivals_nested_mentions_and_no_score() -> None:
    first, second = mention(0, 10, 0.5), mention(5, 15, 0.5)
    both = [mention(0, 10, 0.9), mention(5, 15, 0.9)]
    rule = VotingRule("weighted", weights=(1.0, 1.0, 0.0), threshold=0.5)
    assert vote([[first], [second], both], rule) == (first,)


@given(members_of)
def test_union_is_flat_and_covers_every_span_by_one_at_least_as_long(members: Members) -> None:
    answer = keys(vote(members, VotingRule("union")))
    assert flat(answer)
    for span in exact_votes(members):
        assert any(o == span or (overlap(o, span) and o[2] - o[1] >= span[2] - span[1]) for o in answer)


@given(members_of, st.data())
def test_agreement_keeps_spans_where_k_members_overlap_and_only_those(members: Members, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(members)))
    answer = keys(vote(members, VotingRule("agreement", k)))
    assert flat(answer)
    cover = Counter(place for spans in members for place in {(e.label, i) for e in spans for i in range(*e.span)})
    agreed = {place for place, covering in cover.items() if covering >= k}

    def eligible(span: tuple[str, int, int]) -> bool:
        return any((span[0], i) in agreed for i in range(span[1], span[2]))

    assert all(eligible(span) for span in answer)
    for span in exact_votes(members):
        assert not eligible(span) or any(overlap(span, other) for other in answer)


def test_agreement_takes_the_boundaries_with_most_votes_then_the_longer() -> None:
    two_agree = [[mention(0, 9)], [mention(2, 9)], [mention(2, 9)], []]
    assert keys(vote(two_agree, VotingRule("agreement", 2))) == [("DISEASE", 2, 9)]
    none_agree = [[mention(0, 9)], [mention(2, 9)], [mention(4, 6)], []]
    assert keys(vote(none_agree, VotingRule("agreement", 3))) == [("DISEASE", 0, 9)]


def test_agreement_asks_for_members_that_overlap_each_other_not_for_a_chain() -> None:
    chain = [[mention(0, 10)], [mention(8, 20)], [mention(18, 30)]]
    assert vote(chain, VotingRule("agreement", 3)) == ()
    assert keys(vote(chain, VotingRule("agreement", 2))) == [("DISEASE", 8, 20)]


def test_a_members_nested_spans_count_once_and_to_the_end_of_the_longer() -> None:
    nested = [[mention(0, 20), mention(2, 4)], [mention(12, 15)]]
    assert keys(vote(nested, VotingRule("agreement", 2))) == [("DISEASE", 0, 20)]
    assert vote([nested[0], []], VotingRule("agreement", 2)) == ()


def test_surfaces_that_members_write_differently_do_not_bring_order_back() -> None:
    one, other = [Entity("DISEASE", 0, 3, "a b")], [Entity("DISEASE", 0, 3, "a\nb")]
    assert vote([one, other], VotingRule("majority")) == vote([other, one], VotingRule("majority"))


def test_spans_that_touch_do_not_overlap() -> None:
    assert vote([[mention(0, 5)], [mention(5, 9)]], VotingRule("agreement", 2)) == ()
    assert len(vote([[mention(0, 5)], [mention(5, 9)]], VotingRule("union"))) == 2


def test_labels_do_not_vote_for_each_other() -> None:
    members = [[mention(0, 5)], [mention(0, 5, label="SYMPTOM")]]
    assert vote(members, VotingRule("majority", 2)) == ()
    assert len(vote(members, VotingRule("union"))) == 2


def test_nested_mentions_of_one_member_both_stand_and_rival_boundaries_do_not() -> None:
    nested = [[mention(0, 20), mention(5, 9)], [mention(0, 20)], [mention(5, 9)], []]
    assert keys(vote(nested, VotingRule("majority", 2))) == [("DISEASE", 0, 20), ("DISEASE", 5, 9)]
    rivals = [[mention(0, 20)], [mention(0, 20)], [mention(5, 9)], [mention(5, 9)]]
    assert keys(vote(rivals, VotingRule("majority", 2))) == [("DISEASE", 0, 20)]


def test_weights_decide_against_the_number_of_members() -> None:
    members = [[mention(0, 5)], [mention(7, 9)], [mention(7, 9)]]
    rule = VotingRule("weighted", weights=(0.9, 0.3, 0.3))
    assert keys(vote(members, rule)) == [("DISEASE", 0, 5)]
    assert len(vote(members, VotingRule("weighted", weights=(0.9, 0.3, 0.3), threshold=0.6))) == 2


def test_a_threshold_is_reached_although_decimals_do_not_add_up_in_binary() -> None:
    rule = VotingRule("weighted", weights=(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), threshold=0.8)
    assert len(vote([[mention(0, 5)]] * 8, rule)) == 1
    assert len(vote([[mention(0, 5)]] * 3, VotingRule("weighted", weights=(0.1, 0.2, 0.3), threshold=0.6))) == 1


def test_half_of_the_weight_is_no_majority() -> None:
    assert vote([[mention(0, 5)], []], VotingRule("weighted", weights=(0.5, 0.5))) == ()


def test_the_score_is_the_mean_of_the_voters_that_have_one() -> None:
    members = [[mention(0, 5, 0.5)], [mention(0, 5, 0.75)], [mention(0, 5)], [mention(0, 6, 0.1)]]
    assert [e.score for e in vote(members, VotingRule("majority"))] == [0.625]
    assert [e.score for e in vote([[mention(0, 5)]], VotingRule("majority"))] == [None]


def test_ten_thousand_spans_on_one_place_and_in_a_row_are_voted_on() -> None:
    text = "x" * 60_000
    row = [entity_at("n", text, "DISEASE", i * 6, i * 6 + 7) for i in range(9_990)]
    for strategy in ("majority", "agreement", "union"):
        answer = keys(vote([row, row, []], VotingRule(strategy)))
        assert flat(answer[:50]) == (strategy != "majority")
        assert len(answer) == (9_990 if strategy == "majority" else 4_995)


@pytest.mark.parametrize(
    "arguments",
    [
        {"strategy": "plurality"},
        {"strategy": "majority", "k": 0},
        {"strategy": "union", "k": 2},
        {"strategy": "weighted"},
        {"strategy": "weighted", "weights": ()},
        {"strategy": "weighted", "weights": (0.0, 0.0)},
        {"strategy": "weighted", "weights": (-1.0, 2.0)},
        {"strategy": "weighted", "weights": (float("nan"), 2.0)},
        {"strategy": "weighted", "weights": (1.0,), "threshold": 0.0},
        {"strategy": "weighted", "weights": (0.5, 0.4), "threshold": 0.91},
        {"strategy": "learned", "learned": LearnedWeights(0.0, (1.0,), 0.0, 0.0, 0.0, 0.0, 0.0), "threshold": 1.1},
        {"strategy": "majority", "weights": (1.0,)},
        {"strategy": "majority", "threshold": 0.5},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        VotingRule(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "members"),
    [
        (VotingRule("majority"), 0),
        (VotingRule("union"), 0),
        (VotingRule("agreement", 4), 3),
        (VotingRule("weighted", weights=(1.0, 2.0)), 3),
    ],
)
def test_a_rule_that_does_not_fit_the_members_is_refused(rule: VotingRule, members: int) -> None:
    with pytest.raises(UsageError):
        vote([[]] * members, rule)


@given(st.integers(1, 5).flatmap(rules_for))
def test_a_rule_survives_its_json(rule: VotingRule) -> None:
    assert VotingRule.from_json(rule.to_json()) == rule


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"strategy": "majority", "quorum": 2},
        {"strategy": "majority", "k": "2"},
        {"strategy": "majority", "k": True},
        {"strategy": "weighted", "weights": ["1"]},
    ],
)
def test_a_damaged_rule_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        VotingRule.from_json(value)


def test_every_strategy_has_the_functions_that_its_entry_asks_for() -> None:
    assert set(WINNERS) == {s.name for s in STRATEGIES.values() if not s.needs_probabilities}
    assert set(FITS) == {s.name for s in STRATEGIES.values() if s.fitted}
