"""Seconds of a night on one Celery worker and on two, in the real scheduler on PostgreSQL and Redis.

`python -m benchmarks.two_workers --shards 200` needs root: network namespaces, see `infra/local/cluster.py`. Workers,
Airflow and the services share the cores of one machine, so on few cores two workers cannot be twice as fast as one.

The night on two workers is also predicted by `benchmarks/night_simulation.py`, from a smaller night before it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import night_simulation
from infra.local import cluster_servers
from infra.local.cluster_night import cluster_with_champion, unseen_texts
from infra.local.stack import DAG
from infra.local.user import User

if TYPE_CHECKING:
    from infra.local.cluster import Cluster

LANGUAGE = "en"
NOTES_PER_SHARD = 5
FIRST_SHARDS = 24
"""Of the night from which the other is predicted."""
NIGHT_SECONDS = 7200


@dataclass(frozen=True)
class Night:
    """A night that was measured."""

    seconds: float
    """From the trigger to the end, with the plan and all that follows the shards."""
    attempts: list[tuple[str, float, float]]
    """Worker, start and end of each shard's task, in seconds since the epoch, as Airflow has them."""

    @property
    def annotating(self) -> float:
        """Seconds from the first shard's start to the last one's end."""
        return max(end for _, _, end in self.attempts) - min(start for _, start, _ in self.attempts)

    @property
    def shard_seconds(self) -> float:
        """Of a shard's task, mean."""
        return statistics.fmean(end - start for _, start, end in self.attempts)

    @property
    def gap_seconds(self) -> float:
        """From the end of a task to the start of the same worker's next one, mean."""
        by_worker = sorted(self.attempts)
        return statistics.fmean(
            later[1] - earlier[2] for earlier, later in pairwise(by_worker) if earlier[0] == later[0]
        )


def night(cluster: Cluster, folder: str, texts: list[bytes]) -> Night:
    """A night over notes that are dropped before it."""
    user = User(cluster.stack)
    user.drop({f"{LANGUAGE}/2026-06-11/{folder}/n{i}.txt": text for i, text in enumerate(texts)})
    began = time.monotonic()
    run_id = user.api.trigger(DAG)
    state = cluster.wait(DAG, run_id, NIGHT_SECONDS)
    seconds = time.monotonic() - began
    tasks = [task for task in user.api.tasks(DAG, run_id) if task["task_id"] == "annotate"]
    again = [task["map_index"] for task in tasks if task["try_number"] != 1]
    if state != "success" or again:
        sys.exit(f"the night ended with {state}, after {len(again)} shards were tried again")
    return Night(seconds, [(t["hostname"], seconds_of(t["start_date"]), seconds_of(t["end_date"])) for t in tasks])


def seconds_of(date: str) -> float:
    """Seconds since the epoch of a date as Airflow's API writes it."""
    return datetime.fromisoformat(date).timestamp()


def predicted_seconds(shards: int, earlier: Night) -> float:
    """Of the shards of a night on two workers, from what a shard and the gap after it took in an earlier one."""
    cluster = night_simulation.Cluster(2, start_seconds=0.0, gap_seconds=earlier.gap_seconds)
    return night_simulation.simulate([earlier.shard_seconds] * shards, cluster).seconds


def main() -> int:
    """Print the table; 1 if the prediction is further from what was measured than the simulation's tolerance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=200, help="of the night on two workers; a quarter of it on one")
    shards = parser.parse_args().shards
    if reason := cluster_servers.install():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with cluster_with_champion(folder, LANGUAGE, NOTES_PER_SHARD) as cluster:
            texts = unseen_texts(cluster, LANGUAGE, shards * NOTES_PER_SHARD, folder / "texts")
            night(cluster, "warm-up", texts[: 2 * NOTES_PER_SHARD])
            earlier = night(cluster, "earlier", texts[: FIRST_SHARDS * NOTES_PER_SHARD])
            two = night(cluster, "two", texts)
            cluster.machines[1].power_off()
            one = night(cluster, "one", texts[: shards // 4 * NOTES_PER_SHARD])
    print(f"shards of {NOTES_PER_SHARD} notes, {os.cpu_count()} cores for everything")
    print("| workers | shards | night, s | shards, s | of a shard, s | gap after it, s | shards a minute |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for workers, found in ((1, one), (2, earlier), (2, two)):
        count = len(found.attempts)
        print(f"| {workers} | {count} | {found.seconds:.0f} | {found.annotating:.0f} | {found.shard_seconds:.2f} "
              f"| {found.gap_seconds:.2f} | {count / found.annotating * 60:.1f} |")  # fmt: skip
    return night_simulation.compared(predicted_seconds(shards, earlier), two.annotating)


if __name__ == "__main__":
    sys.exit(main())
