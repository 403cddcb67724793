"""A server on loopback that speaks the model hub's protocol, as far as a download goes."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMIT = "c0ffee" + "0" * 34
OLDER = "decade" + "0" * 34


class Hub(ThreadingHTTPServer):
    """Models by hub id, each revision a folder; `asked` holds the paths that were asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, dict[str, Path]] = {}
        self.gated: set[str] = set()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._about("/".join(parts[2:4]), parts[4:])
        else:  # org/name/resolve/revision/file
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    do_HEAD = do_GET  # noqa: N815 - the server's name for it

    def _about(self, hub_id: str, rest: list[str]) -> None:
        revision = rest[1] if len(rest) > 1 else "main"
        folder = self._folder(hub_id, revision)
        if folder is None:
            return
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        if rest[:1] == ["tree"]:
            sizes = {n: (folder / n).stat().st_size for n in names}
            tree = [{"type": "file", "path": n, "size": sizes[n], "oid": _oid(folder / n)} for n in names]
            self._answer(200, json.dumps(tree).encode())
        else:
            commit = revision if revision != "main" else COMMIT
            about = {"id": hub_id, "modelId": hub_id, "sha": commit, "siblings": [{"rfilename": n} for n in names]}
            self._answer(200, json.dumps(about).encode())

    def _file(self, hub_id: str, revision: str, name: str) -> None:
        folder = self._folder(hub_id, revision)
        if folder is None:
            return
        commit = revision if revision != "main" else COMMIT
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_oid(folder / name)}"'}
        self._answer(200, (folder / name).read_bytes(), headers)

    def _folder(self, hub_id: str, revision: str) -> Path | None:
        revisions = self.server.models.get(hub_id)
        if hub_id in self.server.gated:
            self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif revisions is None:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif (revision if revision != "main" else COMMIT) not in revisions:
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return revisions[revision if revision != "main" else COMMIT]
        return None

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that runs while the block does."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join(10)
