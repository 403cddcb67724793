"""A person's approval: what is asked, which answers count, and what `enigma promote` is told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from enigma_tasks.cli import build_parser

ROW = {
    "challenger": 7,
    "champion": 4,
    "look": 2,
    "documents": 250,
    "challenger_f1": 0.8612,
    "champion_f1": 0.8301,
    "gain_low": 0.021,
    "gain_high": 0.043,
    "p_value": 0.0004,
    "alpha": 0.0056,
    "passed": True,
    "approval": True,
    "decision": "s3://ward/decisions/enigma-es-disease/00000005.json",
    "page": "s3://ward/decisions/enigma-es-disease/00000005.html",
    "digest": "a" * 64,
    "line_digest": "b" * 64,
}
ANN = {"id": "7", "name": "Dr Ruiz"}


def approval(**changes: Any) -> Any:
    from runtimes.approval import Approval

    return Approval(task_id="approve", report={"decisions": [{**ROW, **changes}]})


def answered(user: Any, option: str = "Approve") -> Any:
    event = {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": dt.datetime(2026, 6, 11, tzinfo=dt.UTC),
        "responded_by_user": user,
    }
    return approval().execute_complete({}, event)


def asked(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    """What Airflow shows the person."""
    from airflow.providers.standard.operators import hitl
    from airflow.sdk.exceptions import TaskAwaitingInput

    shown: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **given: shown.update(given))

    class Instance:
        id = "ti"

    with pytest.raises(TaskAwaitingInput):
        approval(**changes).execute({"task_instance": Instance()})
    return shown


def test_a_person_is_asked_by_version_digest_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = asked(monkeypatch)
    assert shown["subject"] == "May version 7 of enigma-es-disease annotate the nights?"
    for part in ("a" * 64, "86.1, champion 83.0", "+2.1 to +4.3", "250, look 2", "0.0004, 0.0056", ROW["page"]):
        assert part in shown["body"]
    assert shown["options"] == ["Approve", "Reject"]
    assert shown["defaults"] is None


def test_a_person_is_shown_the_card_and_no_other_words_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    card = "s3://ward/cards/enigma-es-disease/7.html"
    shown = asked(monkeypatch, card=card, failed="zanahoria", name="zanahoria", sentence="zanahoria")
    assert f"`{card}`" in shown["body"]
    assert "zanahoria" not in str(shown)
    assert "| card | – |" in asked(monkeypatch)["body"]


def test_a_first_champion_has_none_to_be_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = ("champion", "champion_f1", "gain_low", "gain_high", "p_value", "alpha")
    first = {key: value for key, value in ROW.items() if key not in absent}
    monkeypatch.setattr(f"{__name__}.ROW", first)
    assert "none yet" in asked(monkeypatch)["body"]


def test_the_answer_becomes_arguments_that_the_command_line_takes() -> None:
    for option, field in (("Approve", "approved_by"), ("Reject", "rejected_by")):
        answer = answered(ANN, option)
        given = build_parser().parse_args(
            ["promote", "--decision", answer["decision"], "--digest", answer["line_digest"], answer["person"]]
        )
        assert getattr(given, field) == "Dr Ruiz"
        assert (given.decision, given.digest) == (ROW["decision"], "b" * 64)


@pytest.mark.parametrize(
    "user", [None, {}, {"id": "7", "name": ""}, {"id": "7", "name": " "}, {"id": "7", "name": None}]
)
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_an_answer_without_a_name_is_refused(user: Any, option: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="does not say who"):
        answered(user, option)


def test_no_answer_approves_nothing() -> None:
    from airflow.providers.standard.exceptions import HITLTimeoutError

    with pytest.raises(HITLTimeoutError):
        approval().execute_complete({}, {"error": "no answer", "error_type": "timeout"})


def test_nobody_is_asked_about_a_challenger_that_did_not_pass() -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match=r"00000005\.html"):
        approval(passed=False).execute({})


def test_nobody_is_asked_where_the_plan_wants_no_approval() -> None:
    answer = approval(approval=False).execute({})
    assert answer == {"decision": ROW["decision"], "line_digest": "b" * 64, "person": ""}
