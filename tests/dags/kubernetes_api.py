"""A double of the Kubernetes API: what `KubernetesTask` asks of it, over HTTP. What runs a pod is given.

As a cluster's admission would, it refuses a pod that its published schema or the restricted pod security standard does
not allow.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import kubernetes_validate
import yaml
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSION = "1.34"
NAMESPACE = "enigma"
Status = dict[str, Any]


class Container(Protocol):
    """A pod's only container."""

    def status(self) -> Status:
        """The pod's status now."""

    def log(self) -> bytes:
        """Its lines so far, each with its time."""

    def stop(self) -> None:
        """At once."""


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        pass


class KubernetesApi:
    """Serves on loopback while it is entered; `start` runs the container of a pod's manifest."""

    def __init__(self, start: Callable[[dict[str, Any]], Container]) -> None:
        self._start = start
        self.pods: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, Container] = {}
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.asked: set[tuple[str, str]] = set()
        """Verb and resource of each request, as a cluster's roles name them."""
        self._server = make_server("127.0.0.1", 0, self._application, threaded=True, request_handler=_Quiet)

    def __enter__(self) -> KubernetesApi:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for container in self.containers.values():
            container.stop()
        self._server.shutdown()

    def write_kubeconfig(self, path: Path) -> Path:
        """A client's configuration with this server as its only cluster."""
        entry = {
            "clusters": [{"name": "double", "cluster": {"server": f"http://127.0.0.1:{self._server.port}"}}],
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "x", "namespace": NAMESPACE}}],
            "users": [{"name": "x", "user": {}}],
        }
        path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "double", **entry}))
        return path

    def add(self, name: str, container: Container, **annotations: str) -> None:
        """A pod of Enigma that is there already."""
        self.pods[name] = {
            "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations,
                         "labels": {"enigma.task": "true"}},
            "spec": {"containers": [{"name": "base"}]},
        }  # fmt: skip
        self.containers[name] = container

    def lose(self, name: str) -> None:
        """A pod that is gone without a word, as with its node."""
        del self.pods[name]
        self.containers.pop(name).stop()

    def _application(self, environ: dict[str, Any], start_response: Any) -> Any:
        try:
            response = self._answer(Request(environ))
        except KeyError:
            response = _status(404, "gone meanwhile")
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        self.asked.add(_access(request))
        match request.path.strip("/").split("/"):
            case ["api", "v1", "namespaces", _, "pods"]:
                return self._create(request) if request.method == "POST" else self._list(request)
            case ["api", "v1", "namespaces", _, "pods", name] if name in self.pods:
                return self._one(request, name)
            case ["api", "v1", "namespaces", _, "pods", name, "log"] if name in self.pods:
                return Response(self._lines(name), mimetype="text/plain")
            case ["api", "v1", "namespaces", _, "events"]:
                return _json({"kind": "EventList", "apiVersion": "v1", "items": [], "metadata": {}})
            case _:
                return _status(404, "no such thing")

    def _create(self, request: Request) -> Response:
        pod = request.get_json()
        name = pod["metadata"]["name"]
        if name in self.pods:
            return _status(409, "there is one")
        try:
            kubernetes_validate.validate(pod, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            return _status(422, str(error))
        if broken := list(restricted(pod)):
            return _status(403, ", ".join(broken))
        self.created.append(pod)
        self.pods[name] = pod
        self.containers[name] = self._start(pod)
        return _json(self._shown(name), 201)

    def _list(self, request: Request) -> Response:
        wanted = [term.strip() for term in request.args.get("labelSelector", "").split(",") if term.strip()]
        labels = {name: pod["metadata"]["labels"] for name, pod in list(self.pods.items())}
        found = []
        for name in (n for n in labels if all(_matches(labels[n], term) for term in wanted)):
            with suppress(KeyError):  # gone meanwhile
                found.append(self._shown(name))
        return _json({"kind": "PodList", "apiVersion": "v1", "items": found, "metadata": {}})

    def _one(self, request: Request, name: str) -> Response:
        if request.method == "PATCH":
            self.pods[name]["metadata"]["labels"] |= json.loads(request.data)["metadata"]["labels"]
        shown = self._shown(name)
        if request.method == "DELETE":
            self.deleted.append(name)
            self.lose(name)
        return _json(shown)

    def _shown(self, name: str) -> dict[str, Any]:
        pod = self.pods[name]
        created = {"creationTimestamp": "2026-01-31T01:02:03Z", "uid": name}
        return {**pod, "kind": "Pod", "apiVersion": "v1", "metadata": pod["metadata"] | created,
                "status": self.containers[name].status()}  # fmt: skip

    def _lines(self, name: str) -> Iterator[bytes]:
        """Followed until the container ends."""
        container, sent = self.containers[name], 0
        while True:
            ended = container.status()["phase"] in ("Succeeded", "Failed")
            lines = container.log()
            yield lines[sent:]
            sent = len(lines)
            if ended or name not in self.containers:
                return
            threading.Event().wait(0.1)


def restricted(pod: dict[str, Any]) -> Iterator[str]:
    """What of the restricted pod security standard a pod does not meet (Kubernetes, "Pod Security Standards")."""
    spec = pod["spec"]
    context = spec.get("securityContext") or {}
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield "host namespaces"
    if any(set(volume) - {"name"} - {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected"}
           for volume in spec.get("volumes", [])):  # fmt: skip
        yield "volume types"
    if not context.get("runAsNonRoot") or context.get("runAsUser") == 0:
        yield "running as non-root"
    if (context.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccomp"
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext") or {}
        if own.get("allowPrivilegeEscalation") is not False:
            yield "privilege escalation"
        if (own.get("capabilities") or {}).get("drop") != ["ALL"] or (own["capabilities"].get("add") or []):
            yield "capabilities"
        if own.get("privileged"):
            yield "privileged containers"


def running() -> Status:
    """A pod's status while its container runs."""
    return _pod_status("Running", {"running": {"startedAt": _now()}})


def ended(code: int, reason: str = "") -> Status:
    """A pod's status after its container has ended."""
    why = reason or ("Completed" if code == 0 else "Error")
    state = {"exitCode": code, "reason": why, "finishedAt": _now()}
    return _pod_status("Failed" if code else "Succeeded", {"terminated": state})


def waiting(reason: str, message: str = "") -> Status:
    """A pod's status before its container has started."""
    return _pod_status("Pending", {"waiting": {"reason": reason, "message": message}})


def pending() -> Status:
    """A pod's status while no node takes it."""
    return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}


def evicted(message: str) -> Status:
    """A pod's status after its node has put it out."""
    return {"phase": "Failed", "reason": "Evicted", "message": message, "containerStatuses": []}


def _pod_status(phase: str, state: dict[str, Any]) -> Status:
    container = {"name": "base", "ready": False, "restartCount": 0, "image": "x", "imageID": "x", "state": state}
    scheduled = {"type": "PodScheduled", "status": "True"}
    return {"phase": phase, "conditions": [scheduled], "containerStatuses": [container]}


def _access(request: Request) -> tuple[str, str]:
    parts = request.path.strip("/").split("/")[4:]  # api, v1, namespaces, NAMESPACE
    resource = "/".join(parts[::2])
    verbs = {"POST": "create", "DELETE": "delete", "PATCH": "patch", "GET": "get" if len(parts) > 1 else "list"}
    return ("watch" if "watch" in request.args else verbs[request.method]), resource


def _matches(labels: dict[str, str], term: str) -> bool:
    if "!=" in term:
        key, _, value = term.partition("!=")
        return labels.get(key) != value
    key, separator, value = term.partition("=")
    if separator:
        return labels.get(key) == value.lstrip("=")
    return key[1:] not in labels if key.startswith("!") else key in labels


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(body: dict[str, Any], code: int = 200) -> Response:
    return Response(json.dumps(body), code, mimetype="application/json")


def _status(code: int, message: str) -> Response:
    return _json({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}, code)
