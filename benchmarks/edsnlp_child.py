"""Texts -> seconds of EDS-NLP's transformer and CRF pipe; run by engine_against_peers.py in a separate venv.

    python edsnlp_child.py TEXTS.json ENCODER_FOLDER

Prints a line when it is ready, then for each line on standard input runs over all texts once and prints seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import edsnlp
import edsnlp.pipes as eds

LABELS = ["DISEASE", "PROCEDURE", "SYMPTOM"]


def main() -> None:
    """Build the pipe with its documented example's settings: windows of 128 sub-words, a new one every 96."""
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    nlp = edsnlp.blank("eds")
    nlp.add_pipe(
        eds.ner_crf(
            mode="joint",
            target_span_getter={"ents": LABELS},
            span_setter={"ents": LABELS},
            labels=LABELS,
            embedding=eds.transformer(model=sys.argv[2], window=128, stride=96),
        ),
        name="ner",
    )
    nlp.post_init([])
    nlp.train(mode=False)
    list(nlp.pipe(texts[:4]))
    print(json.dumps({"edsnlp": edsnlp.__version__, "labels": nlp.get_pipe("ner").labels}), flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        documents = list(nlp.pipe(texts))
        print(time.perf_counter() - begun, len(documents), flush=True)


if __name__ == "__main__":
    main()
