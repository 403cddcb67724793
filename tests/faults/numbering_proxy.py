"""Proxies on loopback that number the requests to several services together, and play one fault at one number."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Fault(StrEnum):
    """What happens at one request; `AWAY` also happens to all that follow it."""

    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"
    LOST_REPLY = "lost_reply"
    CUT_BODY = "cut_body"
    STATUS_500 = "status_500"
    STATUS_503 = "status_503"
    STATUS_409 = "status_409"
    STATUS_412 = "status_412"
    AWAY = "away"
    SECOND_WRITER = "second_writer"
    """The request is held while another process runs to its end: the same command, or the other night's."""
    DISK_FULL = "disk_full"
    CLOCK_BACK = "clock_back"
    CLOCK_AHEAD = "clock_ahead"
    READ_ONLY = "read_only"
    """The temporary folder is read-only from the beginning: number 0."""


KILLS = frozenset({Fault.KILL_BEFORE, Fault.KILL_AFTER})
HELD = frozenset({Fault.SECOND_WRITER, Fault.DISK_FULL, Fault.CLOCK_BACK, Fault.CLOCK_AHEAD})
"""Something else is done while the request is held; then it is forwarded."""


class Numbering:
    """The numbers of the requests to all services since `reset`, from 1, and the fault that is played."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._idle = threading.Condition()
        self._open = 0
        self.reset()

    def reset(self, number: int = 0, fault: Fault | None = None, act: Callable[[], object] | None = None) -> None:
        """Count from 1 again; play `fault` at `number`, or none at 0; `act` is what is done for one of `HELD`."""
        self.requests: list[str] = []
        self.number, self.fault, self.act, self.child = number, fault, act, 0
        self._counting = True

    def next_fault(self, request: str) -> Fault | None:
        """Number a request; the fault to play at it."""
        with self.lock:
            if not self._counting:
                return None
            self.requests.append(request)
            if not self.number or len(self.requests) < self.number:
                return None
            return self.fault if len(self.requests) == self.number or self.fault is Fault.AWAY else None

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Requests are neither numbered nor disturbed while the block runs."""
        before, self._counting = self._counting, False
        try:
            yield
        finally:
            self._counting = before

    def hold(self) -> None:
        """Do what the fault is."""
        assert self.act
        with self.uncounted():
            self.act()

    def kill(self) -> None:
        """End the command."""
        os.kill(self.child, signal.SIGKILL)

    def __enter__(self) -> None:
        with self._idle:
            self._open += 1

    def __exit__(self, *_: object) -> None:
        with self._idle:
            self._open -= 1
            self._idle.notify_all()

    def settle(self) -> None:
        """Wait until no request of a killed command is being served any more."""
        with self._idle:
            assert self._idle.wait_for(lambda: not self._open, 60), "a request does not end"


class NumberingProxy(ThreadingHTTPServer):
    """Forwards to one service, `target`; `name` stands before its requests in the numbering."""

    daemon_threads = True

    def __init__(self, name: str, target: str, numbering: Numbering) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name, self.target, self.numbering = name, urlsplit(target).netloc, numbering
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed child leaves broken connections: no traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: NumberingProxy

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the parent's name
        """Keep the output of the tests free of requests."""

    def _serve(self) -> None:
        numbering = self.server.numbering
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with numbering:
            self._answer(body, numbering)

    def _answer(self, body: bytes, numbering: Numbering) -> None:
        fault = numbering.next_fault(f"{self.server.name} {self.command} {urlsplit(self.path).path}")
        if fault is Fault.KILL_BEFORE:
            numbering.kill()
        if fault in {Fault.AWAY, Fault.KILL_BEFORE}:
            self.close_connection = True
            return
        if fault and fault.startswith("status_"):
            self._reply(int(fault.removeprefix("status_")), [], b"")
            return
        if fault in HELD:
            numbering.hold()
        upstream = http.client.HTTPConnection(self.server.target, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers.items()))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        if fault is Fault.KILL_AFTER:
            numbering.kill()
        if fault in {Fault.KILL_AFTER, Fault.LOST_REPLY}:
            self.close_connection = True
            return
        self._reply(answer.status, answer.getheaders(), data, cut=fault is Fault.CUT_BODY)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _serve  # noqa: N815 - http.server's names

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
