"""What reaches the standard error of a command: its own lines, and of libraries and exceptions no value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.cli import main
from enigma_tasks.stages import doctor

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "zanahoria"
ROOT = Path(__file__).parents[2]


class PanicException(BaseException):
    """As PyO3 raises it."""


def program(body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program `enigma`, whose command `doctor` is this code."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    script = (
        "import os, sys, threading, logging\n"
        "from enigma_tasks.errors import ServiceError\n"
        "from enigma_tasks.stages import doctor\n"
        f"def run(*_):\n{lines}\n    return {{}}\n"
        "doctor.run = run\n"
        "sys.argv = ['enigma', 'doctor', '--json']\n"
        "from enigma_tasks.__main__ import run\n"
        "run()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_what_native_code_writes_is_counted_and_not_shown() -> None:
    done = program(f"os.write(2, b'thread panicked: {SECRET}\\n\\nbacktrace\\n')\nlogging.warning('our own line')")
    assert done.returncode == 0
    assert done.stdout == "{}\n"
    assert SECRET not in done.stderr
    assert "our own line" in done.stderr
    assert "2 lines of libraries are hidden" in done.stderr
    assert "hidden" not in program("pass").stderr


def test_children_write_into_the_hidden_file_too() -> None:
    done = program(f"import subprocess\nsubprocess.run(['sh', '-c', 'echo {SECRET} >&2'])")
    assert SECRET not in done.stderr
    assert "1 lines of libraries" in done.stderr


def test_with_debug_everything_is_shown() -> None:
    done = program(f"os.write(2, b'{SECRET}\\n')", ENIGMA_DEBUG="1")
    assert SECRET in done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "def fail(): raise ValueError('{}')\nt = threading.Thread(target=fail)\nt.start()\nt.join()",
        "class Fails:\n    def __del__(self): raise ValueError('{}')\nFails()",
    ],
)
def test_an_exception_that_ends_a_thread_or_a_finaliser_is_one_line(body: str) -> None:
    done = program(body.replace("{}", SECRET))
    assert done.returncode == 0
    assert done.stderr.startswith("ValueError in <string>:")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr


def test_the_exit_code_of_a_failed_service_survives_threads_that_still_run() -> None:
    body = "threading.Thread(target=threading.Event().wait).start()\nraise ServiceError('the store did not answer')"
    done = program(body)
    assert (done.returncode, done.stderr) == (3, "enigma doctor: the store did not answer\n")


def raising(error: BaseException) -> Callable[..., None]:
    def run(*_: object) -> None:
        raise error

    return run


@pytest.mark.parametrize("error", [PanicException(SECRET), ValueError(SECRET), KeyError(SECRET)])
def test_an_unexpected_exception_is_named_with_its_place_and_without_its_message(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "run", raising(error))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"enigma doctor: {type(error).__name__} in test_standard_error.py:")
    assert SECRET not in shown


def test_an_interrupted_command_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "run", raising(KeyboardInterrupt()))
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "enigma doctor: interrupted\n"
