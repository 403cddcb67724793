"""Commands in processes that are forked after the imports, with short waits and a clock that can be set."""

from __future__ import annotations

import copy
import datetime
import functools
import gc
import importlib
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from dvc.cli import main as dvc

from enigma_tasks import children, patience
from enigma_tasks.adapters import night_table, workspace
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.cli import COMMANDS, main
from enigma_tasks.config import load_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PARAMS = Path(__file__).parents[2] / "params.yaml"
LONGEST_WAIT = 0.01
DVC = [sys.executable, "-m", "dvc"]
SLOW_IMPORTS = (
    *("torch", "mlflow.pyfunc", "mlflow.store.artifact.s3_artifact_repo", "great_expectations", "lingua"),
    *("dvc.cli", "dvc.commands.add", "dvc.commands.data_sync", "dvc.commands.init", "dvc.repo", "dvc_s3", "s3fs"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    status: int
    """As `os.waitpid` says."""
    answer: Any
    output: str

    @property
    def killed(self) -> bool:
        """By a signal."""
        return os.WIFSIGNALED(self.status)

    @property
    def code(self) -> int:
        """The exit code; -1 after a signal."""
        return os.waitstatus_to_exitcode(self.status) if not self.killed else -1


def import_all() -> None:
    """Import and read once what commands import and read; the rest is left to `import_late`."""
    for name in (*SLOW_IMPORTS, *(f"enigma_tasks.stages.{word}" for word in COMMANDS)):
        importlib.import_module(name)
    read = functools.cache(yaml.safe_load)
    yaml.safe_load = lambda data: copy.deepcopy(read(data))
    load_params(PARAMS)
    boto3.client("s3", region_name="us-east-1")  # its session keeps the service's description


def import_late(names: Sequence[str]) -> None:
    """Import the modules that commands in a child have imported late, so that the next child has them."""
    new = [name for name in names if name not in sys.modules and name not in _not_found]
    for name in new:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - made by its package, in other ways
            _not_found.add(name)
    if new:
        gc.collect()
        gc.freeze()  # so that a child's collections do not copy this process's memory


_not_found: set[str] = set()


def in_child(
    work: Callable[[], Any], environment: Mapping[str, str], started: Callable[[int], None] = lambda _: None
) -> Ended:
    """Do the work in a forked child, and wait; what it returns, as JSON, is the answer.

    Args:
        work: returns an exit code, or what JSON can hold with the exit code 0.
        environment: added to that of the child.
        started: called with the child's process id before the child does anything.
    """
    ready, go = os.pipe()
    with tempfile.TemporaryFile(dir="/dev/shm") as answer, tempfile.TemporaryFile(dir="/dev/shm") as output:
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.read(ready, 1)
            os._exit(_child(work, environment, answer.fileno(), output.fileno()))
        os.close(ready)
        started(pid)
        os.close(go)
        status = os.waitpid(pid, 0)[1]
        answer.seek(0)
        output.seek(0)
        said = output.read().decode(errors="replace")
        return Ended(status, json.loads(answer.read() or b"null"), said)


def _child(work: Callable[[], Any], environment: Mapping[str, str], answer: int, output: int) -> int:
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(os.dup(1), "w", buffering=1)
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
        os.environ.update(environment)
        tempfile.tempdir = None
        shorten_waits()
        count_instead_of_time()
        forget_client()
        found = work()
        code = found if isinstance(found, int) else 0
        os.write(answer, json.dumps(None if isinstance(found, int) else found, default=str).encode())
    except BaseException:  # noqa: BLE001 - reported by its exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


def command(words: Sequence[str], overrides: Sequence[str] = ()) -> tuple[int, dict[str, Any] | None]:
    """Run a command in this process as the program does; its exit code and its report."""
    real, sys.stdout = sys.stdout, io.StringIO()
    try:
        settings = [word for override in overrides for word in ("--set", override)]
        code = main([*words, "--params", str(PARAMS), "--json", "--quiet", *settings])
        said = sys.stdout.getvalue()
    finally:
        sys.stdout = real
    return code, json.loads(said.splitlines()[-1]) if said else None


def shorten_waits() -> None:
    """Retry as often as Enigma does, without the waits between; DVC in a fork, which has imported it already."""
    real = time.sleep
    time.sleep = lambda seconds: real(min(seconds, LONGEST_WAIT))
    short = {"backoff_config.init_backoff": "1ms", "backoff_config.max_backoff": "2ms"}
    options = patience.delta_options() | short
    night_table.delta_options = lambda: options
    run = workspace.run_child
    workspace.run_child = lambda words, **more: _dvc(words, **more) if words[:3] == DVC else run(words, **more)


def count_instead_of_time() -> None:
    """In a child: each of Enigma's durations is a number of its own calls, so that two runs report the same."""
    real, calls = time.perf_counter, itertools.count(1)

    def counted() -> float:
        own = sys._getframe(1).f_globals["__name__"].startswith("enigma_tasks")
        return next(calls) / 1000 if own else real()

    time.perf_counter = counted


def upload_in_parts() -> None:
    """In a child: files of every size are uploaded in parts."""
    from boto3.s3 import transfer

    transfer.TransferConfig.__init__ = functools.partialmethod(  # type: ignore[method-assign]
        transfer.TransferConfig.__init__, multipart_threshold=1
    )


def _dvc(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """As `children.run_child`, without a new interpreter: it ends with this process too."""
    with children._group() as group:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            code, known = 70, set(sys.modules)
            try:
                os.setpgid(0, group)
                os.chdir(folder)
                os.umask(children._PRIVATE)
                os.environ.clear()
                os.environ.update(environment)
                tempfile.tempdir = None
                code = dvc(list(words[3:]))
                os.write(writing, "\n".join(set(sys.modules) - known).encode())
            finally:
                os._exit(code)
        os.close(writing)
        with os.fdopen(reading) as late:
            late_in_dvc.update(late.read().split())
        status = os.waitpid(pid, 0)[1]
    return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), "", "")


late_in_dvc: set[str] = set()
"""Modules that DVC has imported in forks of this process."""


class Clock:
    """The difference of a child's clock to the machine's, which this process may set while the child runs."""

    def __init__(self) -> None:
        import mmap

        self._shared = mmap.mmap(-1, 16)
        self.set(0)

    def set(self, seconds: int) -> None:
        """Seconds ahead; negative ones behind."""
        self._shared[:16] = f"{seconds:16}".encode()

    def install(self) -> None:
        """In a child: `time.time` and `datetime.now` ask this clock. Rust and C have their own."""
        real_time, real = time.time, datetime.datetime

        def ahead() -> int:
            return int(self._shared[:16])

        class _Kind(type):
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, real)

        class Set(real, metaclass=_Kind):  # type: ignore[misc]
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return real.now(tz) + datetime.timedelta(seconds=ahead())

            @classmethod
            def utcnow(cls) -> datetime.datetime:
                return real.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=ahead())

        time.time = lambda: real_time() + ahead()
        datetime.datetime = Set  # type: ignore[misc]
