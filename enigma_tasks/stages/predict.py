"""`enigma predict`: model folders + texts -> entities as BRAT or TSV files."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.documents import Entity, EntityType, sorted_entities
from enigma_tasks.ensembles.folder import named_rule
from enigma_tasks.ensembles.loaded_members import load_members
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.corpora import CorpusReport, read_corpus, write_corpus
from enigma_tasks.formats.standoff import format_tsv
from enigma_tasks.ner.model_folder import model_digest, read_any_card

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.ensembles.loaded_members import MemberPredictions
    from enigma_tasks.ensembles.voting_rule import VotingRule
    from enigma_tasks.ner.model_folder import Card


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Predict every entity type that some model has a head for, by the vote of those models.

    Returns counts of documents, characters given and read, entities by label, and the models' digests.

    Raises:
        ModelError: a model is missing or damaged.
        DataError: a text cannot be read.
        UsageError: no texts, a vote that does not fit, the same model twice.
    """
    folders = {model_digest(path): path for path in map(Path, arguments.model)}
    if len(folders) < len(arguments.model):
        raise UsageError("the same model is named twice: it would vote twice")
    cards = {digest: read_any_card(path) for digest, path in folders.items()}
    corpus_report = CorpusReport()
    documents = read_corpus(Path(arguments.source), report=corpus_report)
    if corpus_report.defects:
        raise corpus_report.defects[0]
    began = time.perf_counter()
    limits = params.annotate
    endpoints = LlmEndpoints(settings)
    running = load_members(folders, limits.batch_tokens, resident_mib=limits.resident_mib, open_endpoint=endpoints)
    predictions = running.read(documents)
    types = sorted({t for card in cards.values() for t in card.entity_types}, key=list(EntityType).index)
    rules = {t: named_rule(arguments.vote, able, t) for t in types if len(able := _cards_for(cards, t)) > 1}
    predicted = [
        replace(d, entities=merged(cards, types, predictions, i, rules), annotated=frozenset(types))
        for i, d in enumerate(documents)
    ]
    seconds = time.perf_counter() - began
    out = Path(arguments.out)
    if out.suffix == ".tsv":
        _write(out, format_tsv(predicted))
    else:
        write_corpus(predicted, out)
    found = Counter(e.label for d in predicted for e in d.entities)
    return {
        "out": arguments.out,
        "models": [{"model": c.member, "digest": digest, "types": len(c.entity_types)} for digest, c in cards.items()],
        "documents": len(documents),
        "characters": sum(len(d.text) for d in documents),
        "characters_read": sum(predictions.characters_read),
        "entities": {t.label: found[t.label] for t in types},
        "ignored_files": corpus_report.ignored.total(),
        "seconds": round(seconds, 3),
        **endpoints.report(),
    }


def merged(
    cards: Mapping[str, Card[Any]],
    types: Sequence[EntityType],
    predictions: MemberPredictions,
    index: int,
    rules: Mapping[EntityType, VotingRule],
) -> tuple[Entity, ...]:
    """One document's entities: per type, the vote of the models with a head for it, or those of a single model."""
    entities: list[Entity] = []
    for entity_type in types:
        able = [digest for digest, card in cards.items() if entity_type in card.entity_types]
        members = [[e for e in predictions.entities[d][index] if e.label == entity_type.label] for d in able]
        rule = rules.get(entity_type)
        entities += members[0] if rule is None else vote(members, rule)
    return sorted_entities(entities)


def _cards_for(cards: Mapping[str, Card[Any]], entity_type: EntityType) -> list[Card[Any]]:
    return [card for card in cards.values() if entity_type in card.entity_types]


def _write(path: Path, content: str) -> None:
    """Write the file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content.encode("utf-8"))
    part.replace(path)
