"""The gate: each rule of the change plan, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.scoring import Counts
from enigma_tasks.params.promotion import PromotionParams
from enigma_tasks.promotion.comparison import gain, lower_bound, score, strict_f1, strict_sums
from enigma_tasks.promotion.gate import Candidate, FrozenSet, Gate, Measured
from enigma_tasks.promotion.looks import level_of_next, share
from enigma_tasks.promotion.slices import slice_tests, slices_of

if TYPE_CHECKING:
    from enigma_tasks.promotion.decision import Decision

PLAN = load_params().promotion
DISEASE = EntityType("disease")
LABEL = frozenset({"DISEASE"})


def plan(**changes: Any) -> PromotionParams:
    return PromotionParams.model_validate(PLAN.model_dump() | changes)


def model(right: float, documents: int = 100, seconds: float = 1.0, seed: int = 0) -> Measured:
    """Ten mentions and ten predictions a document, `right` of them expected to match."""
    random = np.random.default_rng(seed)
    counts = tuple(Counts(gold=10, predicted=10, matched=int(random.binomial(10, right))) for _ in range(documents))
    return Measured(counts, seconds)


def gate(documents: int = 100, earlier: tuple[Decision, ...] = (), slices: int = 1, **changes: Any) -> Gate:
    parts = tuple({"source": f"s{i % slices}"} for i in range(documents))
    return Gate(plan(**changes), DISEASE, FrozenSet("t" * 64, parts), earlier, 1)


def decided(
    challenger: Measured, champion: Measured | None = None, first: Measured | None = None, **more: Any
) -> Decision:
    return gate(**more).decide(challenger, champion, first)


def failed(decision: Decision | None) -> list[str]:
    assert decision
    return [r.rule for r in decision.failed]


def test_a_clearly_better_challenger_is_promoted_with_the_numbers_of_every_rule() -> None:
    decision = decided(model(0.85, seed=1), model(0.75, seed=2))
    assert (decision.result, failed(decision)) == ("promoted", [])
    assert [r.rule for r in decision.reasons] == ["floor", "gain", "level", "slice", "cost"]
    assert decision.champion
    assert decision.challenger
    assert decision.gain
    assert decision.gain.value == pytest.approx(decision.challenger.value - decision.champion.value, abs=1e-5)
    assert decision.gain.low > 0
    assert decision.p_value is not None
    assert decision.alpha is not None
    assert decision.p_value <= decision.alpha == pytest.approx(PLAN.level * share(1, PLAN.looks))
    assert (decision.look, decision.test_documents, decision.change_plan) == (1, 100, PLAN.digest())


def test_a_worse_challenger_is_refused_and_a_small_gain_that_may_be_noise_is_undecided() -> None:
    worse = decided(model(0.70, seed=1), model(0.75, seed=2))
    assert (worse.result, failed(worse)) == ("refused", ["gain"])
    small = decided(model(0.78, seed=1), model(0.75, seed=2))
    assert small.gain
    assert small.gain.value > PLAN.margin
    assert (small.result, failed(small)) == ("undecided", ["level"])


def test_a_gain_below_the_margin_is_refused_however_certain() -> None:
    certain = decided(model(0.85, seed=1), model(0.75, seed=2), margin=0.2)
    assert (certain.result, failed(certain)) == ("refused", ["gain"])


def test_the_same_results_are_no_gain() -> None:
    same = decided(model(0.8), model(0.8), margin=0.0)
    assert (same.result, same.p_value, failed(same)) == ("refused", 1.0, ["gain"])


def test_the_first_champion_needs_the_floor_and_nothing_else() -> None:
    assert decided(model(0.6)).result == "promoted"
    below = decided(model(0.4))
    assert (below.result, failed(below), below.champion, below.p_value) == ("refused", ["floor"], None, None)
    own = decided(model(0.6), floors={"default": 0.5, "disease": 0.7})
    assert failed(own) == ["floor"]


def test_every_challenger_needs_the_floor() -> None:
    assert failed(decided(model(0.45, seed=1), model(0.3, seed=2))) == ["floor"]


def test_a_slice_that_falls_refuses_what_is_better_as_a_whole() -> None:
    champion = model(0.75, documents=200, seed=2)
    better, bad = model(0.95, documents=200, seed=1), model(0.60, documents=200, seed=3)
    mixed = Measured(tuple((bad if i % 4 == 3 else better).counts[i] for i in range(200)), 1.0)
    decision = decided(mixed, champion, documents=200, slices=4)
    assert (decision.result, failed(decision)) == ("refused", ["slice"])
    (reason,) = decision.failed
    assert reason.subject == "source: s3"
    assert reason.numbers["fall"] > PLAN.slices.source
    tolerated = PLAN.slices.model_dump() | {"source": 0.3}
    test = FrozenSet("t" * 64, tuple({"source": f"s{i % 4}"} for i in range(200)))
    assert Gate(plan(slices=tolerated), DISEASE, test, (), 1).decide(mixed, champion, None).result == "promoted"


def test_a_slice_with_few_documents_is_shown_and_not_tested() -> None:
    parts = [{"source": "rare" if i < 5 else "common"} for i in range(100)]
    tests = slice_tests(parts, model(0.8).counts, model(0.8, seed=1).counts, PLAN.slices, 1)
    assert [(t.name, t.documents, t.adjusted_p is None) for t in tests] == [("common", 95, False), ("rare", 5, True)]
    assert slice_tests([{"source": "all"}] * 100, model(0.8).counts, model(0.8).counts, PLAN.slices, 1) == ()


def test_lengths_are_listed_from_short_to_long() -> None:
    names = ["up to 500", "up to 1000", "up to 4000", "over 4000"]
    parts = [{"length": names[i % 4]} for i in range(100)]
    tests = slice_tests(parts, model(0.8).counts, model(0.8, seed=1).counts, PLAN.slices, 1)
    assert [t.name for t in tests] == names


def test_a_much_slower_challenger_is_refused() -> None:
    slow = decided(model(0.9, seconds=2.5, seed=1), model(0.75, seed=2))
    assert (slow.result, failed(slow)) == ("refused", ["cost"])
    assert decided(model(0.9, seconds=1.9, seed=1), model(0.75, seed=2)).result == "promoted"


def test_a_challenger_may_not_be_worse_than_the_first_champion_even_if_better_than_the_present_one() -> None:
    first, present, challenger = model(0.85, seed=3), model(0.70, seed=2), model(0.78, seed=1)
    decision = decided(challenger, present, first)
    assert (decision.result, failed(decision)) == ("refused", ["first_champion"])
    assert decision.first
    assert decision.gain_over_first
    as_good = decided(model(0.85, seed=1), present, model(0.85, seed=4))
    assert (as_good.result, failed(as_good)) == ("undecided", ["first_champion_level"])
    assert decided(model(0.95, seed=1), present, first).result == "promoted"


@pytest.mark.parametrize(
    ("candidate", "changes", "rule", "result"),
    [
        (Candidate(frozenset({"SYMPTOM"}), LABEL), {}, "label_set", "outside_plan"),
        (Candidate(frozenset({"DISEASE", "SYMPTOM"}), LABEL), {}, "label_set", "outside_plan"),
        (Candidate(LABEL, frozenset({"SYMPTOM"})), {}, "label_set", "outside_plan"),
        (Candidate(frozenset({"SYMPTOM"}), None), {}, "label_set", "outside_plan"),
        (Candidate(LABEL, LABEL, ("gliner",)), {}, "incomplete", "outside_plan"),
        (Candidate(LABEL, LABEL), {"documents": 101}, "documents", "undecided"),
    ],
)
def test_what_the_plan_does_not_cover_is_not_run_and_spends_no_look(
    candidate: Candidate, changes: dict[str, Any], rule: str, result: str
) -> None:
    decision = Gate(plan(**changes), DISEASE, FrozenSet("t" * 64, ({},) * 100), (), 1).before(candidate)
    assert decision
    assert (decision.result, failed(decision), decision.is_look, decision.look) == (result, [rule], False, 0)
    later = gate(earlier=(decision,)).decide(model(0.9, seed=1), model(0.75, seed=2), None)
    assert later.look == 1


def test_an_incomplete_ensemble_is_run_where_the_plan_allows_it() -> None:
    assert gate(incomplete=True).before(Candidate(LABEL, LABEL, ("gliner",))) is None


def test_a_spent_budget_asks_for_a_new_test_set() -> None:
    looks = tuple(decided(model(0.7, seed=1), model(0.75, seed=2)) for _ in range(2))
    assert gate(earlier=looks, looks=3).before(Candidate(LABEL, LABEL)) is None
    spent = gate(earlier=looks, looks=2).before(Candidate(LABEL, LABEL))
    assert spent
    assert (spent.result, failed(spent), spent.look) == ("undecided", ["looks"], 2)
    assert "freeze a new test set" in spent.reasons[0].sentence


def test_a_later_look_is_stricter_and_gets_the_level_of_a_promotion_before_it() -> None:
    refused = decided(model(0.7, seed=1), model(0.75, seed=2))
    promoted = decided(model(0.85, seed=1), model(0.75, seed=2))
    after_refusal = gate(earlier=(refused,)).decide(model(0.85, seed=1), model(0.75, seed=2), None)
    after_promotion = gate(earlier=(promoted,)).decide(model(0.85, seed=1), model(0.75, seed=2), None)
    assert refused.alpha
    assert after_refusal.alpha
    assert after_promotion.alpha
    assert after_refusal.alpha < refused.alpha < after_promotion.alpha
    assert (after_refusal.look, after_promotion.look) == (2, 2)


@given(st.integers(1, 60), st.lists(st.booleans(), max_size=60))
def test_no_history_can_spend_more_than_the_level_on_challengers_that_are_not_promoted(
    budget: int, promoted: list[bool]
) -> None:
    levels = [level_of_next(promoted[:i], 0.05, budget) for i in range(len(promoted) + 1)]
    given_out = [level for level in levels if level is not None]
    assert len(given_out) == min(budget, len(promoted) + 1)
    spent = sum(level for level, passed in zip(given_out, [*promoted, False], strict=False) if not passed)
    assert spent <= 0.05 * (1 + 1e-9)
    assert all(level > 0 for level in given_out)


@given(st.integers(1, 200))
def test_the_shares_of_all_looks_are_the_whole_level(budget: int) -> None:
    assert sum(share(look, budget) for look in range(1, budget + 1)) == pytest.approx(1)
    assert share(budget + 1, budget) == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_statistic_is_strict_f1_of_summed_counts(rows: list[tuple[int, int, int]]) -> None:
    counts = [Counts(gold=g, predicted=p, matched=min(g, p, m)) for g, p, m in rows]
    expected = sum(counts, Counts()).strict.f1
    assert float(strict_f1(strict_sums(counts).sum())) == pytest.approx(expected)
    found = score(counts, 1)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert 0 <= found.low <= found.high <= 1


def test_a_p_value_is_exact_for_few_documents_and_a_probability_under_no_difference() -> None:
    right, wrong = Counts(gold=1, predicted=1, matched=1), Counts(gold=1, predicted=1, matched=0)
    assert gain([wrong] * 5, [right] * 5, 0.05, 1).p_value == pytest.approx(1 / 32)
    assert gain([right] * 5, [wrong] * 5, 0.05, 1).p_value == 1
    assert gain([right] * 5, [wrong] * 5, 0.05, 1, "less").p_value == pytest.approx(1 / 32)
    p_values = []
    for seed in range(200):
        a, b = model(0.8, documents=40, seed=2 * seed).counts, model(0.8, documents=40, seed=2 * seed + 1).counts
        p_values.append(gain(a, b, 0.05, seed).p_value)
    assert sum(p <= 0.1 for p in p_values) <= 0.1 * 200 + 3 * (200 * 0.1 * 0.9) ** 0.5


def test_small_levels_are_resampled_finely_enough_to_be_reached() -> None:
    a, b = model(0.6, seed=1).counts, model(0.9, seed=2).counts
    assert gain(a, b, 5e-4, 1).p_value <= 5e-4
    assert gain(a, b, 0.01, 1) == gain(a, b, 0.01, 1)


def test_other_documents_are_not_compared() -> None:
    with pytest.raises(UsageError, match="same documents"):
        gain([Counts(gold=1)], [Counts(gold=2)], 0.05, 1)
    with pytest.raises(UsageError, match="same documents"):
        gain([], [], 0.05, 1)


def test_the_lower_bound_is_that_of_a_one_sided_interval() -> None:
    a, b = model(0.75, seed=1).counts, model(0.8, seed=2).counts
    found = gain(a, b, 0.05, 1).interval
    assert found.low < lower_bound(a, b, 0.05, 1) < found.value


@pytest.mark.parametrize(
    ("document", "pattern", "expected"),
    [
        ("casos_clinicos_cardiologia12", PLAN.slices.source_pattern, "casos_clinicos_cardiologia"),
        ("note-0012", PLAN.slices.source_pattern, "note"),
        ("0012", PLAN.slices.source_pattern, None),
        ("ward-3-n17", r"^(ward-\d+)-", "ward-3"),
        ("n17", r"^(ward-\d+)-", None),
        ("n17", None, None),
    ],
)
def test_a_documents_id_tells_its_source_by_the_plans_pattern(
    document: str, pattern: str, expected: str | None
) -> None:
    params = PLAN.slices.model_copy(update={"source_pattern": pattern})
    assert slices_of(document, "up to 500", params).get("source") == expected
    assert slices_of(document, "up to 500", params)["length"] == "up to 500"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"floors": {"disease": 0.5}}, "default"),
        ({"floors": {"default": 0.5, "illness": 0.5}}, "disease, procedure, symptom"),
        ({"level": 0.0}, "level"),
        ({"looks": 0}, "looks"),
        ({"marginn": 0.1}, "marginn"),
        ({"slices": {**PLAN.slices.model_dump(), "site_pattern": "ward"}}, "one group"),
        ({"slices": {**PLAN.slices.model_dump(), "site_pattern": "(ward"}}, "regular expression"),
    ],
)
def test_a_change_plan_that_cannot_be_meant_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        plan(**changes)


def test_the_digest_of_a_plan_tells_any_change_of_it() -> None:
    assert plan().digest() == PLAN.digest()
    others = [plan(margin=0.01), plan(approvers=("ana",)), plan(slices=PLAN.slices.model_dump() | {"length": 0.04})]
    assert len({p.digest() for p in (PLAN, *others)}) == 4


def test_who_may_approve() -> None:
    assert plan(approvers=()).may_approve("anyone")
    assert not plan(approvers=()).may_approve("")
    assert plan(approvers=("ana",)).may_approve("ana")
    assert not plan(approvers=("ana",)).may_approve("Ana")
