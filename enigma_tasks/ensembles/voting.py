"""Vote on the members' spans of one document (paper, section 3.3).

Spans are compared by (label, start, end), each label separately. Every strategy is deterministic and independent of the
members' order (if weights are permuted with them).

Of overlapping winners the one with more votes (or weight) is kept, then the longer, then the earlier. `majority` and
`weighted` keep both if some member predicted both: that is a nested mention. With K above half of the members, every
span with K votes is therefore kept, since any two have a voter in common.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import Entity, sorted_entities
from enigma_tasks.ensembles.learned_voting import LearnedWeights, correct_probabilities, evidence
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.text.invisible import visible_length
from enigma_tasks.params.strategies import STRATEGIES, Strategy, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

log = logging.getLogger(__name__)

_TOLERANCE = 1e-9
_CELL = 64
"""Characters per cell of the index for finding overlapping spans."""


@dataclass(frozen=True, slots=True)
class VotingRule:
    """A voting strategy with its numbers, as in `ensemble.json`.

    majority: at least `k` members predict exactly this span (default: more than half of them).
    agreement: at least `k` members' spans overlap, with any boundaries; see `vote`.
    weighted: the weights of the members that predict exactly this span reach `threshold` (default: more than half).
    union: every span; of two that overlap the longer is kept.
    mean: words are tagged by the members' averaged probabilities; see `mean_voting`. It needs more than spans.
    learned: the span's probability by `learned` is at least `threshold`; of two that overlap the more probable is kept.
    """

    strategy: str
    k: int | None = None
    weights: tuple[float, ...] | None = None
    threshold: float | None = None
    learned: LearnedWeights | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UsageError(f"unknown voting strategy {self.strategy!r}; there are: {', '.join(STRATEGIES)}")
        kind = self.kind
        if self.k is not None and not (kind.takes_k and self.k >= 1):
            raise UsageError(f"k is only for {names(lambda s: s.takes_k, ' or ')}, and is at least 1")
        if (self.weights is not None) != kind.takes_weights:
            having = names(lambda s: s.takes_weights, " or ")
            raise UsageError(f"weights are for the strategy {having} only, one for each member")
        if self.weights is not None and not (
            all(math.isfinite(w) and w >= 0 for w in self.weights) and any(self.weights)
        ):
            raise UsageError("weights are numbers of 0 or more, not all 0")
        if self.threshold is not None and not (
            kind.takes_threshold and math.isfinite(self.threshold) and self.threshold > 0
        ):
            raise UsageError(f"threshold is only for {names(lambda s: s.takes_threshold, ' or ')}, and is above 0")
        highest = 1.0 if self.weights is None else math.fsum(self.weights)
        if self.threshold is not None and self.threshold > highest * (1 + _TOLERANCE):
            raise UsageError(f"threshold is {self.threshold:g}, but no span can reach more than {highest:g}")
        if kind.needs_fitting != (self.learned is not None and self.threshold is not None):
            having = names(lambda s: s.needs_fitting, " or ")
            raise UsageError(f"the strategy {having} needs its weights and threshold, see `enigma ensemble`")

    @property
    def kind(self) -> Strategy:
        """The strategy's entry."""
        return STRATEGIES[self.strategy]

    def quorum(self, members: int) -> int:
        """Votes that a span needs among `members` members. Raises UsageError if these are none, or fewer than `k`."""
        if members < 1:
            raise UsageError("voting needs at least one member")
        if self.k is not None and self.k > members:
            raise UsageError(f"k is {self.k}, but there are {members} members")
        weights = self.weights if self.learned is None else self.learned.votes
        if weights is not None and len(weights) != members:
            raise UsageError(f"there are {len(weights)} weights for {members} members")
        return 1 if self.kind.one_vote else self.k or members // 2 + 1

    def to_json(self) -> dict[str, Any]:
        """The keys that are set."""
        values = {
            "strategy": self.strategy,
            "k": self.k,
            "weights": None if self.weights is None else list(self.weights),
            "threshold": self.threshold,
            "learned": None if self.learned is None else self.learned.to_json(),
        }
        return {key: value for key, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> VotingRule:
        """The inverse of `to_json`. Raises UsageError for an unknown key or a value of the wrong type."""
        number = (int, float)
        known: dict[str, Any] = {"strategy": str, "k": int, "weights": list, "threshold": number, "learned": dict}
        for key, item in value.items():
            if key not in known or not isinstance(item, known[key]) or isinstance(item, bool):
                raise UsageError(f"voting rule: {key} is unknown or of the wrong type")
        weights = value.get("weights")
        if weights is not None and not all(isinstance(w, int | float) for w in weights):
            raise UsageError("voting rule: weights must be numbers")
        return cls(
            str(value.get("strategy", "")),
            value.get("k"),
            None if weights is None else tuple(float(w) for w in weights),
            value.get("threshold"),
            None if value.get("learned") is None else LearnedWeights.from_json(value["learned"]),
        )


@dataclass(slots=True)
class _Candidate:
    """One distinct span with the members that predict it."""

    label: str
    start: int
    end: int
    text: str = field(repr=False)
    voters: int = 0
    """Bit i: member i predicts exactly this span."""
    scores: dict[int, float] = field(default_factory=dict)
    weight: float = 0.0
    """Number of votes, sum of their weights, or learned probability; winners are ranked by it."""
    probability: float | None = None

    @property
    def length(self) -> int:
        """In visible characters, so that a soft hyphen does not make a span longer."""
        return visible_length(self.start, self.end, self.text)

    def entity(self) -> Entity:
        score = math.fsum(self.scores.values()) / len(self.scores) if self.scores else None
        score = score if self.probability is None else self.probability
        return Entity(self.label, self.start, self.end, self.text, score)


def weighted_or_majority(weights: tuple[float, ...], what: str, threshold: float | None = None) -> VotingRule:
    """`weighted`, or `majority` with a warning if all weights are 0; `what`: the label, for the warning."""
    if any(weights):
        return VotingRule("weighted", weights=weights, threshold=threshold)
    log.warning("%s: all members' weights are 0: majority is used instead", what)
    return VotingRule("majority")


def vote(members: Sequence[Sequence[Entity]], rule: VotingRule) -> tuple[Entity, ...]:
    """The voted entities of one document, sorted.

    An entity's score is the mean of its voters' scores; for `learned` it is the learned probability.

    agreement: a region where at least K members have a span is agreed. Every span that covers part of an agreed region
    is eligible; of overlapping ones the span with most exact votes is kept, then the longer, then the earlier.

    Args:
        members: each member's spans of the same document; a span repeated within one member counts once.
        rule: the strategy and its numbers.

    Raises:
        UsageError: no members, K above their number, weights of another number, or a strategy that needs probabilities.
    """
    if rule.kind.needs_probabilities:
        raise UsageError(f"{rule.strategy} averages probabilities, so it needs models, not spans")
    rule.quorum(len(members))
    candidates = _candidates(members, rule)
    winners: list[_Candidate] = []
    for label in sorted({c.label for c in candidates}):
        winners += WINNERS[rule.strategy]([c for c in candidates if c.label == label], rule, len(members))
    return sorted_entities(c.entity() for c in winners)


def _union(candidates: Sequence[_Candidate], _rule: VotingRule, _members: int) -> list[_Candidate]:
    return _without_overlaps(candidates, lambda c: (-c.length, -c.weight, c.start), nested=False)


def _agreement(candidates: Sequence[_Candidate], rule: VotingRule, members: int) -> list[_Candidate]:
    regions = _agreed_regions(candidates, members, rule.quorum(members))
    return _without_overlaps([c for c in candidates if _overlaps_any(c, regions)], _by_votes, nested=False)


def _learned(candidates: Sequence[_Candidate], rule: VotingRule, _members: int) -> list[_Candidate]:
    if rule.learned is None or rule.threshold is None:
        raise UsageError(f"{rule.strategy} has not been fitted")
    _set_probabilities(candidates, rule.learned)
    needed = rule.threshold
    return _without_overlaps([c for c in candidates if c.weight >= needed], _by_votes, nested=False)


def _majority_or_weighted(candidates: Sequence[_Candidate], rule: VotingRule, members: int) -> list[_Candidate]:
    enough = _enough(rule, rule.quorum(members))
    return _without_overlaps([c for c in candidates if enough(c.weight)], _by_votes, nested=True)


WINNERS: dict[str, Callable[[Sequence[_Candidate], VotingRule, int], list[_Candidate]]] = {
    "majority": _majority_or_weighted,
    "agreement": _agreement,
    "union": _union,
    "weighted": _majority_or_weighted,
    "learned": _learned,
}
"""Strategy -> a function from the candidates of one label, the rule and the number of members to the winners."""


def _candidates(members: Sequence[Sequence[Entity]], rule: VotingRule) -> list[_Candidate]:
    found: dict[tuple[str, int, int], _Candidate] = {}
    for index, spans in enumerate(members):
        if rule.weights is not None and not rule.weights[index]:
            continue  # so that it affects neither overlaps nor scores
        for e in spans:
            key = (e.label, e.char_start, e.char_end)
            candidate = found.setdefault(key, _Candidate(*key, e.text))
            candidate.text = min(candidate.text, e.text)
            candidate.voters |= 1 << index
            if e.score is not None:
                candidate.scores[index] = max(e.score, candidate.scores.get(index, e.score))
    for candidate in found.values():
        voters = [i for i in range(len(members)) if candidate.voters >> i & 1]
        # fsum rounds once, so the sum does not depend on the members' order
        candidate.weight = math.fsum(1.0 if rule.weights is None else rule.weights[i] for i in voters)
    return list(found.values())


def _set_probabilities(candidates: Sequence[_Candidate], weights: LearnedWeights) -> None:
    spans, lengths = [(c.start, c.end) for c in candidates], [c.length for c in candidates]
    rows = evidence(spans, [c.voters for c in candidates], len(weights.votes), lengths)
    for candidate, probability in zip(candidates, correct_probabilities(weights, rows), strict=True):
        candidate.weight = probability
        candidate.probability = round(probability, 6)


def _enough(rule: VotingRule, quorum: int) -> Callable[[float], bool]:
    if rule.weights is None:
        return lambda weight: weight >= quorum
    total = math.fsum(rule.weights)
    if rule.threshold is None:
        return lambda weight: weight > total / 2 * (1 + _TOLERANCE)
    needed = rule.threshold * (1 - _TOLERANCE)
    return lambda weight: weight >= needed


def _by_votes(c: _Candidate) -> tuple[float, int, int]:
    return -c.weight, -c.length, c.start


def _without_overlaps(
    candidates: Iterable[_Candidate], rank: Callable[[_Candidate], tuple[float, float, int]], *, nested: bool
) -> list[_Candidate]:
    """Keep candidates in the order of `rank`, unless one overlaps a kept one (`nested`: without a voter in common)."""
    kept: list[_Candidate] = []
    cells: dict[int, list[_Candidate]] = {}
    for candidate in sorted(candidates, key=rank):
        covered = range(candidate.start // _CELL, (candidate.end - 1) // _CELL + 1)
        near = (other for cell in covered for other in cells.get(cell, ()))
        if any(
            o.start < candidate.end and candidate.start < o.end and not (nested and o.voters & candidate.voters)
            for o in near
        ):
            continue
        kept.append(candidate)
        for cell in covered:
            cells.setdefault(cell, []).append(candidate)
    return kept


def _agreed_regions(candidates: Sequence[_Candidate], members: int, quorum: int) -> list[tuple[int, int]]:
    """The regions, disjoint and in order, where at least `quorum` members have a span."""
    changes: list[tuple[int, int]] = []
    for index in range(members):
        reach = -1
        for c in sorted((c for c in candidates if c.voters >> index & 1), key=lambda c: c.start):
            if c.end > reach:  # a member's own overlapping spans count once
                changes += [(max(c.start, reach), 1), (c.end, -1)]
                reach = c.end
    regions: list[tuple[int, int]] = []
    covering, opened = 0, 0
    for position, change in sorted(changes):  # at one position ends come first: touching spans do not overlap
        covering += change
        if change == 1 and covering == quorum:
            opened = position
        elif change == -1 and covering == quorum - 1 and position > opened:
            regions.append((opened, position))
    return regions


def _overlaps_any(candidate: _Candidate, regions: Sequence[tuple[int, int]]) -> bool:
    last = bisect_left(regions, (candidate.end, -1)) - 1
    return last >= 0 and regions[last][1] > candidate.start
