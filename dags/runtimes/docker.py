"""Runs a stage in a container. The report is returned through S3, as Docker's log stream also has every warning."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError
from docker.errors import APIError, ImageNotFound
from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils import parse_bytes

from runtimes import announce, check, command_line, push
from runtimes.containers import follow, remove, remove_leftovers, start

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED_ON = ("AWS_", "ENIGMA_", "GIT_", "HF_", "MLFLOW_", "OMP_NUM_THREADS")
"""Prefixes of the variables that are passed to the command, so that new settings of Enigma are included."""
NOT_PASSED_ON = {
    "ENIGMA_ALERT_EMAIL",
    "ENIGMA_ALERT_WEBHOOK",
    "ENIGMA_COMMAND",
    "ENIGMA_DOCKER_NETWORK",
    "ENIGMA_GPUS",
    "ENIGMA_GPU_MEMORY",
    "ENIGMA_RUNTIME",
    "ENIGMA_TASKS_IMAGE",
    "ENIGMA_TASK_MEMORY",
    "ENIGMA_WORKDIR",
}
"""Variables that only the DAGs read; a contract test checks them against `dags/` and the command's settings."""
PINNED = re.compile(r"[^\s@]+(@sha256:[0-9a-f]{64}|:(?!latest$)[\w][\w.-]*)")
MEMORY = "8g"
GPU_MEMORY = "32g"
SHARED_MEMORY = 1 << 30
PROCESSES = 4096
NOT_FOUND = 404
WRITABLE = ("/tmp", "/home/enigma/cache")  # noqa: S108 - of the container
"""Folders of the container that are volumes of its own, removed with it; all others are read-only."""


class DockerTask(DockerOperator):
    """`enigma <stage> <arguments>` in a container of `ENIGMA_TASKS_IMAGE` (a digest, or a tag other than latest).

    `ENIGMA_DOCKER_NETWORK` names the network, `ENIGMA_TASK_MEMORY` and `ENIGMA_GPU_MEMORY` the limits, at most the
    machine's memory, `ENIGMA_GPUS` the number of GPUs of a GPU task (-1: all, 0: this machine has none). No folder of
    the host is mounted, no capability is kept, and the container's file system is read-only but for `WRITABLE`. The
    container is always removed, also one of an earlier attempt or of a run that has ended.
    """

    template_fields = ("arguments", "value", "result_uri")
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#dceefb"

    def __init__(
        self,
        *,
        stage: str,
        arguments: list[str],
        value: str | None = None,
        gpu: bool = False,
        returns: str | None = None,
        **policy: Any,
    ) -> None:
        image = os.environ.get("ENIGMA_TASKS_IMAGE", "")
        if not PINNED.fullmatch(image):
            raise ValueError("ENIGMA_TASKS_IMAGE must name an image by digest, or by a tag other than latest")
        super().__init__(
            image=image,
            mount_tmp_dir=False,
            mem_limit=os.environ.get("ENIGMA_GPU_MEMORY", GPU_MEMORY)
            if gpu
            else os.environ.get("ENIGMA_TASK_MEMORY", MEMORY),
            network_mode=os.environ.get("ENIGMA_DOCKER_NETWORK", "bridge"),
            device_requests=_gpus() if gpu else None,
            **policy,
        )
        self.stage = stage
        self.arguments = arguments
        self.value = value
        self.returns = returns
        root = os.environ.get("ENIGMA_S3_RUNS") or f"{os.environ.get('ENIGMA_S3_ROOT', '').rstrip('/')}/runs"
        self.result_uri = f"{root}/{{{{ batch_id(dag_run) }}}}/xcom/{{{{ ti.task_id }}}}-{{{{ ti.map_index }}}}.json"

    def execute(self, context: Any) -> Any:
        """Run the stage; the harmless part of its report in S3 goes to XCom."""
        ti = context["ti"]
        self.labels = {
            "enigma.dag": ti.dag_id,
            "enigma.run": ti.run_id,
            "enigma.task": ti.task_id,
            "enigma.map": str(ti.map_index),
        }
        remove_leftovers(self.cli, self.labels, lambda dag, run: _state(ti, dag, run), self.log)
        _delete(self.result_uri)
        memory = MemoryRecord(f"{self.result_uri.removesuffix('.json')}.memory")
        try:
            self.container = self._created()
            start(self.cli, self.container["Id"], passed_on(os.environ) | memory.variables())
            ended = follow(self.cli, self.container["Id"], self.log)
        finally:
            self.on_kill()
        if ended.out_of_memory:
            memory.add()
            raise AirflowException(
                f"enigma {self.stage} was killed: it needs more memory than its limit of {self._memory() >> 20} MiB; "
                "the next attempt takes smaller batches"
            )
        check(self.stage, ended.code)
        report = _read(self.result_uri)
        announce(report, self.outlets, context)
        return push(report, self.returns, context)

    def on_kill(self) -> None:
        """Remove the container at once: Docker's grace period of 10 s is longer than Airflow's of 5 s."""
        if self.container:
            remove(self.cli, self.container["Id"])

    def _created(self) -> dict[str, Any]:
        """A container that has not started. Its environment is given on start, so that `inspect` shows no secret."""
        settings = {
            "image": self.image,
            "command": [*command_line(self.stage, self.arguments, self.value), "--result", self.result_uri],
            "labels": self.labels,
            "environment": {"ENIGMA_ENVIRONMENT": "stdin"},
            "stdin_open": True,
        }
        try:
            return dict(self.cli.create_container(**settings, host_config=self._limits()))
        except ImageNotFound:
            self._pull()
            return dict(self.cli.create_container(**settings, host_config=self._limits()))

    def _pull(self) -> None:
        try:
            self.cli.pull(self.image)
        except APIError:
            # without the cause, which may quote a registry's address with a password
            raise AirflowFailException(f"{self.image} is not on this machine and cannot be pulled") from None

    def _memory(self) -> int:
        """Its limit in bytes: what was asked for, at most what the machine has."""
        return int(min(parse_bytes(self.mem_limit), self.cli.info()["MemTotal"]))

    def _limits(self) -> dict[str, Any]:
        memory = self._memory()
        return dict(
            self.cli.create_host_config(
                network_mode=self.network_mode,
                shm_size=SHARED_MEMORY,
                mem_limit=memory,
                memswap_limit=memory,  # no swap: the default is as much again
                device_requests=self.device_requests,
                read_only=True,
                mounts=[Mount(target=folder, source=None, type="volume") for folder in WRITABLE],
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                pids_limit=PROCESSES,
                log_config=LogConfig(config={"max-size": "10m", "max-file": "1"}),
            )
        )


class MemoryRecord:
    """How often a task was killed for want of memory: an object beside its report, so that a new worker knows it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        store, place = _object(uri)
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


def _state(ti: Any, dag_id: str, run_id: str) -> str | None:
    """The state of a run, None if Airflow does not know it."""
    try:
        return str(ti.get_dagrun_state(dag_id, run_id))
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == NOT_FOUND:
            return None
        raise


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's variables that are passed to the command, through the hidden environment, as some are secret."""
    return {k: v for k, v in environment.items() if k.startswith(PASSED_ON) and k not in NOT_PASSED_ON}


def _gpus() -> list[DeviceRequest] | None:
    count = int(os.environ.get("ENIGMA_GPUS", "-1"))
    return [DeviceRequest(count=count, capabilities=[["gpu"]])] if count else None


def _read(uri: str) -> dict[str, Any]:
    store, place = _object(uri)
    try:
        report: dict[str, Any] = json.loads(store.get_object(**place)["Body"].read())
    except store.exceptions.NoSuchKey:
        raise AirflowException(f"the container succeeded but wrote no {uri}") from None
    except ValueError:
        raise AirflowFailException(f"{uri} is not JSON") from None
    return report


def _delete(uri: str) -> None:
    store, place = _object(uri)
    store.delete_object(**place)


def _object(uri: str) -> tuple[Any, dict[str, str]]:
    import boto3

    parts = urlsplit(uri)
    return boto3.client("s3"), {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}
