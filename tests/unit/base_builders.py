"""Tiny base models with random weights, as a hub would hold them: one for each architecture of the paper's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig

from enigma_tasks.ner.network.encoder import build_encoder
from tests.unit.ner_builders import tokenizer

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = {
    "xlm-roberta": "whitespace_metaspace",
    "roberta": "byte_bpe",
    "bert": "wordpiece",
    "camembert": "metaspace",
}
"""Architecture -> the kind of tokenizer that its checkpoints come with."""


def base_folder(folder: Path, family: str = "bert", positions: int = 66, layers: int = 1) -> Path:
    """A checkpoint folder: safetensors, config and tokenizer.json; `positions` rows of position embeddings."""
    wrapped = tokenizer(FAMILIES[family])
    config = AutoConfig.for_model(
        family,
        vocab_size=wrapped.vocabulary,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
        pad_token_id=wrapped.pad_id,
        bos_token_id=0,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    build_encoder(config).save_pretrained(folder)  # type: ignore[operator]
    wrapped.pretrained.save_pretrained(folder)
    return folder
