"""Share of the encoder's windows that notes repeat, which `annotate.window_scores_mib` saves.

    python -m benchmarks.repeated_windows --corpus ../shared/corpora/spaccc-es-train \
        --tokenizer ../shared/models/multilingual-e5-small-latin

`unrelated`: the corpus's notes as they are. `progress`: of each, five progress notes, each the text so far under a new
heading, as records are that copy forward. Sentences are packed into windows of 128 sub-words, as by the default member.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.ner.text.sentences import split_sentences
from enigma_tasks.ner.text.tokenizer import TextTokenizer
from enigma_tasks.ner.text.windows import cut_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW, SPECIAL = 128, 2
DAYS = 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--language", default="es")
    parser.add_argument("--notes", type=int, default=100)
    given = parser.parse_args()
    from transformers import PreTrainedTokenizerFast

    tokenizer = TextTokenizer(PreTrainedTokenizerFast.from_pretrained(given.tokenizer))
    read = sorted(read_corpus(given.corpus, language=given.language, report=CorpusReport()), key=lambda d: d.id)
    texts = [d.text for d in read[: given.notes]]
    print("| notes | number | windows | distinct | repeated |\n|---|---:|---:|---:|---:|")
    for name, of_kind in (("unrelated", texts), ("progress", list(progress(texts, given.language)))):
        keys = list(window_keys(tokenizer, of_kind, given.language))
        distinct = len(set(keys))
        print(f"| {name} | {len(of_kind)} | {len(keys)} | {distinct} | {100 * (1 - distinct / len(keys)):.1f} % |")


def progress(texts: list[str], language: str) -> Iterator[str]:
    """Notes of five days of each case; each repeats those before."""
    for number, text in enumerate(texts):
        sentences = split_sentences(text, language)
        for day in range(1, DAYS + 1):
            stop = sentences[max(1, len(sentences) * day // DAYS) - 1][1]
            yield f"Nota {number * 7919 % 10_007}. Evolución, día {day}.\n{text[:stop]}"


def window_keys(tokenizer: TextTokenizer, texts: list[str], language: str) -> Iterator[bytes]:
    """The inputs of the encoder."""
    for text, encoded in zip(texts, tokenizer.encode(texts), strict=True):
        sentences = split_sentences(text, language)
        yield from (w.key for w in cut_windows(encoded, WINDOW - SPECIAL, 0, sentences=sentences))


if __name__ == "__main__":
    main()
