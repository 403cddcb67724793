"""Strict F1 by entity type, with intervals, of a member trained and scored on parts of a corpus by the command line.

    python -m benchmarks.strict_f1_on_real_text --corpus ../shared/corpora/spaccc-es-train --language es \\
        --base ../shared/models/multilingual-e5-small-latin

80 % of the cases are for training, a twentieth of them is dev for choosing the epoch; scored once on the other 20 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from enigma_tasks.documents import EntityType
from enigma_tasks.formats.corpora import read_corpus

SHARES = ("split.test_share=0.2", "split.dev_share=0.04")


def enigma(*words: str) -> dict[str, Any]:
    """One command's report. Raises CalledProcessError; progress goes to standard error."""
    done = subprocess.run([sys.executable, "-m", "enigma_tasks", *words, "--json"], check=True, stdout=subprocess.PIPE)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def settings(pairs: list[str]) -> list[str]:
    """`a=1` -> `--set a=1`, for each."""
    return [word for pair in pairs for word in ("--set", pair)]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--member", default="e5-small")
    parser.add_argument("--base", help="folder of the member's base model")
    parser.add_argument("--seed", type=int, default=20260611)
    parser.add_argument("--set", action="append", default=[], metavar="member setting", help="e.g. epochs=1")
    parser.add_argument("--keep", type=Path, help="leave the split, the model and the predictions here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = arguments.keep or Path(scratch)
        split = place / "split"
        common = settings([f"seed={arguments.seed}"])
        folds = enigma("split", str(arguments.corpus), "--out", str(split), *common, *settings(list(SHARES)))
        changed = [f"members.{arguments.member}.{pair}" for pair in arguments.set]
        changed += [f"members.{arguments.member}.base={arguments.base}"] if arguments.base else []
        began = time.perf_counter()
        trained = enigma(
            "train", "--language", arguments.language, "--entity", "all", "--member", arguments.member,
            "--train", str(split / "train"), "--dev", str(split / "dev"), "--out", str(place / "model"),
            *common, *settings(changed),
        )  # fmt: skip
        minutes = (time.perf_counter() - began) / 60
        predictions = place / "predictions.tsv"
        enigma("predict", "--model", str(place / "model"), "--in", str(split / "test"), "--out", str(predictions))
        documents = {row["fold"]: row["documents"] for row in folds["folds"]}
        print(
            f"{arguments.corpus.name}: {arguments.member}, {' '.join(arguments.set) or 'as in params.yaml'}; ", end=""
        )
        print(f"seed {arguments.seed}; documents {documents}; {trained['steps']} steps, {minutes:.1f} minutes")
        print("| type | gold spans | precision | recall | strict F1 | 95 % interval | character F1 |")
        print("|---|---:|---:|---:|---:|---|---:|")
        annotated = {t.value for d in read_corpus(split / "test", arguments.language) for t in d.annotated}
        for entity in (t.value for t in EntityType if t.value in annotated):
            done = enigma(
                "score", "--gold", str(split / "test"), "--pred", str(predictions), "--label", entity, *common
            )
            strict, interval = done["strict"], done["strict"]["f1_interval"]
            bounds = f"{interval['low']:.3f} to {interval['high']:.3f}"
            print(
                f"| {entity} | {done['gold_spans']:,} | {strict['precision']:.3f} | {strict['recall']:.3f} "
                f"| {strict['f1']:.3f} | {bounds} | {done['character']['f1']:.3f} |"
            )


if __name__ == "__main__":
    main()
