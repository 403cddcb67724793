"""The language of a note is that of most of it, wherever another one stands."""

from __future__ import annotations

import pytest

from benchmarks.language_of_notes import PLACES, SHARES, other_notes, repeated, right
from enigma_tasks.adapters.language_detection import PIECE_CHARACTERS, PIECES, LanguageDetector, pieces
from enigma_tasks.synthetic.generator import notes

LANGUAGES = ["cs", "en", "es", "it", "nl", "ro", "sv"]
DETECTOR = LanguageDetector(LANGUAGES)
DOCUMENTS = list(notes(21, LANGUAGES, 11))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("share", SHARES)
def test_a_notice_on_each_page_does_not_decide(place: str, share: float) -> None:
    assert right(DOCUMENTS, DETECTOR.detect, repeated(), share, place) == len(DOCUMENTS)


@pytest.mark.parametrize("place", PLACES)
def test_a_fifth_in_another_language_does_not_decide(place: str) -> None:
    assert right(DOCUMENTS, DETECTOR.detect, other_notes(["en", "es", "it"]), 0.2, place) == len(DOCUMENTS)


def test_soft_hyphens_do_not_hide_a_language() -> None:
    for document in DOCUMENTS:
        assert DETECTOR.detect("\u00ad".join(document.text)) == document.language


@pytest.mark.parametrize("text", ["", " \n", "12/80 37,9", "...\n---\n\u200b"])
def test_nothing_is_told_of_a_text_without_letters(text: str) -> None:
    assert DETECTOR.detect(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Il paziente è stato ricoverato per una polmonite con febbre.", "it"),
        ("Paciente con neumonía y fiebre alta.", "es"),
        ("Der Patient wurde wegen Fieber und Husten stationär aufgenommen.", "de"),
        ("O doente foi internado por pneumonia, com febre e tosse persistente há três dias.", "pt"),
    ],
)
def test_a_short_text_is_looked_at_as_a_whole(text: str, language: str) -> None:
    assert DETECTOR.detect(text) == language


def test_places_lie_all_over_the_text_and_lines_that_repeat_count_once() -> None:
    lines = [f"{'word' * 10}{chr(97 + i)}" for i in range(26)]
    found = pieces("\n".join(lines + lines))
    assert len(found) == PIECES
    assert all(len(piece) == PIECE_CHARACTERS for piece in found)
    assert found[0].startswith(lines[0])
    assert found[-1].endswith(lines[-1])
    assert pieces("Page 1 of 2\nPage 2 of 2\n  page 3 of 2 ") == ["Page 1 of 2"]
