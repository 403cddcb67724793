"""Following a container: its log line by line, an engine that is away for a time, a container that is gone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowException
from docker.errors import APIError, NotFound

LOG = logging.getLogger("containers")


def of_the_task(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """What was logged to LOG at this level; Airflow and clients log, too."""
    return [r.getMessage() for r in caplog.records if (r.name, r.levelno) == (LOG.name, level)]


class Engine:
    """Answers each call with the next of its states: a state, log lines, or an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.lines = b""
        self.asked_since: list[int] = []

    def inspect_container(self, _: str) -> dict[str, Any]:
        status, new = self._next()
        self.lines += new
        return {"State": {"Status": status, "ExitCode": 3, "OOMKilled": False}}

    def _next(self) -> tuple[str, bytes]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def logs(self, _: str, since: int = 0, **options: Any) -> bytes:
        self.asked_since.append(since)
        return self.lines


def line(second: int, text: str) -> bytes:
    return f"2026-01-31T01:02:{second:02}.123456789Z ".encode() + text.encode() + b"\n"


def test_each_line_is_logged_once_and_letters_are_whole(caplog: pytest.LogCaptureFixture) -> None:
    from runtimes.containers import follow

    engine = Engine(
        ("running", line(1, "nález")),
        ("running", b""),
        ("running", line(2, "second") + line(3, "third")),
        ("exited", line(4, "last")),
    )
    with caplog.at_level(logging.INFO):
        ended = follow(engine, "c", LOG, sleep=lambda _: None)
    assert (ended.code, ended.out_of_memory) == (3, False)
    assert of_the_task(caplog) == ["nález", "second", "third", "last"]
    assert engine.asked_since[0] == 0
    assert engine.asked_since[1:] == [1769821321, 1769821321, 1769821323]


def test_a_silent_container_is_followed_for_hours(caplog: pytest.LogCaptureFixture) -> None:
    from runtimes.containers import follow

    engine = Engine(*[("running", b"")] * 40_000, ("exited", b""))
    assert follow(engine, "c", LOG, sleep=lambda _: None).code == 3
    assert not of_the_task(caplog)


def test_an_engine_that_is_restarted_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    from runtimes.containers import follow

    away = requests.ConnectionError("refused")
    engine = Engine(("running", line(1, "one")), *[away] * 100, ("exited", line(2, "two")))
    follow(engine, "c", LOG, sleep=lambda _: None)
    assert of_the_task(caplog, logging.WARNING) == ["the Docker engine does not answer"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.ConnectionError("a password in a URL"), "does not answer"),
        (NotFound("no such container"), "was removed"),
        (
            APIError("proxy", response=type("R", (), {"status_code": 403, "reason": "", "url": ""})()),
            "refused with 403",
        ),
    ],
)
def test_what_does_not_pass_is_one_typed_error(error: Exception, message: str) -> None:
    from runtimes.containers import follow

    with pytest.raises(AirflowException, match=message) as failure:
        follow(Engine(("running", b""), error), "c", LOG, sleep=lambda _: None)
    assert "password" not in str(failure.value)
