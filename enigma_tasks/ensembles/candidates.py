"""The candidates among which fitting chooses a voting rule, and their scores on dev.

A candidate is scored by cross-validation: it is fitted on the other folds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enigma_tasks.ensembles.learned_voting import evidence, fit
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule, weighted_or_majority
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.scoring import Counts, count
from enigma_tasks.ner.text.invisible import visible_length
from enigma_tasks.params.strategies import STRATEGIES, Strategy, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enigma_tasks.documents import Entity
    from enigma_tasks.ensembles.dev_sets import DevSet
    from enigma_tasks.params.ensembles import FittingParams

_GRID = [round(0.05 * i, 2) for i in range(2, 19)]
"""Candidate thresholds: probabilities, or shares of the total weight."""
_LOWEST_THRESHOLD = 1e-9


class DevEvaluation:
    """A dev set with cached results: each rule's counts and the evidence, by document."""

    def __init__(self, dev: DevSet, params: FittingParams, seed: int) -> None:
        self.dev, self.params, self.seed = dev, params, seed
        self.member_counts = [{d: _counts(dev, d, spans.get(d, ())) for d in dev.documents} for spans in dev.members]
        self.voters = {d: _voters(dev.spans(d)) for d in dev.documents}
        self.ballots = {bits for voters in self.voters.values() for bits in voters.values()}
        self._counts: dict[tuple[VotingRule, str], Counts] = {}
        self._evidence: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}

    def folds(self, documents: Sequence[str]) -> list[tuple[list[str], list[str]]]:
        """(rest, fold) for each fold; the seed shuffles the documents."""
        order = np.random.default_rng(self.seed).permutation(len(documents))
        number = self.params.folds
        folds = [{documents[j] for j in order[i::number]} for i in range(number)]
        return [([d for d in documents if d not in fold], sorted(fold)) for fold in folds]

    def counts(self, rule: VotingRule, document: str) -> Counts:
        """The rule's counts in one document."""
        key = (rule, document)
        if key not in self._counts:
            self._counts[key] = _counts(self.dev, document, self.predicted(rule, document))
        return self._counts[key]

    def predicted(self, rule: VotingRule, document: str) -> Sequence[Entity]:
        """The entities that the rule gives for one document."""
        if rule.kind.needs_probabilities:
            return (self.dev.mean or {}).get(document, ())
        return vote(self.dev.spans(document), rule)

    def cross_validated(self, candidate: RuleCandidate, documents: Sequence[str]) -> tuple[Counts, ...]:
        """The candidate's counts in each document, fitted on the other folds."""
        rules = self._held_out_rules(candidate, documents)
        return tuple(self.counts(rules[d], d) for d in documents)

    def cross_predicted(self, candidate: RuleCandidate, documents: Sequence[str]) -> dict[str, Sequence[Entity]]:
        """The candidate's entities in each document, fitted on the other folds."""
        return {d: self.predicted(rule, d) for d, rule in self._held_out_rules(candidate, documents).items()}

    def _held_out_rules(self, candidate: RuleCandidate, documents: Sequence[str]) -> dict[str, VotingRule]:
        """Document -> the candidate's rule, fitted on the other folds."""
        rules: dict[str, VotingRule] = {}
        for train, test in self.folds(documents):
            rules.update(dict.fromkeys(test, candidate.fit(self, train)))
        return rules

    def evidence(self, document: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Rows of `learned_voting.evidence`, and which of their spans are gold."""
        if document not in self._evidence:
            voters = self.voters[document]
            spans = sorted(voters)
            gold = {e.span for e in self.dev.gold.get(document, ())}
            members = self.dev.members
            lengths = {e.span: visible_length(*e.span, e.text) for m in members for e in m.get(document, ())}
            rows = evidence(spans, [voters[s] for s in spans], len(members), [lengths[s] for s in spans])
            self._evidence[document] = rows, np.array([s in gold for s in spans], dtype=bool)
        return self._evidence[document]


def _voters(members: Sequence[Sequence[Entity]]) -> dict[tuple[int, int], int]:
    """Distinct span -> a bit for each member that predicts it."""
    voters: dict[tuple[int, int], int] = {}
    for i, spans in enumerate(members):
        for e in spans:
            voters[e.span] = voters.get(e.span, 0) | 1 << i
    return voters


def _counts(dev: DevSet, document: str, predicted: Sequence[Entity]) -> Counts:
    return count(dev.gold.get(document, ()), predicted).get(dev.label, Counts())


@dataclass(frozen=True)
class RuleCandidate:
    """A function from dev documents to a rule; constant for strategies without anything to fit."""

    name: str
    fit: Callable[[DevEvaluation, Sequence[str]], VotingRule]
    k: int | None = None


def rule_candidates(dev: DevSet, strategy: str | None, k: int | None) -> list[RuleCandidate]:
    """The candidates for a dev set, simple strategies first; the first is the majority of more than half."""
    size = len(dev.members)
    kinds = [s for s in STRATEGIES.values() if strategy in (None, s.name)]
    candidates = [
        candidate
        for kind in kinds
        if dev.mean is not None or not kind.needs_probabilities
        for candidate in _of_strategy(kind, size)
        if k is None or candidate.k == k
    ]
    if not candidates:
        requested = strategy if k is None else f"{strategy} with k {k}"
        averaging = names(lambda s: s.needs_probabilities)
        raise UsageError(f"{requested} does not fit these {size} members ({averaging} needs models that share words)")
    return candidates


def _of_strategy(kind: Strategy, members: int) -> list[RuleCandidate]:
    """One candidate, or one for each k, the default k first."""
    if kind.fitted:
        return [RuleCandidate(kind.name, FITS[kind.name])]
    if not kind.takes_k:
        return [RuleCandidate(kind.name, partial(_constant, VotingRule(kind.name)))]
    default = VotingRule(kind.name).quorum(members)
    ks = [default, *(k for k in range(members, 0, -1) if k != default)]
    return [
        RuleCandidate(f"{kind.name} k={k}", partial(_constant, VotingRule(kind.name, k)), k)
        for k in ks
        if k >= kind.least_k
    ]


def _constant(rule: VotingRule, _evaluation: DevEvaluation, _documents: Sequence[str]) -> VotingRule:
    return rule


def _weighted(evaluation: DevEvaluation, documents: Sequence[str]) -> VotingRule:
    """Weights are the members' strict F1 (paper, section 3.3); the threshold is the best share of their sum."""
    weights = tuple(round(sum((c[d] for d in documents), Counts()).strict.f1, 4) for c in evaluation.member_counts)
    if not any(weights):
        return weighted_or_majority(weights, evaluation.dev.label)
    lowest = VotingRule("weighted", None, weights, _LOWEST_THRESHOLD)
    weight_of = {bits: math.fsum(w for i, w in enumerate(weights) if bits >> i & 1) for bits in evaluation.ballots}
    winners = {
        d: [(e, weight_of[evaluation.voters[d][e.span]]) for e in evaluation.predicted(lowest, d)] for d in documents
    }
    total = math.fsum(weights)
    best = _best_threshold(evaluation.dev, winners, [round(share * total, 6) for share in _GRID])
    return VotingRule("weighted", None, weights, best)


def _learned(evaluation: DevEvaluation, documents: Sequence[str]) -> VotingRule:
    """Weights are fitted on all the documents; the threshold on cross-validated probabilities."""
    winners = {}
    for train, test in evaluation.folds(documents):
        rule = _learned_on(evaluation, train, _LOWEST_THRESHOLD)
        winners.update({d: [(e, e.score or 0.0) for e in evaluation.predicted(rule, d)] for d in test})
    return _learned_on(evaluation, documents, _best_threshold(evaluation.dev, winners, _GRID))


def _learned_on(evaluation: DevEvaluation, documents: Sequence[str], threshold: float) -> VotingRule:
    nothing = evidence([], [], len(evaluation.dev.members)), np.zeros(0, dtype=bool)  # a fold may be all documents
    pairs = [nothing, *(evaluation.evidence(d) for d in documents)]
    rows, right = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    weights = fit(rows, right, evaluation.params.learned_strength)
    return VotingRule("learned", threshold=threshold, learned=weights)


FITS: dict[str, Callable[[DevEvaluation, Sequence[str]], VotingRule]] = {"weighted": _weighted, "learned": _learned}
"""Strategy -> a function that fits its rule on dev documents."""


def _best_threshold(
    dev: DevSet, winners: Mapping[str, Sequence[tuple[Entity, float]]], thresholds: Sequence[float]
) -> float:
    """The threshold with the best strict F1, averaged with its neighbours' to avoid a peak by luck.

    `winners`: entities by document with their rank, at the lowest threshold. Overlaps are resolved in the order of
    ranks, so a higher threshold only removes entities.
    """
    gold = {d: {e.span for e in dev.gold.get(d, ())} for d in winners}
    ranked = [(rank * (1 + _LOWEST_THRESHOLD), e.span in gold[d]) for d, found in winners.items() for e, rank in found]
    gold_spans = sum(len(spans) for spans in gold.values())
    scores = []
    for threshold in thresholds:
        above = [right for rank, right in ranked if rank >= threshold]
        scores.append(2 * sum(above) / max(1, len(above) + gold_spans))
    padded = np.pad(np.array(scores), 1, mode="edge")
    return thresholds[int(np.argmax(np.round(padded[:-2] + padded[1:-1] + padded[2:], 9)))]
