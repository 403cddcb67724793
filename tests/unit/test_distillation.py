"""Soft targets: the mean of the teachers, word by word, and nothing where no teacher speaks."""

from __future__ import annotations

import numpy as np
import pytest

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.engine import Engine, WordProbabilities
from enigma_tasks.ner.text.alignment import IGNORED, split_words
from enigma_tasks.ner.training.distillation import mean_targets, soft_examples
from tests.unit.ner_builders import notes, trained

DISEASE, SYMPTOM = EntityType.DISEASE, EntityType.SYMPTOM


def probabilities(words: np.ndarray, types: tuple[EntityType, ...], rows: list[list[list[float]]]) -> WordProbabilities:
    return WordProbabilities(types, words, np.array(rows, dtype=np.float32))


def test_the_target_of_a_word_is_the_mean_of_the_teachers_that_have_the_type() -> None:
    words = split_words("tos seca")
    first = probabilities(words, (DISEASE, SYMPTOM), [[[1, 0, 0], [0.2, 0.8, 0]], [[1, 0, 0], [0.4, 0, 0.6]]])
    second = probabilities(words, (SYMPTOM,), [[[0.4, 0.6, 0]], [[0.2, 0, 0.8]]])
    soft, known = mean_targets(words, (SYMPTOM, DISEASE), [first, second])
    assert known.all()
    np.testing.assert_allclose(soft[:, 0], [[0.3, 0.7, 0], [0.3, 0, 0.7]], atol=1e-6)
    np.testing.assert_allclose(soft[:, 1], [[1, 0, 0], [1, 0, 0]], atol=1e-6)


def test_a_word_that_a_teacher_joins_differently_is_left_to_the_others() -> None:
    words = split_words("tos seca")
    whole = np.array([[0, 8]], dtype=np.int32)
    joined = probabilities(whole, (SYMPTOM,), [[[0, 1, 0]]])
    soft, known = mean_targets(words, (SYMPTOM,), [joined])
    assert not known.any()
    plain = probabilities(words, (SYMPTOM,), [[[0, 1, 0]], [[0, 0, 1]]])
    soft, known = mean_targets(words, (SYMPTOM,), [joined, plain])
    assert known.all()
    np.testing.assert_allclose(soft[:, 0], [[0, 1, 0], [0, 0, 1]])


def test_every_word_of_every_unlabelled_document_is_taught_once_without_overlap() -> None:
    teachers = [trained(seed=1), trained(seed=2)]
    documents = notes(6, first=40)
    made = soft_examples(teachers[0], documents, teachers, 2048)
    words = sum(len(split_words(d.text)) for d in documents)
    assert sum(len(e.tags) for e in made) >= words
    assert all(e.soft is not None and e.soft.shape == (*e.tags.shape, 3) for e in made)
    assert all((e.tags != IGNORED).all() for e in made)
    for example in made:
        assert example.soft is not None
        np.testing.assert_allclose(example.soft.sum(-1), 1, atol=1e-5)


def test_the_soft_targets_are_what_the_engine_holds_likely() -> None:
    teacher = trained(seed=1)
    documents = notes(2, first=50)
    (likely,) = next(iter(Engine([teacher], 2048).probabilities(documents)))
    soft, _ = mean_targets(likely.words, teacher.card.entity_types, [likely])
    np.testing.assert_allclose(soft, likely.values)


def test_a_type_that_no_teacher_knows_is_refused() -> None:
    student = trained(seed=1)
    with pytest.raises(UsageError, match="disease"):
        soft_examples(student, notes(1), [], 2048)
