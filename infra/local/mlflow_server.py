"""MLflow's server on one machine: SQLite, artifacts in S3, and a login, so that no other user moves an alias."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

from infra.local.processes import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

LOGIN = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///login.db
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 3600
"""
"""Checking a password takes 0.2 s, so a checked one is kept for an hour."""


def command(folder: Path, port: int, artifacts: str, host: str = LOOPBACK) -> list[str]:
    """The command line; it is run in `folder`, which holds the databases. `artifacts`: an S3 place."""
    return [
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--default-artifact-root", artifacts,
        "--no-serve-artifacts",
        "--host", host,
        "--port", str(port),
        "--allowed-hosts", f"{host}:{port},localhost:{port}",
        "--app-name", "basic-auth",
        "--workers", "1",
    ]  # fmt: skip


def login(folder: Path, user: str, password: str) -> dict[str, str]:
    """Write the settings of the login into `folder`; returns the server's variables besides."""
    settings = folder / "login.ini"
    settings.touch(mode=0o600)
    settings.write_text(LOGIN)
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_USERNAME": user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
