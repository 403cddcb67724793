"""The gate: champion's and challenger's counts on one frozen test set, and the change plan -> a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.promotion import rules
from enigma_tasks.promotion.comparison import gain, lower_bound, score
from enigma_tasks.promotion.decision import Decision
from enigma_tasks.promotion.looks import level_of_next
from enigma_tasks.promotion.slices import slice_tests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import EntityType
    from enigma_tasks.ner.scoring import Counts
    from enigma_tasks.params.promotion import PromotionParams
    from enigma_tasks.promotion.decision import Reason


@dataclass(frozen=True, slots=True)
class FrozenSet:
    """The test documents of one type."""

    digest: str
    slices: tuple[Mapping[str, str], ...]
    """Of each document, kind of slice -> name, for the kinds that are known."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a challenger before it is run."""

    labels: frozenset[str]
    champion_labels: frozenset[str] | None
    """None where there is no champion."""
    missing_members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on the test set."""

    counts: tuple[Counts, ...]
    """Of each document, in order."""
    seconds_per_note: float


@dataclass(frozen=True)
class Gate:
    """The rules of a change plan for one entity type and one frozen test set.

    `earlier`: the decisions of all looks at this test set, in order.
    """

    plan: PromotionParams
    entity_type: EntityType
    test: FrozenSet
    earlier: Sequence[Decision]
    seed: int

    def before(self, candidate: Candidate) -> Decision | None:
        """The decision where the challenger is not to be run: its change is outside the plan, or no look is left."""
        found = (
            rules.label_set(candidate.labels, candidate.champion_labels, self.entity_type.label),
            rules.incomplete(candidate.missing_members, self.plan),
            rules.documents(len(self.test.slices), self.plan),
            rules.looks(len(self._looks), self.plan),
        )
        failed = [reason for reason in found if not reason.passed]
        return self._decision(failed, challenger=None) if failed else None

    def decide(self, challenger: Measured, champion: Measured | None, first: Measured | None) -> Decision:
        """The decision on a challenger that was run, which spends a look.

        Args:
            challenger: as the others, on the documents of the test set, in its order.
            champion: None where there is none yet: then the floor alone decides.
            first: the first authorised champion; None where it is the champion, or there is none.

        Raises:
            UsageError: they were counted on other documents.
        """
        plan, seed = self.plan, self.seed
        scored = score(challenger.counts, seed)
        reasons = [rules.floor(scored.value, plan.floor(self.entity_type), self.entity_type.value)]
        known: dict[str, Any] = {"challenger": scored, "cost_per_note": challenger.seconds_per_note}
        if champion is not None:
            level = level_of_next([d.result == "promoted" for d in self._looks], plan.level, plan.looks)
            assert level is not None, "`before` refuses a look above the budget"
            found = gain(champion.counts, challenger.counts, level, seed)
            slices = slice_tests(self.test.slices, champion.counts, challenger.counts, plan.slices, seed)
            reasons += rules.better(found, level, plan.margin)
            reasons += rules.no_slice_falls(slices, plan)
            reasons.append(rules.cost(challenger.seconds_per_note, champion.seconds_per_note, plan.cost))
            known |= {"champion": score(champion.counts, seed), "gain": found.interval, "slices": slices}
            known |= {"p_value": found.p_value, "alpha": level, "champion_cost_per_note": champion.seconds_per_note}
        if first is not None:
            over_first = gain(first.counts, challenger.counts, plan.level, seed).interval
            bound = lower_bound(first.counts, challenger.counts, plan.level, seed)
            reasons.append(rules.not_worse_than_first(over_first.value, bound, plan.non_inferiority))
            known |= {"first": score(first.counts, seed), "gain_over_first": over_first}
        return self._decision(reasons, **known)

    @property
    def _looks(self) -> list[Decision]:
        return [d for d in self.earlier if d.is_look]

    def _decision(self, reasons: Sequence[Reason], **known: Any) -> Decision:
        absent = ("champion", "first", "p_value", "alpha", "cost_per_note")
        return Decision(
            **{**dict.fromkeys(absent), **known},
            result=rules.result(reasons),
            reasons=tuple(reasons),
            look=len(self._looks) + (known["challenger"] is not None),
            test_set=self.test.digest,
            test_documents=len(self.test.slices),
            change_plan=self.plan.digest(),
            approval=self.plan.approval,
        )
