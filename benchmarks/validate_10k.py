"""Time and memory of `enigma validate` on 10,000 documents.

    python benchmarks/validate_10k.py [--documents 10000] [--folder FOLDER]

Writes synthetic gold in seven languages with `enigma sample`, then runs the command on it with its Data Docs. Allowed
on two cores: 120 s and 1,536 MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import measure

ENIGMA = [sys.executable, "-m", "enigma_tasks"]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--folder", help="where the gold goes; a temporary folder without it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        gold = Path(folder) / "gold"
        measure([*ENIGMA, "sample", "--notes", str(arguments.documents), "--language", "all", "--out", str(gold)])
        command = [*ENIGMA, "validate", str(gold), "--report", str(Path(folder) / "report"), "--json", "--quiet"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = measure(command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(done.output)
    spans = sum(report["spans"].values())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print("| documents | spans | passed | seconds | of them on a CPU | peak MiB |")
    print("|---:|---:|---|---:|---:|---:|")
    figures = f"{done.seconds:.1f} | {cpu:.1f} | {done.peak_mb:,.0f}"
    print(f"| {report['documents']:,} | {spans:,} | {report['passed']} | {figures} |")


if __name__ == "__main__":
    main()
