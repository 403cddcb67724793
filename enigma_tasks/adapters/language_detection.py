"""Language detection with lingua (its wheel contains the models, no network): a text -> an ISO 639-1 code.

Low accuracy mode takes 50 MB, the full models 530 MB; the two differ below 120 characters, and clinical notes are
longer. See docs/decisions.
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
"""Number of pieces of a text that are examined, evenly spread."""
PIECE_CHARACTERS = 150
"""Length of a piece; below 120 the detector is less accurate."""
CENTRE_WEIGHT = 0.5
"""Extra weight of a piece for each step from the nearer end, as letterheads and legal notices are at the ends."""
LATER_WEIGHT = 0.15
"""Extra weight of a piece in the second half, as a foreign beginning is more frequent than a foreign end."""


@functools.cache
def _by_code() -> dict[str, IsoCode639_1]:
    return {n.lower(): getattr(IsoCode639_1, n) for n in dir(IsoCode639_1) if len(n) == 2 and n.isupper()}


class LanguageDetector:
    """Distinguishes the configured languages and their neighbours."""

    def __init__(self, languages: Iterable[str]) -> None:
        """`languages`: ISO 639-1 codes; one that lingua does not know is never detected."""
        configured = set(languages)
        neighbours = {n for code in configured for n in language_rules(code).neighbours}
        codes = sorted((configured | neighbours) & _by_code().keys())
        self._detector = (
            LanguageDetectorBuilder.from_iso_codes_639_1(*(_by_code()[c] for c in codes))
            .with_low_accuracy_mode()
            .build()
        )

    def detect(self, text: str) -> str | None:
        """The language of most pieces of the text, or None if it cannot be detected.

        So that a letterhead or legal notice in another language has little influence, lines that differ in digits only
        count once, and the language is a weighted vote of the pieces (benchmarks/language_of_notes.py).
        """
        votes: dict[str, float] = {}
        found_pieces = pieces(without_invisible(text))
        for number, piece in enumerate(found_pieces):
            found = self._detector.detect_language_of(piece)
            if found is not None:
                code = str(found.iso_code_639_1.name).lower()
                votes[code] = votes.get(code, 0.0) + _weight(number, len(found_pieces))
        return max(votes, key=lambda code: (votes[code], code), default=None)


def pieces(text: str) -> list[str]:
    """`PIECES` pieces of the text's distinct lines, evenly spread; a short text is one piece."""
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
    weight = 1 + CENTRE_WEIGHT * min(number, count - 1 - number)
    return weight + LATER_WEIGHT if 2 * number >= count else weight
