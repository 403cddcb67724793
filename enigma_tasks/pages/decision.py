"""Renders the page of a decision on a challenger, for the person who approves it, and for the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.pages.formats import environment

if TYPE_CHECKING:
    from enigma_tasks.params.promotion import PromotionParams
    from enigma_tasks.promotion.decision import Decision, Interval
    from enigma_tasks.promotion.journal import JournalLine

VERDICTS = {
    "promoted": ("good", "passed", "The new model is better and keeps every rule of the change plan."),
    "undecided": ("warn", "undecided", "The evidence is not enough: the present model stays."),
    "refused": ("bad", "refused", "The new model breaks a rule of the change plan: the present model stays."),
    "outside_plan": ("bad", "outside the plan", "The change plan does not cover this change: the present model stays."),
}
"""Result -> CSS class, word, sentence."""
RULES = {
    "label_set": "Marks the same entity types",
    "incomplete": "All members are there",
    "documents": "Enough test documents",
    "looks": "The test set may be used again",
    "floor": "Good enough in itself",
    "gain": "Better than the present model",
    "level": "Not by luck",
    "slice": "No part of the notes suffers",
    "cost": "Not much slower",
    "first_champion": "Not worse than the first model",
    "first_champion_level": "Not worse than the first model",
}
"""Rule -> what a person asks."""
PLOT_LEFT, PLOT_WIDTH = 4, 92
"""Percent of the plot's width."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model's score with its interval in the plot, in percent of its width."""

    name: str
    version: str
    interval: Interval
    x: float
    low: float
    width: float


def render_decision_page(line: JournalLine, plan: PromotionParams, card: str = "") -> str:
    """HTML of one look, with versions, rules and numbers only, and no external resources. Pure and without a clock.

    `card`: a link to the challenger's card; empty where there is none.
    """
    decision = line.decision
    assert decision
    css, word, sentence = VERDICTS[decision.result]
    if decision.result == "promoted" and decision.champion is None:
        sentence = "There is no champion yet, and the new model reaches the floor."
    return environment().get_template("decision.html.jinja").render(
        line=line,
        card=card,
        decision=decision,
        css=css,
        word=word,
        sentence=sentence,
        rules=RULES,
        rows=_rows(line, decision),
        approvers=plan.approvers,
        budget=plan.looks,
        tolerances=plan.slices.tolerances,
    )  # fmt: skip


def _rows(line: JournalLine, decision: Decision) -> list[Row]:
    """The models that were run, on one scale."""
    known = [
        ("New model", line.challenger.version if line.challenger else "", decision.challenger),
        ("Present champion", line.champion.version if line.champion else "", decision.champion),
        ("First champion", "", decision.first),
    ]
    scored = [(name, version, interval) for name, version, interval in known if interval]
    if not scored:
        return []
    least, most = min(i.low for _, _, i in scored), max(i.high for _, _, i in scored)
    span = (most - least) or 1.0

    def place(value: float) -> float:
        return round(PLOT_LEFT + PLOT_WIDTH * (value - least) / span, 2)

    return [
        Row(name, version, i, place(i.value), place(i.low), round(place(i.high) - place(i.low), 2))
        for name, version, i in scored
    ]
