"""Runs a stage as a process on the worker, for installations on one machine."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from runtimes import announce, check, command_line, push

PROJECT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 2.0
"""Airflow kills its own process 5 s after SIGTERM; the command must have ended by then."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class ProcessTask(BaseOperator):
    """`enigma <stage> <arguments>` in a separate process group.

    `ENIGMA_COMMAND` names the program (default: this Python's `enigma_tasks`), `ENIGMA_WORKDIR` the folder with
    params.yaml. Standard output is the report; standard error goes to the task's log line by line.
    """

    template_fields = ("arguments", "value")
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#dceefb"

    def __init__(
        self,
        *,
        stage: str,
        arguments: list[str],
        value: str | None = None,
        gpu: bool = False,
        returns: str | None = None,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        self.stage = stage
        self.arguments = arguments
        self.value = value
        self.gpu = gpu
        self.returns = returns
        self.process: subprocess.Popen[bytes] | None = None

    def execute(self, context: Any) -> Any:
        """Run the stage; the harmless part of its report goes to XCom."""
        program = os.environ.get("ENIGMA_COMMAND", f"{shlex.quote(sys.executable)} -m enigma_tasks")
        command = [*shlex.split(program), *command_line(self.stage, self.arguments, self.value)]
        self.log.info("running %s", shlex.join(command))
        self.process = subprocess.Popen(
            command,
            cwd=os.environ.get("ENIGMA_WORKDIR", PROJECT),
            env=_environment(self.gpu),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent if LIBC else None,  # noqa: PLW1509 - one call, no lock taken
        )
        output: list[bytes] = []
        stdout, stderr = self.process.stdout, self.process.stderr
        assert stdout
        assert stderr
        reader = threading.Thread(target=lambda: output.append(stdout.read()), daemon=True)
        reader.start()
        try:
            for line in stderr:
                self.log.info("%s", line.decode(errors="replace").rstrip())
            code = self.process.wait()
        finally:
            self.on_kill()
        reader.join()
        check(self.stage, code)
        try:
            report = json.loads(b"".join(output))
        except ValueError:
            # without the cause, which would quote the output
            raise AirflowFailException(f"enigma {self.stage} printed no JSON report") from None
        announce(report, self.outlets, context)
        return push(report, self.returns, context)

    def on_kill(self) -> None:
        """End the process group: SIGTERM, wait, then SIGKILL. Does nothing once the command has ended."""
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)


def _environment(gpu: bool) -> dict[str, str]:
    """This process's environment without Airflow's settings and secrets, and without GPUs unless `gpu`."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "_AIRFLOW"))}
    variables["PYTHONUNBUFFERED"] = "1"
    if not gpu:
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables


def _die_with_parent() -> None:
    """In the child: make the kernel kill it when the task's process ends, so that no second writer remains."""
    assert LIBC
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
