"""Estimated strict F1, without labels, against the measured one, on notes of the training corpus and of other sources.

    python -m benchmarks.estimated_f1_on_real_text --corpus ../shared/corpora/spaccc-es-train --language es \\
        --base ../shared/models/multilingual-e5-small-latin --others ../shared/corpora/e3c-es-layer1 \\
        --published ../shared/predictions/cardioccc-es

45 % of the cases train the members; 15 % are dev, for the voting rule and the calibration; the rest are notes of the
same source. `--published`: a folder of texts with gold by entity type. An error is estimated less measured,
in points; `inside`: whether the measured F1 is in the estimate's interval. The last table has the error that is left
when the estimate is moved by the mean error on some reviewed notes of the source, over draws of these notes.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ensemble_on_real_text import train
from benchmarks.strict_f1_on_real_text import enigma, settings
from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, EntityType, sorted_entities
from enigma_tasks.ensembles.calibration import strict_f1
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.formats.predictions import read_member, read_texts
from enigma_tasks.monitoring.estimated_f1 import estimated_f1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.estimates import DevError

SHARES = ("split.test_share=0.4", "split.dev_share=0.15")
MEMBERS: dict[str, tuple[int | None, tuple[str, ...]]] = {
    "crf": (None, ()),
    "crf1": (1, ("context_tokens=16",)),
    "soft": (2, ("head=softmax",)),
}
"""Seed, where it is not that of params.yaml, and settings."""
REVIEWED = (10, 20, 40)
DRAWS = 500


@dataclass(frozen=True)
class Source:
    """Sums of each document: expected matched, expected missed, spans, matched, gold."""

    name: str
    sums: np.ndarray
    dev: DevError

    def f1(self, documents: slice | np.ndarray = slice(None)) -> tuple[float, float]:
        """Estimated and measured, in points."""
        expected, missed, spans, matched, gold = self.sums[documents].sum(0)
        return 100 * float(strict_f1(expected, spans, expected + missed)), 100 * float(strict_f1(matched, spans, gold))


def published(folder: Path, language: str) -> list[Document]:
    """The texts of a folder of published predictions, with its gold."""
    gold = [read_member(folder / t.value / "gold.tsv") for t in EntityType]
    return [
        Document(d, text, sorted_entities(e for of_type in gold for e in of_type.get(d, ())), language)
        for d, text in sorted(read_texts(str(folder / "txt")).items())
    ]


def some(documents: Sequence[Document], number: int, seed: int) -> list[Document]:
    """At most `number` of them, drawn by the seed; 0: all."""
    if not number or len(documents) <= number:
        return list(documents)
    return [documents[i] for i in sorted(np.random.default_rng(seed).permutation(len(documents))[:number])]


def sources(folder: Path, notes: Mapping[str, Sequence[Document]], tokens: int) -> dict[EntityType, list[Source]]:
    """By type, the sources that were annotated for it."""
    ensembles = [read_ensemble(folder / t.value) for t in EntityType]
    annotator = EnsembleAnnotator(ensembles, tokens)
    found: dict[EntityType, list[Source]] = {t: [] for t in EntityType}
    for name, documents in notes.items():
        annotated = annotator.annotate(documents)
        for ensemble in ensembles:
            kind, label, rows = ensemble.entity_type, ensemble.entity_type.label, []
            for document, result in zip(documents, annotated, strict=True):
                if kind not in document.annotated:
                    continue
                gold = {e.span for e in document.of_type(kind)}
                own = [(e, p) for e, p in zip(result.entities, result.probabilities, strict=True) if e.label == label]
                matched = sum(e.span in gold for e, _ in own)
                rows.append((sum(p or 0.0 for _, p in own), result.missed[label], len(own), matched, len(gold)))
            if rows and ensemble.calibration is not None:
                found[kind].append(Source(name, np.array(rows), ensemble.calibration.dev))
    return found


def main() -> None:
    """Print both tables for each set of members."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--base", required=True, help="folder of the encoder")
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="corpora of other sources")
    parser.add_argument("--published", type=Path, nargs="*", default=[])
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--notes", type=int, default=0, help="of each source, drawn; 0: all")
    parser.add_argument(
        "--members", nargs="*", default=["crf", "crf,crf1,soft"], metavar="NAME,NAME", help="one ensemble each"
    )
    parser.add_argument("--keep", type=Path, help="leave the split, the members and the ensembles here, or find them")
    arguments = parser.parse_args()
    params = load_params()
    with tempfile.TemporaryDirectory() as scratch:
        place = arguments.keep or Path(scratch)
        split = place / "split"
        if not split.exists():
            enigma("split", str(arguments.corpus), "--out", str(split), *settings(list(SHARES)))
        notes = {
            f"{arguments.corpus.name}, held out": read_corpus(split / "test", arguments.language),
            **{f.name: published(f, arguments.language) for f in arguments.published},
            **{f.name: read_corpus(f, arguments.language) for f in arguments.others},
        }
        chosen = {name: some(documents, arguments.notes, params.seed) for name, documents in notes.items()}
        for names in arguments.members:
            folder = place / "ensembles" / names
            ensemble(place, names.split(","), folder, arguments)
            print(f"\nMembers {names}")
            report(sources(folder, chosen, params.annotate.batch_tokens), params.seed)


def ensemble(place: Path, names: Sequence[str], folder: Path, arguments: argparse.Namespace) -> None:
    """Train the members that are missing, and fit their ensembles."""
    for name in names:
        seed, changes = MEMBERS[name]
        common = [f"base={arguments.base}", f"epochs={arguments.epochs}", *changes]
        train(place / "members", name, arguments.language, load_params().seed if seed is None else seed, common)
    models = [word for name in names for word in ("--model", str(place / "members" / name))]
    enigma(
        "ensemble", "--language", arguments.language, "--entity", "all", *models,
        "--gold", str(place / "split" / "dev"), "--out", str(folder),
    )  # fmt: skip


def report(found: Mapping[EntityType, Sequence[Source]], seed: int) -> None:
    """Print the errors, and what is left of them after a correction by reviewed notes."""
    print(
        "| source | type | notes | gold | measured F1 | estimated F1 | 95 % interval | inside | error "
        "| of precision | of recall |"
    )
    print("|---|---|---:|---:|---:|---:|---|---|---:|---:|---:|")
    for kind, of_type in found.items():
        for source in of_type:
            expected, missed, spans, matched, gold = source.sums.sum(0)
            estimate = estimated_f1(
                notes=len(source.sums), spans=int(spans), matched=expected, missed=missed, dev=source.dev
            )
            if estimate is None:
                continue
            estimated, measured = source.f1()
            low, high = 100 * estimate.low, 100 * estimate.high
            precision, recall = 100 * (estimate.precision - matched / spans), 100 * (estimate.recall - matched / gold)
            print(
                f"| {source.name} | {kind.value} | {len(source.sums)} | {gold:,.0f} | {measured:.1f} | {estimated:.1f} "
                f"| {low:.1f} to {high:.1f} | {'yes' if low <= measured <= high else 'no'} "
                f"| {estimated - measured:+.1f} | {precision:+.1f} | {recall:+.1f} |"
            )
    print("\n| source | type | " + " | ".join(f"{n} reviewed" for n in REVIEWED) + " |")
    print("|---|---|" + "---:|" * len(REVIEWED))
    for kind, of_type in found.items():
        for source in of_type:
            cells = [f"{left_over(source, n, seed):.1f}" for n in REVIEWED if n < len(source.sums)]
            print(f"| {source.name} | {kind.value} | {' | '.join(cells)} |")


def left_over(source: Source, reviewed: int, seed: int) -> float:
    """Root mean square error on the other notes, moved by the error on the reviewed ones, in points."""
    generator = np.random.default_rng(seed)
    errors = []
    for _ in range(DRAWS):
        order = generator.permutation(len(source.sums))
        estimated, measured = source.f1(order[:reviewed])
        other, real = source.f1(order[reviewed:])
        errors.append(other - (estimated - measured) - real)
    return float(np.sqrt(np.mean(np.square(errors))))


if __name__ == "__main__":
    main()
