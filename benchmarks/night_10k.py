"""Seconds, notes per second and peak memory of each stage of a night with many sample notes.

`python -m benchmarks.night_10k --notes 10000`: a local S3 server and MLflow, tiny champions for three languages, then
`plan`, one `annotate` per shard, `publish` and `monitor`, each in its own process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, measure
from infra.local.stack import Stack

LANGUAGES = ("es", "en", "cs")
LIMIT_MB = 1536


def enigma(stack: Stack, *words: str) -> tuple[Measured, dict[str, Any]]:
    """Measurements and report of one command; exits if it fails."""
    done = measure([sys.executable, "-m", "enigma_tasks", *words, "--json", "--quiet"], stack.environment)
    if done.exit_code:
        sys.exit(f"enigma {words[0]} ended with {done.exit_code}")
    return done, json.loads(done.output)


def champions(stack: Stack, folder: Path, notes: int) -> None:
    """Train and register a tiny multi-head model per language."""
    for part, seed in (("train", "1"), ("dev", "2")):
        count = str(notes if part == "train" else notes // 4)
        enigma(stack, "sample", "--notes", count, "--language", *LANGUAGES, "--seed", seed, "--out", str(folder / part))
    for language in LANGUAGES:
        data = ["--train", str(folder / "train" / language), "--dev", str(folder / "dev" / language)]
        model = str(folder / "models" / language)
        who = ["--language", language, "--entity", "all"]
        enigma(stack, "train", *who, "--member", "tiny", *data, "--out", model)
        enigma(stack, "register", *who, "--model", model, "--first")


def main() -> int:
    """Print the table; exit code 1 if a step exceeds the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=10_000)
    parser.add_argument("--training-notes", type=int, default=240)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        stack = Stack(Path(scratch) / "stack", {"s3": 0, "mlflow": 0, "airflow": 0}, with_airflow=False)
        stack.start()
        try:
            champions(stack, Path(scratch), given.training_notes)
            drop = ["--drop-date", "2026-06-11", "--out", f"{stack.variables['ENIGMA_S3_ROOT']}/drops"]
            enigma(stack, "sample", "--notes", str(given.notes), "--language", *LANGUAGES, "--seed", "3", *drop)
            batch = ["--batch", "bench"]
            steps: dict[str, list[Measured]] = {}
            done, plan = enigma(stack, "plan", *batch)
            steps["plan"] = [done]
            steps["annotate"] = [enigma(stack, "annotate", "--shard", uri)[0] for uri in plan["shards"]]
            done, published = enigma(stack, "publish", *batch)
            steps["publish"] = [done]
            steps["monitor"] = [enigma(stack, "monitor", *batch)[0]]
        finally:
            stack.stop()
    print(f"{given.notes} notes in {len(LANGUAGES)} languages, {len(plan['shards'])} shards: {published['counts']}")
    print(f"{'step':<10} {'runs':>5} {'seconds':>9} {'notes/s':>9} {'peak MiB':>9}")
    for step, runs in steps.items():
        seconds = sum(r.seconds for r in runs)
        peak = max(r.peak_mb for r in runs)
        print(f"{step:<10} {len(runs):>5} {seconds:>9.1f} {given.notes / seconds:>9.0f} {peak:>9.0f}")
    return int(max(r.peak_mb for runs in steps.values() for r in runs) > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
