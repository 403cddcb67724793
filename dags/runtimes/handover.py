"""What a container leaves in S3 for its task: the report, and how often it was killed for want of memory."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk.exceptions import AirflowException, AirflowFailException

IN_BATCHES = frozenset(
    {"annotate", "compare", "ensemble", "evaluate", "plan", "predict", "select", "train", "validate"}
)
"""Stages that read notes in batches, which are halved after each want of memory."""


def result_template() -> str:
    """The report's URI, to be rendered by Airflow."""
    root = os.environ.get("ENIGMA_S3_RUNS") or f"{os.environ.get('ENIGMA_S3_ROOT', '').rstrip('/')}/runs"
    return f"{root}/{{{{ batch_id(dag_run) }}}}/xcom/{{{{ ti.task_id }}}}-{{{{ ti.map_index }}}}.json"


def read_report(uri: str) -> dict[str, Any]:
    """The report of a container that succeeded.

    Raises:
        AirflowException: there is none.
        AirflowFailException: it is not JSON.
    """
    store, place = _object(uri)
    try:
        report: dict[str, Any] = json.loads(store.get_object(**place)["Body"].read())
    except store.exceptions.NoSuchKey:
        raise AirflowException(f"the container succeeded but wrote no {uri}") from None
    except ValueError:
        raise AirflowFailException(f"{uri} is not JSON") from None
    return report


def delete_report(uri: str) -> None:
    """That of an earlier attempt."""
    store, place = _object(uri)
    store.delete_object(**place)


class MemoryRecord:
    """How often a task was killed for want of memory: an object beside its report, so that a new worker knows it."""

    def __init__(self, result_uri: str) -> None:
        self.uri = f"{result_uri.removesuffix('.json')}.memory"
        store, place = _object(self.uri)
        try:
            self.times = int(store.get_object(**place)["Body"].read())
        except store.exceptions.NoSuchKey:
            self.times = 0

    def variables(self) -> dict[str, str]:
        """The variable by which the stage knows."""
        return {"ENIGMA_OUT_OF_MEMORY": str(self.times)} if self.times else {}

    def add(self) -> None:
        """Once more."""
        store, place = _object(self.uri)
        store.put_object(**place, Body=str(self.times + 1).encode())


def out_of_memory(stage: str, limit: str) -> AirflowException:
    """The error of a task that was killed for want of memory."""
    then = "the next attempt takes smaller batches" if stage in IN_BATCHES else "raise it by ENIGMA_TASK_MEMORY"
    return AirflowException(f"enigma {stage} was killed: it needs more memory than its limit of {limit}; {then}")


def _object(uri: str) -> tuple[Any, dict[str, str]]:
    import boto3

    parts = urlsplit(uri)
    return boto3.client("s3"), {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}
