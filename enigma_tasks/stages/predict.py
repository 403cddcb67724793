"""Model folders + texts -> entities as BRAT or TSV files."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.corpora import read_corpus, write_corpus
from enigma_tasks.documents import Entity, EntityType, sorted_entities
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.engine import Engine, Reading
from enigma_tasks.ner.models import Model, load_model
from enigma_tasks.ner.standoff import format_tsv
from enigma_tasks.ner.voting import VotingRule, vote

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """`enigma predict`: every type that some model knows is predicted by the models that know it.

    Returns counts of documents, characters given and read, entities by label, and the models' digests.

    Raises:
        ModelError: a model is missing or damaged; DataError: a text cannot be read; UsageError: no texts, bad vote.
    """
    models = [load_model(Path(folder)) for folder in arguments.model]
    documents = read_corpus(Path(arguments.source))
    if not documents:
        raise UsageError(f"no texts under {arguments.source}")
    began = time.perf_counter()
    readings = Engine(models, params.annotate.batch_tokens).read(documents)
    types = sorted({t for m in models for t in m.card.entity_types}, key=list(EntityType).index)
    predicted = [
        replace(d, entities=merged(models, types, reading, arguments.vote), annotated=frozenset(types))
        for d, reading in zip(documents, readings, strict=True)
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
        "models": [{"model": m.card.member, "digest": m.digest, "types": len(m.card.entity_types)} for m in models],
        "documents": len(documents),
        "characters": sum(len(d.text) for d in documents),
        "characters_read": sum(r.characters_read for r in readings),
        "entities": {t.label: found[t.label] for t in types},
        "seconds": round(seconds, 3),
    }


def merged(models: Sequence[Model], types: Sequence[EntityType], reading: Reading, strategy: str) -> tuple[Entity, ...]:
    """One document's answer: per type, the vote of the models with a head for it; a model alone is taken as it is."""
    answer: list[Entity] = []
    for entity_type in types:
        members = [
            [e for e in found if e.label == entity_type.label]
            for model, found in zip(models, reading.entities, strict=True)
            if entity_type in model.card.entity_types
        ]
        answer += members[0] if len(members) == 1 else vote(members, _rule(strategy, models, entity_type))
    return sorted_entities(answer)


def _rule(strategy: str, models: Sequence[Model], entity_type: EntityType) -> VotingRule:
    """`weighted` weighs a model by its strict F1 on dev, as its card says."""
    if strategy != "weighted":
        return VotingRule(strategy)
    weights = []
    for model in models:
        if entity_type in model.card.entity_types:
            if entity_type not in model.card.dev:
                raise UsageError(f"model {model.card.member} has no dev score for {entity_type.value} to weigh it by")
            weights.append(model.card.dev[entity_type].strict_f1)
    return VotingRule(strategy, weights=tuple(weights))


def _write(path: Path, content: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content.encode("utf-8"))
    part.replace(path)
