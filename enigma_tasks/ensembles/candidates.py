"""What fitting chooses from: each strategy as a rule, or as a function of dev documents to a rule; and their scores.

A candidate is judged by cross-validation: what it has to learn, it learns on the other folds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enigma_tasks.ensembles.learned_voting import evidence, fit
from enigma_tasks.ensembles.voting import VotingRule, vote, weighted_or_majority
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
"""Thresholds that are tried: probabilities, and shares of all weight."""
_ANY = 1e-9


class DevEvaluation:
    """A dev set with what is worked out once: what a rule scores in a document, and each document's evidence."""

    def __init__(self, dev: DevSet, params: FittingParams, seed: int) -> None:
        self.dev, self.params, self.seed = dev, params, seed
        self.alone = [{d: _judged(dev, d, spans.get(d, ())) for d in dev.documents} for spans in dev.members]
        self.voters = {d: _voters(dev.spans(d)) for d in dev.documents}
        self.ballots = {bits for voters in self.voters.values() for bits in voters.values()}
        self._counts: dict[tuple[VotingRule, str], Counts] = {}
        self._evidence: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}

    def folds(self, documents: Sequence[str]) -> list[tuple[list[str], list[str]]]:
        """(rest, fold) for each fold: the documents in an order of the seed's, dealt out."""
        order = np.random.default_rng(self.seed).permutation(len(documents))
        folds = self.params.folds
        dealt = [{documents[j] for j in order[i::folds]} for i in range(folds)]
        return [([d for d in documents if d not in fold], sorted(fold)) for fold in dealt]

    def counts(self, rule: VotingRule, document: str) -> Counts:
        """What the rule scores in one document."""
        key = (rule, document)
        if key not in self._counts:
            self._counts[key] = _judged(self.dev, document, self.answer(rule, document))
        return self._counts[key]

    def answer(self, rule: VotingRule, document: str) -> Sequence[Entity]:
        """What the rule says about one document."""
        if rule.kind.needs_probabilities:
            return (self.dev.mean or {}).get(document, ())
        return vote(self.dev.spans(document), rule)

    def cross_validated(self, candidate: RuleCandidate, documents: Sequence[str]) -> tuple[Counts, ...]:
        """What the candidate scores in each document when it was fitted on the other folds."""
        found: dict[str, Counts] = {}
        for train, test in self.folds(documents):
            rule = candidate.fit(self, train)
            found.update({d: self.counts(rule, d) for d in test})
        return tuple(found[d] for d in documents)

    def evidence(self, document: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Rows of `learned_voting.evidence`, and which of them are gold."""
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


def _judged(dev: DevSet, document: str, predicted: Sequence[Entity]) -> Counts:
    return count(dev.gold.get(document, ()), predicted).get(dev.label, Counts())


@dataclass(frozen=True)
class RuleCandidate:
    """A way to get a rule from documents; for those without anything to fit, always the same rule."""

    name: str
    fit: Callable[[DevEvaluation, Sequence[str]], VotingRule]
    k: int | None = None


def rule_candidates(dev: DevSet, strategy: str | None, k: int | None) -> list[RuleCandidate]:
    """From the plainest to the most learned; the majority of more than half is first."""
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
        asked = strategy if k is None else f"{strategy} with k {k}"
        sharing = names(lambda s: s.needs_probabilities)
        raise UsageError(f"{asked} does not fit these {size} members ({sharing} needs models that share words)")
    return candidates


def _of_strategy(kind: Strategy, members: int) -> list[RuleCandidate]:
    """One candidate, or one for each k, the usual one first."""
    if kind.fitted:
        return [RuleCandidate(kind.name, FITS[kind.name])]
    if not kind.takes_k:
        return [RuleCandidate(kind.name, partial(_as_it_is, VotingRule(kind.name)))]
    usual = VotingRule(kind.name).quorum(members)
    ks = [usual, *(k for k in range(members, 0, -1) if k != usual)]
    return [
        RuleCandidate(f"{kind.name} k={k}", partial(_as_it_is, VotingRule(kind.name, k)), k)
        for k in ks
        if k >= kind.least_k
    ]


def _as_it_is(rule: VotingRule, _bench: DevEvaluation, _documents: Sequence[str]) -> VotingRule:
    return rule


def _weighted(bench: DevEvaluation, documents: Sequence[str]) -> VotingRule:
    """Weights are the members' strict F1 (paper, section 3.3); the threshold is the best share of them."""
    weights = tuple(round(sum((c[d] for d in documents), Counts()).strict.f1, 4) for c in bench.alone)
    if not any(weights):
        return weighted_or_majority(weights, bench.dev.label)
    lowest = VotingRule("weighted", None, weights, _ANY)
    weigh = {bits: math.fsum(w for i, w in enumerate(weights) if bits >> i & 1) for bits in bench.ballots}
    answers = {d: [(e, weigh[bench.voters[d][e.span]]) for e in bench.answer(lowest, d)] for d in documents}
    total = math.fsum(weights)
    best = _best_threshold(bench.dev, answers, [round(share * total, 6) for share in _GRID])
    return VotingRule("weighted", None, weights, best)


def _learned(bench: DevEvaluation, documents: Sequence[str]) -> VotingRule:
    """Weights from all the documents; the threshold from scores of documents that the weights had not seen."""
    answers = {}
    for train, test in bench.folds(documents):
        rule = _learned_on(bench, train, _ANY)
        answers.update({d: [(e, e.score or 0.0) for e in bench.answer(rule, d)] for d in test})
    return _learned_on(bench, documents, _best_threshold(bench.dev, answers, _GRID))


def _learned_on(bench: DevEvaluation, documents: Sequence[str], threshold: float) -> VotingRule:
    seen = [bench.evidence(d) for d in documents]
    rows, right = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    weights = fit(rows, right, bench.params.learned_strength)
    return VotingRule("learned", threshold=threshold, learned=weights)


FITS: dict[str, Callable[[DevEvaluation, Sequence[str]], VotingRule]] = {"weighted": _weighted, "learned": _learned}
"""Strategy -> its rule, fitted on so many dev documents."""


def _best_threshold(
    dev: DevSet, answers: Mapping[str, Sequence[tuple[Entity, float]]], thresholds: Sequence[float]
) -> float:
    """The one with the best strict F1, smoothed with its neighbours': a lone peak is luck.

    `answers`: winners with the number they ranked by, at a threshold of nothing. Winners are settled in that order, so
    a higher threshold takes the last of them away and changes nothing else.
    """
    gold = {d: {e.span for e in dev.gold.get(d, ())} for d in answers}
    judged = [(rank * (1 + _ANY), e.span in gold[d]) for d, found in answers.items() for e, rank in found]
    wanted = sum(len(spans) for spans in gold.values())
    scores = []
    for threshold in thresholds:
        kept = [right for rank, right in judged if rank >= threshold]
        scores.append(2 * sum(kept) / max(1, len(kept) + wanted))
    padded = np.pad(np.array(scores), 1, mode="edge")
    return thresholds[int(np.argmax(np.round(padded[:-2] + padded[1:-1] + padded[2:], 9)))]
