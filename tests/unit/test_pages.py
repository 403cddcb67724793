from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.config import MonitorParams
from enigma_tasks.documents import Entity
from enigma_tasks.pages.figures import LanguageFigures, NightFigures, NightRecord, NightSummary, QuarantinedNote
from enigma_tasks.pages.flags import flags, usual_range
from enigma_tasks.pages.morning import render_morning_page, render_nights_page
from enigma_tasks.pages.review import render_review_page, segments

PARAMS = MonitorParams(nights_compared=30)


def night(
    day: int, *, per_note: int = 5, quarantined: int = 0, published: bool = True, notes: int = 100
) -> NightFigures:
    return NightFigures(
        batch_id=f"2026-06-{day:02}",
        planned_at=f"2026-06-{day:02}T01:00:00+00:00",
        published=published,
        listed=notes,
        planned=notes,
        annotated=notes - quarantined,
        quarantined=quarantined,
        languages={
            "es": LanguageFigures(
                annotated=notes - quarantined,
                entities={"DISEASE": per_note * (notes - quarantined)},
                characters=1000,
                characters_read=1000,
            )
        },
        seconds={"compute": 10.0, "read": 1.0},
        shards=2,
    )


def page(figures: NightFigures, **more: object) -> str:
    return render_morning_page(NightSummary(figures=figures, **more), {"es": "Spanish"})  # type: ignore[arg-type]


def test_a_first_night_says_that_there_is_nothing_to_compare_it_with() -> None:
    assert "first night" in page(night(1)).lower()


def test_a_night_without_notes_has_a_page() -> None:
    assert "No new notes were found" in page(night(1, notes=0))


def test_an_unpublished_night_is_called_incomplete_and_names_the_missing_shards() -> None:
    figures = night(3, published=False).model_copy(update={"missing_shards": ("es-0002",)})
    found = flags(figures, (), PARAMS)
    text = page(figures, flags=found)
    assert "Incomplete" in text
    assert "es-0002" in text
    assert "not_published" in {f.rule for f in found}


def test_a_key_cannot_put_markup_or_hidden_characters_into_the_page() -> None:
    evil = 'drops/es/2026-06-11/<script>alert("1")</script>\u202egnp.txt'
    text = page(night(2, quarantined=1), quarantine=(QuarantinedNote(evil, "not_utf8", 7, "es"),))
    assert "<script>" not in text
    assert "\u202e" not in text
    assert html.escape('<script>alert("1")', quote=False).split("(")[0] in text


def test_the_page_asks_for_nothing_outside_itself() -> None:
    text = page(night(2), history=(night(1),))
    for attribute in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert "//" not in attribute
    assert "default-src 'none'" in text


def test_a_figure_far_from_the_nights_before_is_flagged_and_a_usual_one_is_not() -> None:
    past = tuple(night(day, per_note=5) for day in range(1, 11))
    assert not [f for f in flags(night(11, per_note=5), past, PARAMS) if f.rule == "unusual"]
    odd = flags(night(11, per_note=1), past, PARAMS)
    assert any("DISEASE" in f.subject or "DISEASE" in f.reason for f in odd)


def test_nothing_is_usual_before_enough_nights_have_passed() -> None:
    assert usual_range([5.0] * (PARAMS.nights_needed - 1), 0.1, PARAMS) is None
    low, high = usual_range([5.0] * PARAMS.nights_needed, 0.1, PARAMS) or (0, 0)
    assert low < 5.0 < high


def test_the_list_of_nights_has_the_newest_first_and_links_each() -> None:
    text = render_nights_page([NightRecord(figures=night(day)) for day in (1, 3, 2)])
    links = re.findall(r'href="([^"]*)/index.html"', text)
    assert links == ["2026-06-03", "2026-06-02", "2026-06-01"]


def test_pages_are_the_same_bytes_every_time() -> None:
    assert page(night(2), history=(night(1),)) == page(night(2), history=(night(1),))


def entity(text: str, start: int, end: int, label: str = "DISEASE") -> Entity:
    return Entity(label, start, end, text[start:end], 0.9)


def test_nested_and_overlapping_mentions_each_get_their_segments() -> None:
    text = "tos seca nocturna"
    cut = segments(text, [entity(text, 0, 8), entity(text, 4, 17, "SYMPTOM")])
    assert [(s.char_start, s.labels) for s in cut] == [(0, ["DISEASE"]), (4, ["DISEASE", "SYMPTOM"]), (8, ["SYMPTOM"])]


@given(st.text(min_size=1, max_size=60), st.data())
def test_the_segments_are_the_text_whole_and_in_order(text: str, data: st.DataObject) -> None:
    spans = data.draw(
        st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda s: s[0] < s[1]))
    )
    cut = segments(text, [entity(text, a, b) for a, b in spans])
    assert "".join(unescaped(str(s.html)) for s in cut) == text
    for segment in cut:
        for e in segment.entities:
            assert e.char_start <= segment.char_start < e.char_end


def unescaped(markup: str) -> str:
    """Back to the characters that a segment stands for."""
    pieces = re.split(r'(<span class="code" data-code="U\+[0-9A-F]+"></span>)', markup)
    code = re.compile(r'<span class="code" data-code="U\+([0-9A-F]+)"></span>')
    plain = []
    for piece in pieces:
        hidden = code.fullmatch(piece)
        if hidden:
            plain.append(chr(int(hidden[1], 16)))
            continue
        plain.append(html.unescape(piece.replace("&#13;", "\r")))
    return "".join(plain)


@pytest.mark.parametrize("text", ["<b>dolor</b> & tos", "línea 1\r\nlínea 2"])
def test_the_reviewers_page_escapes_the_note(text: str) -> None:
    out = render_review_page("drops/es/n.txt", text, [entity(text, 0, 3)], {"language": "es"})
    assert "<b>dolor" not in out
    assert "\r" not in out
    assert "holds a note's text" in out.lower() or "holds a note&#39;s text" in out.lower()
