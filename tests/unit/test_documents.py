"""Records: labels in any spelling, offsets in code points, errors that name a rule and no text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import LABELS, Document, Entity, EntityType, canonical_label, entity_at, sorted_entities
from enigma_tasks.errors import DataError


@pytest.mark.parametrize(
    ("written", "label"),
    [("Disease", "DISEASE"), ("ENFERMEDAD", "DISEASE"), ("procedimiento", "PROCEDURE"), ("Sintoma", "SYMPTOM")],
)
def test_a_label_is_read_in_any_case_and_in_spanish(written: str, label: str) -> None:
    assert canonical_label(written) == label


def test_the_labels_are_the_types_in_upper_case() -> None:
    assert LABELS == ("DISEASE", "PROCEDURE", "SYMPTOM")
    assert [t.label for t in EntityType] == list(LABELS)


def test_a_label_or_alias_means_one_type() -> None:
    meant = [*LABELS, *(alias for t in EntityType for alias in t.entry.aliases)]
    assert len(set(meant)) == len(meant)
    assert all(word == word.upper() for word in meant)


@given(st.text(min_size=1), st.data())
def test_an_entity_holds_the_slice_of_its_offsets(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    entity = entity_at("n", text, "symptom", start, end)
    assert entity.text == text[start:end]
    assert entity.span == (start, end)


@pytest.mark.parametrize(
    ("label", "start", "end", "rule"),
    [
        ("DISEASE", 3, 11, "span_outside_text"),
        ("DISEASE", -1, 3, "span_outside_text"),
        ("DISEASE", 11, 12, "span_outside_text"),
        ("DISEASE", 4, 4, "span_inverted"),
        ("DISEASE", 5, 2, "span_inverted"),
        ("DRUG", 0, 3, "label_unknown"),
    ],
)
def test_a_span_that_breaks_a_rule_is_named_without_its_text(label: str, start: int, end: int, rule: str) -> None:
    with pytest.raises(DataError) as caught:
        entity_at("note-1", "tos y goma", label, start, end)
    assert (caught.value.record, caught.value.rule, caught.value.offset) == ("note-1", rule, start)
    assert "tos" not in str(caught.value)


def test_a_record_does_not_show_its_text() -> None:
    entity = Entity("DISEASE", 0, 4, "gota")
    assert "gota" not in repr(Document("n", "gota aguda", (entity,)))


def test_equality_of_entities_ignores_the_score() -> None:
    assert Entity("DISEASE", 0, 4, "gota", 0.5) == Entity("DISEASE", 0, 4, "gota")


def test_entities_are_sorted_by_start_then_end_then_label() -> None:
    spans = [("SYMPTOM", 2, 5), ("DISEASE", 2, 5), ("DISEASE", 2, 4), ("DISEASE", 0, 9)]
    entities = [Entity(label, start, end, "x" * (end - start)) for label, start, end in spans]
    assert sorted_entities(entities) == tuple(reversed(entities))


def test_the_mentions_of_one_type_keep_their_order() -> None:
    a, b, c = Entity("DISEASE", 0, 1, "a"), Entity("SYMPTOM", 1, 2, "b"), Entity("DISEASE", 2, 3, "c")
    assert Document("n", "abc", (a, b, c)).of_type(EntityType.DISEASE) == (a, c)
