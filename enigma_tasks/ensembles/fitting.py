"""Choose and fit the voting rule of one entity type on dev, with the scores of every candidate.

All scores are cross-validated over documents: a rule is fitted on the other folds. The plain majority is chosen unless
another rule is significantly better, so that a small dev set does not select noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.ensembles.candidates import DevEvaluation, rule_candidates
from enigma_tasks.ensembles.card import FittedRule, RuleScore
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.scoring import Counts, Interval, Score, bootstrap, paired_bootstrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity
    from enigma_tasks.ensembles.candidates import RuleCandidate
    from enigma_tasks.ensembles.dev_sets import DevSet
    from enigma_tasks.ensembles.voting_rule import VotingRule
    from enigma_tasks.params.ensembles import FittingParams


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
    """The chosen rule, and the scores behind the choice."""

    rule: VotingRule
    name: str
    scored: tuple[Scored, ...] = field(repr=False)
    """Every candidate, the chosen one among them."""
    singles: tuple[Scored, ...] = field(repr=False)
    """Each member alone, in order."""
    expected: Scored = field(repr=False)
    """Choice and fit together, cross-validated: the score to expect on new documents."""
    held_out: Mapping[str, Sequence[Entity]] = field(repr=False)
    """Document -> the entities of the chosen rule, fitted on the other folds."""

    def record(
        self, params: FittingParams, seed: int, *, code: str, gold: str, names: Sequence[str], missing: Sequence[str]
    ) -> FittedRule:
        """For the card. `code`, `gold`: digests; `names`, `missing`: of members."""
        return FittedRule(
            **params.model_dump(),
            chosen=self.name,
            documents=len(self.expected.counts),
            expected=row(self.expected, seed, params.samples),
            rules=tuple(row(s, seed, params.samples) for s in self.scored),
            members=tuple(row(s, seed, params.samples) for s in self.singles),
            seed=seed,
            code=code,
            gold=gold,
            names=tuple(names),
            missing=tuple(missing) or None,
        )


def row(scored: Scored, seed: int, samples: int) -> RuleScore:
    """One line of a table. `samples`: resamples of the documents, for the interval."""
    score, interval = scored.score, interval_of(scored, seed, samples)
    return RuleScore(
        rule=scored.name,
        precision=round(score.precision, 4),
        recall=round(score.recall, 4),
        f1=round(score.f1, 4),
        low=round(interval.low, 4),
        high=round(interval.high, 4),
    )


def interval_of(scored: Scored, seed: int, samples: int) -> Interval:
    """The interval of strict F1, by bootstrap over documents."""
    return bootstrap(scored.counts, seed, samples=samples)


def fit_rule(
    dev: DevSet, params: FittingParams, seed: int, strategy: str | None = None, k: int | None = None
) -> Fitted:
    """Choose a rule on dev and fit it on all of dev; `strategy` and `k` restrict the candidates.

    Raises:
        UsageError: no such rule for these members (`mean` without shared words; `k` above their number), or fewer
            documents than folds.
    """
    if len(dev.documents) < params.folds:
        raise UsageError(f"{len(dev.documents)} dev documents cannot be divided into {params.folds} folds")
    evaluation = DevEvaluation(dev, params, seed)
    candidates = rule_candidates(dev, strategy, k)
    chosen, scored = _choose(evaluation, candidates, dev.documents)
    held_out: dict[str, Counts] = {}
    for train, test in evaluation.folds(dev.documents):
        rule = _rule_from(evaluation, candidates, train)
        held_out.update({d: evaluation.counts(rule, d) for d in test})
    expected = Scored("chosen in each fold", tuple(held_out[d] for d in dev.documents))
    singles = [
        Scored(f"member {i + 1}", tuple(c[d] for d in dev.documents)) for i, c in enumerate(evaluation.member_counts)
    ]
    own = evaluation.cross_predicted(chosen, dev.documents)
    return Fitted(chosen.fit(evaluation, dev.documents), chosen.name, scored, tuple(singles), expected, own)


def rules_from(dev: DevSet, parts: Sequence[Sequence[str]], params: FittingParams, seed: int) -> list[VotingRule]:
    """The rule that `fit_rule` chooses and fits on each part of the dev documents, without scores."""
    evaluation, candidates = DevEvaluation(dev, params, seed), rule_candidates(dev, None, None)
    return [_rule_from(evaluation, candidates, part) for part in parts]


def _rule_from(evaluation: DevEvaluation, candidates: Sequence[RuleCandidate], documents: Sequence[str]) -> VotingRule:
    best, _ = _choose(evaluation, candidates, documents)
    return best.fit(evaluation, documents)


def _choose(
    evaluation: DevEvaluation, candidates: Sequence[RuleCandidate], documents: Sequence[str]
) -> tuple[RuleCandidate, tuple[Scored, ...]]:
    """The first candidate, replaced by each later one that is significantly better; and all candidates' scores.

    The test is a one-sided paired bootstrap over documents at the level of params.yaml, divided by the number of
    alternatives (Bonferroni): with many rules and few documents the best score is often luck.
    """
    params = evaluation.params
    scored = tuple(Scored(r.name, evaluation.cross_validated(r, documents)) for r in candidates)
    best = 0
    for i in range(1, len(candidates)):
        if scored[i].score.f1 > scored[best].score.f1:
            test = paired_bootstrap(scored[best].counts, scored[i].counts, evaluation.seed, samples=params.samples)
            if test.not_better < params.level / (len(candidates) - 1):
                best = i
    return candidates[best], scored
