"""The language of a text, by lingua (models inside its wheel, no network): a text in, an ISO 639-1 code out.

Low accuracy mode: 50 MB, against 530 MB for the full models; the two differ below 120 characters, and
a clinical note is longer. See docs/decisions.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lingua import IsoCode639_1, LanguageDetectorBuilder

from enigma_tasks.languages.rules import language_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLE_CHARACTERS = 1000
"""From the beginning of a text: 2 ms; the whole of a note changes nothing and takes twice that."""


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
        """The likeliest of the languages, or None when nothing in the text tells."""
        found = self._detector.detect_language_of(text[:SAMPLE_CHARACTERS])
        return None if found is None else str(found.iso_code_639_1.name).lower()
