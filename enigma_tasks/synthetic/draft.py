"""A note in the making: its facts, its own few terms, and what is written of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from enigma_tasks.synthetic.lexicon import Lexicon, Term

CASE_TERMS = 5
CASE_SHARE = 0.4
"""A note comes back to a few terms of its own for this share of its mentions."""
SKEW = 1.5
"""1 draws all terms of a lexicon alike; the greater, the rarer its last."""


@dataclass(slots=True)
class Draft:
    """A note while it is written: its facts, and (text, label or "") pieces."""

    rng: random.Random
    lexicon: Lexicon
    sex: int
    age: int
    admitted: int
    """Proleptic ordinal of the day."""
    stay: int
    decimal: str
    date_pattern: str
    case: dict[str, list[Term]]
    pieces: list[tuple[str, str]] = field(default_factory=list)
    used: list[Term] = field(default_factory=list)
    """The terms of the sentence so far; a sentence does not repeat itself."""

    def pick(self, pool: str) -> Term:
        """A term, likelier one of the note's own case or of the lexicon's first."""
        rng = self.rng.random
        while True:
            roll = rng()
            if roll < CASE_SHARE and not self.used:
                term = self.case[pool][int(roll / CASE_SHARE * CASE_TERMS)]
            else:
                terms = self.lexicon.terms[pool]
                term = terms[int(rng() ** SKEW * len(terms))]
            if term not in self.used:
                self.used.append(term)
                return term

    def day(self, ordinal: int) -> str:
        """A date as this note writes dates."""
        d = date.fromordinal(ordinal)
        month = self.lexicon.months[d.month - 1]
        return self.date_pattern.format(
            d=d.day, dd=f"{d.day:02}", m=d.month, mm=f"{d.month:02}", month=month, yyyy=d.year
        )

    def capitalise(self, start: int) -> None:
        """Give the piece at `start` a capital."""
        text, label = self.pieces[start]
        self.pieces[start] = (text[:1].upper() + text[1:], label)

    def end_with(self, text: str) -> None:
        """Write text that begins with a full stop: an abbreviation's own one is enough."""
        self.pieces.append((text[1:] if self.pieces[-1][0].endswith(".") else text, ""))
