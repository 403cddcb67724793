"""The rules for gold on documents of a few words, their parameters, and what the filters leave."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.adapters.expectations import results_of
from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, Entity, EntityType, sorted_entities
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.gold.filters import without_dropped
from enigma_tasks.gold.rules import HARD_RULES, Fold, Table, far_densities, span_breaches, tables
from enigma_tasks.notes.references import Rule

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
VALIDATION = PARAMS.validation
RULES = VALIDATION.rules
TEXT = "Dolor agudo ( ) en el brazo, dolor agudo."


def entity(start: int, end: int, text: str = TEXT, label: str = "SYMPTOM") -> Entity:
    return Entity(label, start, end, text[start:end])


def broken_by(*spans: tuple[int, int]) -> list[set[str]]:
    found = span_breaches([entity(*s) for s in sorted(spans)], RULES)
    return [{rule for rule in found if not found[rule][i]} for i in range(len(spans))]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 11)], [set()]),
        ([(5, 6)], [{"span_blank"}]),
        ([(0, 6)], [{"span_edge_white_space"}]),
        ([(12, 15)], [{"span_punctuation_only"}]),
        ([(0, 11), (0, 11)], [set(), {"span_duplicate"}]),
        ([(0, 11), (6, 11)], [set(), {"span_overlap"}]),
        ([(0, 5), (5, 11)], [set(), {"span_edge_white_space"}]),
        ([(0, 27), (6, 11), (16, 18)], [set(), {"span_overlap"}, {"span_overlap"}]),
    ],
)
def test_each_span_rule_marks_its_own_breach_only(spans: list[tuple[int, int]], expected: list[set[str]]) -> None:
    assert broken_by(*spans) == expected


def test_words_are_counted_by_white_space_and_the_limit_is_the_language_s() -> None:
    text = " ".join(["woord"] * 11)
    spans = [entity(0, len(text) - 6, text), entity(0, len(text), text)]
    assert span_breaches(spans, VALIDATION.of("nl"))["span_too_long"] == [True, False]
    assert span_breaches(spans, VALIDATION.of("sv"))["span_too_long"] == [True, True]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 11)), max_size=8))
def test_spans_marked_neither_duplicate_nor_overlapping_are_disjoint(starts: list[tuple[int, int]]) -> None:
    entities = sorted_entities(entity(s, s + n) for s, n in starts)
    found = span_breaches(entities, RULES)
    kept = [
        e.span
        for e, unique, apart in zip(entities, found["span_duplicate"], found["span_overlap"], strict=True)
        if unique and apart
    ]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(kept))
    assert len(kept) >= (1 if entities else 0)


def note(number: int, spans: int, *, characters: int = 300) -> Document:
    text = "x " * (characters // 2)
    return Document(f"n{number:03}", text, tuple(entity(2 * i, 2 * i + 1, text) for i in range(spans)), "es")


def test_density_is_judged_against_length_so_a_long_document_may_hold_many() -> None:
    usual = [note(i, 3 + i % 3) for i in range(30)]
    long = note(30, 40, characters=3000)
    crowded = note(31, 40)
    assert far_densities([*usual, long, crowded], EntityType.SYMPTOM, RULES.density_far) == {31}
    assert far_densities([*usual[:10], crowded], EntityType.SYMPTOM, RULES.density_far) == set(), "too few to tell"


def checked(documents: list[Document], *defects: DataError, detected: str = "es") -> dict[str, Table]:
    found = tables({None: Fold(documents, defects)}, VALIDATION, lambda _: detected, {None: set()})
    return {t.name: t for t in found}


def test_tables_are_by_language_and_type_and_hold_no_text() -> None:
    es = note(1, 2)
    nl = replace(note(2, 1), language="nl")
    nobody = replace(note(3, 0), language=None)
    found = checked([es, nl, nobody], DataError("n9", "surface_differs", 4))
    assert set(found) == {
        "reading", "documents-es", "documents-nl", "documents-undeclared", "spans-es-symptom", "spans-nl-symptom"
    }  # fmt: skip
    assert [(r.document, r.offset) for r in found["reading"].breaches("surface_differs")] == [("n9", 4)]
    assert "language_differs" not in found["documents-undeclared"].sound
    assert "case_in_two_folds" not in found["documents-es"].sound
    assert [r.document for r in found["documents-nl"].breaches("language_differs")] == ["n002"]
    assert all(isinstance(v, bool) for t in found.values() for column in t.sound.values() for v in column)


def test_a_rule_that_the_readers_gain_is_hard_without_being_listed() -> None:
    table = checked([note(1, 0)], DataError("n9", "some_new_rule"))["reading"]
    assert [r.document for r in table.breaches("some_new_rule")] == ["n9"]
    assert table.rules["some_new_rule"].tolerance == 0


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_of_the_night_is_a_plain_word_in_the_tables_that_great_expectations_sees(rule: Rule) -> None:
    reading = checked([], DataError("day.jsonl#L2", rule, 2))["reading"]
    assert [(type(name), name) for name in reading.rules if name == rule] == [(str, rule.value)]
    assert results_of([reading])["reading", rule.value] is False


def test_a_short_document_is_not_judged_by_its_language_and_silence_is_no_other_language() -> None:
    short = note(1, 0, characters=100)
    assert not list(checked([short], detected="en")["documents-es"].breaches("language_differs"))
    long = note(2, 0)
    found = tables({None: Fold([long], ())}, VALIDATION, lambda _: None, {None: set()})
    assert not list(found[1].breaches("language_differs"))


def test_the_same_text_for_another_type_is_no_copy() -> None:
    one = replace(note(1, 0), annotated=frozenset({EntityType.DISEASE}))
    other = replace(one, id="n002", annotated=frozenset({EntityType.SYMPTOM}))
    again = replace(one, id="n003")
    found = checked([one, other, again])["documents-es"]
    assert [r.document for r in found.breaches("document_copy")] == ["n003"]


def test_the_filter_takes_out_the_language_s_rules_and_only_those() -> None:
    text = "Pijn , " + "x " * 60
    long = Document("long", text, (entity(0, 4, text), entity(5, 6, text), entity(7, 31, text)), "nl")
    short = Document("short", "Pijn.", (entity(0, 4, "Pijn."),), "nl")
    documents = [long, short, replace(short, id="es", language="es")]
    kept, dropped = without_dropped(documents, list(checked(documents).values()), VALIDATION)
    assert [(d.id, [e.span for e in d.entities]) for d in kept] == [("long", [(0, 4)]), ("es", [(0, 4)])]
    assert dropped["documents"] == {"document_too_short": 1}
    assert dropped["spans"] == {"document_too_short": 1, "span_punctuation_only": 1, "span_too_long": 1}


def test_a_language_says_only_what_differs_and_keeps_the_rest() -> None:
    dutch = VALIDATION.of("nl")
    assert (dutch.span_too_long.words, dutch.span_too_long.severity) == (10, RULES.span_too_long.severity)
    assert dutch.density_far == RULES.density_far
    assert VALIDATION.of("es") is RULES
    assert VALIDATION.of(None) is RULES


def test_hard_rules_and_misspelt_ones_are_refused_in_params() -> None:
    path = Path(__file__).parents[2] / "params.yaml"
    for rule in (*HARD_RULES, "span_to_long"):
        with pytest.raises(UsageError, match=rule):
            load_params(path, [f"validate.rules.{rule}.tolerance=0.1"])
        with pytest.raises(UsageError, match=rule):
            load_params(path, [f"validate.languages.nl.{rule}.tolerance=0.1"])
    with pytest.raises(UsageError, match="tolerance"):
        load_params(path, ["validate.rules.span_blank.tolerance=1"])
