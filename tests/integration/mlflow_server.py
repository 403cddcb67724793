"""Real servers on loopback for the registry's tests: MLflow on SQLite, and moto's S3; each in its own process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 300


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def moto_server(log: Path) -> Iterator[str]:
    """An S3 server; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, url, log, {}):
        yield url


@contextmanager
def mlflow_server(
    folder: Path, artifact_root: str, *, proxied: bool = False, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """An MLflow server whose database is `folder/mlflow.db`; yields its URL.

    Clients reach `artifact_root` by themselves, or through the server when `proxied`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    artifacts = (
        ["--serve-artifacts", "--artifacts-destination", artifact_root]
        if proxied
        else ["--no-serve-artifacts", "--default-artifact-root", artifact_root]
    )
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", *artifacts]
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "MLFLOW_MODEL_CATALOG_URI": "",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven more processes that nothing here asks for
    }
    with _running(command, f"{url}/health", folder / "server.log", {**quiet, **(environment or {})}):
        yield url


@contextmanager
def _running(command: Sequence[str], ready: str, log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **environment}, start_new_session=True
        )
    try:
        _await(ready, process, log)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own group: the server's workers end with it
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
