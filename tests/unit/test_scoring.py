"""Scores against hand-made cases, a brute-force reference, and what must hold for any spans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

from enigma_tasks.documents import Entity
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.scoring import (
    Counts,
    bootstrap,
    by_document,
    by_label,
    count,
    count_documents,
    paired_bootstrap,
    total,
)
from enigma_tasks.ner.text.alignment import word_spans
from tests.unit.strategies import spans_within

spans = spans_within(60)


def mention(start: int, end: int, label: str = "DISEASE") -> Entity:
    return Entity(label, start, end, "x" * (end - start))


def counted(gold: list[Entity], predicted: list[Entity]) -> Counts:
    return total(count_documents({"n": gold}, {"n": predicted}))


def best_match(e: Entity, others: list[Entity]) -> float:
    """The definition, pair by pair: harmonic mean of the intersection's share of either span."""
    best = 0.0
    for o in others:
        shared = min(e.char_end, o.char_end) - max(e.char_start, o.char_start)
        if o.label == e.label and shared > 0:
            of_one, of_other = shared / (e.char_end - e.char_start), shared / (o.char_end - o.char_start)
            best = max(best, 2 * of_one * of_other / (of_one + of_other))
    return best


def test_strict_counts_exact_spans_and_labels_only() -> None:
    gold = [mention(0, 5), mention(10, 15), mention(20, 25), mention(30, 35)]
    predicted = [mention(0, 5), mention(10, 16), mention(20, 25, "SYMPTOM")]
    score = counted(gold, predicted).strict
    assert (score.tp, score.fp, score.fn, score.gold, score.predicted) == (1, 2, 3, 4, 3)
    assert (score.precision, score.recall) == (1 / 3, 1 / 4)
    assert score.f1 == pytest.approx(2 / 7)


def test_character_takes_the_best_match_of_each_side() -> None:
    gold = [mention(0, 10), mention(20, 24)]
    predicted = [mention(0, 5), mention(4, 10), mention(40, 44)]
    score = counted(gold, predicted).character
    assert score.recall == pytest.approx((12 / 16 + 0) / 2)
    assert score.precision == pytest.approx((10 / 15 + 12 / 16 + 0) / 3)
    assert score.f1 == pytest.approx(2 * score.recall * score.precision / (score.recall + score.precision))


def test_the_best_match_is_not_the_one_that_covers_most() -> None:
    score = counted([mention(10, 20)], [mention(0, 100), mention(10, 19)]).character
    assert score.recall == pytest.approx(18 / 19)
    assert score.precision == pytest.approx((20 / 110 + 18 / 19) / 2)


def test_predictions_count_once_and_repeated_gold_spans_each() -> None:
    gold = [mention(0, 5), mention(0, 5), mention(6, 9)]
    score = counted(gold, [mention(0, 5), mention(0, 5)]).strict
    assert (score.tp, score.fp, score.fn) == (1, 0, 2)


@given(spans, spans)
def test_character_overlaps_equal_their_definition(gold: list[Entity], predicted: list[Entity]) -> None:
    counts = counted(gold, predicted)
    distinct = list(dict.fromkeys(predicted))
    assert counts.gold_overlap == pytest.approx(sum(best_match(g, distinct) for g in gold))
    assert counts.predicted_overlap == pytest.approx(sum(best_match(p, gold) for p in distinct))


@given(spans, spans)
def test_strict_matches_equal_a_naive_one_to_one_pairing(gold: list[Entity], predicted: list[Entity]) -> None:
    free = [(e.label, e.span) for e in gold]
    hits = 0
    for candidate in {(e.label, e.span) for e in predicted}:
        if candidate in free:
            free.remove(candidate)
            hits += 1
    strict = counted(gold, predicted).strict
    assert (strict.tp, strict.fn, strict.tp + strict.fp) == (
        hits,
        len(free),
        len({(e.label, e.span) for e in predicted}),
    )
    assert strict.f1 == pytest.approx(2 * hits / max(1, strict.gold + strict.predicted))


tag = st.sampled_from(["O", "B-A", "I-A", "B-C", "I-C"])


def legal(tags: list[str]) -> list[str]:
    """IOB2: an I that continues nothing of its type becomes a B."""
    made: list[str] = []
    for tag in tags:
        orphan = tag[0] == "I" and (not made or made[-1] not in (f"B{tag[1:]}", tag))
        made.append(f"B{tag[1:]}" if orphan else tag)
    return made


def entities(tags: list[str]) -> list[Entity]:
    """Words of one letter each, with a space after it."""
    words = np.array([(2 * i, 2 * i + 1) for i in range(len(tags))], dtype=np.int32)
    return [
        mention(start, end, label)
        for label in "AC"
        for start, end in word_spans(words, [("O", "B", "I").index(t[0]) if t[2:] == label else 0 for t in tags])
    ]


@given(
    st.lists(
        st.integers(1, 12).flatmap(lambda n: st.tuples(*[st.lists(tag, min_size=n, max_size=n)] * 2)),
        min_size=1,
        max_size=5,
    )
)
def test_seqeval_agrees_on_tag_sequences(samples: list[tuple[list[str], list[str]]]) -> None:
    gold, predicted = ([legal(tags) for tags in side] for side in zip(*samples, strict=True))
    documents = count_documents(
        {str(i): entities(tags) for i, tags in enumerate(gold)},
        {str(i): entities(tags) for i, tags in enumerate(predicted)},
        labels="AC",
    )
    ours = total(documents).strict
    theirs = precision_recall_fscore_support(
        gold, predicted, mode="strict", scheme=IOB2, average="micro", zero_division=0
    )
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(tuple(map(float, theirs[:3])))


@given(spans)
def test_gold_against_itself_is_perfect(gold: list[Entity]) -> None:
    unique = list(dict.fromkeys(gold))
    counts = counted(unique, unique)
    perfect = 1.0 if unique else 0.0
    assert (counts.strict.precision, counts.strict.recall, counts.strict.f1) == (perfect,) * 3
    assert counts.character.f1 == pytest.approx(perfect)


@given(spans, spans, st.data())
def test_order_changes_no_score(gold: list[Entity], predicted: list[Entity], data: st.DataObject) -> None:
    shuffled = counted(data.draw(st.permutations(gold)), data.draw(st.permutations(predicted)))
    assert shuffled == counted(gold, predicted)


@given(spans, spans)
def test_gold_and_predictions_swapped_swap_precision_and_recall(a: list[Entity], b: list[Entity]) -> None:
    first, second = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    one, other = counted(first, second), counted(second, first)
    assert (one.strict.precision, one.strict.recall) == (other.strict.recall, other.strict.precision)
    assert one.character.precision == other.character.recall
    assert one.strict.f1 == pytest.approx(other.strict.f1)


@given(spans, spans)
def test_character_is_never_below_strict(gold: list[Entity], predicted: list[Entity]) -> None:
    counts = counted(list(dict.fromkeys(gold)), predicted)
    assert counts.character.f1 >= counts.strict.f1 - 1e-12


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=4))
def test_documents_and_labels_add_up_to_the_whole(samples: list[tuple[list[Entity], list[Entity]]]) -> None:
    documents = count_documents(
        {str(i): g for i, (g, _) in enumerate(samples)}, {str(i): p for i, (_, p) in enumerate(samples)}
    )
    whole = total(documents)
    for parts in (by_label(documents), by_document(documents)):
        added = sum(parts.values(), Counts())
        assert (added.gold, added.predicted, added.matched) == (whole.gold, whole.predicted, whole.matched)
        assert added.gold_overlap == pytest.approx(whole.gold_overlap)


def test_nothing_at_all_scores_zero_and_divides_by_nothing() -> None:
    assert counted([], []).strict.f1 == 0
    assert counted([], []).character.f1 == 0
    assert count([], []) == {}


def test_a_type_that_a_document_was_not_annotated_for_is_not_judged() -> None:
    gold = {"a": [mention(0, 5)], "b": [mention(0, 5, "SYMPTOM")]}
    predicted = {
        "a": [mention(0, 5), mention(6, 9, "SYMPTOM")],
        "b": [mention(0, 5, "SYMPTOM"), mention(6, 9)],
        "c": [mention(0, 5)],
    }
    documents = count_documents(gold, predicted, {"a": ["DISEASE"], "b": ["SYMPTOM"]})
    assert total(documents).strict.f1 == 1
    assert list(documents) == ["a", "b"]


def test_without_word_of_what_was_annotated_every_prediction_counts() -> None:
    documents = count_documents(
        {"a": [mention(0, 5)]}, {"a": [mention(0, 5)], "b": [mention(0, 5), mention(1, 2, "SYMPTOM")]}
    )
    assert total(documents).strict.fp == 2
    assert by_document(documents)["b"].strict.fp == 2
    assert by_label(documents)["SYMPTOM"].strict.fp == 1


def test_one_label_can_be_judged_alone() -> None:
    gold = {"a": [mention(0, 5), mention(0, 5, "SYMPTOM")]}
    documents = count_documents(gold, {"a": [mention(0, 5)]}, labels=["DISEASE"])
    assert total(documents).strict.f1 == 1


def test_a_document_without_spans_belongs_to_the_sample() -> None:
    documents = count_documents({"a": [mention(0, 5)], "b": []}, {}, {"a": ["DISEASE"], "b": ["DISEASE"], "c": []})
    assert documents["b"] == {}
    assert "c" not in documents


GOOD = [Counts(10, 10, 9, 9.5, 9.5), Counts(4, 5, 4, 4.0, 4.0), Counts(6, 6, 5, 5.5, 5.5), Counts(8, 7, 6, 7.0, 6.5)]
POOR = [Counts(10, 9, 5, 7.0, 7.0), Counts(4, 5, 2, 3.0, 3.0), Counts(6, 8, 3, 4.0, 4.0), Counts(8, 8, 4, 6.0, 6.0)]


def test_an_interval_holds_the_observed_value_and_repeats_with_its_seed() -> None:
    observed = sum(GOOD, Counts())
    for metric, f1 in (("strict", observed.strict.f1), ("character", observed.character.f1)):
        interval = bootstrap(GOOD, 7, metric=metric)  # type: ignore[arg-type]
        assert 0 <= interval.low < f1 < interval.high <= 1
        assert bootstrap(GOOD, 7, metric=metric) == interval  # type: ignore[arg-type]
    assert bootstrap(GOOD * 5, 8, samples=50) != bootstrap(GOOD * 5, 7, samples=50)


def test_documents_that_are_alike_leave_no_doubt() -> None:
    interval = bootstrap([GOOD[0]] * 5, 7)
    assert interval.low == pytest.approx(GOOD[0].strict.f1)
    assert interval.high == pytest.approx(GOOD[0].strict.f1)


def test_a_clear_gain_is_told_from_none() -> None:
    gain = paired_bootstrap(POOR, GOOD, 7, samples=2000)
    difference = sum(GOOD, Counts()).strict.f1 - sum(POOR, Counts()).strict.f1
    assert gain.difference == pytest.approx(difference)
    assert gain.interval.low > 0
    assert gain.not_better == 0
    same = paired_bootstrap(GOOD, GOOD, 7, samples=2000)
    assert (same.difference, same.interval.low, same.interval.high, same.not_better) == (0, 0, 0, 1)


def test_swapping_the_pair_turns_the_sign() -> None:
    one = paired_bootstrap(POOR, GOOD, 7, samples=500)
    other = paired_bootstrap(GOOD, POOR, 7, samples=500)
    assert one.difference == -other.difference
    assert one.interval.low == pytest.approx(-other.interval.high)


def test_the_pair_is_drawn_together_so_that_hard_documents_do_not_widen_the_difference() -> None:
    hard_and_easy = [Counts(10, 10, 1, 1.0, 1.0), Counts(10, 10, 9, 9.0, 9.0)] * 10
    a_little_better = [Counts(10, 10, c.matched + 1, 1.0, 1.0) for c in hard_and_easy]
    paired = paired_bootstrap(hard_and_easy, a_little_better, 7, samples=1000)
    assert paired.interval.low == pytest.approx(0.1)
    assert paired.interval.high == pytest.approx(0.1)
    assert bootstrap(hard_and_easy, 7).high - bootstrap(hard_and_easy, 7).low > 0.2


def test_bootstraps_refuse_what_cannot_be_compared() -> None:
    with pytest.raises(UsageError):
        bootstrap([], 7)
    with pytest.raises(UsageError):
        paired_bootstrap([], [], 7)
    with pytest.raises(UsageError):
        paired_bootstrap(GOOD, GOOD[:-1], 7)
    with pytest.raises(UsageError):
        paired_bootstrap(GOOD, GOOD[::-1], 7)
