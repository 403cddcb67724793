"""The gate's decision on one comparison, as the journal keeps it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from enigma_tasks.frozen import Frozen

Result = Literal["promoted", "refused", "undecided", "outside_plan"]


class Interval(Frozen):
    """A strict F1 in [0, 1], or a difference of two, with the bounds of its 95 % interval over documents."""

    value: float
    low: float
    high: float


class Reason(Frozen):
    """What came of one rule of the change plan: the rule's word, what it is about, a sentence and its numbers."""

    rule: str
    subject: str
    sentence: str
    numbers: dict[str, float] = Field(default_factory=dict)
    passed: bool = False


class SliceTest(Frozen):
    """One slice's scores and its p-value (of no fall), adjusted over all slices that are tested."""

    kind: str
    name: str
    documents: int = 0
    champion: Interval
    challenger: Interval
    adjusted_p: float | None
    """None where there are too few documents for a test."""


class Decision(Frozen):
    """The result of one look at a frozen test set; `promoted` means: promoted as soon as it is approved."""

    result: Result
    reasons: tuple[Reason, ...]
    champion: Interval | None
    """None where there is no champion yet, or the challenger was not run."""
    challenger: Interval | None
    """None where the challenger was not run, because its change is outside the plan."""
    first: Interval | None
    """The first authorised champion's score on the same test set; None where that is the champion, or not run."""
    gain: Interval | None = None
    """Of the challenger over the champion."""
    gain_over_first: Interval | None = None
    """Of the challenger over the first authorised champion; None where that is the champion."""
    p_value: float | None
    """Of no gain over the champion, one-sided."""
    alpha: float | None
    """The level of this look."""
    look: int
    """The number of this look at the test set, from 1; of a challenger that was not run, the looks before it."""
    slices: tuple[SliceTest, ...] = ()
    cost_per_note: float | None
    """Seconds a note."""
    champion_cost_per_note: float | None = None
    """Seconds a note, on the same machine."""
    test_set: str
    """Digest."""
    test_documents: int
    change_plan: str
    """Digest."""
    approval: bool = True
    """Whether a person must approve."""

    @property
    def failed(self) -> tuple[Reason, ...]:
        """The reasons why the challenger is not promoted."""
        return tuple(r for r in self.reasons if not r.passed)

    @property
    def is_look(self) -> bool:
        """Whether the challenger was run on the test set, which spends one look."""
        return self.challenger is not None
