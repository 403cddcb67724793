"""How a pod ended, and the removal of the pods that killed workers left running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubernetes.client import ApiException

if TYPE_CHECKING:
    from logging import Logger

    from runtimes.ended_runs import EndedRuns

MANAGED = "enigma.task"
"""Label of every pod of Enigma. The run is an annotation, as a label's value may not have its signs."""
DAG, RUN = "enigma/dag", "enigma/run"
CONTAINER = "base"
NOT_FOUND = 404


@dataclass(frozen=True)
class Ended:
    """How a pod ended; `code` is None if its container did not end by itself (evicted, deadline, node lost)."""

    code: int | None
    out_of_memory: bool
    reason: str


def ended(pod: Any) -> Ended | None:
    """None while it runs. Killed at its limit, or evicted as its node had no memory left: both are want of memory."""
    status = pod.status
    if status.phase not in ("Succeeded", "Failed"):
        return None
    evicted = status.reason == "Evicted"
    last = next((s.state.terminated for s in status.container_statuses or [] if s.name == CONTAINER), None)
    if evicted or status.reason in ("DeadlineExceeded", "NodeLost", "Preempting", "Terminated", "Shutdown"):
        return Ended(None, evicted and "memory" in (status.message or ""), status.reason)
    if last is None:
        return Ended(None, out_of_memory=False, reason=status.reason or "unknown")
    return Ended(int(last.exit_code), last.reason == "OOMKilled", last.reason or "")


def remove_leftovers(client: Any, namespace: str, runs: EndedRuns, log: Logger) -> None:
    """Delete the pods of every run that has ended: beside the next night's there would be two writers."""
    for pod in client.list_namespaced_pod(namespace, label_selector=f"{MANAGED}=true").items:
        given = pod.metadata.annotations or {}
        if DAG in given and runs.has(given[DAG], given.get(RUN, "")):
            log.warning("deleting pod %s, which an ended run left", pod.metadata.name)
            try:
                client.delete_namespaced_pod(pod.metadata.name, namespace, grace_period_seconds=0)
            except ApiException as error:
                if error.status != NOT_FOUND:
                    raise
