"""Base models of every architecture of the paper: found, loaded, or refused with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.base_models import find_base, load_base, position_limit
from enigma_tasks.ner.digests import base_digest
from enigma_tasks.ner.model_folder import save_model
from enigma_tasks.ner.network.encoder import build_encoder
from enigma_tasks.ner.text.tokenizer import TextTokenizer
from enigma_tasks.ner.training.train import Task, train
from tests.unit.ner_builders import notes, recipe, tokenizer, trained

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


def base_folder(folder: Path, family: str = "xlm-roberta") -> Path:
    wrapped = tokenizer("metaspace")
    torch.manual_seed(0)
    encoder = build_encoder(config_of(family, wrapped.vocabulary))
    encoder.half().save_pretrained(folder)  # type: ignore[operator]
    wrapped.pretrained.save_pretrained(folder)
    return folder


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


def test_a_model_trained_before_can_be_the_base_and_its_encoder_goes_on(tmp_path: Path) -> None:
    before = save_model(trained(), tmp_path / "before")
    own = recipe(base=str(tmp_path / "before"), scratch=None)
    encoder, pretrained = load_base(tmp_path / "before", own)
    for name, value in before.network.encoder.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value)
    assert TextTokenizer(pretrained).fingerprint == before.card.tokenizer_fingerprint
    with pytest.raises(UsageError, match="window_tokens 99 is more than the 32 of before"):
        load_base(tmp_path / "before", recipe(base="before", scratch=None, window_tokens=99))
    task = Task("es", tuple(EntityType), "m", own, 1)
    after, _ = train(task, notes(4), notes(1, 100))
    assert after.card.digests["base"] == base_digest(tmp_path / "before")
    with pytest.raises(UsageError, match="before, the base, was trained on the dev documents"):
        train(task, notes(1, 100), notes(6))
    (tmp_path / "before" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"before: config\.json is missing"):
        load_base(tmp_path / "before", own)


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
