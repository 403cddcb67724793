"""An annotation tool from the package registry, in an environment of its own that is made once and kept."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = (3, 11)
"""What `make lock` resolved the tools' locks for."""


def tool_environment(name: str) -> Path:
    """The `bin` of the environment that holds what `requirements/tools/{name}.lock` says.

    It lies under `.enigma/tools/` and is made again when the lock has changed. Where it cannot be installed the test is
    skipped.
    """
    lock = ROOT / "requirements" / "tools" / f"{name}.lock"
    folder = ROOT / ".enigma" / "tools" / name
    installed = folder / "installed.lock"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two processes may ask for the same tool at once
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            _install(name, lock, folder)
            shutil.copyfile(lock, installed)
    return folder / "bin"


def _install(name: str, lock: Path, folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if sys.version_info[:2] != PYTHON:
        pytest.skip(f"{name} is locked for Python {PYTHON[0]}.{PYTHON[1]}")
    if not uv.exists():
        pytest.skip(f"no uv to install {name} with; `make test-slow` brings it")
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "-r", str(lock)],
    ):
        environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        done = subprocess.run([uv, *command], env=environment, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{name} cannot be installed from the package registry here:\n{done.stderr[-1000:]}")


def tool_settings(home: Path) -> dict[str, str]:
    """The environment of a tool's server: of this process's nothing but the path; proxies that lead nowhere."""
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "DO_NOT_TRACK": "1",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
    }
