"""A folder of a pretrained checkpoint, or of a trained model -> encoder in float32 and fast tokenizer."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from enigma_tasks import artifacts
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.model_files import check_model_files, refused_unless_loaded
from enigma_tasks.ner.model_folder import load_model
from enigma_tasks.ner.network.transformers_import import import_modelling

if TYPE_CHECKING:
    from torch import nn

    from enigma_tasks.params.members import MemberParams

_PADDED_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer", "mpnet")
"""Architectures that number positions from the padding id + 1."""


def find_base(base: str, model_store: str, holding: str = "config.json") -> Path:
    """The folder of a base model: `base` itself, or `base` under the model store, slashes as folders or as `--`.

    Raises:
        ModelError: it is in neither place; no hub is contacted.
    """
    places = [Path(base)]
    if model_store:
        places += [Path(model_store) / base, Path(model_store) / artifacts.base_model_folder(base)]
    for place in places:
        if (place / holding).is_file():
            return place
    where = f"the model store {model_store}" if model_store else "a model store (set ENIGMA_MODEL_STORE)"
    raise ModelError(f"base model {base!r} is no folder with a {holding}, nor in {where}")


def load_base(folder: Path, member: MemberParams) -> tuple[nn.Module, Any]:
    """Encoder in float32 and fast tokenizer of a pretrained checkpoint folder, or of a model that Enigma trained.

    Raises:
        ModelError: no safetensors weights, weights or a tokenizer that do not match the config, or a file of a trained
            model that does not match its card; as `check_model_files` does.
        UsageError: the member's windows are longer than the encoder's positions.
    """
    if (folder / artifacts.MODEL_CARD).is_file():
        trained = load_model(folder)
        _check_window(trained.network.encoder.config, folder, member)
        return trained.network.encoder, trained.tokenizer.pretrained
    return _load_pretrained(folder, member)


def _check_window(config: Any, folder: Path, member: MemberParams) -> None:
    positions = position_limit(config)
    if positions is not None and member.window_tokens > positions:
        raise UsageError(f"window_tokens {member.window_tokens} is more than the {positions} of {folder.name}")


def _load_pretrained(folder: Path, member: MemberParams) -> tuple[nn.Module, Any]:
    import_modelling()
    from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()  # mismatches raise an error below
    check_model_files(folder)
    with refused_unless_loaded(f"base model {folder.name}: {artifacts.ENCODER_CONFIG} describes no known encoder"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = MODEL_MAPPING[type(config)]
    _check_window(config, folder, member)
    unpooled = "add_pooling_layer" in inspect.signature(kind.__init__).parameters
    with refused_unless_loaded(f"base model {folder.name}: weights are missing or do not match its config"):
        # explicit float32: the default is the file's dtype, and half-precision weights do not train well
        encoder, report = AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **({"add_pooling_layer": False} if unpooled else {}),
        )
    missing = sorted(report["missing_keys"]) + sorted(str(k[0]) for k in report["mismatched_keys"])
    if missing:
        raise ModelError(f"base model {folder.name}: {len(missing)} weights do not match its config, e.g. {missing[0]}")
    # AutoTokenizer may rebuild the pre-tokenizer, so the file is preferred
    loader = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    with refused_unless_loaded(f"base model {folder.name}: its tokenizer is missing or cannot be read"):
        tokenizer = loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if len(tokenizer) > config.vocab_size:
        raise ModelError(f"base model {folder.name}: its tokenizer has more pieces than the encoder")
    return encoder, tokenizer


def position_limit(config: Any) -> int | None:
    """The longest input in sub-words, special tokens included; None where positions are relative."""
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None or limit <= 0:
        return None
    return int(limit) - (int(config.pad_token_id) + 1 if config.model_type in _PADDED_POSITIONS else 0)


def check_safetensors(path: Path) -> None:
    """Check the header and the file's length. Raises ModelError."""
    try:
        with safe_open(path, framework="pt") as file:
            file.keys()
    except (SafetensorError, OSError):
        raise ModelError(f"{path.name} is no complete safetensors file") from None
