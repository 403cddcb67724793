"""A frozen test set is never trained on: by digest, by near-copy, over the whole history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.gold.frozen_sets import check_frozen, check_not_trained_on, differing, digests_of

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def document(number: int, text: str = "") -> Document:
    own = " ".join(f"palabra{i}-{number}" for i in range(15))
    return Document(f"caso-{number}", text or own, language="es", annotated=frozenset({EntityType.DISEASE}))


TEST = [document(n) for n in range(3)]
DEV = [document(n) for n in range(3, 5)]
FOLDS = {"dev": DEV, "test": TEST}


def test_a_frozen_set_that_is_as_it_was_committed_passes() -> None:
    check_frozen("es", FOLDS, [digests_of(FOLDS)])


@pytest.mark.parametrize(
    "folds",
    [{"dev": DEV, "test": TEST[:2]}, {"dev": DEV, "test": [*TEST, document(9)]}, {"dev": TEST, "test": DEV}, {}],
)
def test_a_frozen_set_that_differs_from_its_digests_is_refused(folds: dict[str, list[Document]]) -> None:
    with pytest.raises(DataError, match="frozen/es: frozen_set_differs"):
        check_frozen("es", folds, [digests_of(FOLDS)])


def test_a_frozen_set_without_digests_is_refused() -> None:
    with pytest.raises(DataError, match="frozen_set_differs"):
        check_frozen("es", FOLDS, [])


def test_a_text_of_an_earlier_test_set_must_stay_frozen() -> None:
    renewed = {"dev": DEV, "test": [*TEST[1:], document(7)]}
    with pytest.raises(DataError, match=r"test_document_released.*1 texts"):
        check_frozen("es", renewed, [digests_of(renewed), digests_of(FOLDS)])
    retired = renewed | {"retired": TEST[:1]}
    check_frozen("es", retired, [digests_of(retired), digests_of(FOLDS)])


@given(st.lists(st.sets(st.integers(0, 8), min_size=1), min_size=1, max_size=5))
def test_whatever_the_history_a_text_that_was_once_in_test_is_frozen_or_refused(history: list[set[int]]) -> None:
    versions = [{"test": [document(n) for n in sorted(own)]} for own in history]
    committed = [digests_of(v) for v in versions]
    if set.union(*history) <= history[0]:
        check_frozen("es", versions[0], committed)
    else:
        with pytest.raises(DataError, match="test_document_released"):
            check_frozen("es", versions[0], committed)


def test_the_digest_is_of_the_text_alone() -> None:
    other = replace(TEST[0], id="another", annotated=frozenset({EntityType.SYMPTOM}))
    assert digests_of({"test": [other, TEST[0]]}) == digests_of({"test": TEST[:1]})


@pytest.mark.parametrize(
    "copy",
    [
        replace(TEST[0], id="another"),
        replace(document(7), id=TEST[0].id),
        replace(TEST[0], id="another", text=f"{TEST[0].text} alta"),
        replace(TEST[0], id="another", text=TEST[0].text.upper()),
    ],
    ids=["text", "id", "nearly", "case"],
)
def test_a_copy_of_a_frozen_document_is_not_trained_on(copy: Document) -> None:
    with pytest.raises(DataError, match=f"{copy.id}: frozen_in_train") as error:
        check_not_trained_on([document(20), copy], TEST, PARAMS)
    assert TEST[0].text not in str(error.value)


def test_other_documents_are_trained_on() -> None:
    check_not_trained_on([document(20), document(21)], [*TEST, *DEV], PARAMS)
    check_not_trained_on([], TEST, PARAMS)


def test_what_gold_says_otherwise_now_is_counted() -> None:
    again = replace(TEST[0], entities=(Entity("DISEASE", 0, 8, TEST[0].text[:8]),))
    assert differing(TEST, [again, TEST[1]]) == (1, 1)
    assert differing(TEST, [*TEST, document(20)]) == (0, 0)
