"""The double of the Kubernetes API with a node: each pod's container is one of a real Docker engine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from docker.errors import ImageNotFound, NotFound
from docker.types import Mount

from tests.dags.kubernetes_api import KubernetesApi, Status, ended, evicted, pending, running, waiting
from tests.docker.night_in_containers import TASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    import docker

ENDED = ("exited", "dead")


class PodOnEngine:
    """A pod's container on the engine. What its manifest says of user, limits, volumes and variables holds for it."""

    def __init__(self, engine: docker.APIClient, pod: dict[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> None:
        self.engine, self.pod, self.secrets = engine, pod, secrets
        self.id = ""
        self._instead: Status | None = waiting("ContainerCreating")
        self._last = running()
        self._tried = threading.Event()

    def start(self) -> None:
        """Beside the request that created the pod, as a node does."""
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        try:
            self.id = self.engine.create_container(**self._settings())["Id"]
            self.engine.start(self.id)
        except ImageNotFound as error:
            self._instead = waiting("ErrImagePull", str(error))
        except Exception as error:  # noqa: BLE001 - of a thread: the pod's status says it
            self._instead = waiting("CreateContainerError", str(error))
        else:
            self._instead = None
        finally:
            self._tried.set()

    def _settings(self) -> dict[str, Any]:
        spec = self.pod["spec"]
        (container,) = spec["containers"]
        variables = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        for source in container.get("envFrom", []):
            variables = {**self.secrets[source["secretRef"]["name"]], **variables}
        user = spec["securityContext"]
        return {
            "image": container["image"],
            "entrypoint": container["command"],
            "command": container["args"],
            "environment": variables,
            "user": f"{user['runAsUser']}:{user['runAsGroup']}",
            "labels": {TASK: container["args"][0]},
            "host_config": self._limits(spec, container),
        }

    def _limits(self, spec: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
        memory = int(container["resources"]["limits"]["memory"])
        folders = {volume["name"]: volume["emptyDir"] or {} for volume in spec["volumes"]}
        places = {mount["mountPath"]: folders[mount["name"]] for mount in container["volumeMounts"]}
        shared = [place for place, folder in places.items() if folder.get("medium") == "Memory"]
        assert shared == ["/dev/shm"]
        limits: dict[str, Any] = self.engine.create_host_config(
            network_mode="host",
            mem_limit=memory,
            memswap_limit=memory,
            shm_size=int(places[shared[0]]["sizeLimit"]),
            mounts=[Mount(target=place, source=None, type="volume") for place in places if place not in shared],
            read_only=container["securityContext"]["readOnlyRootFilesystem"],
            cap_drop=container["securityContext"]["capabilities"]["drop"],
            security_opt=["no-new-privileges"],
        )
        return limits

    def status(self) -> Status:
        """By the container's state, unless something happened to the pod."""
        if self._instead is None:
            try:
                state = self.engine.inspect_container(self.id)["State"]
            except NotFound:
                return self._last
            if state["Status"] in ENDED:
                self._last = ended(state["ExitCode"], "OOMKilled" if state["OOMKilled"] else "")
            return self._last
        return self._instead

    def log(self) -> bytes:
        """Both streams, as a kubelet has them in one file."""
        try:
            lines: bytes = self.engine.logs(self.id, timestamps=True) if self.id else b""
        except NotFound:
            return b""
        return lines

    def stop(self) -> None:
        """Remove the container, once it is known whether there is one."""
        self._tried.wait()
        if not self.id:
            return
        try:
            self.engine.remove_container(self.id, force=True, v=True)
        except NotFound:
            return

    def evict(self, message: str) -> None:
        """As a node does that lacks something: the container is killed, and the pod says why."""
        self._instead = evicted(message)
        self.engine.kill(self.id)


class Unschedulable:
    """A pod that no node takes."""

    def status(self) -> Status:
        return pending()

    def log(self) -> bytes:
        return b""

    def stop(self) -> None:
        pass


class Cluster(KubernetesApi):
    """`secrets`: by name, the Secrets that pods refer to."""

    def __init__(self, engine: docker.APIClient, secrets: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(self._run)
        self.engine, self.secrets = engine, secrets
        self.not_scheduled: list[str] = []
        """Stages whose next pod no node takes."""

    def _run(self, pod: dict[str, Any]) -> PodOnEngine | Unschedulable:
        stage = pod["spec"]["containers"][0]["args"][0]
        if stage in self.not_scheduled:
            self.not_scheduled.remove(stage)
            return Unschedulable()
        found = PodOnEngine(self.engine, pod, self.secrets)
        found.start()
        return found

    def pod_of(self, container: str) -> str:
        """The name of the pod with this container."""
        return next(name for name, found in self.containers.items() if getattr(found, "id", "") == container)

    def evict(self, container: str, message: str) -> None:
        """Put the container's pod out of its node."""
        found = self.containers[self.pod_of(container)]
        assert isinstance(found, PodOnEngine)
        found.evict(message)

    def pods_of(self, stage: str, run: str) -> list[dict[str, Any]]:
        """Every pod that was ever created for a stage of a run."""
        return [
            pod for pod in self.created
            if pod["spec"]["containers"][0]["args"][0] == stage and pod["metadata"]["annotations"]["enigma/run"] == run
        ]  # fmt: skip
