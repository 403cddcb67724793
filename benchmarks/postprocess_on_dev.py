"""Gain or loss of strict F1 by each post-processing rule on predictions, with intervals.

    python -m benchmarks.postprocess_on_dev --published ../shared/predictions/cardioccc-es --language es
    python -m benchmarks.postprocess_on_dev --model MODEL --corpus DEV --language es

`--published`: a folder with `txt/` and, per entity type, `gold.tsv` beside one TSV per system. `--model`: that model's
predictions on a held-out corpus, before any rule. Each rule runs alone; the last rows are the defaults and all rules.
Prints counts only, never text.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS, Entity, Language
from enigma_tasks.formats.corpora import CorpusReport, read_corpus, read_text
from enigma_tasks.formats.standoff import parse_tsv
from enigma_tasks.ner import scoring
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model
from enigma_tasks.ner.text.postprocess import postprocess
from enigma_tasks.params.postprocess import PostprocessRules

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = [name for name, field in PostprocessRules.model_fields.items() if field.annotation is bool]
OFF = PostprocessRules.model_validate({**dict.fromkeys(RULES, False), "clip": True, "min_characters": 1})
Spans = dict[str, tuple[Entity, ...]]


@dataclass(frozen=True)
class Sample:
    """One system's predictions of one entity type."""

    texts: Mapping[str, str]
    gold: Spans
    predicted: Spans
    label: str


def published(folder: Path) -> list[Sample]:
    """Every system and entity type of a folder of predictions."""
    texts = {path.stem: read_text(path) for path in sorted((folder / "txt").glob("*.txt"))}
    samples = []
    for gold_file in sorted(folder.glob("*/gold.tsv")):
        gold = parse_tsv(read_text(gold_file))
        systems = sorted(set(gold_file.parent.glob("*.tsv")) - {gold_file})
        samples += [Sample(texts, gold, parse_tsv(read_text(f)), gold_file.parent.name.upper()) for f in systems]
    return samples


def of_model(folder: Path, corpus: Path, language: Language) -> list[Sample]:
    """A model's predictions without its rules, per entity type, on the documents annotated for it."""
    model = load_model(folder)
    recipe = model.card.recipe.model_copy(update={"postprocess": OFF})
    model = replace(model, card=model.card.model_copy(update={"recipe": recipe}))
    documents = read_corpus(corpus, language=language, report=CorpusReport())
    (found,) = Engine([model], 4096).predict(documents)
    samples = []
    for entity_type in model.card.entity_types:
        rows = [(d, f) for d, f in zip(documents, found, strict=True) if entity_type in d.annotated]
        predicted = {d.id: tuple(e for e in f if e.label == entity_type.label) for d, f in rows}
        gold = {d.id: d.of_type(entity_type) for d, _ in rows}
        samples.append(Sample({d.id: d.text for d, _ in rows}, gold, predicted, entity_type.label))
    return samples


def counts(sample: Sample, rules: PostprocessRules, language: Language) -> tuple[list[scoring.Counts], int]:
    """Counts of each document after the rules, in the order of the texts; and the number of changed spans."""
    documents, touched = [], 0
    for document, text in sample.texts.items():
        spans, applied = postprocess(document, text, sample.predicted.get(document, ()), language, rules)
        touched += applied.total() - applied["clip"]
        gold = sample.gold.get(document, ())
        documents.append(scoring.count(gold, spans).get(sample.label, scoring.Counts()))
    return documents, touched


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--language", required=True)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.published:
        samples = published(arguments.published)
    else:
        samples = of_model(arguments.model, arguments.corpus, arguments.language)
    alone = {name: OFF.model_copy(update={name: True}) for name in RULES if name != "clip"}
    alone["min_characters 2"] = OFF.model_copy(update={"min_characters": 2})
    alone["defaults"] = PostprocessRules()
    alone["all"] = PostprocessRules.model_validate({**dict.fromkeys(RULES, True), "min_characters": 2})
    before = {i: counts(s, OFF, arguments.language)[0] for i, s in enumerate(samples)}
    print(f"strict F1, change in points by rule; {len(samples)} sets of predictions, 95 % interval by document")
    labels = [label for label in LABELS if any(s.label == label for s in samples)]
    print(f"{'rule':<24}{'touched':>8}{'gain':>9}{'from':>9}{'to':>9}" + "".join(f"{label:>11}" for label in labels))
    for name, rules in alone.items():
        after = {i: counts(s, rules, arguments.language) for i, s in enumerate(samples)}
        touched = sum(t for _, t in after.values())
        whole = compare(before, {i: c for i, (c, _) in after.items()}, arguments.seed)
        row = f"{name:<24}{touched:>8,}{100 * whole.difference:>+9.3f}"
        row += f"{100 * whole.interval.low:>+9.3f}{100 * whole.interval.high:>+9.3f}"
        for label in labels:
            chosen = [i for i, s in enumerate(samples) if s.label == label]
            part = compare({i: before[i] for i in chosen}, {i: after[i][0] for i in chosen}, arguments.seed)
            row += f"{100 * part.difference:>+11.3f}"
        print(row)


def compare(
    before: Mapping[int, list[scoring.Counts]], after: Mapping[int, list[scoring.Counts]], seed: int
) -> scoring.PairedDifference:
    """Micro-averaged over all sets; a document is drawn with the predictions of every system on it."""
    one, other = list(before.values()), list(after.values())
    if len({len(of_one) for of_one in one}) > 1:  # types annotated on different documents
        first, second = ([c for of_one in counted for c in of_one] for counted in (one, other))
    else:
        first, second = (
            [sum(of_document, scoring.Counts()) for of_document in zip(*counted, strict=True)]
            for counted in (one, other)
        )
    return scoring.paired_bootstrap(first, second, seed, samples=2000)


if __name__ == "__main__":
    main()
