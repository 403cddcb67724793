"""Child processes that end with this one, however it ends, and whose files are readable by their user only."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_WATCH = """
import os, signal, sys
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""
_PRIVATE = 0o077


def run_child(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder and wait for it; what it has started ends with it.

    Args:
        command: its words; no shell.
        folder: its working directory.
        environment: all of its variables.
        seconds: its time limit; None: days.

    Raises:
        FileNotFoundError: the command is not installed; subprocess.TimeoutExpired: it took longer than `seconds`.
    """
    done = run_child_bytes(command, folder=folder, environment=environment, seconds=seconds)
    return subprocess.CompletedProcess(done.args, done.returncode, _text(done.stdout), _text(done.stderr))


def run_child_bytes(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """`run_child` with the output as it is, where a byte that is changed would be another object of git."""
    with _group() as group:
        return subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=seconds, process_group=group, umask=_PRIVATE,
        )  # fmt: skip


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def _group() -> Iterator[int]:
    """A process group that is killed at the end of the block, or when this process dies, also by SIGKILL.

    A watching process in the group has the other end of a pipe, which closes whatever happens here. It is there before
    the command is, so that no command runs unwatched; and it ends the command's own children too, which a signal at the
    parent's death (`PR_SET_PDEATHSIG`) would not.
    """
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCH], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
    ) as watch:
        yield watch.pid
