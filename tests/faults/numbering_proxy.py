"""A proxy on loopback that numbers the requests to a store and plays one fault at one number."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Fault(StrEnum):
    """What happens to one request; `AWAY` also happens to all that follow it."""

    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"
    LOST_REPLY = "lost_reply"
    CUT_BODY = "cut_body"
    STATUS_500 = "status_500"
    STATUS_503 = "status_503"
    STATUS_409 = "status_409"
    STATUS_412 = "status_412"
    AWAY = "away"


class NumberingProxy(ThreadingHTTPServer):
    """Forwards to `target` and records `METHOD path` of each request since `reset`, from number 1."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.lock = threading.Lock()
        self.reset()

    def reset(self, number: int = 0, fault: Fault | None = None) -> None:
        """Count from 1 again; play `fault` at `number`, or none at 0."""
        self.requests: list[str] = []
        self.number, self.fault, self.child = number, fault, 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed child leaves broken connections: no traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: NumberingProxy

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the parent's name
        """Keep the output of the tests free of requests."""

    def _serve(self) -> None:
        proxy = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with proxy.lock:
            proxy.requests.append(f"{self.command} {urlsplit(self.path).path}")
            here = len(proxy.requests) == proxy.number
            away = proxy.fault is Fault.AWAY and proxy.number and len(proxy.requests) >= proxy.number
        fault = proxy.fault if here else None
        if fault is Fault.KILL_BEFORE:
            os.kill(proxy.child, signal.SIGKILL)
        if away or fault is Fault.KILL_BEFORE:
            self.close_connection = True
            return
        if fault and fault.startswith("status_"):
            self._reply(int(fault.removeprefix("status_")), [], b"")
            return
        upstream = http.client.HTTPConnection(proxy.target, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers.items()))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        if fault is Fault.KILL_AFTER:
            os.kill(proxy.child, signal.SIGKILL)
        if fault in {Fault.KILL_AFTER, Fault.LOST_REPLY}:
            self.close_connection = True
            return
        self._reply(answer.status, answer.getheaders(), data, cut=fault is Fault.CUT_BODY)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _reply(self, status: int, headers: list[tuple[str, str]], data: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        own = {"connection", "transfer-encoding"} | (set() if self.command == "HEAD" else {"content-length"})
        for name, value in headers:
            if name.lower() not in own:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut
