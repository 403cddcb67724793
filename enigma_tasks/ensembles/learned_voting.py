"""Members' distinct spans of one document and label -> the probability that each is right, by logistic regression.

The features are the members' votes and the five of `EVIDENCE`; the weights are stored as plain JSON.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

EVIDENCE = ("same_start", "same_end", "overlapping", "rival", "length")
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class LearnedWeights:
    """Log-odds: `intercept`, plus `votes[i]` if member i predicts the span, plus each weight times its evidence."""

    intercept: float
    votes: tuple[float, ...]
    same_start: float
    """For the number of members with a span of the same start, the span's own voters included."""
    same_end: float
    """For the number of members with a span of the same end, counted likewise."""
    overlapping: float
    """For the number of members with an overlapping span, counted likewise."""
    rival: float
    """For the largest number of votes of another span that overlaps this one."""
    length: float
    """For the natural logarithm of the span's visible code points."""

    def to_json(self) -> dict[str, Any]:
        """Every weight by name."""
        return {**asdict(self), "votes": list(self.votes)}

    @classmethod
    def from_json(cls, value: object) -> LearnedWeights:
        """The inverse of `to_json`. Raises UsageError for a missing or unknown key or an invalid value."""
        names = {f.name for f in fields(cls)}
        if not isinstance(value, dict) or set(value) != names or not isinstance(value["votes"], list):
            raise UsageError(f"voting rule: learned needs exactly {', '.join(sorted(names))}")
        numbers = [*value["votes"], *(value[n] for n in names - {"votes"})]
        if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
            raise UsageError("voting rule: learned weights must be finite numbers")
        return cls(**{**value, "votes": tuple(value["votes"])})


def evidence(
    spans: Sequence[tuple[int, int]], voters: Sequence[int], members: int, lengths: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Features of each span: [S, members + 5], a vote of 0 or 1 for each member, then `EVIDENCE` in order.

    `spans`: distinct, half-open; `voters`: per span a bit for each member that predicts exactly it; `lengths`: visible
    characters, where some are invisible. Time is S log S, times the number of members.
    """
    bounds = np.array(spans, dtype=np.int64).reshape(-1, 2)
    starts, ends = bounds[:, 0], bounds[:, 1]
    sizes = ends - starts if lengths is None else np.array(lengths, dtype=np.int64)
    votes = np.array([[v >> i & 1 for i in range(members)] for v in voters], dtype=bool).reshape(-1, members)
    total = votes.sum(1)
    overlapping = sum(
        ((_overlapping(starts, ends, votes[:, i]) > 0).astype(np.int64) for i in range(members)), np.zeros_like(total)
    )
    rival = np.zeros_like(total)
    for level in range(1, members + 1):
        others = _overlapping(starts, ends, total == level) - (total == level)
        rival[others > 0] = level
    columns = (_agreeing(starts, voters), _agreeing(ends, voters), overlapping, rival, np.log(sizes))
    return np.column_stack([votes, *columns]).astype(np.float64)


def correct_probabilities(weights: LearnedWeights, rows: NDArray[np.float64]) -> list[float]:
    """The probability of each row of `evidence`; fsum rounds once, so the result does not depend on members' order."""
    factors = (*weights.votes, *(getattr(weights, name) for name in EVIDENCE))
    odds = (
        math.fsum((weights.intercept, *(f * x for f, x in zip(factors, row, strict=True)))) for row in rows.tolist()
    )
    return [0.5 * (1 + math.tanh(x / 2)) for x in odds]


def fit(rows: NDArray[np.float64], right: NDArray[np.bool_], strength: float) -> LearnedWeights:
    """Weights fitted on rows of `evidence` and on whether each span is gold; rounded, so that machines agree.

    `strength`: inverse of the L2 penalty on them. Where all spans are right, or all wrong, every weight but the
    intercept is 0.
    """
    if right.all() or not right.any():
        odds = math.log((right.sum() + 0.5) / ((~right).sum() + 0.5))
        zeros = dict.fromkeys(EVIDENCE, 0.0)
        return LearnedWeights(round(odds, _DECIMALS), (0.0,) * (rows.shape[1] - len(EVIDENCE)), **zeros)
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=2000).fit(rows, right)
    fitted = [round(float(w), _DECIMALS) for w in model.coef_[0]]
    votes, others = fitted[: -len(EVIDENCE)], fitted[-len(EVIDENCE) :]
    named: Mapping[str, float] = dict(zip(EVIDENCE, others, strict=True))
    return LearnedWeights(intercept=round(float(model.intercept_[0]), _DECIMALS), votes=tuple(votes), **named)


def _overlapping(starts: NDArray[np.int64], ends: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of the chosen spans overlap each span, itself included."""
    begun = np.searchsorted(np.sort(starts[chosen]), ends, side="left")
    ended = np.searchsorted(np.sort(ends[chosen]), starts, side="right")
    return begun - ended


def _agreeing(offsets: NDArray[np.int64], voters: Sequence[int]) -> list[int]:
    """Members with a span at the same offset, per span."""
    by_offset: dict[int, int] = {}
    for offset, bits in zip(offsets.tolist(), voters, strict=True):
        by_offset[offset] = by_offset.get(offset, 0) | bits
    return [by_offset[offset].bit_count() for offset in offsets.tolist()]
