"""Members' predictions of dev documents + gold -> the voting rule for one entity type, with what each rule scores.

Every figure is cross-validated over documents: what a rule has to learn, it learns on the other folds. The plain
majority stays unless another rule is significantly better, so that a small dev set does not select noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enigma_tasks.ensembles.candidates import DevEvaluation, rule_candidates
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.scoring import Counts, Interval, Score, bootstrap, paired_bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ensembles.candidates import RuleCandidate
    from enigma_tasks.ensembles.dev_sets import DevSet
    from enigma_tasks.ensembles.voting import VotingRule
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
    """The rule that was chosen, and why."""

    rule: VotingRule
    name: str
    scored: tuple[Scored, ...] = field(repr=False)
    """Every rule that was tried, the chosen one among them."""
    singles: tuple[Scored, ...] = field(repr=False)
    """Each member alone, in order."""
    whole: Scored = field(repr=False)
    """The choosing itself, cross-validated: what to expect of the rule on new documents."""

    def to_json(self, seed: int, samples: int) -> dict[str, Any]:
        """Scores of the rules, the members and the choosing, rounded; for cards and reports. `samples`: resamples."""
        return {
            "chosen": self.name,
            "documents": len(self.whole.counts),
            "expected": row(self.whole, seed, samples),
            "rules": [row(s, seed, samples) for s in self.scored],
            "members": [row(s, seed, samples) for s in self.singles],
        }


def row(scored: Scored, seed: int, samples: int) -> dict[str, Any]:
    """One line of a table: precision, recall, F1 and its 95 % interval over documents."""
    score, interval = scored.score, interval_of(scored, seed, samples)
    numbers = (score.precision, score.recall, score.f1, interval.low, interval.high)
    named = zip(("precision", "recall", "f1", "low", "high"), (round(n, 4) for n in numbers), strict=True)
    return {"rule": scored.name, **dict(named)}


def interval_of(scored: Scored, seed: int, samples: int) -> Interval:
    """Of strict F1, by bootstrap over documents."""
    return bootstrap(scored.counts, seed, samples=samples)


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
    bench = DevEvaluation(dev, params, seed)
    candidates = rule_candidates(dev, strategy, k)
    chosen, scored = _choose(bench, candidates, dev.documents)
    held_out: dict[str, Counts] = {}
    for train, test in bench.folds(dev.documents):
        rule = _rule_from(bench, candidates, train)
        held_out.update({d: bench.counts(rule, d) for d in test})
    whole = Scored("chosen in each fold", tuple(held_out[d] for d in dev.documents))
    singles = [Scored(f"member {i + 1}", tuple(c[d] for d in dev.documents)) for i, c in enumerate(bench.alone)]
    return Fitted(chosen.fit(bench, dev.documents), chosen.name, scored, tuple(singles), whole)


def rules_from(dev: DevSet, parts: Sequence[Sequence[str]], params: FittingParams, seed: int) -> list[VotingRule]:
    """What `fit_rule` would give for each part of the dev documents by itself, without the figures beside it."""
    bench, candidates = DevEvaluation(dev, params, seed), rule_candidates(dev, None, None)
    return [_rule_from(bench, candidates, part) for part in parts]


def _rule_from(bench: DevEvaluation, candidates: Sequence[RuleCandidate], documents: Sequence[str]) -> VotingRule:
    best, _ = _choose(bench, candidates, documents)
    return best.fit(bench, documents)


def _choose(
    bench: DevEvaluation, candidates: Sequence[RuleCandidate], documents: Sequence[str]
) -> tuple[RuleCandidate, tuple[Scored, ...]]:
    """Keep the first rule unless a later one beats it, then that one unless ...

    To beat is a one-sided paired bootstrap over documents, at the level of params.yaml shared among all rivals
    (Bonferroni): with many rules on few documents some rule is always ahead by luck.
    """
    params = bench.params
    scored = tuple(Scored(r.name, bench.cross_validated(r, documents)) for r in candidates)
    best = 0
    for i in range(1, len(candidates)):
        if scored[i].score.f1 > scored[best].score.f1:
            test = paired_bootstrap(scored[best].counts, scored[i].counts, bench.seed, samples=params.samples)
            if test.not_better < params.level / (len(candidates) - 1):
                best = i
    return candidates[best], scored
