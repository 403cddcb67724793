from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.config import load_params
from enigma_tasks.documents import LABELS, Entity, EntityType
from enigma_tasks.pages.charts import line_chart, nice_ticks
from enigma_tasks.pages.figures import (
    AliasFigures,
    Flag,
    LanguageFigures,
    ModelFigures,
    NightFigures,
    NightRecord,
    QuarantinedNote,
    ShardTiming,
    night_record_bytes,
    read_night_record,
)
from enigma_tasks.pages.flags import flags, usual_range, usual_ranges
from enigma_tasks.pages.formats import OTHER_COLOURS, count, dec, duration, label_classes, moment, percent, visible
from enigma_tasks.pages.morning import QUARANTINE_ROWS, render_morning_page, render_nights_page
from enigma_tasks.pages.review import render_review_page
from enigma_tasks.pages.summary import NightSummary
from enigma_tasks.pages.verdict import alerts, verdict

PARAMS = load_params().monitor
EVIL = "drops/es/2026-06-02/\"'><script>alert(1)</script>\u202egnp\n.txt"


def night(
    day: int, *, per_note: int = 5, quarantined: int = 0, published: bool = True, notes: int = 100, version: str = "3"
) -> NightFigures:
    annotated = notes - quarantined
    spanish = LanguageFigures(
        annotated=annotated, entities={"DISEASE": per_note * annotated}, characters=1000, characters_read=1000
    )
    return NightFigures(
        batch_id=f"2026-06-{day:02}",
        planned_at=f"2026-06-{day:02}T01:00:00+00:00",
        published=published,
        listed=notes,
        planned=notes,
        annotated=annotated,
        quarantined=quarantined,
        rules={"not_utf8": quarantined} if quarantined else {},
        languages={"es": spanish} if notes else {},
        scores={"DISEASE": (0,) * 18 + (annotated, annotated)} if notes else {},
        seconds={"load": 2.0, "compute": 10.0, "read": 1.0} if notes else {},
        shards=2,
        models={"es": {"disease": ModelFigures(name="enigma-es-disease", version=version, digest="0123456789abcdef")}},
    )


def page(figures: NightFigures, **more: object) -> str:
    return render_morning_page(NightSummary(figures=figures, **more), {"es": "Spanish"})  # type: ignore[arg-type]


def rules(found: tuple[Flag, ...]) -> set[str]:
    return {f.rule for f in found}


def test_a_first_night_says_that_there_is_nothing_to_compare_it_with() -> None:
    assert "This is the first night" in page(night(1))
    assert "This is the first night" not in page(night(2), history=(night(1),))


def test_a_night_without_notes_has_a_page() -> None:
    empty = page(night(1, notes=0))
    assert "No new notes were found" in empty
    assert "Entities per note" not in empty


def test_an_unpublished_night_is_called_incomplete_and_names_the_missing_shards() -> None:
    figures = night(3, published=False).model_copy(update={"missing_shards": ("es-0002",)})
    found = flags(figures, (), PARAMS)
    assert verdict(figures, found).level == "bad"
    text = page(figures, flags=found)
    assert "Incomplete" in text
    assert "es-0002" in text
    assert "1 of 2 shards have no result" in text


@pytest.mark.parametrize(
    ("change", "level", "word"),
    [
        ({}, "good", "All well"),
        ({"quarantined": 2, "annotated": 98}, "warn", "Quarantine"),
        ({"waiting": {"ro": 4}}, "warn", "Waiting"),
        ({"deferred": {"es": 4}}, "warn", "Waiting"),
        ({"planned": 0, "annotated": 0}, "info", "Nothing new"),
        ({"published": False}, "bad", "Incomplete"),
    ],
)
def test_the_verdict_is_the_worst_thing_about_the_night(change: dict[str, object], level: str, word: str) -> None:
    figures = night(2).model_copy(update=change)
    judged = verdict(figures, flags(figures, (), PARAMS))
    assert (judged.level, judged.word) == (level, word)


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize(
    ("alias", "champion", "rule", "words"),
    [
        ("1", "2", "alias_moved", "named version 1 and not 2"),
        ("", "2", "alias_moved", "named no version and not 2"),
        ("1", "", "no_journal", "`enigma register --first`"),
    ],
)
def test_an_alias_that_says_otherwise_than_the_journal_is_an_alert(
    alias: str, champion: str, rule: str, words: str, published: bool
) -> None:
    item = AliasFigures(name="enigma-es-disease", alias=alias, champion=champion)
    figures = night(2, published=published).model_copy(update={"aliases": (item,)})
    (flag,) = [f for f in alerts(flags(figures, (), PARAMS)) if f.rule == rule]
    assert flag.subject == "enigma-es-disease"
    assert words in flag.reason
    assert verdict(figures, (flag,)).level in {"warn", "bad"}
    assert words in page(figures, flags=(flag,))


def test_text_that_the_models_did_not_read_makes_the_verdict_bad() -> None:
    cut = LanguageFigures(annotated=100, entities={"DISEASE": 500}, characters=1000, characters_read=999)
    figures = night(2).model_copy(update={"languages": {"es": cut}})
    found = flags(figures, (), PARAMS)
    assert rules(found) == {"text_not_read"}
    assert verdict(figures, found).level == "bad"
    assert "99.9" in page(figures, flags=found)


def test_a_key_cannot_put_markup_or_hidden_characters_into_any_page() -> None:
    figures = night(2, quarantined=1).model_copy(update={"batch_id": "<b>&2"})
    shards = (ShardTiming('es"><img src=x>', "es", 3, {"read": 1.0}),)
    morning = page(figures, quarantine=(QuarantinedNote(EVIL, "not_utf8", 7, "es"),), shards=shards)
    for text in (morning, render_nights_page([NightRecord(figures=figures)])):
        for raw in ("<script", "<img", "<b>&2", "\u202e", "gnp\n"):
            assert raw not in text
        assert "&lt;b&gt;&amp;2" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp\\n.txt" in morning


def test_the_pages_ask_for_nothing_outside_themselves() -> None:
    record = NightRecord(figures=night(2))
    review = render_review_page("n.txt", "tos", [Entity("SYMPTOM", 0, 3, "tos")], {})
    for text in (page(night(2), history=(night(1),)), render_nights_page([record]), review):
        assert "default-src 'none'" in text
        assert not re.findall(r'(?:src|href)="(?:[a-z]+:)?//', text)
        assert not re.findall(r"url\(|@import|<script", text)


def test_a_long_quarantine_is_cut_and_every_rule_keeps_a_row() -> None:
    many = [QuarantinedNote(f"drops/es/{i:04}.txt", "not_utf8", i) for i in range(1000)]
    text = page(
        night(2, notes=2000, quarantined=1001), quarantine=(*many, QuarantinedNote("drops/z.txt", "empty", None))
    )
    rows = text.count("drops/es/") + text.count("drops/z.txt")
    assert rows <= QUARANTINE_ROWS
    assert "drops/z.txt" in text
    assert f"{rows} of 1,001 are shown" in text


def test_a_figure_far_from_the_nights_before_is_flagged_and_a_usual_one_is_not() -> None:
    past = tuple(night(day) for day in range(1, 11))
    assert flags(night(11), past, PARAMS) == ()
    odd = flags(night(11, quarantined=9), past, PARAMS)
    assert {f.subject for f in odd} == {"share in quarantine"}
    assert odd[0].reason == ("Share in quarantine: 9.00%, more than usual; the last 10 nights make 0 to 1.00% usual.")
    usual = usual_ranges(night(11, quarantined=9), past, PARAMS)
    assert "Unusual" in page(night(11, quarantined=9), history=past, flags=odd, usual=usual)


def test_one_odd_night_in_the_past_does_not_make_the_next_one_usual() -> None:
    past = (*(night(day) for day in range(1, 10)), night(10, quarantined=50))
    assert "quarantine_share" in rules(flags(night(11, quarantined=50), past, PARAMS))


def test_nothing_is_unusual_before_enough_nights_have_passed() -> None:
    assert usual_range([5.0] * (PARAMS.nights_needed - 1), 0.1, PARAMS) is None
    assert usual_range([5.0] * PARAMS.nights_needed, 0.1, PARAMS) == (4.25, 5.75)
    few = tuple(night(day) for day in range(1, PARAMS.nights_needed))
    assert flags(night(11, quarantined=9), few, PARAMS) == ()


def test_the_shares_of_a_handful_of_notes_are_not_compared() -> None:
    past = tuple(night(day, notes=PARAMS.notes_needed) for day in range(1, 11))
    few = night(11, notes=PARAMS.notes_needed, quarantined=1)  # one annotated note too few
    assert "quarantine_share" not in rules(flags(few, past, PARAMS))


def test_a_night_without_notes_after_nights_with_notes_is_flagged() -> None:
    past = tuple(night(day) for day in range(1, 11))
    assert "notes" in rules(flags(night(11, notes=0), past, PARAMS))


def test_a_member_that_finds_nothing_where_others_do_is_flagged_from_the_first_night() -> None:
    dead, alive = "a" * 64, "b" * 64
    spanish = night(2).languages["es"].model_copy(update={"found_by": {dead: 0, alive: 500}})
    found = flags(night(2).model_copy(update={"languages": {"es": spanish}}), (), PARAMS)
    assert [(f.rule, f.subject) for f in found] == [("member_silent", "es aaaaaaaaaaaa")]
    few = spanish.model_copy(update={"annotated": PARAMS.notes_needed - 1})
    assert flags(night(2).model_copy(update={"languages": {"es": few}}), (), PARAMS) == ()


def test_a_champion_that_finds_nothing_in_many_notes_is_flagged() -> None:
    silent = night(2, per_note=0)
    assert "type_absent" in rules(flags(silent, (), PARAMS))


def test_another_champion_is_a_notice_and_no_alert() -> None:
    found = flags(night(2, version="4"), (night(1),), PARAMS)
    assert rules(found) == {"model_changed"}
    assert alerts(found) == ()
    text = page(night(2, version="4"), history=(night(1),), flags=found)
    assert "disease 3 to 4" in text
    assert "was v3" in text


def test_the_list_of_nights_has_the_newest_first_and_links_each() -> None:
    text = render_nights_page([NightRecord(figures=night(day)) for day in (1, 3, 2)])
    links = re.findall(r'href="([^"]*)/index.html"', text)
    assert links == ["2026-06-03", "2026-06-02", "2026-06-01"]


def test_figures_survive_the_way_through_summary_json() -> None:
    record = NightRecord(figures=night(2, quarantined=1), flags=flags(night(2), (night(1, version="2"),), PARAMS))
    assert read_night_record("summary.json", night_record_bytes(record)) == record


@given(st.floats(0.001, 1e7), st.floats(0, 1))
def test_the_axis_holds_every_value_with_few_round_steps(top: float, part: float) -> None:
    bottom = top * part
    ticks = nice_ticks(top, bottom)
    assert ticks[0] <= bottom * (1 + 1e-6)
    assert ticks[-1] >= top * (1 - 1e-6)
    assert 2 <= len(ticks) <= 7


def test_a_night_without_a_value_leaves_a_gap_in_its_line() -> None:
    from enigma_tasks.pages.charts import Series

    chart = line_chart("t", ["a", "b", "c", "d"], [Series("", "n0", (1.0, None, 2.0, 3.0))], dec)
    (curve,) = chart.curves
    assert curve.path.count("M") == 2
    assert [p.tonight for p in curve.points] == [False, False, True]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (count(1234567.0), "1,234,567"),
        (dec(12.3456), "12.3"),
        (dec(0.0), "0"),
        (dec(None), "–"),
        (percent(1.0), "100\xa0%"),
        (percent(0.99999), "> 99.9\xa0%"),
        (percent(0.00001), "< 0.1\xa0%"),
        (duration(7.25), "7.25\xa0s"),
        (duration(185), "3\xa0min\xa005\xa0s"),
        (duration(7440), "2\xa0h\xa004\xa0min"),
        (moment("2026-06-11T03:00:00+02:00"), "2026-06-11 01:00 UTC"),
        (visible("a\u202eb\tc"), "a\\u202eb\\tc"),
    ],
)
def test_values_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected


class Note(HTMLParser):
    """What a browser would hold of the element `note`: its text, and the classes over each character."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.classes: list[frozenset[str]] = []
        self.tips: list[str] = []
        self.begins: list[str] = []
        self._depth = 0
        self._over: frozenset[str] = frozenset()
        start = source.index('<div class="card note"')
        self.feed(source[start : source.index("</div>", start) + 6])
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._depth += tag == "div"
        if tag == "mark":
            self._over = frozenset((named["class"] or "").split())
            self.tips.append(named["title"] or "")
        if tag == "i":
            self.begins.append(named["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "div"
        if tag == "mark":
            self._over = frozenset()

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.text += data
            self.classes += [self._over] * len(data)


def entity(text: str, start: int, end: int, label: str = "DISEASE") -> Entity:
    return Entity(label, start, end, text[start:end], 0.9)


def review(text: str, entities: list[Entity]) -> Note:
    return Note(render_review_page("drops/es/n.txt", text, entities, {"language": "es"}))


def test_each_type_keeps_its_colour_and_a_label_of_no_type_is_grey() -> None:
    assert label_classes(["SYMPTOM", "GENE", "DISEASE"]) == {"DISEASE": "t0", "GENE": "t3", "SYMPTOM": "t2"}
    page = render_review_page("n.txt", "tos BRCA1", [Entity("GENE", 4, 9, "BRCA1")], {})
    assert f"--t2: {EntityType('symptom').entry.colours[0]}; --t3: {OTHER_COLOURS[0]};" in page
    assert "--u3: transparent" in page
    assert ":has(#show-t3:checked) mark.l-t3 { --u3: var(--t3);" in page


def test_nested_and_overlapping_mentions_are_all_shown() -> None:
    text = "tos seca nocturna"
    shown = review(text, [entity(text, 0, 8), entity(text, 4, 17, "SYMPTOM"), entity(text, 4, 8)])
    expected = ["l-t0"] * 4 + ["l-t0 l-t2"] * 4 + ["l-t2"] * 9
    assert [" ".join(sorted(c)) for c in shown.classes] == expected
    assert shown.tips[1].splitlines() == [
        "DISEASE 0–8, score 0.90", "SYMPTOM 4–17, score 0.90", "DISEASE 4–8, score 0.90",
    ]  # fmt: skip
    assert shown.begins == ["m1", "m2", "m3"]


TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_characters="\0"), st.sampled_from("\r\n\u202e<&")),
    min_size=1,
    max_size=60,
)


@given(TEXTS, st.data())
def test_the_note_is_kept_character_for_character_with_every_mention_over_its_own(
    text: str, data: st.DataObject
) -> None:
    spans = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)), st.sampled_from(["DISEASE", "SYMPTOM"]))
            .filter(lambda s: s[0] < s[1])
        )
    )  # fmt: skip
    shown = review(text, [entity(text, *span) for span in spans])
    assert shown.text == text
    css = {label: f"l-t{LABELS.index(label)}" for _, _, label in spans}
    for at, classes in enumerate(shown.classes):
        assert classes == {css[label] for a, b, label in spans if a <= at < b}
    assert len(shown.begins) == len(spans)


def test_a_direction_override_in_the_note_is_labelled_and_cannot_reach_its_neighbours() -> None:
    out = render_review_page("n.txt", "a\u202eb\rc\r\nd", [], {})
    assert '<span class="code" data-code="U+202E" title="U+202E RIGHT-TO-LEFT OVERRIDE">\u202e</span>' in out
    assert 'title="U+000D CARRIAGE RETURN">&#13;</span>c&#13;\n' in out
    assert ".code { unicode-bidi: isolate; }" in out


def test_the_reviewers_page_escapes_the_note_and_says_that_it_holds_patient_text() -> None:
    text = "<b>dolor</b> & tos"
    out = render_review_page(EVIL, text, [entity(text, 0, 3)], {"night": "<i>x"})
    assert "<b>dolor" not in out
    assert "<script" not in out
    assert "<i>x" not in out
    assert html.escape(text[3:], quote=False) in out
    assert "This page contains patient text." in out
