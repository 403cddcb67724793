"""A night's annotation on this machine by some workers, each shard a process, for `benchmarks/night_simulation.py`."""

from __future__ import annotations

import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.local.stack import Stack
from infra.local.user import enigma, register, sample_corpora, train

NOTES_PER_SHARD = 40
TRAINING_NOTES = 48
LANGUAGE = "es"


@dataclass(frozen=True)
class MeasuredNight:
    """Seconds of each shard's process, in the order of the plan, and of all of them together."""

    workers: int
    shards: list[float]
    seconds: float

    def predicted_work(self) -> list[float]:
        """Every shard as long as the mean of every second one: the others are not looked at."""
        return [statistics.fmean(self.shards[::2])] * len(self.shards)

    def text(self) -> str:
        """In a line."""
        mean, spread = statistics.fmean(self.shards), statistics.pstdev(self.shards)
        return f"{len(self.shards)} shards on {self.workers} workers: {mean:.2f} s a shard (deviation {spread:.2f} s)"


def measure_night(shards: int, workers: int) -> MeasuredNight:
    """Plan a night of so many shards on a local S3 server and MLflow, and annotate it; a tiny champion, one thread."""
    with tempfile.TemporaryDirectory() as scratch:
        stack = Stack(Path(scratch) / "stack", {"s3": 0, "mlflow": 0, "airflow": 0}, with_airflow=False)
        stack.start()
        try:
            environment = stack.environment | {"OMP_NUM_THREADS": "1"}
            corpora = Path(scratch) / "corpora"
            sample_corpora(environment, [LANGUAGE], TRAINING_NOTES, 1, corpora)
            train(environment, LANGUAGE, corpora)
            register(environment, LANGUAGE, corpora)
            drops = ["--drop-date", "2026-06-11", "--out", f"{stack.variables['ENIGMA_S3_ROOT']}/drops"]
            count = str(shards * NOTES_PER_SHARD)
            enigma(environment, "sample", "--notes", count, "--language", LANGUAGE, "--seed", "3", *drops)
            asked = ["--batch", "measured", "--set", f"plan.notes_per_shard={NOTES_PER_SHARD}"]
            planned: list[str] = enigma(environment, "plan", *asked)["shards"]

            def annotate(uri: str) -> float:
                began = time.perf_counter()
                enigma(environment, "annotate", "--shard", uri)
                return time.perf_counter() - began

            began = time.perf_counter()
            with ThreadPoolExecutor(workers) as pool:
                seconds = list(pool.map(annotate, planned))
            return MeasuredNight(workers, seconds, time.perf_counter() - began)
        finally:
            stack.stop()
