"""An S3 server on loopback for the tests, a process of its own as a real store is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.mlflow_server import moto_server
from tests.integration.store_root import fresh_root

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A moto server's URL."""
    with moto_server(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture
def s3_root(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`s3://bucket/prefix` in a fresh bucket; the environment is set for boto3, delta-rs and Enigma."""
    with fresh_root(s3_endpoint, monkeypatch) as root:
        yield root
