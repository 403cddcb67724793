"""A store that does not answer: S3, the tables and MLflow ask it as often, wait as long, and say the same."""

from __future__ import annotations

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks import patience
from enigma_tasks.adapters import mlflow_registry, night_table
from enigma_tasks.adapters.night_publication import NightTables
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.config import quiet_third_parties
from enigma_tasks.errors import ServiceError
from tests.integration.server_process import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST_SECONDS = 10.0


class Silent(BaseHTTPRequestHandler):
    """Answers 503 to everything."""

    def answer(self) -> None:
        self.server.asked.append(self.command)  # type: ignore[attr-defined]
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = do_POST = answer  # noqa: N815 - the names of http.server

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing waits; gives what the clients of Python asked to wait."""
    slept: list[float] = []
    options = patience.delta_options()
    own = threading.current_thread()  # threads of servers wait too
    monkeypatch.setattr(time, "sleep", lambda s: slept.append(s) if threading.current_thread() is own else None)
    short = {"backoff_config.init_backoff": "1ms", "backoff_config.max_backoff": "2ms"}
    monkeypatch.setattr(night_table, "delta_options", lambda: options | short)
    return slept


@pytest.fixture
def silent(waits: list[float], s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The environment names a store that answers 503; gives the methods of its requests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    point_at(server.server_port, monkeypatch)
    try:
        yield server.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quieted: dict[str, str] = {}
    quiet_third_parties(quieted)
    for name, value in quieted.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    forget_client()


SERVICES: dict[str, tuple[Callable[[], Any], int]] = {
    "s3": (lambda: ObjectStore().get(f"{os.environ['ENIGMA_S3_ROOT']}/x"), patience.TRIES),
    "tables": (lambda: night_table.read_notes(f"{os.environ['ENIGMA_S3_ROOT']}/tables"), patience.TRIES),
    "new tables": (lambda: NightTables.opened(f"{os.environ['ENIGMA_S3_ROOT']}/tables"), patience.TRIES),
    "mlflow": (mlflow_registry.registered_models, patience.MLFLOW_RETRIES + 1),
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_store_that_answers_503_is_asked_again_and_then_did_not_answer(silent: list[str], service: str) -> None:
    ask, tries = SERVICES[service]
    with pytest.raises(ServiceError, match=f": {patience.NO_ANSWER}$"):
        ask()
    assert len(silent) == tries


@pytest.mark.parametrize("service", SERVICES)
def test_a_store_that_refuses_connections_did_not_answer_either(
    waits: list[float], s3_root: str, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    point_at(closed_port(), monkeypatch)
    with pytest.raises(ServiceError, match=f": {patience.NO_ANSWER}$"):
        SERVICES[service][0]()


def test_every_service_is_waited_for_as_long(silent: list[str], waits: list[float]) -> None:
    retries, options = patience.TRIES - 1, patience.delta_options()
    assert int(options["max_retries"]) == retries
    assert retries * patience.FIRST_WAIT >= LEAST_SECONDS
    with pytest.raises(ServiceError):
        mlflow_registry.registered_models()
    assert sum(waits) >= LEAST_SECONDS
    waits.clear()
    with pytest.raises(ServiceError):
        ObjectStore().get(f"{os.environ['ENIGMA_S3_ROOT']}/x")
    assert len(waits) == retries
