"""A real Label Studio on loopback: SQLite, no telemetry, nothing outside reached; and what a hospital does with it."""

from __future__ import annotations

import ipaddress
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from enigma_tasks.documents import LABELS
from tests.integration.server_process import free_port, running
from tests.integration.tool_environment import tool_environment, tool_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document

EMAIL = "annotator@hospital.example"
PASSWORD = "annotate-13"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
QUIET = {
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "FEATURE_FLAGS_OFFLINE": "true",
}
OUTSIDE = tuple(ipaddress.IPv4Network("0.0.0.0/0").address_exclude(ipaddress.IPv4Network("127.0.0.0/8")))
LABEL_TAGS = "".join(f'<Label value="{label}"/>' for label in LABELS)
TEXT_CONFIG = f'<View><Labels name="label" toName="text">{LABEL_TAGS}</Labels><Text name="text" value="$text"/></View>'
HYPERTEXT_CONFIG = (
    f'<View><HyperTextLabels name="label" toName="text">{LABEL_TAGS}</HyperTextLabels>'
    '<HyperText name="text" value="$text"/></View>'
)

Result = list[dict[str, Any]]
"""The regions of one annotation, as Label Studio's own page writes them."""


@dataclass(frozen=True)
class LabelStudio:
    """A running server, and its HTTP API with the token of one annotator."""

    url: str
    api: httpx.Client

    def create_project(self, title: str, config: str) -> int:
        """A project's id. `title` has at least three characters."""
        return int(self._call("POST", "/api/projects", {"title": title, "label_config": config})["id"])

    def import_tasks(self, project: int, tasks: Sequence[dict[str, Any]]) -> list[int]:
        """The ids of the new tasks, in order. A task has `data`, and may have `annotations` and `predictions`.

        An imported annotation is ground truth unless it says `"ground_truth": False`.
        """
        path = f"/api/projects/{project}/import?commit_to_project=true&return_task_ids=true"
        ids: list[int] = self._call("POST", path, list(tasks))["task_ids"]
        return ids

    def annotate(self, task: int, result: Result, *, skip: bool = False) -> int:
        """Submit an annotation, or skip the task; the annotation's id."""
        body = {"result": result, "was_cancelled": skip}
        return int(self._call("POST", f"/api/tasks/{task}/annotations/", body)["id"])

    def annotations(self, task: int) -> list[dict[str, Any]]:
        """What was annotated in a task, with `id` and `result`."""
        found: list[dict[str, Any]] = self._call("GET", f"/api/tasks/{task}/annotations/")
        return found

    def predictions(self, task: int) -> list[dict[str, Any]]:
        """The predictions that a task was imported with, with `model_version` and `result`."""
        found: list[dict[str, Any]] = self._call("GET", f"/api/predictions/?task={task}")
        return found

    def correct(self, annotation: int, result: Result) -> None:
        """Put other regions into an annotation, as its page does with `Update`."""
        self._call("PATCH", f"/api/annotations/{annotation}/", {"result": result})

    def export_types(self, project: int) -> list[str]:
        """What the page offers for this project."""
        offered = self._call("GET", f"/api/projects/{project}/export/formats")
        return [kind["name"] for kind in offered if not kind.get("disabled")]

    def export(self, project: int, kind: str, *, all_tasks: bool = True) -> tuple[str, bytes]:
        """(file name, content) of a download, with or without the tasks that nobody annotated."""
        choice = {"exportType": kind, "download_all_tasks": str(all_tasks).lower()}
        return _download(self.api.get(f"/api/projects/{project}/export", params=choice))

    def snapshot(self, project: int, kind: str) -> tuple[str, bytes]:
        """(file name, content) of a snapshot that holds predictions and drafts in full."""
        whole = {"predictions": {"only_id": False}, "drafts": {"only_id": False}}
        path = f"/api/projects/{project}/exports/"
        made = self._call("POST", path, {"title": "whole", "serialization_options": whole})
        for _ in range(1200):
            if self._call("GET", f"{path}{made['id']}")["status"] == "completed":
                return _download(self.api.get(f"{path}{made['id']}/download", params={"exportType": kind}))
            time.sleep(0.1)
        raise RuntimeError("the snapshot was not made")

    def send_to_s3(self, project: int, bucket: str, prefix: str, endpoint: str) -> int:
        """How many annotations were written to a target storage, one object each."""
        target = {"project": project, "bucket": bucket, "prefix": prefix, "s3_endpoint": endpoint}
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        made = self._call("POST", "/api/storages/export/s3", {**target, **keys})
        return int(self._call("POST", f"/api/storages/export/s3/{made['id']}/sync")["last_sync_count"])

    def log_in(self) -> dict[str, str]:
        """The cookies of a browser in which the annotator has logged in."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as browser:
            form = browser.get("/user/login")
            against_forgery = form.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
            body = {"csrfmiddlewaretoken": against_forgery, "email": EMAIL, "password": PASSWORD}
            reply = browser.post("/user/login", data=body, headers={"Referer": f"{self.url}/user/login"})
            assert reply.is_redirect, reply.status_code
            return dict(browser.cookies)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.api.request(method, path, json=body)
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text[:500]}"
        return reply.json()


@contextmanager
def label_studio_server(folder: Path) -> Iterator[LabelStudio]:
    """A server with all its data in `folder`, while the block runs."""
    program = tool_environment("label-studio") / "label-studio"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        **tool_settings(folder),
        **QUIET,
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_USERNAME": EMAIL,
        "LABEL_STUDIO_PASSWORD": PASSWORD,
        "LABEL_STUDIO_USER_TOKEN": TOKEN,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        # the test's S3 server is on loopback, which is all that may be reached
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": ",".join(map(str, OUTSIDE)),
    }
    command = [str(program), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    api = httpx.Client(base_url=url, headers={"Authorization": f"Token {TOKEN}"}, timeout=60, trust_env=False)
    with running(command, f"{url}/health", folder / "server.log", settings, cwd=folder), api:
        yield LabelStudio(url, api)


def text_result(document: Document, unit: str = "utf-32-le") -> Result:
    """A document's mentions as regions of a `Text`.

    Label Studio's page counts code points; `utf-16-le` is what other scripts in JavaScript write.
    """
    size = {"utf-32-le": 4, "utf-16-le": 2}[unit]

    def units(position: int) -> int:
        return len(document.text[:position].encode(unit)) // size

    return [
        _region(number, "labels", {"start": units(e.char_start), "end": units(e.char_end), "text": e.text}, e.label)
        for number, e in enumerate(document.entities)
    ]


def hypertext_result(document: Document, path: str = "/text()[1]") -> Result:
    """A document's mentions as regions of a `HyperText` whose rendered text is the document's, in one text node.

    As its page writes them: a browser makes one line feed of CR LF and drops blanks before the first character of a
    page (not of a paragraph); the node's own offsets count UTF-16 units, the global ones code points.
    """

    def shown(end: int) -> str:
        text = document.text[:end] if path.startswith("/p") else document.text[:end].lstrip(" \t\r\n")
        return text.replace("\r\n", "\n")

    regions = []
    for number, entity in enumerate(document.entities):
        before, whole = shown(entity.char_start), shown(entity.char_end)
        value = {
            "start": path,
            "startOffset": len(before.encode("utf-16-le")) // 2,
            "end": path,
            "endOffset": len(whole.encode("utf-16-le")) // 2,
            "globalOffsets": {"start": len(before), "end": len(whole)},
            "text": whole[len(before) :],
        }
        regions.append(_region(number, "hypertextlabels", value, entity.label))
    return regions


def _region(number: int, kind: str, value: dict[str, Any], label: str) -> dict[str, Any]:
    value = {**value, kind: [label]}
    return {"id": f"r{number}", "from_name": "label", "to_name": "text", "type": kind, "value": value}


def _download(reply: httpx.Response) -> tuple[str, bytes]:
    assert reply.is_success, f"{reply.status_code} {reply.text[:500]}"
    return reply.headers["Content-Disposition"].split('filename="')[1].rstrip('"'), reply.content
