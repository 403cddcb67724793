"""The sums of `monitoring.measures` of one night, from rows of the night tables; nothing of the text is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from enigma_tasks.monitoring.measures import Kind, key
from enigma_tasks.monitoring.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_NOTE = ("key", "record_id", "version")
NOTE_COLUMNS = (
    "language",
    *_NOTE,
    "outcome",
    "characters",
    "words",
    "sub_words",
    "sub_words_unknown",
    "entities",
    "member_spans",
    "member_spans_agreed",
)
SPAN_COLUMNS = ("language", *_NOTE, "label", "score")


def night_measures(notes: Any, spans: Any) -> dict[str, dict[str, Moments]]:
    """Language -> measure -> sums over its annotated notes. The arguments: tables with at least the columns above.

    A measure whose columns are empty is left out: rows of an earlier version, an ensemble of one member.
    """
    annotated = notes.filter(pc.field("outcome") == "annotated")
    found: dict[str, dict[str, Moments]] = {}
    for language in sorted(set(annotated.column("language").to_pylist())):
        of_notes = annotated.filter(pc.field("language") == language)
        of_spans = spans.filter(pc.field("language") == language)
        found[language] = {m: s for m, s in _measures(of_notes, of_spans) if s.n}
    return found


def _measures(notes: Any, spans: Any) -> Iterator[tuple[str, Moments]]:
    one = np.ones(notes.num_rows)
    characters, words, entities = (_numbers(notes, name) for name in ("characters", "words", "entities"))
    yield key(Kind.LENGTH), _moments(np.log(np.maximum(characters, 1)), one)
    yield key(Kind.EMPTY), _moments((entities == 0).astype(float), one)
    sub_words = _numbers(notes, "sub_words")
    yield key(Kind.SUB_WORDS), _moments(sub_words, words)
    yield key(Kind.UNKNOWN), _moments(_numbers(notes, "sub_words_unknown"), sub_words)
    either = _numbers(notes, "member_spans")
    yield key(Kind.DISAGREEMENT), _moments(either - _numbers(notes, "member_spans_agreed"), either)
    for label, counts, scored, doubt in _by_label(notes, spans):
        yield key(Kind.ENTITIES, label), _moments(counts, words)
        yield key(Kind.PROBABILITY, label), _moments(doubt, scored)


def _by_label(notes: Any, spans: Any) -> Iterator[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """(label, spans, spans with a score, sum of 1 - score), each an array with a value for each note."""
    index = {identity: i for i, identity in enumerate(_identities(notes))}
    grouped = spans.group_by(["label", *_NOTE]).aggregate([([], "count_all"), ("score", "count"), ("score", "sum")])
    place = np.array([index.get(identity, -1) for identity in _identities(grouped)], np.int64)
    labels = np.array(grouped.column("label").to_pylist(), dtype=object)
    sums = [_numbers(grouped, name) for name in ("count_all", "score_count", "score_sum")]
    for label in sorted(set(labels)):
        rows = np.flatnonzero((labels == label) & (place >= 0))
        values = np.zeros((3, notes.num_rows))
        for value, of_rows in zip(values, sums, strict=True):
            value[place[rows]] = np.nan_to_num(of_rows[rows])
        yield str(label), values[0], values[1], values[1] - values[2]


def _identities(table: Any) -> Iterator[tuple[str, str, str]]:
    columns = [table.column(name).to_pylist() for name in _NOTE]
    return ((k, r or "", v) for k, r, v in zip(*columns, strict=True))


def _numbers(table: Any, column: str) -> NDArray[Any]:
    """Floats; NaN for null."""
    values: NDArray[Any] = table.column(column).to_numpy().astype(np.float64)
    return values


def _moments(numerator: NDArray[Any], denominator: NDArray[Any]) -> Moments:
    known = ~(np.isnan(numerator) | np.isnan(denominator))
    return Moments.of(numerator[known], denominator[known])
