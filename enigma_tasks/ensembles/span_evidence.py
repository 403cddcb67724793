"""What members say of an ensemble's spans, and of mentions that it did not find, as probabilities, not yet calibrated.

A token classifier gives tag probabilities at each word; a member of another kind gives its spans, whose score counts as
the probability. Both are means over members, so a span that few members predict has a low one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from enigma_tasks.ner.engine import WordProbabilities
from enigma_tasks.ner.text.alignment import BEGIN, INSIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Entity, EntityType

Values = NDArray[np.float64]

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class SpanEvidence:
    """Uncalibrated probabilities for one document and entity type."""

    found: Values
    """[S] of each of the ensemble's spans, in order: that exactly this span is a mention."""
    starts: NDArray[np.int64]
    """[N] characters at which some member sees the start of a mention."""
    uncovered: Values
    """[N] that a mention starts there, less the probabilities of the ensemble's spans that do."""


def span_evidence(
    entities: Sequence[Entity], members: Sequence[WordProbabilities | Sequence[Entity]], entity_type: EntityType
) -> SpanEvidence:
    """Evidence of one document. `entities`: the ensemble's, of the type, in order; `members`: at least one."""
    spans = np.array([e.span for e in entities], dtype=np.int64).reshape(-1, 2)
    found = np.zeros(len(spans))
    places: list[NDArray[np.int64]] = []
    masses: list[Values] = []
    for member in members:
        if isinstance(member, WordProbabilities):
            probabilities, starts, mass = _of_words(spans, member, entity_type)
        else:
            probabilities, starts, mass = _of_spans(spans, member, entity_type.label)
        found += probabilities
        places.append(starts)
        masses.append(mass)
    found /= len(members)
    starts, index = np.unique(np.concatenate(places), return_inverse=True)
    uncovered = np.bincount(index, np.concatenate(masses), len(starts)) / len(members)
    if len(starts):
        word = np.maximum(np.searchsorted(starts, spans[:, 0], side="right") - 1, 0)
        np.subtract.at(uncovered, word, found)
    return SpanEvidence(found, starts, uncovered.clip(0, 1))


def _of_words(
    spans: NDArray[np.int64], member: WordProbabilities, entity_type: EntityType
) -> tuple[Values, NDArray[np.int64], Values]:
    """Probability of each span, word starts, and the probability of BEGIN at each.

    A span's probability is the product of those of its tags and of its end, as if they were independent; what is wrong
    with that is left to the calibration.
    """
    words = member.words.astype(np.int64)
    values = member.values[:, member.entity_types.index(entity_type)].astype(np.float64)
    begin, inside = values[:, BEGIN], np.append(values[:, INSIDE], 0.0)
    first = np.searchsorted(words[:, 1], spans[:, 0], side="right")
    stop = np.searchsorted(words[:, 0], spans[:, 1], side="left")
    product = np.zeros(len(spans))
    covered = first < stop
    a, b = first[covered], stop[covered]
    logs = np.append(0.0, np.log(inside.clip(_TINY)).cumsum())
    product[covered] = begin[a] * np.exp(logs[b] - logs[a + 1]) * (1.0 - inside[b])
    return product.clip(0, 1), words[:, 0], begin


def _of_spans(
    spans: NDArray[np.int64], member: Sequence[Entity], label: str
) -> tuple[Values, NDArray[np.int64], Values]:
    """The same from a member's spans; one without a score has probability 1."""
    own: dict[tuple[int, int], float] = {}
    starting: dict[int, float] = {}
    for e in member:
        if e.label == label:
            score = 1.0 if e.score is None else e.score
            own[e.span] = max(score, own.get(e.span, 0.0))
            starting[e.char_start] = max(score, starting.get(e.char_start, 0.0))
    probabilities = np.array([own.get((int(a), int(b)), 0.0) for a, b in spans], dtype=np.float64)
    starts = np.array(sorted(starting), dtype=np.int64)
    return probabilities, starts, np.array([starting[int(s)] for s in starts], dtype=np.float64)
