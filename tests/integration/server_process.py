"""A server as a process group of its own on loopback, which ends with the block that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 600
GRACE_SECONDS = 10
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def closed_port() -> int:
    """A port that refuses connections as long as this process lives: it is taken, and nobody listens."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    _closed.append(probe)
    return int(probe.getsockname()[1])


_closed: list[socket.socket] = []


@contextmanager
def running(
    command: Sequence[str], ready: str, log: Path, environment: Mapping[str, str], *, cwd: Path | None = None
) -> Iterator[None]:
    """The server runs, and answered at the URL `ready`, while the block does; its output goes to `log`.

    Args:
        environment: all of it; nothing is inherited.

    Raises:
        RuntimeError: it ended, or did not answer within `START_SECONDS`; with the end of its log.
    """
    with started(command, log, environment, cwd=cwd) as process:
        _await(ready, process, log)
        yield


@contextmanager
def started(
    command: Sequence[str], log: Path, environment: Mapping[str, str], *, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process runs while the block does, as `running`, but nothing is waited for."""
    # to measure coverage in a server too takes time, and leaves the total as it is
    own = {name: value for name, value in environment.items() if not name.startswith("COVERAGE_PROCESS")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=own, cwd=cwd, start_new_session=True,
            preexec_fn=_die_with_parent if LIBC else None,  # noqa: PLW1509 - one call into libc
        )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)  # its own group: the server's workers end with it
            process.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _die_with_parent() -> None:
    """In the child: be killed when the test's process dies, however it dies."""
    assert LIBC
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"no server at {url}:\n{log.read_text(errors='replace')[-2000:]}")
