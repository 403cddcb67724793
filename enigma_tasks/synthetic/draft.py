"""The state of a note that is being generated: its facts, its recurring terms and its pieces so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from enigma_tasks.synthetic.lexicon import Lexicon, Term

CASE_TERMS = 5
CASE_SHARE = 0.4
"""Share of a note's mentions that are drawn from its `CASE_TERMS` recurring terms."""
SKEW = 1.5
"""1 draws all terms of a lexicon with equal probability; greater values prefer the first."""


@dataclass(slots=True)
class Draft:
    """A note that is being generated: its facts, and (text, label or "") pieces."""

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
    """The terms of the sentence so far, which are not repeated in it."""

    def pick(self, pool: str) -> Term:
        """Draw a term; the note's recurring terms and the lexicon's first terms are more probable."""
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
        """A date in the note's format."""
        d = date.fromordinal(ordinal)
        month = self.lexicon.months[d.month - 1]
        return self.date_pattern.format(
            d=d.day, dd=f"{d.day:02}", m=d.month, mm=f"{d.month:02}", month=month, yyyy=d.year
        )

    def capitalise(self, start: int) -> None:
        """Capitalise the piece at `start`."""
        text, label = self.pieces[start]
        self.pieces[start] = (text[:1].upper() + text[1:], label)

    def end_with(self, text: str) -> None:
        """Append text that begins with a full stop, which is dropped after an abbreviation with one."""
        self.pieces.append((text[1:] if self.pieces[-1][0].endswith(".") else text, ""))
