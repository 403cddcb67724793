"""Run a command as a child process -> its exit code, wall seconds and peak resident memory."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Measured:
    """One finished child."""

    exit_code: int
    seconds: float
    peak_mb: float
    """Peak resident memory of the child process without its children, in MiB."""
    output: bytes


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run to the end; standard output is captured, standard error passed on."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return Measured(child.returncode, time.perf_counter() - begun, usage.ru_maxrss / 1024, output)
