"""A tiny GLiNER checkpoint, built from a config: random weights, one layer, the tokenizer of the core's tests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from enigma_tasks.documents import EntityType
from enigma_tasks.params.annotators import GlinerMemberParams
from tests.unit.ner_builders import SENTENCES

if TYPE_CHECKING:
    from pathlib import Path

    from enigma_tasks.members.gliner_training import GlinerTask

BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 400,
}


def whole_words() -> Any:
    """A tokenizer that knows the words of the core's notes and single characters; the same in every process."""
    words = sorted({w for s in SENTENCES for w in re.findall(r"\w+|\S", s)} | set("0123456789"))
    characters = sorted({c for w in words for c in w})
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *dict.fromkeys([*words, *characters]), *(f"##{c}" for c in characters)]
    backend = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("<s>", 0), ("</s>", 2)]
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    special = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=400, **special)


def checkpoint(folder: Path, *, backbone: Path | None = None, **changes: Any) -> Path:
    """A GLiNER checkpoint's folder as a hub gives it; with `backbone`, the encoder's config and the tokenizer there."""
    from gliner.config import UniEncoderSpanConfig
    from gliner.model import UniEncoderSpanGLiNER

    place = backbone or folder
    place.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    pretrained = whole_words()
    pretrained.save_pretrained(place)
    encoder = {**BERT, "vocab_size": len(pretrained), "pad_token_id": pretrained.pad_token_id}
    shape = {"hidden_size": 32, "max_width": 6, "max_len": 128, "dropout": 0.0, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = UniEncoderSpanGLiNER.load_from_config(
            UniEncoderSpanConfig(model_name=str(place), encoder_config=dict(encoder), **shape),
            backbone_from_pretrained=False,
            local_files_only=True,
        )
    config = {k: v for k, v in model.config.to_dict().items() if k not in {"encoder_config", "_name_or_path"}}
    if backbone is None:
        config["encoder_config"] = model.config.encoder_config.to_dict()
        model.data_processor.transformer_tokenizer.save_pretrained(folder)
    else:
        (backbone / "config.json").write_text(json.dumps(encoder))
        model.data_processor.transformer_tokenizer.save_pretrained(backbone)
        config["model_name"] = f"some/{backbone.name}"
    (folder / "gliner_config.json").write_text(json.dumps(config))
    weights = {k: v.clone().contiguous() for k, v in model.model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    return folder


def gliner_recipe(base: Path | str, **changes: Any) -> GlinerMemberParams:
    """A recipe that learns the core's test notes."""
    values = {
        "kind": "gliner", "base": str(base), "window_tokens": 48, "overlap_tokens": 16, "learning_rate": 5e-3,
        "batch_size": 4, "epochs": 1, "threshold": 0.5,
    }  # fmt: skip
    return GlinerMemberParams.model_validate({**values, **changes})


def gliner_task(base: Path | str, seed: int = 1, model_store: str = "", **changes: Any) -> GlinerTask:
    """A task on that recipe."""
    from enigma_tasks.members.gliner_training import GlinerTask

    return GlinerTask("es", tuple(EntityType), "gliner-tiny", gliner_recipe(base, **changes), seed, model_store)
