"""What a night on several machines needs before it: a tiny champion, and notes that it was not trained on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml

from infra.local.airflow import UNSCHEDULED
from infra.local.cluster import Cluster
from infra.local.stack import ROOT
from infra.local.user import User, register, sample_corpora, train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAINING_SEED, NIGHT_SEED = 1, 2
TRAINING_NOTES = 64


@contextmanager
def cluster_with_champion(folder: Path, language: str, notes_per_shard: int) -> Iterator[Cluster]:
    """Two workers, with state under `folder`, and a champion that annotates the language. Raises StackError."""
    params = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    params["plan"]["notes_per_shard"] = notes_per_shard
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    with Cluster(folder / "state", params=folder / "params.yaml", extra=UNSCHEDULED) as cluster:
        environment = cluster.stack.environment
        sample_corpora(environment, [language], TRAINING_NOTES, TRAINING_SEED, folder / "corpora")
        train(environment, language, folder / "corpora")
        register(environment, language, folder / "corpora")
        yield cluster


def unseen_texts(cluster: Cluster, language: str, notes: int, folder: Path) -> list[bytes]:
    """Sample notes, written to `folder` too, of another seed than those the champion was trained on."""
    sample = ["--notes", str(notes), "--language", language, "--seed", str(NIGHT_SEED), "--out", str(folder)]
    User(cluster.stack).enigma("sample", *sample)
    return [path.read_bytes() for path in sorted((folder / language / "txt").iterdir())]
