"""Vote on the members' spans of one document (paper, section 3.3).

Spans are compared by (label, start, end), each label separately. Every strategy is deterministic and independent of the
members' order (if weights are permuted with them).

Of overlapping winners the one with more votes (or weight) is kept, then the longer, then the earlier. `majority` and
`weighted` keep both if some member predicted both: that is a nested mention. With K above half of the members, every
span with K votes is therefore kept, since any two have a voter in common.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import Entity, sorted_entities
from enigma_tasks.ensembles.learned_voting import LearnedWeights, correct_probabilities, evidence
from enigma_tasks.ensembles.voting_rule import TOLERANCE, VotingRule
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.text.invisible import visible_length
from enigma_tasks.ner.text.overlaps import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


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
        return lambda weight: weight > total / 2 * (1 + TOLERANCE)
    needed = rule.threshold * (1 - TOLERANCE)
    return lambda weight: weight >= needed


def _by_votes(c: _Candidate) -> tuple[float, int, int]:
    return -c.weight, -c.length, c.start


def _without_overlaps(
    candidates: Iterable[_Candidate], rank: Callable[[_Candidate], tuple[float, float, int]], *, nested: bool
) -> list[_Candidate]:
    """Keep candidates in the order of `rank`, unless one overlaps a kept one (`nested`: without a voter in common)."""
    kept: list[_Candidate] = []
    by_voters: dict[int, Kept] = {}
    for candidate in sorted(candidates, key=rank):
        own = candidate.voters if nested else 0
        rivals = (spans for voters, spans in by_voters.items() if not voters & own)
        if not any(spans.overlap(candidate.start, candidate.end) for spans in rivals):
            kept.append(candidate)
            by_voters.setdefault(own, Kept()).add(candidate.start, candidate.end)
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
