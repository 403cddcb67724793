"""A model and dev documents -> strict F1 over word tags, by our count and by seqeval: the two must agree."""

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

    It differs from strict F1 over characters where gold begins or ends inside a word, or rules change spans. Our own
    count over the same tags is compared; a difference is logged as an error.
    """
    gold: list[list[str]] = []
    found: list[list[str]] = []
    counts = Counts()
    for document, (known,) in zip(dev, Engine([model], batch_tokens).probabilities(dev), strict=True):
        (entities,) = decode_probabilities(known.entity_types, [document], [known.words], [known.values])
        for entity_type in known.entity_types:
            if entity_type not in document.annotated or not len(known.words):
                continue
            own = [e.span for e in entities if e.label == entity_type.label]
            tags = [tag_words(known.words, (e.span for e in document.of_type(entity_type))).tags]
            tags.append(tag_words(known.words, own).tags)
            wanted, given = (set(tagged_words(t)) for t in tags)
            counts += Counts(len(wanted), len(given), len(wanted & given))
            for rows, of_one in zip((gold, found), tags, strict=True):
                rows.append([f"{TAGS[t]}-{entity_type.label}" if t else TAGS[t] for t in of_one.tolist()])
    theirs = _seqeval(gold, found)
    if abs(theirs - counts.strict.f1) > 1e-6:
        log.error("strict F1 over dev's tags: %.6f by our count, %.6f by seqeval", counts.strict.f1, theirs)
    return theirs


def _seqeval(gold: list[list[str]], found: list[list[str]]) -> float:
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    if not any(tag != "O" for rows in (gold, found) for row in rows for tag in row):
        return 0.0  # seqeval cannot count nothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what has no prediction scores 0, and is meant to
        return float(f1_score(gold, found, mode="strict", scheme=IOB2))
