"""A real doccano on loopback: SQLite, its background tasks run where they are asked for; and what is done with it."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.integration.server_process import free_port, running
from tests.integration.tool_environment import tool_environment, tool_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document

USER = "annotator"
PASSWORD = "annotate-13"
SETTINGS = """\
from config.settings.production import *

BASE_DIR = {folder!r}  # uploads have to lie below it
DJANGO_DRF_FILEPOND_UPLOAD_TMP = {folder!r} + "/uploads"
CELERY_TASK_ALWAYS_EAGER = CELERY_TASK_STORE_EAGER_RESULT = True  # no second process, no broker
"""
SEQUENCE_LABELING = {"project_type": "SequenceLabeling", "resourcetype": "SequenceLabelingProject"}


@dataclass(frozen=True)
class Doccano:
    """A running server, and its HTTP API with the token of one annotator, who administers every project."""

    url: str
    api: httpx.Client

    def create_project(self, name: str, *, relations: bool = False, shared: bool = True) -> int:
        """A sequence labelling project's id; `shared`: its annotators see and change each other's spans."""
        body = {
            **SEQUENCE_LABELING,
            "name": name,
            "description": name,
            "allow_overlapping": True,
            "grapheme_mode": False,
            "use_relation": relations,
            "collaborative_annotation": shared,
        }
        return int(self._call("POST", "/projects", body)["id"])

    def import_lines(self, project: int, lines: Sequence[dict[str, Any]]) -> list[int]:
        """The ids of the new examples, in order, of JSON lines that hold `text`, `label` and anything else."""
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        upload = self.api.post("/fp/process/", files={"filepond": ("notes.jsonl", content)})
        assert upload.is_success, upload.text[:500]
        body = {"format": "JSONL", "task": "SequenceLabeling", "uploadIds": [upload.text], "encoding": "utf_8"}
        columns = {"column_data": "text", "column_label": "label"}
        before = set(self.examples(project))
        task = self._call("POST", f"/projects/{project}/upload", {**body, **columns})["task_id"]
        done = self._call("GET", f"/tasks/status/{task}")
        assert done == {"ready": True, "result": {"error": []}, "error": None}
        return sorted(set(self.examples(project)) - before)

    def examples(self, project: int) -> list[int]:
        """The ids of a project's examples."""
        found = self._call("GET", f"/projects/{project}/examples?limit=100000")["results"]
        return [int(example["id"]) for example in found]

    def spans(self, project: int, example: int) -> list[dict[str, Any]]:
        """The spans of an example, with `id`, `start_offset` and `end_offset`."""
        found: list[dict[str, Any]] = self._call("GET", f"/projects/{project}/examples/{example}/spans")
        return found

    def correct(self, project: int, example: int, span: int, start: int, end: int) -> None:
        """Move a span, as its page does when a border is dragged."""
        body = {"start_offset": start, "end_offset": end}
        self._call("PATCH", f"/projects/{project}/examples/{example}/spans/{span}", body)

    def confirm(self, project: int, example: int) -> None:
        """Mark an example as done."""
        self._call("POST", f"/projects/{project}/examples/{example}/states", {})

    def export(self, project: int, *, confirmed_only: bool) -> bytes:
        """The downloaded zip: JSON lines, one file for the project or one for each annotator."""
        body = {"format": "JSONL", "exportApproved": confirmed_only}
        task = self._call("POST", f"/projects/{project}/download", body)["task_id"]
        reply = self.api.get(f"/projects/{project}/download", params={"taskId": task})
        assert reply.is_success, reply.text[:500]
        return reply.content

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.api.request(method, path, json=body)
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text[:500]}"
        return reply.json()


@contextmanager
def doccano_server(folder: Path) -> Iterator[Doccano]:
    """A server with all its data in `folder`, while the block runs."""
    programs = tool_environment("doccano")
    (folder / "tool_settings.py").write_text(SETTINGS.format(folder=str(folder)))
    environment = {
        **tool_settings(folder),
        "PYTHONPATH": str(folder),
        "DJANGO_SETTINGS_MODULE": "tool_settings",
        "DOCCANO_HOME": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "MEDIA_ROOT": f"{folder}/media",
    }
    for command in (["init"], ["createuser", "--username", USER, "--password", PASSWORD]):
        subprocess.run(
            [programs / "doccano", *command], env=environment, cwd=folder, check=True, capture_output=True, timeout=300
        )
    (package,) = programs.parent.glob("lib/python3*/site-packages/backend")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # `doccano webserver` listens on every address; this is what it runs
    server = [str(programs / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", "1", "--chdir", str(package)]
    api = httpx.Client(base_url=f"{url}/v1", timeout=60, trust_env=False)
    with running([*server, "config.wsgi"], f"{url}/v1/health/", folder / "server.log", environment, cwd=folder), api:
        reply = api.post("/auth/login/", json={"username": USER, "password": PASSWORD})
        api.cookies.clear()  # the token is enough, and a session would ask for one against forgery
        api.headers["Authorization"] = f"Token {reply.json()['key']}"
        yield Doccano(url, api)


def line_of(document: Document) -> dict[str, Any]:
    """A document as a line to import, its mentions as spans in code points."""
    spans = [[e.char_start, e.char_end, e.label] for e in document.entities]
    return {"document_id": document.id, "text": document.text, "label": spans}
