"""A voting rule: its strategy and numbers, checked, and as the card of an ensemble has it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.ensembles.learned_voting import LearnedWeights
from enigma_tasks.errors import UsageError
from enigma_tasks.params.strategies import STRATEGIES, Strategy, names

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

TOLERANCE = 1e-9


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
        if self.threshold is not None and self.threshold > highest * (1 + TOLERANCE):
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


def weighted_or_majority(weights: tuple[float, ...], what: str, threshold: float | None = None) -> VotingRule:
    """`weighted`, or `majority` with a warning if all weights are 0; `what`: the label, for the warning."""
    if any(weights):
        return VotingRule("weighted", weights=weights, threshold=threshold)
    log.warning("%s: all members' weights are 0: majority is used instead", what)
    return VotingRule("majority")
