"""Strict F1 over word tags on dev, counted by Enigma and by seqeval, which must agree."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from enigma_tasks.ner.decoding import decode_probabilities
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.scoring import Counts
from enigma_tasks.ner.text.alignment import TAGS, tag_words, tagged_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.model_folder import Model

log = logging.getLogger(__name__)


def seqeval_f1(model: Model, dev: Sequence[Document], batch_tokens: int) -> float:
    """Micro strict F1 of all types over the decoded word tags, before post-processing, as seqeval counts it.

    It differs from strict F1 over characters where gold begins or ends inside a word, or post-processing changes spans.
    A difference from Enigma's count over the same tags is logged as an error.
    """
    gold: list[list[str]] = []
    found: list[list[str]] = []
    counts = Counts()
    for document, (predicted,) in zip(dev, Engine([model], batch_tokens).probabilities(dev), strict=True):
        (entities,) = decode_probabilities(predicted.entity_types, [document], [predicted.words], [predicted.values])
        for entity_type in predicted.entity_types:
            if entity_type not in document.annotated or not len(predicted.words):
                continue
            spans = [e.span for e in entities if e.label == entity_type.label]
            gold_tags = tag_words(predicted.words, (e.span for e in document.of_type(entity_type))).tags
            found_tags = tag_words(predicted.words, spans).tags
            gold_ranges, found_ranges = set(tagged_words(gold_tags)), set(tagged_words(found_tags))
            counts += Counts(len(gold_ranges), len(found_ranges), len(gold_ranges & found_ranges))
            for rows, tags in ((gold, gold_tags), (found, found_tags)):
                rows.append([f"{TAGS[t]}-{entity_type.label}" if t else TAGS[t] for t in tags.tolist()])
    by_seqeval = _seqeval(gold, found)
    if abs(by_seqeval - counts.strict.f1) > 1e-6:
        log.error("strict F1 over dev's tags: %.6f by Enigma, %.6f by seqeval", counts.strict.f1, by_seqeval)
    return by_seqeval


def _seqeval(gold: list[list[str]], found: list[list[str]]) -> float:
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    if not any(tag != "O" for rows in (gold, found) for row in rows for tag in row):
        return 0.0  # seqeval fails without any entity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that a type without predictions scores 0
        return float(f1_score(gold, found, mode="strict", scheme=IOB2))
