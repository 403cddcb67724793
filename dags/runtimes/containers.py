"""Follows a container by asking for its state, and removes the containers that killed workers left running.

Nothing here waits on an open connection: a proxy before the engine cuts one that is silent for minutes, and the engine
itself may be restarted under a running night.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from airflow.sdk.exceptions import AirflowException
from docker.errors import APIError, DockerException, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger

    from runtimes.ended_runs import EndedRuns

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 300.0
"""For an engine that does not answer, as while it is restarted."""
ENDED = ("exited", "dead")
UNREACHABLE = (requests.RequestException, DockerException)
RUN, DAG = "enigma.run", "enigma.dag"
"""Labels of a container."""


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    code: int
    out_of_memory: bool


def start(engine: Any, container: str, variables: Mapping[str, str]) -> None:
    """Start a container that reads its environment from standard input, where `docker inspect` does not show it."""
    with closing(engine.attach_socket(container, params={"stdin": 1, "stream": 1})) as stream:
        engine.start(container)
        getattr(stream, "_sock", stream).sendall(json.dumps(dict(variables)).encode() + b"\n")


def follow(
    engine: Any, container: str, log: Logger, sleep: Callable[[float], None] = time.sleep, poll: float = POLL_SECONDS
) -> Ended:
    """Log the lines of standard error until the container has ended.

    Raises:
        AirflowException: the container is gone, or the engine has not answered for PATIENCE_SECONDS.
    """
    seen, silent = "", 0.0
    while True:
        try:
            # the state first: what is written before the end is then in the log that is read after it
            state = engine.inspect_container(container)["State"]
            seen = _log_new_lines(engine, container, log, seen)
            silent = 0.0
        except NotFound:
            raise AirflowException("the container was removed while it ran") from None
        except UNREACHABLE as error:
            if isinstance(error, APIError) and error.is_client_error():
                raise AirflowException(f"the engine refused with {error.status_code}") from None
            if not silent:
                log.warning("the Docker engine does not answer")
            silent += poll
            if silent > PATIENCE_SECONDS:
                raise AirflowException("the Docker engine does not answer") from None
        else:
            if state["Status"] in ENDED:
                return Ended(int(state["ExitCode"]), bool(state.get("OOMKilled")))
        sleep(poll)


def _log_new_lines(engine: Any, container: str, log: Logger, seen: str) -> str:
    """Log the lines after the one with the time `seen`; returns the time of the last. Standard output is the report."""
    after = {"since": int(_seconds(seen))} if seen else {}
    lines = engine.logs(container, stdout=False, stderr=True, timestamps=True, stream=False, **after)
    for line in lines.split(b"\n"):
        stamp, _, text = line.partition(b" ")
        if (at := stamp.decode(errors="replace")) > seen:
            log.info("%s", text.decode(errors="replace").rstrip())
            seen = at
    return seen


def _seconds(stamp: str) -> float:
    """Unix time of Docker's `2026-01-31T01:02:03.123456789Z`, in whole seconds."""
    from datetime import UTC, datetime

    return datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()


def remove_leftovers(engine: Any, labels: Mapping[str, str], ended: EndedRuns, log: Logger) -> None:
    """Remove the containers of this task's earlier attempts, and those of every run that has ended.

    A killed worker leaves its container running: beside a second attempt, or beside the next night if its run was
    marked failed, there would be two writers.
    """
    own = set(labels.items())
    for found in engine.containers(all=True, filters={"label": [DAG]}):
        given = found.get("Labels") or {}
        if own <= set(given.items()) or ended.has(given[DAG], given.get(RUN, "")):
            log.warning("removing container %s, which an earlier attempt or run left", found["Id"][:12])
            remove(engine, found["Id"])


def remove(engine: Any, container: str) -> None:
    """Remove a container and its volumes, running or not; one that is gone is no error."""
    try:
        engine.remove_container(container, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != requests.codes.conflict:  # another worker removes it
            raise
