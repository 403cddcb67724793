"""Every post-processing rule by itself, and what holds for all of them together."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from enigma_tasks.documents import Entity
from enigma_tasks.errors import DataError
from enigma_tasks.ner.text.postprocess import PostprocessRules, postprocess

OFF = {name: False for name, field in PostprocessRules.model_fields.items() if field.annotation is bool}
NOTHING = PostprocessRules(**OFF, min_characters=1)


def only(*names: str, **numbers: int) -> PostprocessRules:
    return PostprocessRules(**(OFF | dict.fromkeys(names, True) | {"min_characters": 1} | numbers))


def mention(text: str, surface: str, label: str = "DISEASE", score: float | None = None) -> Entity:
    start = text.index(surface)
    return Entity(label, start, start + len(surface), surface, score)


def surfaces(text: str, entities: list[Entity], rules: PostprocessRules, language: str = "es") -> list[str]:
    return [e.text for e in postprocess("note-1", text, entities, language, rules)[0]]


@pytest.mark.parametrize(
    ("rule", "surface", "cleaned"),
    [
        ("clip", "  asma ", "asma"),
        ("clip", "\u00a0asma\r\n", "asma"),
        ("trim_punctuation", "asma.", "asma"),
        ("trim_punctuation", "asma ,;:", "asma"),
        ("trim_punctuation", "asma –", "asma"),
        ("trim_punctuation", "T.A.C.", "T.A.C."),
        ("trim_punctuation", "suero i.v.,", "suero i.v."),
        ("trim_punctuation", "creatinina 3.5.", "creatinina 3.5"),
        ("trim_punctuation", "potasio ++", "potasio ++"),
        ("trim_punctuation", "saturación 90 %", "saturación 90 %"),
        ("trim_brackets", "asma)", "asma"),
        ("trim_brackets", "(asma", "asma"),
        ("trim_brackets", "[asma", "asma"),
        ("trim_brackets", ")asma(", "asma"),
        ("trim_brackets", "asma (leve)", "asma (leve)"),
        ("trim_brackets", "(asma)", "(asma)"),
        ("trim_brackets", "(a) asma)", "(a) asma"),
        ("trim_brackets", '"asma', "asma"),
        ("trim_brackets", 'signo de "vela"', 'signo de "vela"'),
        ("trim_brackets", "«asma", "asma"),
    ],
)
def test_a_trimming_rule_moves_the_boundaries(rule: str, surface: str, cleaned: str) -> None:
    text = f"ab{surface}cd"
    (entity,), counts = postprocess("note-1", text, [mention(text, surface)], "es", only(rule))
    assert entity.text == cleaned == text[entity.char_start : entity.char_end]
    assert counts == ({} if cleaned == surface else {rule: 1})
    assert surfaces(text, [mention(text, surface)], NOTHING) == [surface]


def test_punctuation_and_brackets_are_trimmed_in_turn() -> None:
    text = "Refiere asma (.), y tos"
    assert surfaces(text, [mention(text, "asma (.),")], PostprocessRules()) == ["asma (.)"]
    text = "Refiere asma.),; y tos"
    assert surfaces(text, [mention(text, "asma.),;")], PostprocessRules()) == ["asma"]


def test_spans_are_clipped_to_the_text_and_those_wholly_outside_dropped() -> None:
    text = "asma"
    given = [Entity("DISEASE", -3, 99, "x"), Entity("DISEASE", 50, 60, "x"), Entity("SYMPTOM", 3, 2, "x")]
    entities, counts = postprocess("note-1", text, given, "es", PostprocessRules())
    assert entities == (Entity("DISEASE", 0, 4, "asma"),)
    assert counts == {"clip": 2}


def test_without_clipping_a_span_outside_the_text_is_an_error_that_quotes_nothing() -> None:
    with pytest.raises(DataError, match="note-1: span_outside_text at 2") as caught:
        postprocess("note-1", "asma", [Entity("DISEASE", 2, 9, "secreto")], "es", NOTHING)
    assert "secreto" not in str(caught.value)


def test_of_equal_spans_the_surest_stays_and_other_labels_are_left_alone() -> None:
    text = "asma leve"
    given = [mention(text, "asma", score=s) for s in (0.2, None, 0.9)] + [mention(text, "asma", "SYMPTOM")]
    entities, counts = postprocess("note-1", text, given, "es", only("drop_duplicates"))
    assert [(e.label, e.score) for e in entities] == [("DISEASE", 0.9), ("SYMPTOM", None)]
    assert counts == {"drop_duplicates": 2}
    assert len(surfaces(text, given, NOTHING)) == 4


@pytest.mark.parametrize("surface", ["--", ".", "( )", "%", "?!"])
def test_a_span_of_punctuation_only_is_dropped(surface: str) -> None:
    text = f"tos {surface} fiebre"
    entities, counts = postprocess("note-1", text, [mention(text, surface)], "es", only("drop_punctuation_only"))
    assert not entities
    assert counts == {"drop_punctuation_only": 1}


@pytest.mark.parametrize(
    ("text", "parts", "merged"),
    [
        ("dolor torácico", ["dolor", "torácico"], ["dolor torácico"]),
        ("gastroenteritis", ["gastro", "enteritis"], ["gastroenteritis"]),
        ("tos-fiebre", ["tos", "fiebre"], ["tos-fiebre"]),
        ("tos – fiebre", ["tos", "fiebre"], ["tos – fiebre"]),
        ("tos / fiebre", ["tos", "fiebre"], ["tos / fiebre"]),
        ("tos/fiebre-asma", ["asma", "tos", "fiebre"], ["tos/fiebre-asma"]),
        ("tos, fiebre", ["tos", "fiebre"], ["tos", "fiebre"]),
        ("tos // fiebre", ["tos", "fiebre"], ["tos", "fiebre"]),
        ("tos y fiebre", ["tos", "fiebre"], ["tos", "fiebre"]),
        ("tos\nfiebre", ["tos", "fiebre"], ["tos", "fiebre"]),
        ("tos\r\n- fiebre", ["tos", "fiebre"], ["tos", "fiebre"]),
    ],
)
def test_adjacent_spans_of_one_label_are_joined_over_simple_connectors(
    text: str, parts: list[str], merged: list[str]
) -> None:
    given = [mention(text, p) for p in parts]
    entities, counts = postprocess("note-1", text, given, "es", only("merge_adjacent"))
    assert [e.text for e in entities] == merged
    assert counts["merge_adjacent"] == len(parts) - len(merged)
    mixed = [mention(text, p, label) for p, label in zip(parts, ("DISEASE", "SYMPTOM", "PROCEDURE"), strict=False)]
    assert len(surfaces(text, mixed, only("merge_adjacent"))) == len(parts)


def test_overlapping_spans_of_one_label_become_their_union_as_sure_as_the_least_sure() -> None:
    text = "insuficiencia cardiaca aguda grave"
    parts = [
        mention(text, "insuficiencia cardiaca", score=0.9),
        mention(text, "cardiaca aguda", score=0.4),
        mention(text, "cardiaca"),
        mention(text, "aguda", "SYMPTOM"),
    ]
    entities, counts = postprocess("note-1", text, parts, "es", only("merge_overlapping"))
    assert [(e.label, e.text, e.score) for e in entities] == [
        ("DISEASE", "insuficiencia cardiaca aguda", 0.4),
        ("SYMPTOM", "aguda", None),
    ]
    assert counts == {"merge_overlapping": 2}


@pytest.mark.parametrize(
    ("surface", "dropped"),
    [
        ("de", True),
        ("12,5", True),
        ("van de 3", True),
        ("De", True),
        ("MEN", False),
        ("de tumor", False),
        ("2x", False),
    ],
)
def test_stop_words_and_numbers_are_dropped_where_a_language_has_stop_words(surface: str, dropped: bool) -> None:
    text = f"xx {surface} yy"
    given, rules = [mention(text, surface)], only("stop_words")
    assert bool(surfaces(text, given, rules, "nl")) is not dropped
    assert surfaces(text, given, rules, "es") == [surface]
    assert surfaces(text, given, NOTHING, "nl") == [surface]


@pytest.mark.parametrize(
    ("surface", "kept"), [("DM", True), ("M0", True), ("Rx", False), ("de", False), ("12", False), ("tos", True)]
)
def test_two_characters_must_be_upper_case(surface: str, kept: bool) -> None:
    text = f"xx {surface} yy"
    assert bool(surfaces(text, [mention(text, surface)], only("short_upper_case"))) is kept
    assert surfaces(text, [mention(text, surface)], NOTHING) == [surface]


def test_spans_below_the_minimum_length_are_dropped_and_the_minimum_can_be_changed() -> None:
    text = "K en orina, tos"
    given = [mention(text, "K"), mention(text, "tos")]
    assert surfaces(text, given, only(min_characters=2)) == ["tos"]
    assert surfaces(text, given, only(min_characters=4)) == []
    assert surfaces(text, given, only(min_characters=1)) == ["K", "tos"]


def test_short_pieces_are_joined_before_they_could_be_dropped() -> None:
    text = "virus B-12 visto"
    given = [Entity("DISEASE", 0, 5, "virus"), Entity("DISEASE", 6, 7, "B"), Entity("DISEASE", 8, 10, "12")]
    assert surfaces(text, given, PostprocessRules(merge_adjacent=True)) == ["virus B-12"]
    assert surfaces(text, given, PostprocessRules()) == ["virus"]


def test_rules_are_frozen_and_an_unknown_one_is_refused() -> None:
    with pytest.raises(ValidationError):
        PostprocessRules.model_validate({"trim_everything": True})
    with pytest.raises(ValidationError):
        PostprocessRules().clip = False  # type: ignore[misc]


TEXTS = st.text(alphabet='abDM de12 .,()[]"«»-/\n+é😀', max_size=40)
RULES = st.builds(
    PostprocessRules,
    **{name: st.booleans() for name in OFF if name != "clip"},
    min_characters=st.integers(1, 3),
)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[str, list[Entity]]:
    text = draw(TEXTS)
    edge = st.integers(-2, len(text) + 2)
    spans = draw(st.lists(st.tuples(edge, edge, st.sampled_from(["DISEASE", "SYMPTOM"])), max_size=12))
    scores = draw(st.lists(st.none() | st.sampled_from([0.1, 0.5, 0.9]), min_size=12, max_size=12))
    return text, [Entity(label, a, b, "?", s) for (a, b, label), s in zip(spans, scores, strict=False)]


@settings(max_examples=300)
@given(given_case=predictions(), rules=RULES, language=st.sampled_from(["es", "nl"]), seed=st.integers(0, 99))
def test_whatever_the_rules_the_result_is_stable_ordered_and_true_to_the_text(
    given_case: tuple[str, list[Entity]], rules: PostprocessRules, language: str, seed: int
) -> None:
    text, entities = given_case
    cleaned, counts = postprocess("note-1", text, entities, language, rules)
    as_rows = [(e.label, e.char_start, e.char_end, e.score) for e in cleaned]

    assert all(0 <= e.char_start < e.char_end and text[e.char_start : e.char_end] == e.text for e in cleaned)
    assert set(counts) <= set(PostprocessRules.model_fields)
    assert all(n > 0 for n in counts.values())

    again, recount = postprocess("note-1", text, cleaned, language, rules)
    assert [(e.label, e.char_start, e.char_end, e.score) for e in again] == as_rows
    assert not recount

    shuffled = random.Random(seed).sample(entities, len(entities))
    other, other_counts = postprocess("note-1", text, shuffled, language, rules)
    assert [(e.label, e.char_start, e.char_end, e.score) for e in other] == as_rows
    assert other_counts == counts

    for label in {e.label for e in cleaned}:
        spans = [e.span for e in cleaned if e.label == label]
        if rules.merge_overlapping:
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        if rules.drop_duplicates:
            assert len(set(spans)) == len(spans)
    assert all(len(e.text) >= rules.min_characters for e in cleaned)
