"""Runs a stage in a container. The report is returned through S3, as Docker's log stream also has every warning."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowFailException
from docker.errors import APIError, ImageNotFound
from docker.types import DeviceRequest, LogConfig, Mount

from runtimes import announce, check, command_line, push
from runtimes.containers import UNREACHABLE, follow, remove, remove_leftovers, start
from runtimes.ended_runs import EndedRuns
from runtimes.handover import MemoryRecord, delete_report, out_of_memory, read_report, result_template
from runtimes.host_paths import local_paths, mounts, refuse
from runtimes.image import SHARED_MEMORY, WRITABLE, gpus, memory_limit, passed_on, pinned_image

if TYPE_CHECKING:
    from collections.abc import Mapping

PROCESSES = 4096
BAD_REQUEST = 400


class DockerTask(DockerOperator):
    """`enigma <stage> <arguments>` in a container of `ENIGMA_TASKS_IMAGE` (a digest, or a tag other than latest).

    `ENIGMA_DOCKER_NETWORK` names the network, `ENIGMA_TASK_MEMORY` and `ENIGMA_GPU_MEMORY` the limits, at most the
    machine's memory, `ENIGMA_GPUS` the number of GPUs of a GPU task (-1: all, 0: this machine has none). Of the
    host is mounted, read-only, what the passed variables name, such as a certificate authority, and nothing else; no
    capability is kept, and the container's file system is read-only but for `WRITABLE`. The container is always
    removed, also one of an earlier attempt or of a run that has ended.
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
        super().__init__(
            image=pinned_image(),
            mount_tmp_dir=False,
            mem_limit=memory_limit(gpu=gpu),
            network_mode=os.environ.get("ENIGMA_DOCKER_NETWORK", "bridge"),
            device_requests=_gpus() if gpu else None,
            **policy,
        )
        self.stage = stage
        self.arguments = arguments
        self.value = value
        self.returns = returns
        self.result_uri = result_template()

    def execute(self, context: Any) -> Any:
        """Run the stage; the harmless part of its report in S3 goes to XCom."""
        ti = context["ti"]
        variables = passed_on(os.environ)
        own = mounts(variables)
        self.labels = {
            "enigma.dag": ti.dag_id,
            "enigma.run": ti.run_id,
            "enigma.task": ti.task_id,
            "enigma.map": str(ti.map_index),
        }
        remove_leftovers(self.cli, self.labels, EndedRuns(ti), self.log)
        delete_report(self.result_uri)
        memory = MemoryRecord(self.result_uri)
        try:
            self.container = self._created(own, variables)
            start(self.cli, self.container["Id"], variables | memory.variables())
            ended = follow(self.cli, self.container["Id"], self.log)
        finally:
            self._discard()
        if ended.out_of_memory:
            memory.add()
            raise out_of_memory(self.stage, f"{self._memory() >> 20} MiB")
        check(self.stage, ended.code)
        report = read_report(self.result_uri)
        announce(report, self.outlets, context)
        return push(report, self.returns, context)

    def _discard(self) -> None:
        try:
            self.on_kill()
        except UNREACHABLE:
            self.log.warning("the Docker engine does not answer: the next attempt or run removes the container")

    def on_kill(self) -> None:
        """Remove the container at once: Docker's grace period of 10 s is longer than Airflow's of 5 s."""
        if self.container:
            remove(self.cli, self.container["Id"])

    def _created(self, own: list[Mount], variables: Mapping[str, str]) -> dict[str, Any]:
        """A container that has not started. Its environment is given on start, so that `inspect` shows no secret."""
        settings = {
            "image": self.image,
            "command": [*command_line(self.stage, self.arguments, self.value), "--result", self.result_uri],
            "labels": self.labels,
            "environment": {"ENIGMA_ENVIRONMENT": "stdin"},
            "stdin_open": True,
            "host_config": self._limits(own),
        }
        try:
            return self._create(settings, variables)
        except ImageNotFound:
            self._pull()
            return self._create(settings, variables)

    def _create(self, settings: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
        try:
            return dict(self.cli.create_container(**settings))
        except APIError as error:
            if error.status_code == BAD_REQUEST:
                refuse(local_paths(variables), "the engine's machine cannot mount what one of them names")
            raise

    def _pull(self) -> None:
        try:
            self.cli.pull(self.image)
        except APIError:
            # without the cause, which may quote a registry's address with a password
            raise AirflowFailException(f"{self.image} is not on this machine and cannot be pulled") from None

    def _memory(self) -> int:
        """Its limit in bytes: what was asked for, at most what the machine has."""
        return int(min(self.mem_limit, self.cli.info()["MemTotal"]))

    def _limits(self, own: list[Mount]) -> dict[str, Any]:
        memory = self._memory()
        return dict(
            self.cli.create_host_config(
                network_mode=self.network_mode,
                shm_size=SHARED_MEMORY,
                mem_limit=memory,
                memswap_limit=memory,  # no swap: the default is as much again
                device_requests=self.device_requests,
                read_only=True,
                mounts=[*(Mount(target=folder, source=None, type="volume") for folder in WRITABLE), *own],
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                pids_limit=PROCESSES,
                log_config=LogConfig(config={"max-size": "10m", "max-file": "1"}),
            )
        )


def _gpus() -> list[DeviceRequest] | None:
    count = gpus()
    return [DeviceRequest(count=count, capabilities=[["gpu"]])] if count else None
