"""A night's annotated notes -> those to review: a stratified random sample, and the most useful for training; pure.

The sample is drawn systematically (Madow 1949) from notes in an order of digests, stratum after stratum. Each note's
probability of inclusion is its stratum's share of the sample over the stratum's size, and these sum to the sample's
size; a stratum has its share of notes, rounded down or up. The order of listing has no effect.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from enigma_tasks.params.review import StratumField

Identity = tuple[str, str, str, str]
"""(bucket, key, record id or "", version)."""
OPENING_CHARACTERS = 500
"""What it costs a reviewer to open a note, as characters that could be read meanwhile."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An annotated note of the night."""

    note: Identity
    language: str
    site: str
    characters: int
    labels: frozenset[str] = frozenset()
    """Of the spans that were found."""
    uncertainty: float = 0.0
    """Sum over the spans of `entropy`, in bits."""
    disagreement: float = 0.0
    """How many spans some members of the ensembles found and others did not."""
    missed: float = 0.0
    """Expected number of mentions that were not found, where the ensembles have a calibration."""

    def stratum(self, fields: Iterable[StratumField]) -> str:
        """The name of its stratum: `es/ward-03/found`."""
        values = {"language": self.language, "site": self.site, "entities": "found" if self.labels else "empty"}
        return "/".join(values[field] for field in fields)

    @property
    def usefulness(self) -> float:
        """Uncertain, disputed and missed spans for each character that a reviewer has to read."""
        return (self.uncertainty + self.disagreement + self.missed) / (self.characters + OPENING_CHARACTERS)

    @property
    def kind(self) -> tuple[str, int, frozenset[str]]:
        """Notes of one kind resemble each other: language, length within a factor of two, the types that were found."""
        return self.language, self.characters.bit_length(), self.labels


@dataclass(frozen=True, slots=True)
class Drawn:
    """A note of the random sample."""

    note: Identity
    stratum: str
    probability: float
    """Of inclusion."""


def entropy(score: float | None) -> float:
    """Of a span's probability, in bits: 1 at 0.5, 0 where a model is certain; 1 where it gives no probability."""
    if score is None:
        return 1.0
    return math.fsum(-p * math.log2(p) for p in (score, 1 - score) if 0 < p < 1)


def draw(candidates: Sequence[Candidate], size: int, fields: Sequence[StratumField], seed: str) -> list[Drawn]:
    """A stratified random sample of `size` notes, or of all if there are fewer; the same for the same seed.

    Each stratum has a note where `size` is no less than their number. The notes are in random order, so that those of
    a reviewer who stops early are still drawn from all strata.
    """
    strata: dict[str, list[Identity]] = {}
    for candidate in candidates:
        strata.setdefault(candidate.stratum(fields), []).append(candidate.note)
    shares = allocated({name: len(notes) for name, notes in strata.items()}, size)
    point = Fraction(int(_digest(seed, "start")[:13], 16), 16**13)
    drawn: list[Drawn] = []
    begin = Fraction(0)
    for name in sorted(strata, key=lambda name: _digest(seed, name)):
        share = shares[name]
        if not share:
            continue
        notes = sorted(strata[name], key=lambda note: _digest(seed, *note))
        width = share / len(notes)
        while point < begin + share:
            drawn.append(Drawn(notes[(point - begin) // width], name, float(width)))
            point += 1
        begin += share
    return sorted(drawn, key=lambda one: _digest(seed, "order", *one.note))


def allocated(sizes: Mapping[str, int], total: int) -> dict[str, Fraction]:
    """Stratum -> its share of a sample: proportional to its size, and at least one note where there are enough.

    Shares are fractions that sum to `total`, or to the number of notes if that is less; none exceeds its stratum.
    """
    wanted = min(total, sum(sizes.values()))
    if wanted < len(sizes):
        return {name: Fraction(wanted * size, sum(sizes.values())) for name, size in sizes.items()}
    single: set[str] = set()
    while True:
        rest = sum(size for name, size in sizes.items() if name not in single)
        rate = Fraction(wanted - len(single), rest) if rest else Fraction(0)
        small = {name for name, size in sizes.items() if name not in single and rate * size < 1}
        if not small:
            return {name: Fraction(1) if name in single else rate * size for name, size in sizes.items()}
        single |= small


def most_useful(candidates: Iterable[Candidate], count: int, seed: str) -> list[Identity]:
    """The most useful notes, the best first, taken in turn from the kinds of notes so that no kind takes all places.

    Notes in which nothing is uncertain, disputed or missed are left out.
    """
    useful = sorted((c for c in candidates if c.usefulness > 0), key=lambda c: (-c.usefulness, _digest(seed, *c.note)))
    before: Counter[tuple[str, int, frozenset[str]]] = Counter()
    turns: list[tuple[int, int, Identity]] = []
    for rank, candidate in enumerate(useful):
        turns.append((before[candidate.kind], rank, candidate.note))
        before[candidate.kind] += 1
    return [note for _, _, note in sorted(turns)[:count]]


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
