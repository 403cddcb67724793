"""Seconds of a night on one Celery worker and on two, in the real scheduler on PostgreSQL and Redis.

`python -m benchmarks.two_workers --shards 200` needs root: network namespaces, see `infra/local/cluster.py`. Workers,
Airflow and the services share the cores of one machine, so on few cores two workers cannot be twice as fast as one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local import cluster_servers
from infra.local.cluster_night import cluster_with_champion, unseen_texts
from infra.local.stack import BUCKET, DAG
from infra.local.user import User

if TYPE_CHECKING:
    from infra.local.cluster import Cluster

LANGUAGE = "en"
NOTES_PER_SHARD = 5
NIGHT_SECONDS = 7200


def night(cluster: Cluster, folder: str, texts: list[bytes]) -> tuple[float, float]:
    """Seconds of a night over notes that are dropped before it, and from its first shard's result to its last's."""
    user = User(cluster.stack)
    user.drop({f"{LANGUAGE}/2026-06-11/{folder}/n{i}.txt": text for i, text in enumerate(texts)})
    began = time.monotonic()
    run_id = user.api.trigger(DAG)
    state = cluster.wait(DAG, run_id, NIGHT_SECONDS)
    seconds = time.monotonic() - began
    if state != "success":
        sys.exit(f"the night ended with {state}")
    prefix = f"runs/{user.batch_id(run_id)}/results/"
    pages = user.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    ends = [o["LastModified"] for page in pages for o in page["Contents"] if o["Key"].endswith("done.json")]
    return seconds, (max(ends) - min(ends)).total_seconds()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=60)
    shards = parser.parse_args().shards
    if reason := cluster_servers.install():
        sys.exit(reason)
    found: dict[int, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with cluster_with_champion(folder, LANGUAGE, NOTES_PER_SHARD) as cluster:
            texts = unseen_texts(cluster, LANGUAGE, shards * NOTES_PER_SHARD, folder / "texts")
            night(cluster, "warm-up", texts[: 4 * NOTES_PER_SHARD])
            found[2] = night(cluster, "two", texts)
            cluster.machines[1].power_off()
            found[1] = night(cluster, "one", texts)
    print(f"{shards} shards of {NOTES_PER_SHARD} notes, {os.cpu_count()} cores for everything")
    print(f"{'workers':>7} {'night, s':>9} {'shards, s':>10} {'shards/min':>11}")
    for workers, (seconds, annotating) in sorted(found.items()):
        print(f"{workers:>7} {seconds:>9.0f} {annotating:>10.0f} {(shards - 1) / annotating * 60:>11.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
