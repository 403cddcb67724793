"""Choosing a rule on dev: the majority unless another is better beyond chance; all figures are cross-validated."""

from __future__ import annotations

import random
from typing import Any

import pytest

from enigma_tasks.documents import Entity
from enigma_tasks.ensembles.dev_sets import DevSet, dev_set
from enigma_tasks.ensembles.fitting import fit_rule
from enigma_tasks.errors import UsageError
from enigma_tasks.params.ensembles import EnsembleParams, FittingParams
from enigma_tasks.params.strategies import STRATEGIES

PARAMS = FittingParams()
Spans = dict[str, list[Entity]]


def mention(place: int, label: str = "DISEASE") -> Entity:
    return Entity(label, place * 20, place * 20 + 6, "x" * 6)


def drawn(hit_rates: list[float], false_rates: list[float], notes: int = 25, seed: int = 1) -> DevSet:
    """Ten mentions and ten other places a note; each member finds the first and falls for the second at its rates."""
    luck = random.Random(seed)
    documents = [f"n{i:02}" for i in range(notes)]
    gold = {d: [mention(p) for p in range(10)] for d in documents}
    members: dict[str, Spans] = {}
    for i, (hit, false) in enumerate(zip(hit_rates, false_rates, strict=True)):
        members[f"m{i}"] = {
            d: [mention(p) for p in range(20) if luck.random() < (hit if p < 10 else false)] for d in documents
        }
    return dev_set("DISEASE", documents, gold, members)


def test_members_that_are_alike_keep_the_plain_majority() -> None:
    fitted = fit_rule(drawn([0.8] * 5, [0.1] * 5), PARAMS, 1)
    assert (fitted.name, fitted.rule.to_json()) == ("majority k=3", {"strategy": "majority", "k": 3})
    assert fitted.expected.score.f1 > max(s.score.f1 for s in fitted.singles) + 0.01


def test_shy_members_that_find_different_mentions_need_fewer_votes() -> None:
    fitted = fit_rule(drawn([0.3] * 5, [0.0] * 5), PARAMS, 1)
    assert fitted.rule.quorum(5) == 1
    assert fitted.expected.score.f1 > 0.85


def test_a_member_that_is_far_better_outweighs_the_others() -> None:
    dev = drawn([0.95, 0.3, 0.3], [0.01, 0.3, 0.3])
    fitted = fit_rule(dev, PARAMS, 1)
    majority = fitted.scored[0].score.f1
    assert fitted.rule.strategy in {"weighted", "learned"}
    assert fitted.expected.score.f1 > majority + 0.1


def test_the_same_dev_set_gives_the_same_rule_and_figures() -> None:
    fits = [fit_rule(drawn([0.9, 0.6, 0.5], [0.1, 0.2, 0.3]), PARAMS, 7) for _ in range(2)]
    records = [f.record(PARAMS, 7, code="c", gold="g", names=["a", "b", "c"], missing=[]) for f in fits]
    assert records[0] == records[1]
    assert fits[0].rule == fits[1].rule


def test_what_chance_explains_chooses_nothing() -> None:
    """Three alike members on few notes: over many draws some rule is often ahead, and is hardly ever taken."""
    names = [fit_rule(drawn([0.7] * 3, [0.2] * 3, notes=12, seed=s), PARAMS, s).name for s in range(4)]
    assert names.count("majority k=2") >= 3


@pytest.mark.parametrize(("strategy", "k"), [("majority", 2), ("agreement", 2), ("agreement", None), ("learned", None)])
def test_a_strategy_that_is_asked_for_is_what_comes_out(strategy: str, k: int | None) -> None:
    rule = fit_rule(drawn([0.8] * 3, [0.1] * 3, notes=10), PARAMS, 1, strategy, k).rule
    assert rule.strategy == strategy
    assert k in (None, rule.k)


def test_the_mean_is_a_rule_where_there_are_probabilities_and_refused_where_there_are_none() -> None:
    dev = drawn([0.5] * 3, [0.1] * 3, notes=10)
    with pytest.raises(UsageError, match="mean needs models that share words"):
        fit_rule(dev, PARAMS, 1, "mean")
    perfect = DevSet(dev.label, dev.documents, dev.gold, dev.members, mean=dev.gold)
    assert fit_rule(perfect, PARAMS, 1).rule.to_json() == {"strategy": "mean"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": {}}, "at least one member"),
        ({"members": {"a": {"n1": [mention(1)]}, "b": {"elsewhere": [mention(1)]}}}, "member b has no prediction"),
        ({"members": {"a": {}}}, "member a has no prediction"),
        ({"label": "SYMPTOM"}, "no SYMPTOM span"),
        ({"documents": []}, "no prediction for any of the 0"),
    ],
)
def test_what_cannot_be_fitted_on_is_refused(change: dict[str, Any], message: str) -> None:
    sound = {
        "label": "DISEASE",
        "documents": ["n1", "n2"],
        "gold": {"n1": [mention(1)]},
        "members": {"a": {"n1": [mention(1)]}},
    }
    with pytest.raises(UsageError, match=message):
        dev_set(**{**sound, **change})


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("found_in", [None, 0, 1])
def test_folds_without_a_predicted_span_or_a_document_to_learn_from_give_a_rule(
    strategy: str | None, folds: int, found_in: int | None
) -> None:
    """A fold of a fold of so few documents leaves none to fit on."""
    documents = [f"n{i}" for i in range(folds)]
    gold = {d: [mention(1)] for d in documents}
    members = {f"m{i}": {d: [mention(1)] if j == found_in else [] for j, d in enumerate(documents)} for i in range(3)}
    dev = dev_set("DISEASE", documents, gold, members, mean=members["m0"])
    fitted = fit_rule(dev, FittingParams(folds=folds), 1, strategy)
    assert fitted.rule.strategy in {strategy or "majority", "majority"}
    assert len(fitted.expected.counts) == folds


def test_fewer_documents_than_folds_or_more_votes_than_members_are_refused() -> None:
    with pytest.raises(UsageError, match="3 dev documents cannot be divided into 5 folds"):
        fit_rule(drawn([0.8] * 3, [0.1] * 3, notes=3), PARAMS, 1)
    with pytest.raises(UsageError, match="majority with k 4 does not fit these 3 members"):
        fit_rule(drawn([0.8] * 3, [0.1] * 3, notes=10), PARAMS, 1, "majority", 4)


@pytest.mark.parametrize(
    "change", [{"k": 3}, {"k": 2, "strategy": "union"}, {"k": 1, "strategy": "auto"}, {"members": []}, {"voters": 2}]
)
def test_an_ensemble_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    sound = {"language": "es", "members": ["a", "b"], "strategy": "agreement", "k": 2}
    EnsembleParams.model_validate(sound)
    with pytest.raises(ValueError, match=r"k is|k goes|at least|Extra"):
        EnsembleParams.model_validate({**sound, **change})
