"""Word scores -> entities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ner.decoding import decode
from enigma_tasks.ner.text.alignment import split_words
from tests.unit.strategies import texts
from tests.unit.test_encoder import classifier

pytestmark = pytest.mark.training

O, B, I = np.eye(3, dtype=np.float32) * 4  # noqa: E741


def decoded(text: str, *scores: list[np.ndarray]) -> list[tuple[str, str]]:
    stacked = np.stack([np.stack(s) for s in scores], axis=1)
    types = list(EntityType)[: len(scores)]
    (found,) = decode(classifier(types=len(scores)), types, [Document("d", text)], [split_words(text)], [stacked])
    return [(e.label, e.text) for e in found]


def test_tags_become_entities_of_their_type() -> None:
    assert decoded("fiebre alta y tos", [O, O, O, B], [B, I, O, O]) == [
        ("PROCEDURE", "fiebre alta"),
        ("DISEASE", "tos"),
    ]


def test_an_inside_with_nothing_before_it_is_settled_by_the_likelier_of_the_legal_tags() -> None:
    assert decoded("tos y asma", [I + B / 2, O, O]) == [("DISEASE", "tos")]
    assert decoded("tos seca", [B / 2, I]) == [("DISEASE", "tos seca")]


def test_neighbouring_entities_stay_two() -> None:
    assert [t for _, t in decoded("tos fiebre", [B, B])] == ["tos", "fiebre"]


def test_the_score_is_the_mean_probability_of_the_words() -> None:
    text = "tos seca"
    scores = np.stack([B, I])[:, None]
    ((entity,),) = decode(
        classifier(types=1), [EntityType.SYMPTOM], [Document("d", text)], [split_words(text)], [scores]
    )
    assert entity.score == pytest.approx(float(torch.softmax(torch.tensor([4.0, 0, 0]), 0)[0]), abs=1e-6)


@pytest.mark.parametrize("head", ["softmax", "crf"])
@given(st.lists(texts, min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_entities_equal_their_slice_and_do_not_depend_on_the_company(head: str, many: list[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    documents = [Document(str(i), text) for i, text in enumerate(many)]
    words = [split_words(text) for text in many]
    scores = [random.normal(size=(len(w), 3, 3)).astype(np.float32) for w in words]
    network, types = classifier(head), list(EntityType)
    together = decode(network, types, documents, words, scores)
    for i, document in enumerate(documents):
        assert all(e.text == document.text[e.char_start : e.char_end] and e.text.strip() for e in together[i])
        assert [together[i]] == decode(network, types, [document], [words[i]], [scores[i]])
