"""The doctor's report: every check, whatever the others say, and the exit code that follows."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import night_table, object_store, s3_client
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.errors import ServiceError
from enigma_tasks.report_table import as_table
from enigma_tasks.stages import doctor

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
ROOT = {"ENIGMA_S3_ROOT": "s3://bucket/hospital"}


class Store:
    """An object store in memory; `honours` conditional writes, or lets every writer win."""

    honours = True
    kept: str | None = None
    objects: dict[str, bytes]

    def __init__(self) -> None:
        self.objects = Store.objects

    def list(self, prefix: str) -> Iterator[str]:
        return iter([uri for uri in self.objects if uri.startswith(prefix)])

    def put_if_absent(self, uri: str, data: bytes) -> bool:
        if self.honours and uri in self.objects:
            return self.objects[uri] == data
        self.objects[uri] = data
        return True

    def retention(self, _: str) -> str | None:
        return self.kept

    def delete_many(self, uris: list[str]) -> int:
        for uri in uris:
            del self.objects[uri]
        return len(uris)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> type[Store]:
    monkeypatch.setattr(Store, "objects", {}, raising=False)
    monkeypatch.setattr(object_store, "ObjectStore", Store)
    monkeypatch.setattr(night_table, "is_committed", lambda *_: False)
    return Store


def report(**environment: str) -> dict[str, Any]:
    return doctor.run(argparse.Namespace(), PARAMS, load_settings(environment))


def status(found: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in found["checks"]}


def detail(found: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in found["checks"]}


def test_with_nothing_configured_it_says_so_and_passes() -> None:
    found = report()
    assert found["exit_code"] == 0
    assert found["failed"] == []
    seen = status(found)
    assert {name for name, word in seen.items() if word == "warn"} >= {"s3", "mlflow", "model store"}
    assert seen["python"] == seen["device"] == "ok"
    assert "params.yaml" not in as_table(found)
    json.dumps(found)


def test_a_store_that_refuses_the_second_writer_passes_and_is_left_as_it_was(store: type[Store]) -> None:
    found = report(**ROOT)
    assert status(found)["s3 conditional writes"] == "ok"
    assert found["exit_code"] == 0
    assert store.objects == {}


def test_a_store_that_lets_every_writer_win_fails(store: type[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "honours", False)
    found = report(**ROOT)
    assert status(found)["s3 conditional writes"] == "fail"
    assert found["exit_code"] == 1
    assert store.objects == {}


@pytest.mark.parametrize(
    ("kept", "word", "says"),
    [(None, "warn", "no object lock"), ("", "warn", "no default retention"), ("COMPLIANCE 3650 DAYS", "ok", "3650")],
)
def test_it_says_whether_the_journal_is_locked(
    store: type[Store], monkeypatch: pytest.MonkeyPatch, kept: str | None, word: str, says: str
) -> None:
    monkeypatch.setattr(store, "kept", kept)
    found = report(**ROOT)
    assert status(found)["journal"] == word
    assert says in detail(found)["journal"]


def test_a_lock_that_may_not_be_read_is_a_warning(store: type[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: str) -> None:
        raise ServiceError("s3 bucket b: GetObjectLockConfiguration: AccessDenied")

    monkeypatch.setattr(store, "retention", denied)
    found = report(**ROOT)
    assert status(found)["journal"] == "warn"
    assert found["exit_code"] == 0


def test_tables_that_cannot_be_opened_fail(store: type[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> bool:
        raise ServiceError("night table: open notes: DeltaError")

    monkeypatch.setattr(night_table, "is_committed", refuse)
    found = report(**ROOT)
    assert status(found)["tables"] == "fail"
    assert found["exit_code"] == 3


def test_services_that_are_down_give_exit_code_3_and_every_other_check_still_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
        s3_client.forget_client()
        found = report(
            **ROOT,
            MLFLOW_TRACKING_URI=f"http://someone:planted-password@{address}",
            ENIGMA_MODEL_STORE=str(tmp_path),
        )
        s3_client.forget_client()
    assert found["exit_code"] == 3
    assert {"s3", "mlflow", "tables"} <= set(found["failed"])
    assert status(found)["model store"] == "ok"
    assert "lanted" not in json.dumps(found)


def test_a_model_store_that_is_not_there_fails(tmp_path: Path) -> None:
    found = report(ENIGMA_MODEL_STORE=str(tmp_path / "nowhere"))
    assert found["failed"] == ["model store"]
    assert found["exit_code"] == 1


def test_the_repositories_are_asked_for_their_newest_commits(tmp_path: Path) -> None:
    bare = tmp_path / "some.git"
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run([*git, "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    empty = report(ENIGMA_GOLD_REPOSITORY=str(bare))
    assert detail(empty)["gold repository"] == "reachable, no version yet"
    assert report(ENIGMA_TRAINING_REPOSITORY=str(bare))["failed"] == ["training repository"]
    work = tmp_path / "work"
    subprocess.run([*git, "clone", "-q", str(bare), str(work)], check=True, capture_output=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=work, check=True)
    subprocess.run([*git, "push", "-q", "origin", "HEAD:main"], cwd=work, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], cwd=work, check=True, capture_output=True, text=True).stdout
    assert detail(report(ENIGMA_GOLD_REPOSITORY=str(bare)))["gold repository"] == f"version {commit[:12]}"
    training = report(ENIGMA_TRAINING_REPOSITORY=str(bare))
    assert detail(training)["training repository"] == f"commit {commit[:12]}"


@pytest.mark.parametrize("which", ["gold", "training"])
def test_a_repository_that_is_not_there_fails_and_its_password_is_not_said(tmp_path: Path, which: str) -> None:
    place = f"file://someone:planted@{tmp_path}/nowhere"
    found = report(**{f"ENIGMA_{which.upper()}_REPOSITORY": place})
    assert found["failed"] == [f"{which} repository"]
    assert found["exit_code"] == 3
    assert "lanted" not in json.dumps(found)


def test_a_uri_is_shown_without_its_user_and_password() -> None:
    assert doctor._host("https://someone:secret@registry.example:8443/path") == "https://registry.example:8443"
