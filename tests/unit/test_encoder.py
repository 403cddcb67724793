"""Word pooling, heads, and base models that are not what they say."""

from __future__ import annotations

import pytest
import torch

from enigma_tasks.ner.network.encoder import (
    TokenClassifier,
    build_encoder,
    pool_words,
    scratch_config,
)
from enigma_tasks.ner.text.alignment import IGNORED
from enigma_tasks.params.members import ScratchParams


def classifier(head: str = "softmax", types: int = 3) -> TokenClassifier:
    torch.manual_seed(0)
    shape = ScratchParams(vocabulary=150, hidden=16, layers=1, heads=2)
    return TokenClassifier(build_encoder(scratch_config(shape, 150, 1, 32)), types, head).eval()


def test_a_word_is_the_mean_of_the_sub_words_that_speak_for_it() -> None:
    hidden = torch.tensor([[[9.0], [1.0], [3.0], [5.0]], [[2.0], [4.0], [8.0], [7.0]]])
    owner = torch.tensor([[-1, 0, 0, 1], [0, -1, -1, -1]])
    assert pool_words(hidden, owner, 2).squeeze(2).tolist() == [[2.0, 5.0], [2.0, 0.0]]


def test_padding_does_not_change_a_window() -> None:
    network = classifier()
    ids, owner = torch.tensor([[2, 9, 8, 3]]), torch.tensor([[-1, 0, 1, -1]])
    padded_ids, padded_owner = torch.tensor([[2, 9, 8, 3, 1, 1]]), torch.tensor([[-1, 0, 1, -1, -1, -1]])
    attention = torch.tensor([[True] * 4 + [False] * 2])
    alone = network(ids, None, owner, 2)
    assert alone.shape == (1, 2, 3, 3)
    torch.testing.assert_close(network(padded_ids, attention, padded_owner, 2), alone)


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_type_that_a_document_is_not_annotated_for_teaches_nothing(head: str) -> None:
    network = classifier(head)
    scores = torch.randn(2, 4, 3, 3, requires_grad=True)
    tags = torch.randint(0, 2, (2, 4, 3))
    tags[:, :, 1] = IGNORED
    tags[0, 3] = IGNORED
    loss = network.loss(scores, tags)
    loss.backward()
    assert loss.isfinite()
    assert scores.grad is not None
    assert not scores.grad[:, :, 1].any()
    assert not scores.grad[0, 3].any()
    assert scores.grad[:, 0, 0].any()


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_batch_without_any_tag_gives_no_nan(head: str) -> None:
    scores = torch.randn(1, 3, 2, 3, requires_grad=True)
    loss = classifier(head, types=2).loss(scores, torch.full((1, 3, 2), IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_decoding_gives_legal_tags_and_their_probabilities(head: str) -> None:
    scores, mask = torch.randn(5, 12, 3, 3), torch.arange(12)[None, :] < torch.tensor([12, 7, 1, 3, 12])[:, None]
    network = classifier(head)
    tags, probabilities = network.best_tags(scores, mask), network.probabilities(scores, mask)
    before = torch.nn.functional.pad(tags[:, :-1], (0, 0, 1, 0))
    assert not ((tags == 2) & (before == 0)).any()
    assert not tags[~mask].any()
    assert ((probabilities[mask] >= 0) & (probabilities[mask] <= 1)).all()
