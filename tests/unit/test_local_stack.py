"""The local stack's own mechanics: ports, processes, state; nothing heavy is started."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from infra.local import airflow
from infra.local.airflow import AirflowApi, AirflowError
from infra.local.processes import StackError, free_ports, start, stop, wait_until
from infra.local.stack import PORTS, Stack, main

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = {"asset_events": [{"name": "gold", "id": 1}, {"name": "other", "id": 2}]}
FAMILY = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
open(sys.argv[1], "w").write(" ".join(str(c.pid) for c in children))
time.sleep(600)
"""


def test_a_port_that_is_taken_is_stepped_around() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wish = taken.getsockname()[1]
        (found,) = free_ports([wish])
    assert found != wish


def test_several_wishes_for_the_same_port_give_different_ports() -> None:
    ports = free_ports([0, 0, 20_000, 20_000, 20_000])
    assert len(set(ports)) == len(ports)


def started(tmp_path: Path, code: str, *arguments: str):
    return start("test", [sys.executable, "-c", code, *arguments], os.environ, tmp_path, tmp_path / "logs/test.log")


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("hard", [False, True])
def test_stopping_ends_a_process_and_all_below_it_in_whatever_session(tmp_path: Path, hard: bool) -> None:
    child = started(tmp_path, FAMILY, str(tmp_path / "pids"))
    wait_until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text() != "", [child], "it", 300)
    pids = [child.pid, *map(int, (tmp_path / "pids").read_text().split())]
    assert all(alive(p) for p in pids)
    stop([child], hard=hard)
    assert not [p for p in pids if alive(p)]
    stop([child], hard=hard)


def test_a_process_that_took_over_the_pid_is_not_ours_and_is_left_alone(tmp_path: Path) -> None:
    child = started(tmp_path, "import time; time.sleep(600)")
    former = replace(child, created=child.created - 1000)
    assert former.process() is None
    stop([former])
    assert child.process() is not None
    stop([child])


def test_a_child_that_dies_while_starting_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = started(tmp_path, "print('the reason why'); raise SystemExit(1)")
    with pytest.raises(StackError, match="the reason why"):
        wait_until(lambda: False, [child], "it", 30)


def test_waiting_ends_with_the_log_of_a_child_that_never_answers(tmp_path: Path) -> None:
    child = started(tmp_path, "import time; print('still busy', flush=True); time.sleep(600)")
    deadline = time.monotonic() + 300
    while "still busy" not in (tmp_path / "logs/test.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(StackError, match="still busy"):
        wait_until(lambda: False, [child], "it", 0.1)
    stop([child])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"children": {}, "unknown": 1}', '{"ports": {}}'])
def test_a_state_file_that_cannot_be_read_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    assert Stack.load(tmp_path) is None
    assert main(["down", "--state", str(tmp_path)]) == 0


def test_the_state_is_read_back_as_it_was_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    child = started(tmp_path, "import time; time.sleep(600)")
    stack = Stack(tmp_path, children={"s3": [child]}, ports={"s3": 1}, variables={"A": "b"}, password="secret")
    stack.save()
    assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0
    again = Stack.load(tmp_path)
    assert again is not None
    assert (again.children, again.ports, again.password) == (stack.children, stack.ports, "secret")
    assert not again.running  # one of three
    again.stop()
    assert child.process() is None
    assert not (tmp_path / "stack.json").exists()
    again.stop()


def test_a_stack_whose_machine_was_switched_off_is_not_running(tmp_path: Path) -> None:
    child = started(tmp_path, "import time; time.sleep(600)")
    Stack(tmp_path, children={key: [child] for key in PORTS}, ports=PORTS).save()
    assert Stack.load(tmp_path).running
    stop([child])
    assert not Stack.load(tmp_path).running
    assert main(["env", "--state", str(tmp_path)]) == 3


def test_the_callers_own_places_do_not_reach_the_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "ENIGMA_S3_ROOT", "MLFLOW_TRACKING_URI", "AIRFLOW__CORE__EXECUTOR", "UNRELATED"):
        monkeypatch.setenv(name, "mine")
    environment = Stack(tmp_path, variables={"ENIGMA_S3_ROOT": "s3://stack"}).environment
    assert environment["ENIGMA_S3_ROOT"] == "s3://stack"
    assert environment["UNRELATED"] == "mine"
    assert not {"AWS_PROFILE", "MLFLOW_TRACKING_URI", "AIRFLOW__CORE__EXECUTOR"} & set(environment)


def answering(monkeypatch: pytest.MonkeyPatch, replies: list[dict | int], queued: list[str]) -> AirflowApi:
    """An API that answers in turn with events or with a status; queued runs start while the client waits."""

    def call(_self: AirflowApi, _method: str, path: str, **_params: object) -> dict:
        if path == "dags/~/dagRuns":
            return {"dag_runs": list(queued)}
        reply = replies.pop(0)
        if isinstance(reply, int):
            raise AirflowError(reply, path)
        return reply

    def pause(_seconds: float) -> None:
        queued.clear()

    monkeypatch.setattr(AirflowApi, "call", call)
    monkeypatch.setattr(airflow.time, "sleep", pause)
    return AirflowApi("http://none", "none")


def test_events_are_read_once_no_run_that_they_woke_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    api = answering(monkeypatch, [500, EVENTS], queued=["a run"])
    assert [event["id"] for event in api.asset_events("gold")] == [1]


@pytest.mark.parametrize(("status", "queued"), [(500, []), (503, ["a run"])])
def test_an_error_that_queued_runs_do_not_explain_is_raised_at_once(
    monkeypatch: pytest.MonkeyPatch, status: int, queued: list[str]
) -> None:
    api = answering(monkeypatch, [status, EVENTS], queued)
    with pytest.raises(AirflowError, match=str(status)):
        api.asset_events("gold")


def test_runs_that_stay_queued_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    api = answering(monkeypatch, [500, EVENTS], queued=["a run"])
    with pytest.raises(AirflowError, match="500"):
        api.asset_events("gold", seconds=-1)
