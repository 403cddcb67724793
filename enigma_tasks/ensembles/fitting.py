"""Members' predictions of dev documents + gold -> the voting rule for one entity type, with what each rule scores.

Every figure is cross-validated over documents: what a rule has to learn, it learns on the other folds. The plain
majority stays unless another rule is better beyond chance, so that a small dev set does not talk anybody into noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enigma_tasks.ensembles.learned_voting import evidence, fit
from enigma_tasks.ensembles.voting import VotingRule, vote
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.scoring import Counts, Interval, Score, bootstrap, count, paired_bootstrap
from enigma_tasks.params.strategies import STRATEGIES, Strategy, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enigma_tasks.documents import Entity
    from enigma_tasks.ensembles.dev_sets import DevSet
    from enigma_tasks.params.ensembles import FittingParams

_GRID = [round(0.05 * i, 2) for i in range(2, 19)]
"""Thresholds that are tried: probabilities, and shares of all weight."""
_ANY = 1e-9


@dataclass(frozen=True)
class Scored:
    """One rule on dev, cross-validated."""

    name: str
    counts: tuple[Counts, ...] = field(repr=False)
    """Per document, in the dev set's order."""

    @property
    def score(self) -> Score:
        """Strict scores over all documents."""
        return sum(self.counts, Counts()).strict


@dataclass(frozen=True)
class Fitted:
    """The rule that was chosen, and why."""

    rule: VotingRule
    name: str
    scored: tuple[Scored, ...] = field(repr=False)
    """Every rule that was tried, the chosen one among them."""
    singles: tuple[Scored, ...] = field(repr=False)
    """Each member alone, in order."""
    whole: Scored = field(repr=False)
    """The choosing itself, cross-validated: what to expect of the rule on new documents."""

    def to_json(self, seed: int) -> dict[str, Any]:
        """Scores of the rules, the members and the choosing, rounded; for cards and reports."""
        return {
            "chosen": self.name,
            "documents": len(self.whole.counts),
            "expected": row(self.whole, seed),
            "rules": [row(s, seed) for s in self.scored],
            "members": [row(s, seed) for s in self.singles],
        }


def row(scored: Scored, seed: int) -> dict[str, Any]:
    """One line of a table: precision, recall, F1 and its 95 % interval over documents."""
    score, interval = scored.score, interval_of(scored, seed)
    numbers = (score.precision, score.recall, score.f1, interval.low, interval.high)
    named = zip(("precision", "recall", "f1", "low", "high"), (round(n, 4) for n in numbers), strict=True)
    return {"rule": scored.name, **dict(named)}


def interval_of(scored: Scored, seed: int) -> Interval:
    """Of strict F1, by bootstrap over documents."""
    return bootstrap(scored.counts, seed)


def fit_rule(
    dev: DevSet, params: FittingParams, seed: int, strategy: str | None = None, k: int | None = None
) -> Fitted:
    """Choose a rule on dev and fit it on all of dev; `strategy` and `k` leave only theirs to choose from.

    Raises:
        UsageError: no such rule for these members (`mean`, and they share no words; `k` above their number), or fewer
            documents than folds.
    """
    if len(dev.documents) < params.folds:
        raise UsageError(f"{len(dev.documents)} dev documents cannot be cut into {params.folds} folds")
    bench = _DevEvaluation(dev, params.folds, seed)
    recipes = _rule_candidates(dev, strategy, k)
    chosen, scored = _choose(bench, recipes, dev.documents, params.level, seed)
    held_out: dict[str, Counts] = {}
    for train, test in bench.folds(dev.documents):
        rule = _rule_from(bench, recipes, train, params.level, seed)
        held_out.update({d: bench.counts(rule, d) for d in test})
    whole = Scored("chosen in each fold", tuple(held_out[d] for d in dev.documents))
    singles = [Scored(f"member {i + 1}", tuple(c[d] for d in dev.documents)) for i, c in enumerate(bench.alone)]
    return Fitted(chosen.fit(bench, dev.documents), chosen.name, scored, tuple(singles), whole)


def rules_from(dev: DevSet, parts: Sequence[Sequence[str]], params: FittingParams, seed: int) -> list[VotingRule]:
    """What `fit_rule` would give for each part of the dev documents by itself, without the figures beside it."""
    bench, recipes = _DevEvaluation(dev, params.folds, seed), _rule_candidates(dev, None, None)
    return [_rule_from(bench, recipes, part, params.level, seed) for part in parts]


def _rule_from(
    bench: _DevEvaluation, recipes: Sequence[_RuleCandidate], documents: Sequence[str], level: float, seed: int
) -> VotingRule:
    best, _ = _choose(bench, recipes, documents, level, seed)
    return best.fit(bench, documents)


@dataclass(frozen=True)
class _RuleCandidate:
    """A way to get a rule from documents; for those without anything to fit, always the same rule."""

    name: str
    fit: Callable[[_DevEvaluation, Sequence[str]], VotingRule]
    k: int | None = None


def _rule_candidates(dev: DevSet, strategy: str | None, k: int | None) -> list[_RuleCandidate]:
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


def _of_strategy(kind: Strategy, members: int) -> list[_RuleCandidate]:
    """One candidate, or one for each k, the usual one first."""
    if kind.fitted:
        return [_RuleCandidate(kind.name, FITS[kind.name])]
    if not kind.takes_k:
        return [_RuleCandidate(kind.name, partial(_as_it_is, VotingRule(kind.name)))]
    usual = VotingRule(kind.name).quorum(members)
    ks = [usual, *(k for k in range(members, 0, -1) if k != usual)]
    return [
        _RuleCandidate(f"{kind.name} k={k}", partial(_as_it_is, VotingRule(kind.name, k)), k)
        for k in ks
        if k >= kind.least_k
    ]


def _as_it_is(rule: VotingRule, _bench: _DevEvaluation, _documents: Sequence[str]) -> VotingRule:
    return rule


def _choose(
    bench: _DevEvaluation, recipes: Sequence[_RuleCandidate], documents: Sequence[str], level: float, seed: int
) -> tuple[_RuleCandidate, tuple[Scored, ...]]:
    """Keep the first rule unless a later one beats it, then that one unless ...

    To beat is a one-sided paired bootstrap over documents, at `level` shared among all rivals (Bonferroni): with many
    rules on few documents some rule is always ahead by luck.
    """
    scored = tuple(Scored(r.name, bench.cross_validated(r, documents)) for r in recipes)
    best = 0
    for i in range(1, len(recipes)):
        if scored[i].score.f1 > scored[best].score.f1:
            test = paired_bootstrap(scored[best].counts, scored[i].counts, seed, samples=2000)
            if test.not_better < level / (len(recipes) - 1):
                best = i
    return recipes[best], scored


class _DevEvaluation:
    """A dev set with what is worked out once: what a rule scores in a document, and each document's evidence."""

    def __init__(self, dev: DevSet, folds: int, seed: int) -> None:
        self.dev = dev
        self._folds, self._seed = folds, seed
        self.alone = [{d: _judged(dev, d, spans.get(d, ())) for d in dev.documents} for spans in dev.members]
        self.voters = {d: _voters(dev.spans(d)) for d in dev.documents}
        self.ballots = {bits for voters in self.voters.values() for bits in voters.values()}
        self._counts: dict[tuple[VotingRule, str], Counts] = {}
        self._evidence: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}

    def folds(self, documents: Sequence[str]) -> list[tuple[list[str], list[str]]]:
        """(rest, fold) for each fold: the documents in an order of the seed's, dealt out."""
        order = np.random.default_rng(self._seed).permutation(len(documents))
        dealt = [{documents[j] for j in order[i :: self._folds]} for i in range(self._folds)]
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

    def cross_validated(self, recipe: _RuleCandidate, documents: Sequence[str]) -> tuple[Counts, ...]:
        """What the recipe scores in each document when it was fitted on the other folds."""
        found: dict[str, Counts] = {}
        for train, test in self.folds(documents):
            rule = recipe.fit(self, train)
            found.update({d: self.counts(rule, d) for d in test})
        return tuple(found[d] for d in documents)

    def evidence(self, document: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Rows of `learned_voting.evidence`, and which of them are gold."""
        if document not in self._evidence:
            voters = self.voters[document]
            spans = sorted(voters)
            gold = {e.span for e in self.dev.gold.get(document, ())}
            rows = evidence(spans, [voters[s] for s in spans], len(self.dev.members))
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


def _weighted(bench: _DevEvaluation, documents: Sequence[str]) -> VotingRule:
    """Weights are the members' strict F1 (paper, section 3.3); the threshold is the best share of them."""
    weights = tuple(round(sum((c[d] for d in documents), Counts()).strict.f1, 4) for c in bench.alone)
    if not any(weights):  # nobody is ever right: all the same, then
        weights = (1.0,) * len(weights)
    lowest = VotingRule("weighted", None, weights, _ANY)
    weigh = {bits: math.fsum(w for i, w in enumerate(weights) if bits >> i & 1) for bits in bench.ballots}
    answers = {d: [(e, weigh[bench.voters[d][e.span]]) for e in bench.answer(lowest, d)] for d in documents}
    total = math.fsum(weights)
    best = _best_threshold(bench.dev, answers, [round(share * total, 6) for share in _GRID])
    return VotingRule("weighted", None, weights, best)


def _learned(bench: _DevEvaluation, documents: Sequence[str]) -> VotingRule:
    """Weights from all the documents; the threshold from scores of documents that the weights had not seen."""
    answers = {}
    for train, test in bench.folds(documents):
        rule = _learned_on(bench, train, _ANY)
        answers.update({d: [(e, e.score or 0.0) for e in bench.answer(rule, d)] for d in test})
    return _learned_on(bench, documents, _best_threshold(bench.dev, answers, _GRID))


def _learned_on(bench: _DevEvaluation, documents: Sequence[str], threshold: float) -> VotingRule:
    seen = [bench.evidence(d) for d in documents]
    weights = fit(np.concatenate([rows for rows, _ in seen]), np.concatenate([right for _, right in seen]))
    return VotingRule("learned", threshold=threshold, learned=weights)


FITS: dict[str, Callable[[_DevEvaluation, Sequence[str]], VotingRule]] = {"weighted": _weighted, "learned": _learned}
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
