"""`enigma score`: gold and predictions, each a corpus or a TSV -> strict and character scores with intervals."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import LABELS, canonical_label
from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import shapes
from enigma_tasks.formats.corpora import file_id, read_corpus, read_text
from enigma_tasks.formats.predictions import check_ends, placed
from enigma_tasks.formats.standoff import parse_tsv
from enigma_tasks.ner.scoring import DECIMALS, bootstrap, by_document, by_label, count_documents, total
from enigma_tasks.notes.names import Names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Entity
    from enigma_tasks.ner.scoring import Counts, DocumentCounts

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Score `--pred` against `--gold`.

    In a gold corpus each document is annotated for certain types: predictions of other types and other documents are
    left out and counted as `outside_gold`. A gold TSV does not have this information: every prediction is scored.

    Where one of the two is a corpus, the other's spans have to be where their surfaces are in its texts: a document
    whose offsets are in another unit is converted (`converted_offsets`), a span that is elsewhere is an error and no
    false positive.

    Raises:
        UsageError: no such file or folder, an unknown label, nothing to score, or predictions of other documents only.
        DataError: a file that breaks a rule of the formats, or of `predictions.placed`.
    """
    labels = LABELS if arguments.label is None else (canonical_label(arguments.label),)
    if not set(labels) <= set(LABELS):
        raise UsageError(f"unknown label {arguments.label!r}; there are: {', '.join(LABELS)}")
    gold, found = _spans(Path(arguments.gold)), _spans(Path(arguments.pred))
    _check_names({file_id(d) for d in gold.spans} | set(gold.spans), found.spans)
    predicted, converted = _compared(gold, found)
    true, annotated = gold.spans, gold.annotated
    if not gold.texts and not found.texts:
        check_ends(Path(arguments.gold).name, gold.spans)
        check_ends(Path(arguments.pred).name, found.spans)
    if annotated is None:
        true, more = placed(true, found.texts)
        converted += more
    documents = count_documents(true, predicted, annotated, labels)
    if not documents:
        raise UsageError("gold has no document to score")
    report = {
        **_figures(documents, params.seed, params.evaluate.samples),
        "outside_gold": _distinct(found.spans, labels) - total(documents).predicted,
        "converted_offsets": dict(sorted(converted.items())),
    }
    if arguments.by == "label":
        report["by_label"] = [_row("label", k, v) for k, v in by_label(documents).items()]
    elif arguments.by == "document":
        names = Names.of(settings)
        report["by_document"] = [_row("document", names.shown(k), v) for k, v in by_document(documents).items()]
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


@dataclass(frozen=True, slots=True)
class _Spans:
    """Gold or predictions."""

    spans: Mapping[str, tuple[Entity, ...]]
    annotated: Mapping[str, list[str]] | None = None
    """Document -> labels that it was annotated for; None where a file does not say."""
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)


def _spans(path: Path) -> _Spans:
    if path.is_file():
        return _Spans(parse_tsv(read_text(path), path.name))
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    documents = read_corpus(path)
    annotated = {d.id: [t.label for t in d.annotated] for d in documents}
    return _Spans({d.id: d.entities for d in documents}, annotated, {d.id: d.text for d in documents})


def _compared(gold: _Spans, found: _Spans) -> tuple[Mapping[str, tuple[Entity, ...]], Counter[str]]:
    """The predictions of what gold was annotated for, at their places in gold's texts."""
    if gold.annotated is None:
        return found.spans, Counter()
    wanted = {d: found.spans.get(d, found.spans.get(file_id(d), ())) for d in gold.annotated}
    return placed({d: tuple(e for e in wanted[d] if e.label in gold.annotated[d]) for d in wanted}, gold.texts)


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
