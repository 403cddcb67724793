"""`enigma score`: gold and predictions, each a corpus or a TSV -> strict and character scores with intervals."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import LABELS, canonical_label
from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import shapes
from enigma_tasks.formats.corpora import file_id, read_corpus, read_text
from enigma_tasks.formats.standoff import parse_tsv
from enigma_tasks.ner.scoring import DECIMALS, bootstrap, by_document, by_label, count_documents, total

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Entity
    from enigma_tasks.ner.scoring import Counts, DocumentCounts

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Score `--pred` against `--gold`.

    In a gold corpus each document is annotated for certain types: predictions of other types and other documents are
    left out and counted as `outside_gold`. A gold TSV does not have this information: every prediction is scored.

    Raises:
        UsageError: no such file or folder, an unknown label, nothing to score, or predictions of other documents only.
        DataError: a file that breaks a rule of the formats.
    """
    labels = LABELS if arguments.label is None else (canonical_label(arguments.label),)
    if not set(labels) <= set(LABELS):
        raise UsageError(f"unknown label {arguments.label!r}; there are: {', '.join(LABELS)}")
    gold, annotated = _gold(Path(arguments.gold))
    found = _spans(Path(arguments.pred))
    _check_names({file_id(d) for d in gold} | set(gold), found)
    predicted = found if annotated is None else {d: found.get(d, found.get(file_id(d), ())) for d in annotated}
    documents = count_documents(gold, predicted, annotated, labels)
    if not documents:
        raise UsageError("gold has no document to score")
    report = {
        **_figures(documents, params.seed, params.evaluate.samples),
        "outside_gold": _distinct(found, labels) - total(documents).predicted,
    }
    if arguments.by == "label":
        report["by_label"] = [_row("label", k, v) for k, v in by_label(documents).items()]
    elif arguments.by == "document":
        report["by_document"] = [_row("document", k, v) for k, v in by_document(documents).items()]
    return report


def _check_names(gold: set[str], predicted: Iterable[str]) -> None:
    """Refuse predictions of other documents only, whose score of 0 would be meaningless. Raises UsageError."""
    names = set(predicted)
    if not names:
        log.warning("the predictions are empty: every gold span counts as missed")
    elif gold and not gold & names:
        raise UsageError(
            f"gold and predictions have no document in common: gold's {len(gold)} names look like {shapes(gold)}; the "
            f"{len(names)} of the predictions like {shapes(names)} (a letter stands for letters, 9 for digits)"
        )


def _gold(path: Path) -> tuple[Mapping[str, tuple[Entity, ...]], Mapping[str, list[str]] | None]:
    if path.is_file():
        return _spans(path), None
    documents = read_corpus(path)
    return {d.id: d.entities for d in documents}, {d.id: [t.label for t in d.annotated] for d in documents}


def _spans(path: Path) -> Mapping[str, tuple[Entity, ...]]:
    if path.is_file():
        return parse_tsv(read_text(path), path.name)
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    return {d.id: d.entities for d in read_corpus(path)}


def _distinct(spans: Mapping[str, tuple[Entity, ...]], labels: tuple[str, ...]) -> int:
    return sum(len({(e.label, e.span) for e in entities if e.label in labels}) for entities in spans.values())


def _figures(documents: DocumentCounts, seed: int, samples: int) -> dict[str, Any]:
    """Overall scores and the size of the sample."""
    counts = total(documents)
    per_document = list(by_document(documents).values())
    return {
        "documents": len(documents),
        "gold_spans": counts.gold,
        "predicted_spans": counts.predicted,
        "strict": {
            **_rounded(asdict(counts.strict)),
            "f1_interval": _rounded(asdict(bootstrap(per_document, seed, samples=samples))),
        },
        "character": {
            **_rounded(asdict(counts.character)),
            "f1_interval": _rounded(asdict(bootstrap(per_document, seed, metric="character", samples=samples))),
        },
    }


def _row(key: str, name: str, counts: Counts) -> dict[str, Any]:
    strict = asdict(counts.strict)
    character = {f"character_{k}": v for k, v in asdict(counts.character).items()}
    return {key: name, **_rounded(strict), **_rounded(character)}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, DECIMALS) if isinstance(v, float) else v for k, v in values.items()}
