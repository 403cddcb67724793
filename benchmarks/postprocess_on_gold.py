"""Number of gold spans that each post-processing rule alone would change: the largest loss by the rule.

    python benchmarks/postprocess_on_gold.py --corpus ../shared/corpora/spaccc-es-train --language es

The spans of each label are processed separately, as for a model of one type. Prints counts only, never text.
"""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.ner.text.postprocess import postprocess
from enigma_tasks.params.postprocess import PostprocessRules

if TYPE_CHECKING:
    from enigma_tasks.documents import Document

_OFF: dict[str, bool | int] = {
    name: False for name, field in PostprocessRules.model_fields.items() if field.annotation is bool
} | {"min_characters": 1}


def lost(documents: list[Document], language: str, rules: PostprocessRules) -> int:
    """Number of distinct gold spans (document, label, offsets) that the rules change or remove."""
    count = 0
    for document in documents:
        gold = sorted({(e.label, e.span): e for e in document.entities}.values(), key=lambda e: e.label)
        for _, group in groupby(gold, key=lambda e: e.label):
            entities = list(group)
            kept, _ = postprocess(document.id, document.text, entities, language, rules)
            count += len({e.span for e in entities} - {e.span for e in kept})
    return count


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", required=True)
    arguments = parser.parse_args()
    documents = read_corpus(arguments.corpus, language=arguments.language, report=CorpusReport())
    spans = sum(len({(e.label, e.span) for e in d.entities}) for d in documents)
    cases = {name: PostprocessRules.model_validate(_OFF | {name: True}) for name in _OFF if name != "min_characters"}
    cases |= {"min_characters 2": PostprocessRules.model_validate(_OFF | {"min_characters": 2})}
    cases |= {"all defaults": PostprocessRules()}
    print(f"{arguments.corpus.name} ({arguments.language}): {spans:,} gold spans")
    for name, rules in cases.items():
        gone = lost(documents, arguments.language, rules)
        print(f"{name:<24}{gone:>8,}{100 * gone / max(1, spans):>10.3f} %")


if __name__ == "__main__":
    main()
