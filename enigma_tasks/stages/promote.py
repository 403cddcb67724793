"""`enigma promote`: a decision, and the approval of a person where the change plan asks for one -> a new champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.model_cards import ModelCards
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.decision_places import DecisionPlaces
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.pages.card import render_model_card
from enigma_tasks.promotion.journal import Draft
from enigma_tasks.promotion.past import carried_out, look_to_carry_out

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.promotion.journal import JournalLine


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Make the challenger of a look champion, or write down that a person rejected it (exit code 1).

    A decision that was carried out is not carried out again; its alias is set again, in case that failed.

    Raises:
        UsageError: no registry or place is configured, or the URI is no decision's.
        DataError: `decision_unknown`, `decision_changed`, `journal_moved` as `past.look_to_carry_out` says;
            `plan_changed`, the change plan is another one now; `gate_not_passed`; `approval_missing` and
            `approver_not_allowed`; or the journal was edited.
        ModelError: the registry has no version of the challenger's digest any more.
        ServiceError: store or registry.
    """
    name, n = DecisionPlaces(settings.require("decisions")).of_decision(arguments.decision)
    journal = JournalStore(ObjectStore(), settings.require("journal"))
    lines = journal.lines(name)
    if 1 <= n <= len(lines) and (line := carried_out(lines, lines[n - 1])) and not arguments.rejected_by:
        champions.follow(line)
        _write_cards(lines[n - 1], settings)
        return _report(line)
    look = look_to_carry_out(name, lines, n, arguments.digest)
    _check(look, arguments, params)
    line = journal.append(name, _draft(look, arguments, settings.require_actor()), after=lines[-1])
    if line.kind == "promoted":
        champions.follow(line)
    _write_cards(look, settings)
    return _report(line)


def _write_cards(look: JournalLine, settings: Settings) -> None:
    """The cards of the versions that were compared: who is champion is on both."""
    ModelCards(settings, render_model_card).try_write_versions(look.name, (look.champion, look.challenger))


def _check(look: JournalLine, arguments: argparse.Namespace, params: Params) -> None:
    plan, decision, person = params.promotion, look.decision, arguments.approved_by or arguments.rejected_by or ""
    assert decision
    if decision.result != "promoted":
        raise DataError(look.name, "gate_not_passed", look.n, f"the decision is {decision.result}")
    if look.change_plan != plan.digest():
        raise DataError(look.name, "plan_changed", look.n, "compare again under the present change plan")
    if plan.approval and not person:
        raise DataError(look.name, "approval_missing", look.n, "the change plan asks for a person: --approved-by NAME")
    if person and not plan.may_approve(person):
        raise DataError(look.name, "approver_not_allowed", look.n, "not among promotion.approvers of params.yaml")
    if arguments.approved_by or not person:
        assert look.challenger
        pin = mlflow_registry.pin_of_digest(look.name, look.challenger.version, look.challenger.digest)
        if pin.version != look.challenger.version:
            raise ModelError(f"{look.name} version {look.challenger.version} is gone; {pin.version} has its digest")


def _draft(look: JournalLine, arguments: argparse.Namespace, by: str) -> Draft:
    rejected = bool(arguments.rejected_by)
    assert look.challenger
    number = look.challenger.version
    approved = (
        "Passed the gate, approved." if arguments.approved_by else "Passed the gate; the plan asks for no approval."
    )
    try:
        return Draft(
            by=by,
            kind="rejected" if rejected else "promoted",
            champion=look.champion if rejected else look.challenger,
            challenger=look.challenger,
            decision=look.decision,
            approver=arguments.rejected_by or arguments.approved_by or "",
            change_plan=look.change_plan,
            test_set=look.test_set,
            reason=f"Version {number}, look in line {look.n}: {'rejected by a person.' if rejected else approved}",
        )
    except ValidationError:
        raise UsageError("a name is one line of at most 500 characters") from None


def _report(line: JournalLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "line": line.n,
        "line_digest": line.sha256,
        "kind": line.kind,
        "champion": line.champion.version if line.champion else None,
        "champion_digest": line.champion.digest if line.champion else None,
        "approver": line.approver,
        "exit_code": int(line.kind == "rejected"),
    }
