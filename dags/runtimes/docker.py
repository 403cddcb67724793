"""Runs a stage in a container. The report is returned through S3, as Docker's log stream also has every warning."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from docker.types import DeviceRequest

from runtimes import announce, check, command_line, push

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


class DockerTask(DockerOperator):
    """`enigma <stage> <arguments>` in a container of `ENIGMA_TASKS_IMAGE` (a digest, or a tag other than latest).

    `ENIGMA_DOCKER_NETWORK` names the network, `ENIGMA_TASK_MEMORY` and `ENIGMA_GPU_MEMORY` the limits,
    `ENIGMA_GPUS` the number of GPUs of a GPU task (-1: all, 0: this machine has none). The container is always removed,
    also one of an earlier attempt, and no folder of the host is mounted.
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
            auto_remove="force",
            mount_tmp_dir=False,
            shm_size=SHARED_MEMORY,
            mem_limit=os.environ.get("ENIGMA_GPU_MEMORY", GPU_MEMORY)
            if gpu
            else os.environ.get("ENIGMA_TASK_MEMORY", MEMORY),
            network_mode=os.environ.get("ENIGMA_DOCKER_NETWORK", "bridge"),
            device_requests=_gpus() if gpu else None,
            log_opts_max_size="10m",
            log_opts_max_file="1",
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
        self.command = [*command_line(self.stage, self.arguments, self.value), "--result", self.result_uri]
        # set here, not in __init__: a mapped task's arguments are stored in Airflow's database
        self._private_environment = passed_on(os.environ)
        self._remove_leftovers()
        _delete(self.result_uri)
        try:
            super().execute(context)
        except DockerContainerFailedException as failure:
            # without the cause, which contains the log
            raise_for(self.stage, str(failure))
        report = _read(self.result_uri)
        announce(report, self.outlets, context)
        return push(report, self.returns, context)

    def on_kill(self) -> None:
        """Remove the container at once: Docker's grace period of 10 s is longer than Airflow's of 5 s."""
        if self.container:
            self.cli.remove_container(self.container["Id"], force=True)

    def _remove_leftovers(self) -> None:
        """Remove the container that a killed worker left running, before a second one writes."""
        filters = {"label": [f"{key}={value}" for key, value in self.labels.items()]}
        for leftover in self.cli.containers(all=True, filters=filters):
            self.log.warning("removing container %s of an earlier attempt", leftover["Id"][:12])
            self.cli.remove_container(leftover["Id"], force=True)


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's variables that are passed to the command, through the hidden environment, as some are secret."""
    return {k: v for k, v in environment.items() if k.startswith(PASSED_ON) and k not in NOT_PASSED_ON}


def _gpus() -> list[DeviceRequest] | None:
    count = int(os.environ.get("ENIGMA_GPUS", "-1"))
    return [DeviceRequest(count=count, capabilities=[["gpu"]])] if count else None


def raise_for(stage: str, message: str) -> None:
    """Handle the exit code, which only the provider's message contains."""
    found = re.search(r"'StatusCode': (\d+)", message)
    if found is None:
        raise AirflowException(f"the container of enigma {stage} failed without an exit code") from None
    check(stage, int(found[1]))


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
