"""Spans counted in any unit come back in code points, or the document is refused."""

from __future__ import annotations

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import assume, given
from hypothesis import strategies as st

from enigma_tasks.formats.imports.placing import located
from enigma_tasks.formats.imports.spans import Span
from enigma_tasks.formats.offset_units import (
    CODE_POINTS,
    CRLF_ONCE,
    GRAPHEMES,
    UNITS,
    UTF16,
    UTF16_CRLF_ONCE,
    Content,
    Place,
)
from enigma_tasks.formats.standoff import parse_ann

OWN = (CODE_POINTS, UTF16, CRLF_ONCE, UTF16_CRLF_ONCE)
HARD = ["\ufeff", "\r\n", "🙂", "ó", "o\u0301", "\n", "  ", "x", "asma", "👨\u200d👩\u200d👧", "\u0903"]
hard_texts = st.lists(st.sampled_from(HARD), min_size=1, max_size=12).map("".join)


def rules(text: str, *spans: Span, own: tuple = OWN) -> tuple[list[Place], list[str]]:
    places, defects = located("d", Content(text), spans, own)
    return places, [d.rule for d in defects]


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def once(text: str) -> int:
    return len(text.replace("\r\n", "\n"))


COUNTS = {
    "code points": len,
    "UTF-16": utf16,
    "CRLF once": once,
    "UTF-16, CRLF once": lambda text: utf16(text.replace("\r\n", "\n")),
    "bytes": lambda text: len(text.encode()),
    "bytes, CRLF once": lambda text: len(text.replace("\r\n", "\n").encode()),
    "LF twice": lambda text: len(text.replace("\r\n", "\n").replace("\n", "\r\n")),
    "LF twice, UTF-16": lambda text: utf16(text.replace("\r\n", "\n").replace("\n", "\r\n")),
    "no line ends": lambda text: len(text.replace("\r\n", "").replace("\n", "")),
    "no BOM": lambda text: len(text.removeprefix("\ufeff")),
    "no BOM, UTF-16, CRLF once": lambda text: utf16(text.removeprefix("\ufeff").replace("\r\n", "\n")),
    "no white space at the head": lambda text: len(text.lstrip()),
    "graphemes": lambda text: len(regex.findall(r"\X", text)),
}


@pytest.mark.parametrize("unit", COUNTS)
@given(hard_texts, hard_texts)
def test_the_unit_in_which_every_surface_lies_at_its_place_decides(unit: str, before: str, after: str) -> None:
    assume(unit != "graphemes" or after[0] != "\u0903")  # it would belong to the surface's last letter
    count = COUNTS[unit]
    text = f"{before}neumonía lobar{after}"
    start, end = len(before), len(before) + len("neumonía lobar")
    written = Span("DISEASE", count(before), count(text[:end]), "neumonía lobar")
    assert rules(text, written) == ([(start, end)], [])
    ann = f"T1\tDISEASE {written.start} {written.end}\tneumonía lobar\n"
    assert [e.span for e in parse_ann("d", text, ann).entities] == [(start, end)]


@given(hard_texts, st.integers(0, 40), st.integers(0, 40))
def test_a_span_that_is_taken_says_what_the_tool_says_it_did(text: str, start: int, end: int) -> None:
    for surface in (text[start:end], "asma"):
        places, defects = rules(text, Span("DISEASE", start, end, surface))
        assert bool(places) != bool(defects)
        for first, last in places:
            assert "".join(text[first:last].split()) == "".join(surface.split())


@given(hard_texts, st.integers(0, 40), st.integers(0, 40))
def test_without_a_surface_every_unit_that_fits_must_give_the_same(text: str, start: int, end: int) -> None:
    own = (*OWN, GRAPHEMES)
    places, defects = rules(text, Span("DISEASE", start, end), own=own)
    each = [rules(text, Span("DISEASE", start, end), own=(unit,)) for unit in own]
    readings = {tuple(p) for p, _ in each if p}
    assert {tuple(places)} - {()} == (readings if len(readings) == 1 else set())
    assert (defects == ["offset_unit_unknown"]) == (len(readings) > 1)


def test_all_spans_of_a_document_are_counted_alike() -> None:
    text = "A\r\nasma\r\nasma"
    right = [Span("DISEASE", 2, 6, "asma"), Span("DISEASE", 7, 11, "asma")]
    assert rules(text, *right) == ([(3, 7), (9, 13)], [])
    assert rules(text, right[0], Span("DISEASE", 9, 13, "asma")) == ([], ["surface_differs"])


def test_a_surface_that_lies_in_two_places_tells_nothing() -> None:
    assert rules("\r\nx x x", Span("DISEASE", 2, 3, "x")) == ([(2, 3)], [])
    assert rules("\r\nxxxx", Span("DISEASE", 2, 3, "x")) == ([], ["offset_unit_unknown"])
    assert rules("\r\nxxxx", Span("DISEASE", 2, 3, "x"), Span("DISEASE", 2, 6, "xxxx")) == ([(2, 3), (2, 6)], [])


def test_one_span_without_a_surface_is_read_as_the_others() -> None:
    text = "A\r\nasma y tos"
    assert rules(text, Span("DISEASE", 2, 6, "asma"), Span("SYMPTOM", 9, 12)) == ([(3, 7), (10, 13)], [])


@pytest.mark.parametrize(
    ("own", "written"),
    [
        ("asma  bronquial", "asma bronquial"),
        ("asma\nleve", "asma\\nleve"),
        ("neumoni\u0301a", "neumonía"),
        ("asma ", "asma"),
    ],
)
def test_white_space_and_composed_accents_make_no_difference(own: str, written: str) -> None:
    assert rules(f"Con {own}.", Span("DISEASE", 4, 4 + len(own), written)) == ([(4, 4 + len(own))], [])


@pytest.mark.parametrize(
    ("start", "end", "surface"), [(3, 7, "asma"), (5, 9, "asma"), (4, 8, "ASMA"), (4, 8, "asmas"), (3, 8, "asma b")]
)
def test_letters_make_a_difference(start: int, end: int, surface: str) -> None:
    assert rules("Con asma b.", Span("DISEASE", start, end, surface)) == ([], ["surface_differs"])


def test_characters_that_the_importer_inserted_were_not_counted_and_are_no_edge_of_a_span() -> None:
    content = Content("tos\nasma", frozenset({3}))
    for written, place in (((0, 3, "tos"), (0, 3)), ((3, 7, "asma"), (4, 8)), ((0, 7, "tosasma"), (0, 8))):
        assert located("d", content, [Span("DISEASE", *written)], OWN) == ([place], [])


def test_units_have_names_of_their_own_for_reports() -> None:
    names = [unit.name for unit in UNITS]
    assert len(set(names)) == len(names)
    assert names[0] == "code points"
    assert {"UTF-16 units, CRLF once", "code points, without BOM", "UTF-8 bytes"} < set(names)
