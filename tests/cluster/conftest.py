"""Airflow on several machines, as network namespaces of this one, with a tiny champion and notes for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infra.local import cluster_servers
from infra.local.cluster_night import cluster_with_champion, unseen_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cluster import Cluster

LANGUAGE = "en"
NOTES_PER_SHARD = 2
SHARDS = int(os.environ.get("SHARDS") or 40)


@pytest.fixture(scope="session")
def packages() -> None:
    """What a cluster on this machine needs is installed, or the test is skipped."""
    if reason := cluster_servers.install():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def cluster(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, and a champion that annotates English."""
    with cluster_with_champion(tmp_path_factory.mktemp("cluster"), LANGUAGE, NOTES_PER_SHARD) as running:
        yield running


@pytest.fixture(scope="module")
def texts(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Notes for `SHARDS` shards, that no model was trained on."""
    return unseen_texts(cluster, LANGUAGE, SHARDS * NOTES_PER_SHARD, tmp_path_factory.mktemp("texts"))
