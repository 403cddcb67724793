"""One note in a shard of its own -> seconds of every step from the start of `enigma annotate` to its commit.

`python -m benchmarks.annotate_start_up --model FOLDER`: a trained model with all three heads is put into the cache as
the ensembles of three types that share it, as a night's first shard leaves them; the S3 server is in this process.
CPU seconds (user and system, all threads) hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moto.server import ThreadedMotoServer

from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.notes.plans import Pin, Plan, PlanCounts
from enigma_tasks.notes.references import NoteRef

BUCKET = "bench"
NOTE = "Paciente con fiebre alta y neumonía bilateral. Se realiza radiografía de tórax. " * 25
READING = ("check the cached ensembles", "load tokenizer and weights")
"""What grows with the model."""


def cached_pins(model: Path, cache: Path) -> dict[str, Pin]:
    """The cache as `ensemble_cache` fills it: ensembles that share a member share its files."""
    pins = {}
    first: Path | None = None
    for entity_type in EntityType:
        folder = cache / f".{entity_type.value}"
        folder.mkdir(parents=True)
        digest = write_ensemble(folder, "es", entity_type, [model], VotingRule("majority"))
        if first is not None:
            shutil.rmtree(folder / "members")
            shutil.copytree(first / "members", folder / "members", copy_function=os.link)
        first = folder.rename(cache / digest)
        pins[entity_type.value] = Pin(name=f"enigma-es-{entity_type.value}", version="1", digest=digest, source_uri="")
    return pins


def planned(store: ObjectStore, batch: str, pins: dict[str, Pin]) -> str:
    """A night of one note; returns its shard's URI."""
    records = NightRecords(store, RunPlaces(f"s3://{BUCKET}/runs/{batch}"))
    key = f"drops/es/2026-06-11/{batch}.txt"
    store.put(f"s3://{BUCKET}/{key}", NOTE.encode())
    etag = next(iter(store.list(f"s3://{BUCKET}/{key}"))).etag
    size = len(NOTE.encode())
    note = NoteRef(BUCKET, key, etag, etag, batch, "es", "path", "2026-06-11", size)
    shards = records.write_shards([("es", 1, [note])])
    plan = Plan(
        batch_id=batch,
        planned_at="2026-06-11T01:00:00+00:00",
        backfill=None,
        models={"es": pins},
        journal={},
        aliases=(),
        shards=shards,
        quarantined=0,
        quarantined_sha256=records.write_refusals([]),
        counts=PlanCounts(listed=1, done=0, planned=1, quarantined=0, waiting=0, deferred=0),
        waiting={},
        deferred={},
        seconds=0.0,
    )
    records.create_plan(plan)
    return shards[0].uri


def run(shard: str, scratch: Path) -> dict[str, tuple[float, float]]:
    """Phase -> (seconds, CPU seconds) of one process."""
    child, marks = Path(__file__).with_name("annotate_start_up_child.py"), scratch / "marks.json"
    command = [sys.executable, str(child), str(time.time()), str(marks), shard]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, tuple[float, float]] = {}
    for phase, seconds, cpu in json.loads(marks.read_text()):
        before = found.get(phase, (0.0, 0.0))
        found[phase] = before[0] + seconds, before[1] + cpu
    return found


def table(runs: list[dict[str, tuple[float, float]]]) -> None:
    """Medians of the phases, and of their sums."""
    first_note = list(runs[0])[: list(runs[0]).index("first note") + 1]
    groups = {phase: [phase] for phase in runs[0]}
    groups["from the start to the first note"] = first_note
    groups["of these, not growing with the model"] = [p for p in first_note if p not in READING]
    print(f"{'':<40} {'seconds':>8} {'CPU s':>7}")
    for name, phases in groups.items():
        sums = [[sum(r[p][i] for p in phases) for r in runs] for i in (0, 1)]
        print(f"{name:<40} {statistics.median(sums[0]):>8.2f} {statistics.median(sums[1]):>7.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a trained model of Spanish with all three types")
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
            "ENIGMA_S3_ROOT": f"s3://{BUCKET}",
            "ENIGMA_CACHE": f"{scratch}/cache",
        }
        try:
            store = ObjectStore()
            store.ensure_bucket(f"s3://{BUCKET}")
            pins = cached_pins(given.model, Path(scratch) / "cache")
            time.sleep(3)  # files of a cache are older than a shard
            shards = [planned(store, f"run-{i}", pins) for i in range(given.repetitions + 1)]
            runs = [run(shard, Path(scratch)) for shard in shards][1:]  # the first fills the system's file cache
        finally:
            server.stop()
    print(f"medians of {given.repetitions} processes, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    table(runs)


if __name__ == "__main__":
    main()
