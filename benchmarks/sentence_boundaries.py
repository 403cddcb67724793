"""Number of gold spans that cross a sentence boundary, with Enigma's splitter and with a simple one.

    python benchmarks/sentence_boundaries.py --corpus ../shared/corpora/spaccc-es-train --language es

Prints counts only, never text.
"""

from __future__ import annotations

import argparse
import re
import time
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.ner.text.sentences import split_sentences

if TYPE_CHECKING:
    from collections.abc import Callable

    from enigma_tasks.documents import Document

    Splitter = Callable[[str, str], list[tuple[int, int]]]


def split_plainly(text: str, language: str) -> list[tuple[int, int]]:  # noqa: ARG001 (same signature)
    """A simple splitter: splits at line breaks, and at full stops before white space and a capital or digit."""
    pieces = re.finditer(r"\S(?:[^\n]*?(?:[.!?…](?=\s+[A-ZÀ-ÖØ-ÞĀ-Ž¿¡\d])|(?=\n)|\Z))", text)
    return [piece.span() for piece in pieces]


def measured(documents: list[Document], language: str, splitter: Splitter) -> dict[str, float]:
    """spans, crossing, percent; sentences and their mean length in characters, each text once; MB/s of UTF-8."""
    texts = {document.text for document in documents}
    splitter("warm up.", language)
    began = time.perf_counter()
    sentences = {text: splitter(text, language) for text in texts}
    seconds = time.perf_counter() - began
    spans = crossing = 0
    for document in documents:
        starts = [start for start, _ in sentences[document.text]]
        for entity in document.entities:
            first, last = (bisect_right(starts, at) for at in (entity.char_start, entity.char_end - 1))
            spans += 1
            crossing += first != last
    lengths = [end - start for found in sentences.values() for start, end in found]
    return {
        "spans": spans,
        "crossing": crossing,
        "percent": 100 * crossing / max(1, spans),
        "sentences": len(lengths),
        "mean length": sum(lengths) / max(1, len(lengths)),
        "MB/s": sum(len(text.encode()) for text in texts) / seconds / 1e6,
    }


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", required=True)
    arguments = parser.parse_args()
    report = CorpusReport()
    documents = read_corpus(arguments.corpus, language=arguments.language, report=report)
    rows = {
        name: measured(documents, arguments.language, splitter)
        for name, splitter in (("enigma", split_sentences), ("plain", split_plainly))
    }
    print(f"{arguments.corpus.name} ({arguments.language}), {len(documents)} documents, {len(report.defects)} defects")
    print("splitter " + "".join(f"{column:>13}" for column in rows["enigma"]))
    for name, row in rows.items():
        print(f"{name:<9}" + "".join(f"{v:>13,}" if isinstance(v, int) else f"{v:>13,.3f}" for v in row.values()))


if __name__ == "__main__":
    main()
