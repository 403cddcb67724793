"""The page of a decision: what it says for every result, and that nothing in it is taken for markup."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.pages.decision import RULES, VERDICTS, render_decision_page
from enigma_tasks.promotion import rules
from enigma_tasks.promotion.gate import Candidate, FrozenSet, Gate
from enigma_tasks.promotion.journal import Draft, JournalLine, ModelVersion, line_bytes, next_line
from tests.unit.test_gate import LABEL, decided, model

PLAN = load_params().promotion
OLD, NEW = (ModelVersion(version=v, digest=v * 64) for v in ("4", "7"))


def line(decision: Any, champion: ModelVersion | None = OLD) -> JournalLine:
    """A look, after the line that made the champion."""
    at, name = dt.datetime(2026, 6, 11, tzinfo=dt.UTC), "enigma-es-disease"
    last = None
    if champion:
        first = Draft(by="ana", kind="first", champion=champion, reason="A test.")
        last = line_bytes(next_line(name, first, None, now=at, line_id="a" * 32))
    draft = Draft(by="ana", kind="look", champion=champion, challenger=NEW, decision=decision, reason="A test.")
    return next_line(name, draft, last, now=at, line_id="b" * 32)


def page(decision: Any, champion: ModelVersion | None = OLD) -> str:
    return render_decision_page(line(decision, champion), PLAN)


def test_a_challenger_that_passed_is_shown_with_scores_rules_and_parts() -> None:
    decision = decided(model(0.85, 200, seed=1), model(0.75, 200, seed=2), documents=200, slices=2)
    shown = page(decision)
    assert VERDICTS["promoted"][2] in shown
    assert "becomes champion when a person approves" in shown
    assert decision.challenger
    assert decision.gain
    for value in (
        f"{100 * decision.challenger.value:.1f}",
        f"{100 * decision.gain.value:+.1f}",
        NEW.digest,
        OLD.digest,
    ):
        assert value in shown
    assert shown.count('<span class="badge good">kept</span>') == len(decision.reasons)
    assert "source: s0" in shown
    assert "1 of 50" in shown


def test_who_may_approve_is_named_and_without_approval_nobody_is_asked() -> None:
    decision = decided(model(0.85, seed=1), model(0.75, seed=2))
    named = PLAN.model_copy(update={"approvers": ("ana", "Dr Ruiz")})
    assert "when ana or Dr Ruiz approves" in render_decision_page(line(decision), named)
    assert "approves" not in page(decision.model_copy(update={"approval": False}))


def test_every_result_says_that_the_champion_stays_or_not() -> None:
    worse = page(decided(model(0.7, seed=1), model(0.75, seed=2)))
    assert "the present model stays" in worse
    assert '<span class="badge bad">not kept</span>' in worse
    gate = Gate(PLAN, EntityType("disease"), FrozenSet("t" * 64, ({},) * 100), (), 1)
    outside = page(gate.before(Candidate(frozenset({"SYMPTOM"}), LABEL)))
    assert VERDICTS["outside_plan"][2] in outside
    assert "How good they are" not in outside
    first = page(decided(model(0.8)), champion=None)
    assert "There is no champion yet" in first
    assert "none yet" in first


def test_every_rule_has_a_question_that_a_person_asks() -> None:
    found = {
        *(r.rule for r in decided(model(0.85, seed=1), model(0.75, seed=2), model(0.75, seed=3)).reasons),
        *rules.OUTSIDE,
        *rules.UNCERTAIN,
        "first_champion",
    }
    assert set(RULES) == found


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202egnp"])
def test_names_from_ids_are_no_markup(name: str) -> None:
    parts = tuple({"source": name if i % 2 else "other"} for i in range(100))
    gate = Gate(PLAN, EntityType("disease"), FrozenSet("t" * 64, parts), (), 1)
    shown = page(gate.decide(model(0.85, seed=1), model(0.75, seed=2), None))
    assert name not in shown
