"""What is watched without labels: a figure for each night and language, computed from its notes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enigma_tasks.monitoring.moments import Moments


class Kind(StrEnum):
    """The measures; that of one entity type is written `entities.DISEASE`."""

    LENGTH = "length"
    NOTES = "notes"
    ENTITIES = "entities"
    EMPTY = "without_entities"
    PROBABILITY = "probability"
    DISAGREEMENT = "disagreement"
    UNKNOWN = "unknown_sub_words"
    SUB_WORDS = "sub_words"


@dataclass(frozen=True, slots=True)
class Entry:
    """How a measure is named, shown and compared."""

    title: str
    """With `{}` for the label, if it is one of a type."""
    unit: str
    of_models: bool
    """Whether other models change it, so that nights of the same models are its reference."""
    factor: float = 1.0
    """Shown value / ratio of the sums."""
    logarithms: bool = False
    """Whether the notes' values are logarithms: the figure is then a geometric mean."""
    from_one: bool = False
    """Whether 1 - ratio is shown: of probabilities, the distances from 1 are summed."""


ENTRIES = {
    Kind.NOTES: Entry("share of the notes", "%", of_models=False, factor=100),
    Kind.LENGTH: Entry("note length", "characters", of_models=False, logarithms=True),
    Kind.ENTITIES: Entry("{} per 1,000 words", "", of_models=True, factor=1000),
    Kind.EMPTY: Entry("notes without an entity", "%", of_models=True, factor=100),
    Kind.PROBABILITY: Entry("mean probability of {}", "", of_models=True, from_one=True),
    Kind.DISAGREEMENT: Entry("spans that members disagree on", "%", of_models=True, factor=100),
    Kind.UNKNOWN: Entry("unknown sub-words", "%", of_models=True, factor=100),
    Kind.SUB_WORDS: Entry("sub-words per word", "", of_models=True),
}


def key(kind: Kind, label: str = "") -> str:
    """`entities` and `DISEASE` -> `entities.DISEASE`."""
    return f"{kind.value}.{label}" if label else kind.value


def entry(measure: str) -> Entry:
    """The entry of a key. Raises ValueError for an unknown one."""
    return ENTRIES[Kind(measure.partition(".")[0])]


def title(measure: str) -> str:
    """`DISEASE per 1,000 words`."""
    return entry(measure).title.format(measure.partition(".")[2])


def shown(measure: str, moments: Moments) -> float | None:
    """The figure as people read it; None where nothing was counted."""
    if moments.ratio is None:
        return None
    found = entry(measure)
    if found.logarithms:
        return math.exp(moments.ratio)
    return 1 - moments.ratio if found.from_one else found.factor * moments.ratio


def compared(measure: str, moments: Moments, usual: float | None = None) -> tuple[float, float]:
    """(value, its sampling variance) on the scale of the test: logarithms, on which a change is a factor.

    `usual`: the value that is expected.
    """
    return moments.mean() if entry(measure).logarithms else moments.log_rate(usual)


def shown_limit(measure: str, value: float, moments: Moments) -> float:
    """A limit on the scale of the test -> as people read it, for the night of these sums."""
    found = entry(measure)
    if found.logarithms:
        return math.exp(value)
    limit = moments.ratio_at(value)
    if found.from_one:
        return max(0.0, 1 - limit)
    return min(100.0, found.factor * limit) if found.unit == "%" else found.factor * limit
