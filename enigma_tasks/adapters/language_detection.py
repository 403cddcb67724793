"""The language of a text, by lingua (models inside its wheel, no network): a text in, an ISO 639-1 code out.

Low accuracy mode: 50 MB, against 530 MB for the full models; the two differ below 120 characters, and
a clinical note is longer. See docs/decisions.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from lingua import IsoCode639_1, LanguageDetectorBuilder

from enigma_tasks.languages.rules import language_rules
from enigma_tasks.ner.text.invisible import without_invisible

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_LETTER = re.compile(r"[\W\d_]+")
PIECES = 7
"""Places of a text that are looked at, evenly from its beginning to its end."""
PIECE_CHARACTERS = 150
"""Of each place; below 120 the detector is less sure."""
CENTRE_WEIGHT = 0.5
"""What a place counts more for each step away from the nearer end: letterheads and legal notices stand there."""
LATER_WEIGHT = 0.15
"""What a place in the second half counts more: a head is more often foreign than an end."""


@functools.cache
def _by_code() -> dict[str, IsoCode639_1]:
    return {n.lower(): getattr(IsoCode639_1, n) for n in dir(IsoCode639_1) if len(n) == 2 and n.isupper()}


class LanguageDetector:
    """Tells the configured languages, and their neighbours, apart."""

    def __init__(self, languages: Iterable[str]) -> None:
        """`languages`: ISO 639-1 codes; one that lingua does not know is never detected."""
        own = set(languages)
        neighbours = {n for code in own for n in language_rules(code).neighbours}
        codes = sorted((own | neighbours) & _by_code().keys())
        self._detector = (
            LanguageDetectorBuilder.from_iso_codes_639_1(*(_by_code()[c] for c in codes))
            .with_low_accuracy_mode()
            .build()
        )

    def detect(self, text: str) -> str | None:
        """The language of most places of the text, or None when nothing in it tells.

        A letterhead or a legal notice in another language does not decide: lines that repeat, whatever their figures,
        count once, and each of the places has one voice (benchmarks/language_of_notes.py).
        """
        voices: dict[str, float] = {}
        places = pieces(without_invisible(text))
        for number, piece in enumerate(places):
            found = self._detector.detect_language_of(piece)
            if found is not None:
                code = str(found.iso_code_639_1.name).lower()
                voices[code] = voices.get(code, 0.0) + _weight(number, len(places))
        return max(voices, key=lambda code: (voices[code], code), default=None)


def pieces(text: str) -> list[str]:
    """`PIECES` stretches of the text's distinct lines, evenly spread; a short text is one piece."""
    lines: dict[str, str] = {}
    for line in text.split("\n"):
        lines.setdefault(_NO_LETTER.sub(" ", line).strip().casefold(), line.strip())  # "Page 2 of 7" is "Page 1 of 7"
    lines.pop("", None)
    body = "\n".join(lines.values())
    count = min(PIECES, len(body) // PIECE_CHARACTERS)
    if count < 3:
        return [body]
    step = (len(body) - PIECE_CHARACTERS) / (count - 1)
    return [body[round(step * i) :][:PIECE_CHARACTERS] for i in range(count)]


def _weight(number: int, count: int) -> float:
    return 1 + CENTRE_WEIGHT * min(number, count - 1 - number) + LATER_WEIGHT * (2 * number >= count)
