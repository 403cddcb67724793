"""Evidence of an ensemble's spans from members' tag probabilities and spans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Entity, EntityType
from enigma_tasks.ensembles.span_evidence import span_evidence
from enigma_tasks.ner.engine import WordProbabilities

DISEASE, PROCEDURE, _ = EntityType


def words(begin: list[float], inside: list[float], width: int = 5) -> WordProbabilities:
    """Words of `width` characters with a blank between, of one type."""
    size = len(begin)
    starts = np.arange(size) * (width + 1)
    outside = 1 - np.array(begin) - np.array(inside)
    values = np.stack([outside, begin, inside], axis=1)[:, None].astype(np.float32)
    return WordProbabilities((DISEASE,), np.stack([starts, starts + width], axis=1), values)


def span(first: int, stop: int, score: float | None = None, label: str = "DISEASE") -> Entity:
    return Entity(label, first * 6, stop * 6 - 1, "x" * (6 * (stop - first) - 1), score)


def test_a_span_is_as_probable_as_its_tags_and_its_end_together() -> None:
    member = words([0.9, 0.0, 0.0, 0.1], [0.0, 0.8, 0.7, 0.4])
    evidence = span_evidence([span(0, 3), span(0, 2), span(0, 4)], [member], DISEASE)
    assert evidence.found == pytest.approx([0.9 * 0.8 * 0.7 * 0.6, 0.9 * 0.8 * 0.3, 0.9 * 0.8 * 0.7 * 0.4])


def test_a_span_of_one_word_at_the_end_of_the_text() -> None:
    assert span_evidence([span(1, 2)], [words([0.1, 0.7], [0, 0.2])], DISEASE).found == pytest.approx([0.7])


def test_the_start_of_a_span_keeps_what_the_span_does_not_cover() -> None:
    evidence = span_evidence([span(0, 2)], [words([0.9, 0.0, 0.3], [0.0, 0.6, 0.0])], DISEASE)
    assert evidence.starts.tolist() == [0, 6, 12]
    assert evidence.uncovered == pytest.approx([0.9 - 0.9 * 0.6, 0.0, 0.3])


def test_members_of_other_kinds_give_the_scores_of_their_own_spans_of_the_type() -> None:
    gliner = [span(0, 1, 0.8), span(3, 4, 0.5), span(5, 6, 0.9, "SYMPTOM")]
    evidence = span_evidence([span(0, 1), span(2, 3)], [gliner, [span(2, 3)]], DISEASE)
    assert evidence.found == pytest.approx([0.4, 0.5])
    assert evidence.starts.tolist() == [0, 12, 18]
    assert evidence.uncovered == pytest.approx([0, 0, 0.25])


def test_members_with_other_words_are_put_together_by_character() -> None:
    other = WordProbabilities((DISEASE,), np.array([[0, 3], [6, 11]]), np.full((2, 1, 3), [0.2, 0.8, 0.0], np.float32))
    evidence = span_evidence([], [words([0.4], [0.0]), other], DISEASE)
    assert evidence.starts.tolist() == [0, 6]
    assert evidence.uncovered == pytest.approx([0.6, 0.4])


def test_a_text_without_words_has_no_evidence() -> None:
    nothing = WordProbabilities((DISEASE,), np.zeros((0, 2), np.int64), np.zeros((0, 1, 3), np.float32))
    evidence = span_evidence([], [nothing, []], DISEASE)
    assert (len(evidence.found), len(evidence.starts), len(evidence.uncovered)) == (0, 0, 0)


@given(st.data())
def test_evidence_is_a_probability_and_does_not_depend_on_the_order_of_members(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    parts = st.lists(st.floats(0, 0.5), min_size=size, max_size=size)
    members = [words(data.draw(parts), data.draw(parts)) for _ in range(data.draw(st.integers(1, 3)))]
    cuts = data.draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, size)), max_size=4, unique=True))
    spans = [span(a, min(a + n, size)) for a, n in cuts]
    one, other = span_evidence(spans, members, DISEASE), span_evidence(spans, members[::-1], DISEASE)
    for values in (one.found, one.uncovered):
        assert ((values >= 0) & (values <= 1)).all()
    assert one.found == pytest.approx(other.found)
    assert one.uncovered == pytest.approx(other.uncovered)
