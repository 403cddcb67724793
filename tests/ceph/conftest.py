"""One Ceph store for all tests here, reached over HTTP or over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ceph.ceph_store import ceph_store
from tests.integration.store_root import fresh_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ceph.ceph_store import CephStore


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephStore]:
    """The running store."""
    with ceph_store(tmp_path_factory.mktemp("ceph")) as store:
        yield store


@pytest.fixture(params=["http", "tls"])
def way(request: pytest.FixtureRequest) -> str:
    """How the store is reached."""
    return str(request.param)


@pytest.fixture
def s3_root(ceph: CephStore, way: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`s3://bucket/prefix` in a fresh bucket of the store, as the fixture of this name in `tests/integration`."""
    endpoint, trust = (ceph.http, {}) if way == "http" else (ceph.https, ceph.trust)
    with fresh_root(endpoint, monkeypatch, trust) as root:
        yield root
