"""The gate's decision on one comparison, as the journal keeps it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from enigma_tasks.frozen import Frozen


class Interval(Frozen):
    """A score in [0, 1] with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


class Reason(Frozen):
    """One reason for a result: the rule's word, what it is about, a sentence and its numbers."""

    rule: str
    subject: str
    sentence: str
    numbers: dict[str, float] = Field(default_factory=dict)


class SliceTest(Frozen):
    """One slice's scores and its p-value, adjusted over all slices."""

    kind: str
    name: str
    champion: Interval
    challenger: Interval
    adjusted_p: float


class Decision(Frozen):
    """The result of one look at a frozen test set."""

    result: Literal["promoted", "refused", "undecided", "outside_plan"]
    reasons: tuple[Reason, ...]
    champion: Interval | None
    challenger: Interval
    first: Interval | None
    """The first authorised champion's score on the same test set."""
    p_value: float | None
    alpha: float | None
    """The level of this look."""
    look: int
    """The number of this look at the test set, from 1."""
    slices: tuple[SliceTest, ...] = ()
    cost_per_note: float | None
    test_set: str
    """Digest."""
    test_documents: int
    change_plan: str
    """Digest."""
