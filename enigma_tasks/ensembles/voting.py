"""Many members' spans of one document -> one answer (paper, section 3.3).

Spans are compared by (label, start, end); labels never meet. Every strategy is deterministic and knows no order among
members: permuting them (with their weights) changes nothing.

Where winners overlap: more votes (or weight) stay, then the longer, then the earlier. `majority` and `weighted` let two
overlapping winners both stand where some member predicted both: that is a nested mention, not two boundaries of one.
With K above half of the members every span of K votes is therefore kept, since any two share a member.
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
"""Characters of a cell of the index that finds overlapping spans."""


@dataclass(frozen=True, slots=True)
class VotingRule:
    """How members become one answer; what `ensemble.json` holds.

    majority: at least `k` members predict exactly this span (default: more than half of them).
    agreement: at least `k` members' spans mutually overlap, whatever their boundaries; see `vote`.
    weighted: the weights of the members that predict exactly this span reach `threshold` (default: more than half).
    union: every span; of two that overlap the longer stays.
    mean: words are tagged by the members' averaged probabilities; see `mean_voting`. It needs more than spans.
    learned: `learned` gives a span a probability of at least `threshold`; of two that overlap the likelier stays.
    """

    strategy: str
    k: int | None = None
    weights: tuple[float, ...] | None = None
    threshold: float | None = None
    learned: LearnedWeights | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UsageError(f"no voting strategy {self.strategy!r}; there are: {', '.join(STRATEGIES)}")
        kind = self.kind
        if self.k is not None and not (kind.takes_k and self.k >= 1):
            raise UsageError(f"k goes with {names(lambda s: s.takes_k, ' or ')}, and is at least 1")
        if (self.weights is not None) != kind.takes_weights:
            having = names(lambda s: s.takes_weights, " or ")
            raise UsageError(f"weights go with the strategy {having}, one for each member, and only with it")
        if self.weights is not None and not (
            all(math.isfinite(w) and w >= 0 for w in self.weights) and any(self.weights)
        ):
            raise UsageError("weights are numbers of 0 or more, not all 0")
        if self.threshold is not None and not (
            kind.takes_threshold and math.isfinite(self.threshold) and self.threshold > 0
        ):
            raise UsageError(f"threshold goes with {names(lambda s: s.takes_threshold, ' or ')}, and is above 0")
        reached = 1.0 if self.weights is None else math.fsum(self.weights)
        if self.threshold is not None and self.threshold > reached * (1 + _TOLERANCE):
            raise UsageError(f"threshold is {self.threshold:g}, but no span can reach more than {reached:g}")
        if kind.needs_fitting != (self.learned is not None and self.threshold is not None):
            having = names(lambda s: s.needs_fitting, " or ")
            raise UsageError(
                f"the strategy {having} needs its weights and a threshold, as `enigma ensemble` writes them"
            )

    @property
    def kind(self) -> Strategy:
        """The strategy's entry."""
        return STRATEGIES[self.strategy]

    def quorum(self, members: int) -> int:
        """Votes that a span needs among so many members. Raises UsageError when there are none, or fewer than `k`."""
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
        """What `to_json` wrote. Raises UsageError for an unknown key or a value of the wrong type."""
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
    """One distinct span with the members behind it."""

    label: str
    start: int
    end: int
    text: str = field(repr=False)
    voters: int = 0
    """Bit i: member i predicts exactly this span."""
    scores: dict[int, float] = field(default_factory=dict)
    weight: float = 0.0
    """Votes, or their weights together, or the learned probability: winners rank by it."""
    probability: float | None = None

    @property
    def length(self) -> int:
        """Visible characters: a soft hyphen makes no span the longer one."""
        return visible_length(self.start, self.end, self.text)

    def entity(self) -> Entity:
        score = math.fsum(self.scores.values()) / len(self.scores) if self.scores else None
        score = score if self.probability is None else self.probability
        return Entity(self.label, self.start, self.end, self.text, score)


def weighted_or_majority(weights: tuple[float, ...], what: str, threshold: float | None = None) -> VotingRule:
    """`weighted`, or where no member has any weight the majority, with a warning; `what` is voted on."""
    if any(weights):
        return VotingRule("weighted", weights=weights, threshold=threshold)
    log.warning("%s: no member scores, so that none can be weighted: the majority decides", what)
    return VotingRule("majority")


def vote(members: Sequence[Sequence[Entity]], rule: VotingRule) -> tuple[Entity, ...]:
    """One document's answer from its members' spans, sorted.

    A winner's score is the mean of its voters' scores; by `learned` it is the learned probability.

    agreement: a place where at least K members have a span is agreed; every span that covers part of such a place is
    eligible, and of those that overlap the boundaries with most exact votes stay, then the longer, then the earlier.

    Args:
        members: each member's spans of the same document; a span repeated within one member counts once.
        rule: the strategy and its numbers.

    Raises:
        UsageError: no members, K above their number, weights of another number, or a strategy that needs probabilities.
    """
    if rule.kind.needs_probabilities:
        raise UsageError(f"{rule.strategy} averages probabilities: it takes members that are models, not their spans")
    rule.quorum(len(members))
    candidates = _candidates(members, rule)
    winners: list[_Candidate] = []
    for label in sorted({c.label for c in candidates}):
        winners += WINNERS[rule.strategy]([c for c in candidates if c.label == label], rule, len(members))
    return sorted_entities(c.entity() for c in winners)


def _every_longest(ballot: Sequence[_Candidate], _rule: VotingRule, _members: int) -> list[_Candidate]:
    return _settled(ballot, lambda c: (-c.length, -c.weight, c.start), nested=False)


def _where_enough_overlap(ballot: Sequence[_Candidate], rule: VotingRule, members: int) -> list[_Candidate]:
    agreed = _agreed(ballot, members, rule.quorum(members))
    return _settled([c for c in ballot if _meets(c, agreed)], _by_votes, nested=False)


def _likely_enough(ballot: Sequence[_Candidate], rule: VotingRule, _members: int) -> list[_Candidate]:
    if rule.learned is None or rule.threshold is None:
        raise UsageError(f"{rule.strategy} has not been fitted")
    _judge(ballot, rule.learned)
    needed = rule.threshold
    return _settled([c for c in ballot if c.weight >= needed], _by_votes, nested=False)


def _with_enough_weight(ballot: Sequence[_Candidate], rule: VotingRule, members: int) -> list[_Candidate]:
    enough = _enough(rule, rule.quorum(members))
    return _settled([c for c in ballot if enough(c.weight)], _by_votes, nested=True)


WINNERS: dict[str, Callable[[Sequence[_Candidate], VotingRule, int], list[_Candidate]]] = {
    "majority": _with_enough_weight,
    "agreement": _where_enough_overlap,
    "union": _every_longest,
    "weighted": _with_enough_weight,
    "learned": _likely_enough,
}
"""Strategy -> the winners among the candidates of one label, by a rule, of so many members."""


def _candidates(members: Sequence[Sequence[Entity]], rule: VotingRule) -> list[_Candidate]:
    found: dict[tuple[str, int, int], _Candidate] = {}
    for index, spans in enumerate(members):
        if rule.weights is not None and not rule.weights[index]:
            continue  # without weight it has no say on overlaps and scores either
        for e in spans:
            key = (e.label, e.char_start, e.char_end)
            candidate = found.setdefault(key, _Candidate(*key, e.text))
            candidate.text = min(candidate.text, e.text)
            candidate.voters |= 1 << index
            if e.score is not None:
                candidate.scores[index] = max(e.score, candidate.scores.get(index, e.score))
    for candidate in found.values():
        voters = [i for i in range(len(members)) if candidate.voters >> i & 1]
        # fsum rounds once, so that the sum does not depend on the members' order
        candidate.weight = math.fsum(1.0 if rule.weights is None else rule.weights[i] for i in voters)
    return list(found.values())


def _judge(ballot: Sequence[_Candidate], weights: LearnedWeights) -> None:
    spans, lengths = [(c.start, c.end) for c in ballot], [c.length for c in ballot]
    rows = evidence(spans, [c.voters for c in ballot], len(weights.votes), lengths)
    for candidate, probability in zip(ballot, correct_probabilities(weights, rows), strict=True):
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


def _settled(
    candidates: Iterable[_Candidate], rank: Callable[[_Candidate], tuple[float, float, int]], *, nested: bool
) -> list[_Candidate]:
    """The best-ranked first, each kept unless it conflicts with one kept before; near linear by cells."""
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


def _agreed(candidates: Sequence[_Candidate], members: int, quorum: int) -> list[tuple[int, int]]:
    """The places, disjoint and in order, where at least `quorum` members have a span."""
    changes: list[tuple[int, int]] = []
    for index in range(members):
        reach = -1
        for c in sorted((c for c in candidates if c.voters >> index & 1), key=lambda c: c.start):
            if c.end > reach:  # a member's own overlapping spans count once
                changes += [(max(c.start, reach), 1), (c.end, -1)]
                reach = c.end
    places: list[tuple[int, int]] = []
    covering, opened = 0, 0
    for position, change in sorted(changes):  # at one position ends come first: touching spans do not overlap
        covering += change
        if change == 1 and covering == quorum:
            opened = position
        elif change == -1 and covering == quorum - 1 and position > opened:
            places.append((opened, position))
    return places


def _meets(candidate: _Candidate, places: Sequence[tuple[int, int]]) -> bool:
    last = bisect_left(places, (candidate.end, -1)) - 1
    return last >= 0 and places[last][1] > candidate.start
