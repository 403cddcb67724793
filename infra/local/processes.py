"""Starts processes of the local stack with log files, and stops them with their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
TAIL_LINES = 25
GRACE_SECONDS = 8.0


class StackError(RuntimeError):
    """A process of the local stack did not start, or ended; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Child:
    """A process of the stack. `created` distinguishes it from a later process with the same pid."""

    name: str
    pid: int
    created: float
    log: str

    def process(self) -> psutil.Process | None:
        """The running process, or None."""
        try:
            found = psutil.Process(self.pid)
            alive = abs(found.create_time() - self.created) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if alive else None


def free_ports(preferred: Sequence[int]) -> list[int]:
    """A free port for each preferred one: that port, one of the next 20, or any; always any for 0."""
    sockets: list[socket.socket] = []
    try:
        for port in preferred:
            sockets += [_bound([*range(port, port + 20), 0] if port else [0])]
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def _bound(ports: Iterable[int]) -> socket.socket:
    for port in ports:
        s = socket.socket()
        try:
            # all interfaces: another program may listen on one of them
            s.bind(("", port))
        except OSError:
            s.close()
            continue
        return s
    raise StackError("no free port")


def start(name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Child:
    """Start a command in a new session, with its output appended to `log`; only its owner reads the files it makes."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as sink:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    return Child(name, child.pid, psutil.Process(child.pid).create_time(), str(log))


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(ready: Callable[[], bool], children: Sequence[Child], what: str, seconds: float) -> None:
    """Wait until `ready()`.

    Raises:
        StackError: a child ended, or the timeout passed; shows the log's tail.
    """
    from pathlib import Path

    deadline = time.monotonic() + seconds
    while not ready():
        for child in children:
            if child.process() is None:
                raise StackError(f"{child.name} ended while starting; its log, {child.log}:\n{tail(Path(child.log))}")
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {c.log}\n{tail(Path(c.log))}" for c in children)
            raise StackError(f"{what} was not ready within {seconds:.0f} s:\n{logs}")
        time.sleep(0.25)


def stop(children: Iterable[Child], *, hard: bool = False) -> None:
    """End the children and their descendants: SIGTERM, wait, SIGKILL; `hard` kills at once."""
    family: dict[int, psutil.Process] = {}
    for child in children:
        if top := child.process():
            try:
                family |= {p.pid: p for p in [top, *top.children(recursive=True)]}
            except psutil.NoSuchProcess:
                continue
    if not hard:
        _signal(family.values(), signal.SIGTERM)
        psutil.wait_procs(list(family.values()), timeout=GRACE_SECONDS)
    # processes that they started in the meantime
    for p in list(family.values()):
        try:
            family |= {c.pid: c for c in p.children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    _signal(family.values(), signal.SIGKILL)
    psutil.wait_procs(list(family.values()), timeout=GRACE_SECONDS)


def _signal(family: Iterable[psutil.Process], number: signal.Signals) -> None:
    for p in family:
        if p.pid != os.getpid():
            try:
                p.send_signal(number)
            except psutil.NoSuchProcess:
                continue
