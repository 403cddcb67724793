"""`enigma evaluate`: a model or ensembles + held-out gold -> metrics and plots for `dvc`, and the paper's tables."""

from __future__ import annotations

import csv
import io
import json
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.artifacts import ENSEMBLE_CARD, EVALUATED, FOLDS, METRICS, METRICS_BY_SLICE, SPLIT_CARD
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.counting import counted, length_range
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.ensembles.loaded_members import load_members
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.frozen import json_bytes
from enigma_tasks.gold.augmented import refuse_augmented
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.ner.model_folder import model_digest, read_any_card
from enigma_tasks.ner.scoring import DECIMALS, Counts, Metric, bootstrap
from enigma_tasks.paper_tables import Evaluated, read_scores, table_1, table_2

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document
    from enigma_tasks.ensembles.counting import CountedDocuments
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ner.model_folder import Card


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Predict `--gold`, write figures and what they are of into `--out`, return the same; or return the tables.

    The cost of language models is returned too; it is not in the files, as a second run uses the cache.

    Raises:
        UsageError: `--gold` or `--out` is missing or too many, no ensemble, nothing to score, two ensembles for one
            type, gold that was trained on, or a language model without an endpoint or without permission to use it.
        ModelError: a model or ensemble is missing or damaged.
        ServiceError: the endpoint of a language model.
        DataError: gold breaks a rule of the formats, or has augmented documents (`augmented_document`).
    """
    if arguments.table:
        return _tables(arguments)
    if not (arguments.gold and arguments.out):
        raise UsageError("--model and --ensemble need --gold and --out")
    gold = Path(arguments.gold)
    if gold.absolute().name == FOLDS[0] and (gold.absolute().parent / SPLIT_CARD).is_file():
        raise UsageError(f"--gold: {gold} is for training; measure on {' or '.join(FOLDS[1:])}")
    endpoints = LlmEndpoints(settings)
    digests: dict[str, str] = {}
    if arguments.model:
        per_document, members, system = _by_model(Path(arguments.model), gold, params, endpoints)
    else:
        ensembles = _ensembles([Path(p) for p in arguments.ensemble])
        per_document, members, system = _by_ensembles(ensembles, gold, params, endpoints)
        digests = {e.entity_type.value: e.digest for e in ensembles}
    metrics = metrics_of(per_document, params.seed, params.evaluate.samples)
    evaluated = Evaluated(
        **system, members=tuple(members), ensembles=digests, gold=data_digest([d for d, _ in per_document])
    )
    slices = by_length(per_document, params.evaluate.lengths)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / METRICS).write_text(json.dumps(metrics, indent=1) + "\n")
    (out / EVALUATED).write_bytes(json_bytes(evaluated.model_dump(mode="json")))
    (out / METRICS_BY_SLICE).write_bytes(_csv(slices))
    return {
        "out": arguments.out,
        **evaluated.model_dump(exclude={"gold", "ensembles"}),
        **metrics,
        "slices": slices,
        **endpoints.report(),
    }


def _tables(arguments: argparse.Namespace) -> dict[str, Any]:
    """Tables 1 and 2 of the paper for earlier evaluations."""
    if arguments.gold or arguments.out:
        raise UsageError("--table reads earlier evaluations: it takes neither --gold nor --out")
    systems = [read_scores(Path(path)) for path in arguments.table]
    return {"table_1": table_1(systems), "table_2": table_2(systems)}


def metrics_of(counted: CountedDocuments, seed: int, samples: int) -> dict[str, Any]:
    """Nested numbers, overall and by entity type.

    Strict and character precision, recall and F1 (with the bounds of a 95 % bootstrap interval over documents), and the
    counts behind them. A type that was neither annotated nor predicted anywhere has no figures, rather than 0.
    """
    types = [t for t in EntityType if any(c.gold or c.predicted for _, counts in counted if (c := counts.get(t)))]
    return {
        **_scores([sum(counts.values(), Counts()) for _, counts in counted], seed, samples),
        "characters": sum(len(d.text) for d, _ in counted),
        "by_entity": {
            t.value: _scores([counts[t] for _, counts in counted if t in counts], seed, samples) for t in types
        },
    }


def by_length(counted: CountedDocuments, lengths: Sequence[int]) -> list[dict[str, Any]]:
    """Scores and counts for each entity type and range of document length with documents."""
    by_slice: dict[tuple[EntityType, int], list[Counts]] = {}
    for document, counts in counted:
        for entity_type, own in counts.items():
            by_slice.setdefault((entity_type, bisect_left(lengths, len(document.text))), []).append(own)
    rows = []
    for (entity_type, place), all_counts in sorted(
        by_slice.items(), key=lambda kv: (list(EntityType).index(kv[0][0]), kv[0][1])
    ):
        name = length_range(place, lengths)
        total = sum(all_counts, Counts())
        rows.append(
            {
                "slice": f"{entity_type.value}, {name}",
                "entity": entity_type.value,
                "characters": name,
                "documents": len(all_counts),
                "gold": total.gold,
                "predicted": total.predicted,
                "strict_f1": round(total.strict.f1, DECIMALS),
                "character_f1": round(total.character.f1, DECIMALS),
            }
        )
    return rows


def _by_model(
    folder: Path, gold: Path, params: Params, endpoints: LlmEndpoints
) -> tuple[CountedDocuments, list[str], dict[str, str]]:
    card, digest = read_any_card(folder), model_digest(folder)
    documents = _gold(gold, card.languages, card.entity_types, [card])
    members = load_members({digest: folder}, params.annotate.batch_tokens, open_endpoint=endpoints)
    found = members.read(documents).entities[digest]
    languages = {d.language for d in documents if d.language} or set(card.languages)
    system = {"language": languages.pop() if len(languages) == 1 else "all", "system": card.member}
    return counted(documents, found, card.entity_types), [digest], system


def _by_ensembles(
    ensembles: Sequence[Ensemble], gold: Path, params: Params, endpoints: LlmEndpoints
) -> tuple[CountedDocuments, list[str], dict[str, str]]:
    members = {m.digest: m.folder for e in ensembles for m in e.members}
    types = [e.entity_type for e in ensembles]
    cards = [read_any_card(folder) for folder in members.values()]
    documents = _gold(gold, [ensembles[0].language], types, cards)
    limits = params.annotate
    annotator = EnsembleAnnotator(
        ensembles, limits.batch_tokens, resident_mib=limits.resident_mib, open_endpoint=endpoints
    )
    found = [a.entities for a in annotator.annotate(documents)]
    names = {params.ensemble_name(e.language, [read_any_card(m.folder).member for m in e.members]) for e in ensembles}
    system = {"language": ensembles[0].language, "system": " and ".join(sorted(names))}
    return counted(documents, found, types), sorted(members), system


def _ensembles(folders: Iterable[Path]) -> list[Ensemble]:
    """The ensembles in `folders`, each an ensemble or a folder of ensembles; of one language, one for each type."""
    found = []
    for folder in folders:
        cards = [folder / ENSEMBLE_CARD, *sorted(folder.glob(f"*/{ENSEMBLE_CARD}"))]
        ensemble_folders = [card.parent for card in cards if card.is_file()]
        if not ensemble_folders:
            raise UsageError(f"--ensemble: {folder} has no {ENSEMBLE_CARD}")
        found += [read_ensemble(path) for path in ensemble_folders]
    if len({e.language for e in found}) > 1:
        raise UsageError("--ensemble: one language at a time")
    if len({e.entity_type for e in found}) < len(found):
        raise UsageError("--ensemble: two ensembles for one entity type")
    return found


def _gold(
    path: Path, languages: Sequence[str], types: Sequence[EntityType], cards: Iterable[Card[Any]]
) -> list[Document]:
    only = languages[0] if len(languages) == 1 else None
    documents = [d for d in read_corpus(path, only) if d.annotated.intersection(types)]
    refuse_augmented(documents, "test")
    if not documents:
        raise UsageError(f"--gold: no document of {path} is annotated for what was predicted")
    digest = data_digest(documents)
    if any(card.digests.get("train") == digest for card in cards):
        raise UsageError(f"--gold: a member was trained on {path}")
    return documents


def _scores(per_document: Sequence[Counts], seed: int, samples: int) -> dict[str, Any]:
    total = sum(per_document, Counts())
    strict, character = total.strict, total.character
    scores: dict[str, Any] = {"documents": len(per_document), "gold": total.gold, "predicted": total.predicted}
    for name, score in (("strict", strict), ("character", character)):
        metric: Metric = "strict" if name == "strict" else "character"
        interval = bootstrap(per_document, seed, metric=metric, samples=samples)
        scores[name] = {
            key: round(value, DECIMALS)
            for key, value in {
                "f1": score.f1,
                "f1_low": interval.low,
                "f1_high": interval.high,
                "precision": score.precision,
                "recall": score.recall,
            }.items()
        }
    scores["strict"] |= {"tp": strict.tp, "fp": strict.fp, "fn": strict.fn}
    return scores


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue().encode()
