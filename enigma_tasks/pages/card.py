"""Renders the card of one registered version: what is recorded of it, and what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from enigma_tasks.pages.charts import Series, line_chart
from enigma_tasks.pages.formats import environment
from enigma_tasks.promotion.journal import NOT_MOVING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ensembles.calibration import Calibration
    from enigma_tasks.ensembles.card import RuleScore
    from enigma_tasks.ensembles.voting_rule import VotingRule
    from enigma_tasks.pages.charts import LineChart
    from enigma_tasks.promotion.decision import Decision, Interval
    from enigma_tasks.promotion.journal import JournalLine
    from enigma_tasks.promotion.model_record import MemberRecord, ModelRecord

DATA = {
    "gold_revision": "Gold revision",
    "gold": "Gold, digest by type",
    "test_set": "Frozen test set",
    "training_commit": "Commit of the training project",
    "git_commit": "Git commit at registration",
    "dvc_lock": "SHA-256 of dvc.lock",
}
"""Tag of the version -> what it is."""
WEAK = 3
"""Slices that are named as weak spots, of those below the whole test set."""
STEPS = 20
"""Of the curves in the calibration plot."""
LICENCES = {"no": ("bad", "non-commercial"), "unknown": ("warn", "unknown"), "yes": ("good", "commercial use allowed")}
"""`Licence.commercial` -> CSS class, words."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A look at a test set in which the version was run."""

    line: JournalLine
    decision: Decision
    role: Literal["challenger", "champion"]
    score: Interval
    cost: float | None
    """Seconds a note."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a test set."""

    kind: str
    name: str
    documents: int
    score: Interval
    weak: bool


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member, its weight by the rule, and its score on the dev documents of the fit."""

    member: MemberRecord
    weight: float | None
    fitted: RuleScore | None


def render_model_card(record: ModelRecord) -> str:
    """HTML without external resources, and without text of a note. Pure and without a clock."""
    tests = measurements_of(record)
    return environment().get_template("card.html.jinja").render(
        record=record,
        status=status_of(record),
        restricted=record.licences("no"),
        unclear=record.licences("unknown"),
        licences=LICENCES,
        data=[(title, record.tags.get(tag, "")) for tag, title in DATA.items()],
        members=_member_rows(record),
        rule=rule_words(record.rule, len(record.members)),
        missing=missing_members(record),
        tests=tests,
        slices=slices_of(tests),
        plot=calibration_plot(record.calibration) if record.calibration else None,
        cost=next((t for t in reversed(tests) if t.cost is not None), None),
    )  # fmt: skip


def measurements_of(record: ModelRecord) -> list[Measurement]:
    """The looks at which the version was run, as challenger or as champion, the newest last."""
    tests: list[Measurement] = []
    for line in record.lines:
        found = line.decision
        if found is None or any(t.decision == found for t in tests):  # a promotion repeats the decision of its look
            continue
        if line.challenger and line.challenger.digest == record.digest and found.challenger:
            tests.append(Measurement(line, found, "challenger", found.challenger, found.cost_per_note))
        elif line.champion and line.champion.digest == record.digest and found.champion:
            tests.append(Measurement(line, found, "champion", found.champion, found.champion_cost_per_note))
    return tests


def slices_of(tests: Sequence[Measurement]) -> list[Slice]:
    """The parts of the newest look that has any, the lowest strict F1 first."""
    test = next((t for t in reversed(tests) if t.decision.slices), None)
    if test is None:
        return []
    scored = [(s, s.challenger if test.role == "challenger" else s.champion) for s in test.decision.slices]
    scored.sort(key=lambda pair: (pair[1].value, pair[0].kind, pair[0].name))
    return [
        Slice(s.kind, s.name, s.documents, score, i < WEAK and score.value < test.score.value)
        for i, (s, score) in enumerate(scored)
    ]


def status_of(record: ModelRecord) -> str:
    """Whether the version is or was champion, by the journal."""
    made = [line for line in record.lines if line.kind not in NOT_MOVING]
    own = [line for line in made if line.champion and line.champion.digest == record.digest]
    if not own:
        return "never champion"
    if made[-1] is own[-1]:
        return f"champion since line {own[-1].n} of the journal"
    return f"champion by line {own[-1].n} of the journal, no longer"


def rule_words(rule: VotingRule, members: int) -> str:
    """A voting rule in a few words."""
    if rule.learned is not None:
        return f"{rule.strategy}: probability of at least {rule.threshold:g}"
    if rule.weights is not None:
        needed = "more than half of the weight" if rule.threshold is None else f"a weight of {rule.threshold:g}"
        return f"{rule.strategy}: {needed} of {math.fsum(rule.weights):.3g}"
    if rule.kind.takes_k:
        return f"{rule.strategy}: {rule.quorum(members)} of {members} members"
    return rule.strategy


def missing_members(record: ModelRecord) -> tuple[str, ...]:
    """Members of the ensemble in params.yaml that the version was made without."""
    if record.fitted and record.fitted.missing:
        return record.fitted.missing
    return tuple(name for name in record.tags.get("missing_members", "").split(",") if name)


def calibration_plot(calibration: Calibration) -> LineChart:
    """The two fitted curves, from the probability that the members give to the calibrated one."""
    places = np.arange(STEPS + 1) / STEPS
    found, missed = (
        [round(float(v), 4) for v in curve.of(places)] for curve in (calibration.found, calibration.missed)
    )
    return line_chart(
        "Calibrated probability by the members' probability",
        [f"{p:g}" for p in places],
        [
            Series("uncalibrated: ", "n3", tuple(float(p) for p in places)),
            Series("found: ", "n0", tuple(found)),
            Series("missed: ", "warn", (None, *missed[1:])),  # places of almost no probability are not in that curve
        ],
        lambda value: f"{value:.3f}",
    )


def not_recorded(record: ModelRecord) -> list[str]:
    """The parts of the card of which nothing is recorded."""
    tests = measurements_of(record)
    parts = {
        **{tag: tag in record.tags for tag in DATA},
        "expected_scores": record.fitted is not None,
        "calibration": record.calibration is not None,
        "test_scores": bool(tests or record.logged),
        "slices": bool(slices_of(tests)),
        "cost": any(t.cost is not None for t in tests),
        "journal": bool(record.lines),
    }
    return [part for part, known in parts.items() if not known]


def _member_rows(record: ModelRecord) -> list[MemberRow]:
    weights = record.rule.weights if record.rule.learned is None else record.rule.learned.votes
    scores = record.fitted.members if record.fitted else ()
    return [
        MemberRow(m, weights[i] if weights else None, scores[i] if i < len(scores) else None)
        for i, m in enumerate(record.members)
    ]
