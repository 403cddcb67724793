"""How long a night takes on some workers: a seeded simulation of shards, retries and interrupted workers.

Shards start in order on the first free worker, as tasks do in a pool. An attempt takes the start-up and the seconds of
the shard; it may fail (a service) or lose its worker (a spot interruption), and is tried again as
`dags/container_task.py` has it. Draws have seeds of their own by shard and attempt, or by worker, so a night has the
same shards whatever the number of workers.

    python -m benchmarks.night_simulation              # a night of a million notes
    python -m benchmarks.night_simulation --shards 200 --shard-seconds 6.1 --workers 2 --measured 1003
    python -m benchmarks.night_simulation --night 24   # measures a night of 24 shards and compares
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import statistics
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 1
TOLERANCE = 0.15
"""How far a prediction may be from what was measured."""
MILLION = 1_000_000
NOTES_PER_SHARD = 1000
NOTES_PER_CORE_SECOND = 60 / 6.5
"""annotate_start_up.py: 60 notes of 2,380 characters, the engine with 12 layers of 384 units, CPU seconds."""
START_SECONDS = 4.0
PLAN_SECONDS = MILLION / 1229
PUBLISH_SECONDS = MILLION / 295
MONITOR_SECONDS = MILLION / 7571
"""night_10k.py, each by its notes a second, as if it were linear."""
NIGHT_HOURS = 8


@dataclass(frozen=True)
class Cluster:
    """Workers, each of which annotates one shard at a time, and what happens to them."""

    workers: int
    start_seconds: float = START_SECONDS
    """Of each attempt, before its first note."""
    gap_seconds: float = 0.0
    """From the end of an attempt to the start of the worker's next one: the scheduler."""
    failure: float = 0.0
    """Probability that an attempt fails, at a moment drawn evenly over it."""
    interrupted_hours: float = math.inf
    """Mean time until a worker is interrupted (exponential)."""
    replaced_seconds: float = 180.0
    """Until another worker is there in its place."""
    noticed_seconds: float = 300.0
    """Until the scheduler notices that an attempt is gone."""
    retries: int = 3
    retry_seconds: float = 30.0
    """Doubled after each attempt."""
    retry_longest: float = 900.0


@dataclass(frozen=True)
class Outcome:
    """A simulated night's annotation."""

    seconds: float
    """From the first start to the end of the last attempt."""
    done: int
    failed: int
    """Shards whose last attempt failed: the night cannot be published."""
    attempts: int
    interruptions: int
    """Attempts that lost their worker."""
    useful_seconds: float
    """Of workers, in attempts that ended well."""
    lost_seconds: float
    """Of workers, in attempts that did not."""


def shard_seconds(shards: int, mean: float, spread: float, seed: int = SEED) -> list[float]:
    """Seconds of work of each shard, without start-up: log-normal with this mean; `spread` is deviation over mean."""
    sigma = math.sqrt(math.log1p(spread**2))
    return [
        random.Random(f"{seed}:work:{shard}").lognormvariate(math.log(mean) - sigma**2 / 2, sigma)
        for shard in range(shards)
    ]


def simulate(work: Sequence[float], cluster: Cluster, seed: int = SEED) -> Outcome:
    """Annotate shards of these seconds of work on a cluster."""
    waiting = [(0.0, shard, 0) for shard in range(len(work))]
    free = [(0.0, worker) for worker in range(cluster.workers)]
    fates = [_Fate(cluster, seed, worker) for worker in range(cluster.workers)]
    ended = useful = lost = 0.0
    done = failed = attempts = interruptions = 0
    while waiting:
        ready, shard, attempt = heapq.heappop(waiting)
        available, worker = heapq.heappop(free)
        start = max(ready, available)
        if fates[worker].interrupted_at <= start:  # while it was idle
            heapq.heappush(free, (fates[worker].replaced(), worker))
            heapq.heappush(waiting, (ready, shard, attempt))
            continue
        attempts += 1
        draw = random.Random(f"{seed}:attempt:{shard}:{attempt}")
        fails, share = draw.random() < cluster.failure, draw.random()
        end = start + (cluster.start_seconds + work[shard]) * (share if fails else 1.0)
        interrupted = fates[worker].interrupted_at < end
        if interrupted:
            end = fates[worker].interrupted_at
            interruptions += 1
            heapq.heappush(free, (fates[worker].replaced(), worker))
        else:
            heapq.heappush(free, (end + cluster.gap_seconds, worker))
        ended = max(ended, end)
        if not fails and not interrupted:
            done, useful = done + 1, useful + end - start
            continue
        lost += end - start
        if attempt == cluster.retries:
            failed += 1
            continue
        delay = min(cluster.retry_seconds * 2**attempt, cluster.retry_longest)
        noticed = cluster.noticed_seconds if interrupted else 0.0
        heapq.heappush(waiting, (end + noticed + delay, shard, attempt + 1))
    return Outcome(ended, done, failed, attempts, interruptions, useful, lost)


class _Fate:
    """When a worker is interrupted; it is replaced, and interrupted again."""

    def __init__(self, cluster: Cluster, seed: int, worker: int) -> None:
        self._cluster = cluster
        self._random = random.Random(f"{seed}:worker:{worker}")
        self.interrupted_at = self._lifetime()

    def _lifetime(self) -> float:
        hours = self._cluster.interrupted_hours
        return math.inf if math.isinf(hours) else self._random.expovariate(1 / (hours * 3600))

    def replaced(self) -> float:
        """When the next worker in its place is there; from now on `interrupted_at` is that worker's."""
        there = self.interrupted_at + self._cluster.replaced_seconds
        self.interrupted_at = there + self._lifetime()
        return there


def million_table() -> None:
    """Print nights of a million notes, one core a worker."""
    shards = MILLION // NOTES_PER_SHARD
    work = shard_seconds(shards, NOTES_PER_SHARD / NOTES_PER_CORE_SECOND, 0.3)
    other = PLAN_SECONDS + PUBLISH_SECONDS + MONITOR_SECONDS
    print(
        f"{MILLION:,} notes, {shards:,} shards of {statistics.fmean(work):.0f} s and {START_SECONDS:.0f} s of start-up"
    )
    print(f"plan {PLAN_SECONDS / 60:.0f}, publish {PUBLISH_SECONDS / 60:.0f}, monitor {MONITOR_SECONDS / 60:.0f} min")
    print("| workers | failing attempts | hours between interruptions of a worker | annotate | night | attempts |"
          " interrupted | work lost | core hours | fits |")  # fmt: skip
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    for workers in (1, 4, 8, 16, 64):
        for failure, hours in ((0.0, math.inf), (0.01, 24.0), (0.01, 2.0)):
            found = simulate(work, Cluster(workers, failure=failure, interrupted_hours=hours))
            core_hours = (found.useful_seconds + found.lost_seconds + other) / 3600
            night = (found.seconds + other) / 3600
            fits = f"{found.failed} shards failed" if found.failed else "yes" if night <= NIGHT_HOURS else "no"
            print(f"| {workers} | {failure:.0%} | {hours:g} | {found.seconds / 3600:.1f} h | {night:.1f} h "
                  f"| {found.attempts:,} | {found.interruptions} "
                  f"| {found.lost_seconds / (found.useful_seconds + found.lost_seconds):.1%} "
                  f"| {core_hours:.1f} | {fits} |")  # fmt: skip


def compared(predicted: float, measured: float) -> int:
    """Print both; 1 if they are further apart than the tolerance."""
    error = predicted / measured - 1
    print(f"measured {measured:.1f} s, predicted {predicted:.1f} s: {error:+.1%} (allowed: {TOLERANCE:.0%})")
    return int(abs(error) > TOLERANCE)


def main() -> int:
    """Print the table, or one night; 1 if a measured night is further from the prediction than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--night", type=int, metavar="SHARDS", help="measure such a night here, and predict it")
    parser.add_argument("--shards", type=int, help="predict a night of so many shards")
    parser.add_argument("--shard-seconds", type=float, help="mean seconds of a shard, without its start-up")
    parser.add_argument("--spread", type=float, default=0.3, help="standard deviation of these, over their mean")
    parser.add_argument("--start-seconds", type=float, default=START_SECONDS, help="start-up of an attempt")
    parser.add_argument("--gap-seconds", type=float, default=0.0, help="between two attempts on one worker")
    parser.add_argument("--other-seconds", type=float, default=0.0, help="plan, publish and the rest")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--failure", type=float, default=0.0)
    parser.add_argument("--interrupted-hours", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--measured", type=float, help="seconds that the night took: compare")
    given = parser.parse_args()
    cluster = Cluster(given.workers, given.start_seconds, given.gap_seconds, given.failure, given.interrupted_hours)
    if given.night:
        from benchmarks.measured_night import measure_night

        night = measure_night(given.night, given.workers)
        print(night.text())
        found = simulate(night.predicted_work(), replace(cluster, start_seconds=0.0, gap_seconds=0.0), given.seed)
        return compared(found.seconds, night.seconds)
    if not given.shards or not given.shard_seconds:
        million_table()
        return 0
    work = shard_seconds(given.shards, given.shard_seconds, given.spread, given.seed)
    found = simulate(work, cluster, given.seed)
    predicted = found.seconds + given.other_seconds
    print(f"{given.shards} shards on {given.workers} workers: {predicted:.1f} s; {found}")
    return compared(predicted, given.measured) if given.measured else 0


if __name__ == "__main__":
    sys.exit(main())
