"""What a journal says of challengers: earlier looks at a test set, decisions that still hold, the first champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.promotion.journal import NOT_MOVING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.promotion.decision import Decision
    from enigma_tasks.promotion.journal import JournalLine, ModelVersion

WITHOUT_CONSEQUENCE = frozenset({"alias_repaired"})
"""Kinds of lines after which an earlier decision holds: nothing that it rests on has changed."""


def first_champion(lines: Sequence[JournalLine]) -> ModelVersion | None:
    """The first authorised champion."""
    return next((line.champion for line in lines if line.champion is not None), None)


def looks_at(lines: Sequence[JournalLine], test_set: str) -> list[Decision]:
    """The decisions of all looks at a test set, in order."""
    return [line.decision for line in lines if line.kind == "look" and line.decision and line.test_set == test_set]


def standing_look(lines: Sequence[JournalLine], challenger: str, change_plan: str, test_set: str) -> JournalLine | None:
    """The look at a challenger (by digest) that need not be repeated: same champion, plan and test set, no answer yet.

    A repeated comparison of the same models on the same documents would say nothing new, and spend a look.
    """
    for line in reversed(lines):
        if line.kind not in NOT_MOVING:
            return None
        same = line.challenger is not None and line.challenger.digest == challenger
        if same and line.kind == "rejected":
            return None
        if same and line.kind == "look" and (line.change_plan, line.test_set) == (change_plan, test_set):
            return line
    return None


def is_settled(lines: Sequence[JournalLine], challenger: str, change_plan: str) -> bool:
    """Whether there is nothing to do for a challenger: it is champion, or was decided on by this plan.

    One that passed the gate and was neither approved nor rejected is not settled.
    """
    if lines and lines[-1].champion and lines[-1].champion.digest == challenger:
        return True
    own = [line for line in lines if line.challenger and line.challenger.digest == challenger]
    if not own or own[-1].change_plan != change_plan:
        return False
    last = own[-1]
    passed = last.kind == "look" and last.decision is not None and last.decision.result == "promoted"
    return not passed


def look_to_carry_out(name: str, lines: Sequence[JournalLine], n: int, seal: str | None) -> JournalLine:
    """Line `n`, a look whose decision still holds.

    Args:
        name: of the journal.
        lines: all its lines.
        n: number of the look.
        seal: the `sha256` of the line that a person approved, if it is known.

    Raises:
        DataError: `decision_unknown`, line `n` is no look; `decision_changed`, it is not the line of that sha256;
            `journal_moved`, something has happened since.
    """
    look = lines[n - 1] if 1 <= n <= len(lines) else None
    if look is None or look.kind != "look" or look.decision is None:
        raise DataError(name, "decision_unknown", n, "that line is no look")
    if seal is not None and look.sha256 != seal:
        raise DataError(name, "decision_changed", n, "not the decision that was shown")
    later = [line for line in lines[n:] if line.kind not in WITHOUT_CONSEQUENCE]
    if later:
        hint = f"line {later[0].n} ({later[0].kind}) was written since: compare again"
        raise DataError(name, "journal_moved", later[0].n, hint)
    return look


def carried_out(lines: Sequence[JournalLine], look: JournalLine) -> JournalLine | None:
    """The line by which a look's challenger became champion, where it still is."""
    for line in reversed(lines[look.n :]):
        if line.kind not in NOT_MOVING:
            return line if line.kind == "promoted" and line.decision == look.decision else None
    return None


def champion_after(lines: Sequence[JournalLine], n: int) -> JournalLine | None:
    """The line that made the champion that stands after line `n`; None where there is none."""
    return next((line for line in reversed(lines[:n]) if line.kind not in NOT_MOVING), None)


def look_behind(lines: Sequence[JournalLine], made: JournalLine) -> JournalLine | None:
    """The look whose decision made the champion of line `made`; None where no comparison did (`first`, `rollback`)."""
    if made.decision is None:
        return None
    earlier = reversed(lines[: made.n - 1])
    return next((line for line in earlier if line.kind == "look" and line.decision == made.decision), None)
