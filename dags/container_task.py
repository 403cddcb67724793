"""Builds the Airflow task of a stage. All DAGs use it, so policy is set in one place.

`ENIGMA_RUNTIME` is where the command runs: `process` (this machine), `docker` (a container) or `kubernetes` (a pod).
All run `enigma <stage> <arguments>`, pass only URIs, counts and digests to XCom, and handle exit codes in the same way.
"""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runtimes.alerts import MonitorNotifier, send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperator
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

__all__ = ["MonitorNotifier", "batch_id", "container_task", "container_task_partial", "deadline_missed", "last_week"]

RUNTIMES = ("process", "docker", "kubernetes")

RETRIES = 3
RETRY_SECONDS = "30"
MAX_RETRY_DELAY = timedelta(minutes=15)
TIMEOUT = timedelta(hours=2)
GPU_TIMEOUT = timedelta(hours=4)
"""For one shard, also on a slow machine."""


def container_task(
    stage: str,
    arguments: Sequence[str],
    *,
    task_id: str | None = None,
    gpu: bool = False,
    returns: str | None = None,
    **policy: Any,
) -> BaseOperator:
    """One task that runs `enigma <stage> <arguments>`.

    An argument that renders to the empty string is left out. `returns` is the key of the stage's report that becomes
    the task's return value (a list to map over); every other harmless key becomes an XCom.
    """
    return _operator()(**_settings(stage, arguments, task_id, gpu, returns=returns, **policy))


def container_task_partial(
    stage: str,
    arguments: Sequence[str],
    *,
    task_id: str | None = None,
    gpu: bool = False,
    **policy: Any,
) -> OperatorPartial:
    """`container_task`, mapped: `.expand(value=plan.output)` gives a task per value, appended to the arguments."""
    return _operator().partial(**_settings(stage, arguments, task_id, gpu, **policy))


def promotion_tasks(challengers: Any) -> None:
    """For each challenger: compare → approve → promote; one that waits for its approval does not hold up the others.

    `challengers`: the output of the task that lists them.
    """
    from airflow.sdk import task_group
    from runtimes.approval import Approval

    @task_group(group_id="challenger", prefix_group_id=False)
    def one(value: Any) -> None:
        compare = container_task("compare", ["--challenger"], gpu=True, pool="gpu", value=value)
        approve = Approval(task_id="approve", report=compare.output)
        answer = approve.output
        arguments = ["--decision", answer["decision"], "--digest", answer["line_digest"], answer["person"]]
        container_task("promote", arguments)

    one.expand(value=challengers)


def batch_id(dag_run: Any) -> str:
    """The night's id: unique for a run, unchanged when tasks are cleared, safe in a path.

    For a scheduled run its time in UTC, `2026-06-11T0100`; for other runs with seconds and a hash of the run id.
    """
    if str(dag_run.run_type).rsplit(".", 1)[-1].lower() == "scheduled":
        return str(dag_run.run_after.strftime("%Y-%m-%dT%H%M"))
    digest = hashlib.sha256(dag_run.run_id.encode()).hexdigest()[:8]
    return f"{dag_run.run_after.strftime('%Y-%m-%dT%H%M%S')}-{digest}"


def deadline_missed(context: dict[str, Any]) -> None:
    """Report a late night: an error in the log, and an alert."""
    run = context["dag_run"]
    text = f"{run['dag_id']} is late: {run['dag_run_id']} has not ended by {context['deadline']['deadline_time']}"
    logging.getLogger(__name__).error(text)
    send(text, [], context)


def last_week(dag_run: Any) -> str:
    """The ISO week before the run: `2026-W24`."""
    year, week, _ = (dag_run.run_after - timedelta(days=7)).isocalendar()
    return f"{year}-W{week:02}"


def _operator() -> type[BaseOperator]:
    runtime = os.environ.get("ENIGMA_RUNTIME", "process")
    if runtime == "process":
        from runtimes.process import ProcessTask

        return ProcessTask
    if runtime == "docker":
        from runtimes.docker import DockerTask

        return DockerTask
    if runtime == "kubernetes":
        from runtimes.kubernetes import KubernetesTask

        return KubernetesTask
    raise ValueError(f"ENIGMA_RUNTIME={runtime}: there are {', '.join(RUNTIMES)}")


def _settings(stage: str, arguments: Sequence[str], task_id: str | None, gpu: bool, **policy: Any) -> dict[str, Any]:
    return {
        "stage": stage,
        "arguments": list(arguments),
        "gpu": gpu,
        "task_id": task_id or stage,
        "retries": RETRIES,
        "retry_delay": timedelta(seconds=float(os.environ.get("ENIGMA_RETRY_SECONDS") or RETRY_SECONDS)),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": MAX_RETRY_DELAY,
        "execution_timeout": GPU_TIMEOUT if gpu else TIMEOUT,
        **policy,
    }
