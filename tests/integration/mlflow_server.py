"""Real servers on loopback for the registry's tests: MLflow on SQLite, and moto's S3; each in its own process group."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.server_process import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@contextmanager
def moto_server(log: Path) -> Iterator[str]:
    """An S3 server; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, url, log, os.environ):
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
    with running(command, f"{url}/health", folder / "server.log", {**os.environ, **quiet, **(environment or {})}):
        yield url
