"""The card of a version: what it shows of what is recorded, and that it says what is not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.ensembles.calibration import Calibration, Curve
from enigma_tasks.ensembles.card import FittedRule, RuleScore
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.estimates import DevError
from enigma_tasks.licences import Licence, licence_of
from enigma_tasks.ner.dev_scores import DevScore
from enigma_tasks.pages.card import (
    calibration_plot,
    measurements_of,
    not_recorded,
    render_model_card,
    rule_words,
    slices_of,
    status_of,
)
from enigma_tasks.promotion.decision import Decision, Interval, SliceTest
from enigma_tasks.promotion.model_record import LoggedScore, MemberRecord, ModelRecord
from tests.unit.test_journal import draft, lines, version, written

if TYPE_CHECKING:
    from enigma_tasks.promotion.journal import JournalLine

FREE, RESTRICTED, UNCLEAR = "FacebookAI/xlm-roberta-large", "ufal/robeczech-base", "IIC/XLM-R_Galen"
CALIBRATION = Calibration(
    found=Curve(intercept=0.2, slope=0.8), missed=Curve(intercept=-1.0, slope=0.5), unseen=0.3,
    dev=DevError(documents=110, mentions=1200, estimated=0.775, measured=0.771, rms=0.012),
)  # fmt: skip
TAGS = {
    "gold_revision": "a1" * 20, "gold": '{"disease": "dd"}', "test_set": "f" * 64, "training_commit": "b2" * 20,
    "git_commit": "c3" * 20, "dvc_lock": "d4" * 32,
}  # fmt: skip


def interval(value: float) -> Interval:
    return Interval(value=value, low=value - 0.03, high=value + 0.02)


def part(name: str, champion: float, challenger: float) -> SliceTest:
    return SliceTest(
        kind="source", name=name, documents=40, champion=interval(champion), challenger=interval(challenger),
        adjusted_p=None,
    )  # fmt: skip


DECISION = Decision(
    result="promoted", reasons=(), champion=interval(0.753), challenger=interval(0.812), first=None,
    gain=interval(0.059), p_value=0.0123, alpha=0.02, look=1,
    slices=(part("cardiology", 0.7, 0.9), part("oncology", 0.61, 0.641), part("urology", 0.9, 0.82)),
    cost_per_note=0.25, champion_cost_per_note=0.5, test_set="f" * 64, test_documents=250, change_plan="c" * 64,
)  # fmt: skip


def history() -> tuple[JournalLine, ...]:
    """Version 1 is the first champion; version 2 is compared with it and promoted."""
    shown = {"challenger": version(2), "decision": DECISION}
    return tuple(lines(written([draft("first", 1), draft("look", 1, **shown), draft("promoted", 2, **shown)])))


def member(base: str, recipe: str = "recipe", digest: str = "5" * 64) -> MemberRecord:
    dev = DevScore(precision=0.8, recall=0.7, strict_f1=0.747, documents=90, gold=900, predicted=880)
    return MemberRecord(recipe, "encoder", base, licence_of(base), digest, "7" * 64, dev)


def rule_score(name: str, f1: float) -> RuleScore:
    return RuleScore(rule=name, precision=0.8, recall=0.79, f1=f1, low=f1 - 0.02, high=f1 + 0.02)


def fitted(**more: Any) -> FittedRule:
    return FittedRule(
        chosen="weighted", documents=110, expected=rule_score("expected", 0.801),
        rules=(rule_score("weighted", 0.805), rule_score("union", 0.7)),
        members=(rule_score("one", 0.766), rule_score("two", 0.755)), seed=7, code="e" * 64, gold="9" * 64,
        names=("one", "two"), **more,
    )  # fmt: skip


def record(**changes: Any) -> ModelRecord:
    whole = ModelRecord(
        name="enigma-es-disease", version="2", digest=version(2).digest, tags=TAGS,
        members=(member(FREE, "one"), member(RESTRICTED, "two", "6" * 64)),
        rule=VotingRule("weighted", weights=(0.7, 0.5)), fitted=fitted(), calibration=CALIBRATION, logged=(),
        lines=history(),
    )  # fmt: skip
    return replace(whole, **changes)


def test_a_card_shows_what_is_recorded() -> None:
    shown = render_model_card(record())
    for value in (
        *TAGS.values(), "81.2", "+5.9", "0.012", "64.1", "74.7", "76.6", "80.1", "0.25", "0.700", "0.500", "77.5",
        "77.1", "champion since line 3 of the journal", "docs/licences.md",
    ):  # fmt: skip
        assert value.replace('"', "&#34;") in shown, value
    assert "not recorded" not in shown.replace("observed on dev are not recorded", "")
    assert not_recorded(record()) == []


@pytest.mark.parametrize(
    ("base", "css", "word"),
    [(RESTRICTED, "bad", "non-commercial"), (UNCLEAR, "warn", "unknown"), (FREE, "good", "commercial use allowed")],
)
def test_a_licence_has_the_colour_of_what_it_allows(base: str, css: str, word: str) -> None:
    shown = render_model_card(record(members=(member(base),), rule=VotingRule("majority")))
    row = shown[shown.index('id="members"') : shown.index('id="expected"')]
    assert f'<span class="badge {css}">{word}</span>' in row
    assert ('class="verdict bad"' in shown) == (css == "bad")
    assert ('class="verdict warn"' in shown) == (css == "warn")


def test_one_restricted_member_makes_the_whole_card_red() -> None:
    shown = render_model_card(
        record(members=(member(FREE), member(UNCLEAR), member(RESTRICTED)), rule=VotingRule("union"))
    )
    assert 'class="verdict bad"' in shown
    assert f"Read the licence before any use: {UNCLEAR}." in shown
    assert record().licences("no") == [RESTRICTED]


def test_a_member_from_scratch_has_no_licence_and_a_service_has_an_unknown_one() -> None:
    scratch = replace(member(""), licence=None)
    service = replace(member("gpt"), licence=Licence(licence="a service", commercial="unknown"))
    found = record(members=(scratch, service), rule=VotingRule("majority"))
    assert "none: from scratch" in render_model_card(found)
    assert found.licences("unknown") == ["gpt"]


def test_each_missing_part_is_said() -> None:
    bare = record(
        tags={}, fitted=None, calibration=None, lines=(), rule=VotingRule("majority"),
        members=(replace(member(FREE), train="", dev=None),),
    )  # fmt: skip
    assert not_recorded(bare) == [
        *TAGS, "expected_scores", "calibration", "test_scores", "slices", "cost", "journal"
    ]  # fmt: skip
    shown = render_model_card(bare)
    sections = re.split(r'<h2 id="', shown)[1:]
    assert [s.partition('"')[0] for s in sections if "not recorded" in s] == [
        "scores", "weak", "members", "expected", "calibration", "data", "journal"
    ]  # fmt: skip
    assert sections[5].count("not recorded") == len(TAGS) + 2  # the fit's dev set and the time a note
    assert "never champion" in shown
    assert "<svg" not in shown


def test_scores_logged_at_registration_are_shown_without_what_they_lack() -> None:
    logged = LoggedScore(test_set="8" * 32, f1=0.777, low=None, high=None, documents=None)
    found = record(logged=(logged,), lines=())
    assert "77.7" in render_model_card(found)
    assert "test_scores" not in not_recorded(found)


def test_a_look_counts_once_and_gives_a_champion_its_own_scores() -> None:
    (own,) = measurements_of(record())
    assert (own.role, own.score.value, own.cost) == ("challenger", 0.812, 0.25)
    old = record(version="1", digest=version(1).digest)
    (own,) = measurements_of(old)
    assert (own.role, own.score.value, own.cost) == ("champion", 0.753, 0.5)
    assert [s.name for s in slices_of([own])] == ["oncology", "cardiology", "urology"]
    assert status_of(old) == "champion by line 1 of the journal, no longer"
    assert status_of(record(digest="0" * 64)) == "never champion"


def test_weak_spots_are_the_lowest_slices_below_the_whole() -> None:
    found = slices_of(measurements_of(record()))
    assert [(s.name, s.weak) for s in found] == [("oncology", True), ("urology", False), ("cardiology", False)]


def test_the_plot_draws_the_recorded_curves() -> None:
    plain, found, missed = calibration_plot(CALIBRATION).curves
    assert plain.points[-1].y < plain.points[0].y
    assert found.points[10].tip == "0.5 found: 0.550"  # sigmoid(0.2)
    assert missed.points[9].tip == "0.5 missed: 0.269"  # sigmoid(-1); it has no value at 0


def test_a_rule_is_told_in_words() -> None:
    assert rule_words(VotingRule("majority"), 3) == "majority: 2 of 3 members"
    assert (
        rule_words(VotingRule("weighted", weights=(1.0, 0.5), threshold=0.9), 2) == "weighted: a weight of 0.9 of 1.5"
    )
    assert rule_words(VotingRule("union"), 3) == "union"


def test_members_that_are_missing_are_named() -> None:
    assert "Made without members of its ensemble: robbert." in render_model_card(
        record(fitted=fitted(missing=("robbert",)))
    )
    assert "umberto" in render_model_card(record(tags={**TAGS, "missing_members": "umberto"}))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202egnp"])
def test_names_are_no_markup(name: str) -> None:
    shown = render_model_card(
        record(members=(member(name, name),), rule=VotingRule("majority"), tags={"gold_revision": name})
    )
    assert name not in shown
