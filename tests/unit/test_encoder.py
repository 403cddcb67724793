"""Word pooling, heads, and base models that are not what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.alignment import IGNORED
from enigma_tasks.ner.encoder import (
    TokenClassifier,
    build_encoder,
    find_base,
    load_base,
    pool_words,
    position_limit,
    scratch_config,
)
from enigma_tasks.params.members import ScratchParams
from tests.unit.ner_builders import recipe, tokenizer

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = ["bert", "roberta", "xlm-roberta", "camembert", "electra"]


def config_of(family: str, vocabulary: int = 150) -> object:
    return AutoConfig.for_model(
        family,
        vocab_size=vocabulary,
        hidden_size=16,
        embedding_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        pad_token_id=1,
    )


def classifier(head: str = "softmax", types: int = 3) -> TokenClassifier:
    torch.manual_seed(0)
    shape = ScratchParams(vocabulary=150, hidden=16, layers=1, heads=2)
    return TokenClassifier(build_encoder(scratch_config(shape, 150, 1, 32)), types, head).eval()


def base_folder(folder: Path, family: str = "xlm-roberta") -> Path:
    wrapped = tokenizer("metaspace")
    torch.manual_seed(0)
    encoder = build_encoder(config_of(family, wrapped.vocabulary))
    encoder.half().save_pretrained(folder)  # type: ignore[operator]
    wrapped.pretrained.save_pretrained(folder)
    return folder


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
    tags, chances = classifier(head).decode(scores, mask)
    before = torch.nn.functional.pad(tags[:, :-1], (0, 0, 1, 0))
    assert not ((tags == 2) & (before == 0)).any()
    assert not tags[~mask].any()
    assert ((chances[mask] >= 0) & (chances[mask] <= 1)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_base_models_of_each_family_load_in_float32_with_nothing_left_random(family: str, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / family, family)
    encoder, _ = load_base(folder, recipe(base="x", scratch=None))
    stored = load_file(folder / "model.safetensors")
    for name, value in encoder.state_dict().items():
        assert value.dtype in (torch.float32, torch.int64)
        torch.testing.assert_close(value, stored[name].to(value.dtype))


def test_a_base_model_whose_weights_do_not_match_its_config_is_refused(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(ModelError, match="16 weights do not match"):
        load_base(folder, recipe(base="x", scratch=None))
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 999}))
    with pytest.raises(ModelError, match="do not match its config"):
        load_base(folder, recipe(base="x", scratch=None))


def test_a_base_model_with_too_many_weights_is_fine_but_missing_ones_are_not(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "lm_head.bias": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})
    load_base(folder, recipe(base="x", scratch=None))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="weights are missing"):
        load_base(folder, recipe(base="x", scratch=None))


def test_windows_longer_than_the_positions_are_refused_early(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m")
    with pytest.raises(UsageError, match="more than the 64"):
        load_base(folder, recipe(base="x", scratch=None, window_tokens=65))
    assert position_limit(config_of("bert")) == 66


def test_a_base_model_is_looked_for_in_the_store_and_nowhere_else(tmp_path: Path) -> None:
    base_folder(tmp_path / "store" / "org--name")
    assert find_base("org/name", str(tmp_path / "store")).name == "org--name"
    with pytest.raises(ModelError, match="ENIGMA_MODEL_STORE"):
        find_base("org/name", "")
    with pytest.raises(ModelError, match="org/other"):
        find_base("org/other", str(tmp_path / "store"))
