"""Texts -> seconds of transformers' token-classification pipeline; run by engine_against_peers.py, in its own process.

    python pipeline_child.py TEXTS.json CHECKPOINT_FOLDER OVERLAP

Prints a line when it is ready, then for each line on standard input, a batch size or `default`, runs over all texts
once and prints seconds. A second number in the line: over so many texts only.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast, pipeline


def main() -> None:
    """Chunks of the tokenizer's length, as its configuration has it."""
    texts, folder, overlap = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2], int(sys.argv[3])
    network = AutoModelForTokenClassification.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    run = pipeline("token-classification", network, tokenizer=tokenizer, stride=overlap, aggregation_strategy="simple")
    run(texts[:2])
    print(json.dumps({"device": str(run.device), "dtype": str(network.dtype)}), flush=True)
    for line in sys.stdin:
        size, *count = line.split()
        given = texts[: int(count[0])] if count else texts
        begun = time.perf_counter()
        found = list(run(given, **({} if size == "default" else {"batch_size": int(size)})))
        print(time.perf_counter() - begun, len(found), flush=True)


if __name__ == "__main__":
    main()
