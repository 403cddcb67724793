"""The local stack's S3 server and MLflow answer its owner only."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
import requests

from infra.local.stack import BUCKET, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORIES = ("gold.git", "training.git")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("closed") / "state"
    ports = {"s3": 0, "mlflow": 0, "airflow": 0}
    stack = Stack(folder, preferred_ports=ports, with_airflow=False, trained=["es"], say=lambda _: None)
    stack.start()
    yield stack
    stack.stop()


def test_the_registry_asks_for_the_login(stack: Stack) -> None:
    url = f"{stack.variables['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models"
    login = (stack.variables["MLFLOW_TRACKING_USERNAME"], stack.variables["MLFLOW_TRACKING_PASSWORD"])
    body = {"name": "enigma-es-disease"}
    assert requests.post(f"{url}/create", json=body, timeout=30).status_code == 401
    assert requests.post(f"{url}/create", json=body, auth=(login[0], "guess"), timeout=30).status_code == 401
    assert requests.post(f"{url}/create", json=body, auth=login, timeout=30).status_code == 200
    alias = {**body, "alias": "champion", "version": "1"}
    assert requests.post(f"{url}/alias", json=alias, timeout=30).status_code == 401


def test_the_store_answers_signed_requests_and_no_page_of_another_origin(stack: Stack) -> None:
    stack.s3().put_object(Bucket=BUCKET, Key="drops/es/a.txt", Body=b"text")
    url = f"{stack.variables['AWS_ENDPOINT_URL']}/{BUCKET}/drops/es/a.txt"
    for reply in (
        requests.get(url, headers={"Origin": "http://page.example"}, timeout=30),
        requests.get(url, params={"X-Amz-Signature": "0", "X-Amz-Credential": "local"}, timeout=30),
        requests.options(url, headers={"Origin": "http://page.example"}, timeout=30),
    ):
        assert reply.status_code == 403
        assert b"text" not in reply.content.replace(b"text/xml", b"")
        assert "Access-Control-Allow-Origin" not in reply.headers


def test_its_files_are_readable_by_their_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE(stack.folder.stat().st_mode) == 0o700
    ours = [p for p in stack.folder.rglob("*") if not set(REPOSITORIES) & set(p.parts)]
    assert ours
    assert [p.name for p in ours if p.stat().st_mode & 0o077] == []


def test_every_start_makes_new_secrets(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "state", preferred_ports={"s3": 0, "mlflow": 0, "airflow": 0})
    other.ports = dict(stack.ports)
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"):
        assert other._places()[name] != stack.variables[name]
