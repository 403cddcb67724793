"""Airflow on several machines, as network namespaces of this one, with a tiny champion and notes for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml

from infra.local import cluster_servers
from infra.local.cluster import Cluster
from infra.local.stack import ROOT
from infra.local.user import User, register, sample_corpora, train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    folder = tmp_path_factory.mktemp("cluster")
    params = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    params["plan"]["notes_per_shard"] = NOTES_PER_SHARD
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    with Cluster(folder / "state", params=folder / "params.yaml") as running:
        environment = running.stack.environment
        sample_corpora(environment, [LANGUAGE], 64, 1, folder / "corpora")
        train(environment, LANGUAGE, folder / "corpora")
        register(environment, LANGUAGE, folder / "corpora")
        yield running


@pytest.fixture(scope="module")
def texts(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Notes for `SHARDS` shards, that no model was trained on."""
    folder: Path = tmp_path_factory.mktemp("texts")
    notes = str(SHARDS * NOTES_PER_SHARD)
    User(cluster.stack).enigma("sample", "--notes", notes, "--language", LANGUAGE, "--seed", "2", "--out", str(folder))
    return [path.read_bytes() for path in sorted((folder / LANGUAGE / "txt").iterdir())]
