"""Seconds and peak memory of planning with a given listing of 200,000 keys, without the store.

    python benchmarks/plan_200k.py [--done 2000000]

Half of the listed notes are done; `--done` is the number of fingerprints in the table of done notes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import ObjectInfo
from enigma_tasks.config import load_params
from enigma_tasks.notes.done import Done, FingerprintSet, fingerprint
from enigma_tasks.notes.fair_share import FairShare
from enigma_tasks.notes.planning import Night, cut_shards, scan_listing
from enigma_tasks.notes.plans import digest, notes_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

LANGUAGES = ("cs", "nl", "en", "it", "ro", "es", "sv")
SEEN = dt.datetime(2026, 6, 11, tzinfo=dt.UTC)


def listing(keys: int) -> Iterator[ObjectInfo]:
    """Keys as in a hospital's drops; every thousandth is bad."""
    for n in range(keys):
        day = dt.date(2026, 1, 1) + dt.timedelta(days=n % 150)
        kind = "pdf" if n % 1000 == 0 else "txt"
        key = f"hospital/drops/{LANGUAGES[n % 7]}/{day}/ward-{n % 40:02d}/discharge-summary-{n:08d}.{kind}"
        yield ObjectInfo("clinic", key, f"{n:032x}", 4000 + n % 3000, SEEN)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--done", type=int, default=1_000_000, help="notes in the tables")
    arguments = parser.parse_args()
    params = load_params(Path(__file__).parents[1] / "params.yaml")
    start = time.perf_counter()
    known = bytearray()
    for info in listing(arguments.keys):
        if int(info.etag, 16) % 2:
            known += fingerprint((info.bucket, info.key, "", info.etag))
    for n in range(max(0, arguments.done - len(known) // 16)):
        known += fingerprint(("clinic", str(n), "", "x"))
    done = Done(FingerprintSet(known))
    del known
    loaded = time.perf_counter()
    night = Night(
        "hospital/drops/",
        FairShare(params.plan.max_notes),
        is_served=lambda _: True,
        is_forgotten=lambda _: False,
    )
    for found in scan_listing(
        listing(arguments.keys), "hospital/drops/", done, max_bytes=params.notes.max_bytes, language_of=params.language
    ):
        night.add(found)
    sorted_at = time.perf_counter()
    shards = [
        (len(notes), digest(notes_bytes(notes)))
        for _, _, notes in cut_shards(night.planned, params.plan.notes_per_shard, params.plan.max_shards)
    ]
    written = time.perf_counter()
    print(
        json.dumps(
            {
                "keys": arguments.keys,
                "done_notes": len(done.notes),
                "planned": sum(notes for notes, _ in shards),
                "refused": len(list(night.refused)),
                "deferred": night.deferred.total(),
                "shards": len(shards),
                "seconds_done_set": round(loaded - start, 2),
                "seconds_sorting": round(sorted_at - loaded, 2),
                "seconds_shards": round(written - sorted_at, 2),
                "seconds_total": round(written - start, 2),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
