"""The rules of the change plan: each says in a sentence with numbers what came of it, and whether it was passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.promotion.decision import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.params.promotion import PromotionParams
    from enigma_tasks.promotion.comparison import Gain
    from enigma_tasks.promotion.decision import Result, SliceTest

OUTSIDE = frozenset({"label_set", "incomplete"})
"""Rules about the kind of change: a challenger that fails one is not run."""
UNCERTAIN = frozenset({"documents", "looks", "level", "first_champion_level"})
"""Rules that fail for lack of evidence; a challenger that fails any other one must not be promoted."""


def result(reasons: Iterable[Reason]) -> Result:
    """The result that follows from what came of the rules."""
    failed = {r.rule for r in reasons if not r.passed}
    if failed & OUTSIDE:
        return "outside_plan"
    if failed - UNCERTAIN:
        return "refused"
    return "undecided" if failed else "promoted"


def label_set(own: Iterable[str], champion: Iterable[str] | None, expected: str) -> Reason:
    """The challenger marks what the champion marks, and what the journal is for."""
    ours = sorted(own)
    theirs = ours if champion is None else sorted(champion)
    sentence = f"The challenger marks {_listed(ours)}, the champion {_listed(theirs)}; this journal is for {expected}."
    return Reason(rule="label_set", subject="labels", sentence=sentence, passed=ours == theirs == [expected])


def incomplete(missing: Sequence[str], plan: PromotionParams) -> Reason:
    """The ensemble has all its members, or the plan allows fewer."""
    allowed = "allows" if plan.incomplete else "does not allow"
    return Reason(
        rule="incomplete",
        subject="members",
        sentence=f"The ensemble was fitted without {_listed(missing)}; the change plan {allowed} that.",
        numbers={"missing": len(missing)},
        passed=plan.incomplete or not missing,
    )


def documents(number: int, plan: PromotionParams) -> Reason:
    """The test set is large enough."""
    return Reason(
        rule="documents",
        subject="test set",
        sentence=f"The test set has {number} documents of this type; the change plan asks for {plan.documents}.",
        numbers={"documents": number, "least": plan.documents},
        passed=number >= plan.documents,
    )


def looks(spent: int, plan: PromotionParams) -> Reason:
    """A look at the test set is left."""
    over = spent >= plan.looks
    remedy = ": freeze a new test set" if over else ""
    return Reason(
        rule="looks",
        subject="test set",
        sentence=f"{spent} of {plan.looks} looks at this test set are spent{remedy}.",
        numbers={"spent": spent, "budget": plan.looks},
        passed=not over,
    )


def floor(f1: float, least: float, entity: str) -> Reason:
    """The score is high enough in itself."""
    sentence = f"Its strict F1 is {_points(f1)}; the floor is {_points(least)}."
    return Reason(
        rule="floor", subject=entity, sentence=sentence, numbers={"f1": f1, "floor": least}, passed=f1 >= least
    )


def better(found: Gain, level: float, margin: float) -> list[Reason]:
    """The gain over the champion is large enough and, where it is, no noise."""
    gain = found.interval
    enough = gain.value > 0 and gain.value >= margin
    reasons = [
        Reason(
            rule="gain",
            subject="champion",
            sentence=f"Its strict F1 differs by {_signed(gain.value)} points from the champion's; "
            f"the least gain is {_points(margin)}.",
            numbers={"gain": gain.value, "low": gain.low, "high": gain.high, "margin": margin},
            passed=enough,
        )
    ]
    if enough:
        reasons.append(
            Reason(
                rule="level",
                subject="champion",
                sentence=f"If the two were equally good, such a gain would be seen with probability "
                f"{found.p_value:.2g}; at this look {level:.2g} is allowed.",
                numbers={"p_value": found.p_value, "level": level},
                passed=found.p_value <= level,
            )
        )
    return reasons


def no_slice_falls(tests: Sequence[SliceTest], plan: PromotionParams) -> list[Reason]:
    """In no part of the test set is the challenger worse by more than is tolerated, noise excluded."""
    fallen = []
    for test in tests:
        fall, tolerance = test.champion.value - test.challenger.value, plan.slices.tolerances[test.kind]
        if test.adjusted_p is None or test.adjusted_p > plan.slices.level or fall <= tolerance:
            continue
        fallen.append(
            Reason(
                rule="slice",
                subject=f"{test.kind}: {test.name}",
                sentence=f"There it is {_points(fall)} points worse than the champion; "
                f"{_points(tolerance)} are tolerated.",
                numbers={"fall": fall, "tolerance": tolerance, "adjusted_p": test.adjusted_p},
            )
        )
    if fallen:
        return fallen
    tested = sum(test.adjusted_p is not None for test in tests)
    sentence = f"Parts of the test set that were tested: {tested}; in none is it worse than tolerated."
    return [Reason(rule="slice", subject="all", sentence=sentence, numbers={"tested": tested}, passed=True)]


def cost(own: float, champion: float, limit: float) -> Reason:
    """A note does not take much longer; `own` and `champion` in seconds."""
    ratio = own / champion if champion else 1.0
    return Reason(
        rule="cost",
        subject="time a note",
        sentence=f"It takes {ratio:.2f} times as long as the champion; {limit:g} times is the limit.",
        numbers={"seconds": own, "champion_seconds": champion, "limit": limit},
        passed=ratio <= limit,
    )


def not_worse_than_first(gain: float, bound: float, margin: float) -> Reason:
    """Many small steps have not led below the first authorised champion; `bound` is the lower one of the gain over it.

    Another rule's word where only the evidence is missing: `first_champion_level`.
    """
    return Reason(
        rule="first_champion" if gain <= -margin else "first_champion_level",
        subject="first champion",
        sentence=f"Its strict F1 differs by {_signed(gain)} points from the first authorised champion's, with "
        f"{_signed(bound)} as lower bound; {_signed(-margin)} is the limit.",
        numbers={"gain": gain, "bound": bound, "margin": margin},
        passed=bound > -margin,
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no member"
