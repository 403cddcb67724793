"""Windows of sub-words -> scores of O, B and I for each word and entity type: an encoder with one head per type.

Letters in shapes: B windows, T sub-words, W words, H hidden units, K entity types, L = 3 tags.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.alignment import IGNORED, TAGS
from enigma_tasks.ner.crf import LinearChainCRF, constrained_viterbi

if TYPE_CHECKING:
    from enigma_tasks.params.members import MemberParams, ScratchParams

_PADDED_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer", "mpnet")
"""Architectures that number positions from the padding id + 1."""


class TokenClassifier(nn.Module):
    """Encoder, dropout, and per entity type a linear layer to O, B, I; with `head="crf"` a CRF on top of each."""

    def __init__(self, encoder: nn.Module, types: int, head: str, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.types = types
        hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.classifier = nn.Linear(hidden, types * len(TAGS))
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)
        self.crfs = nn.ModuleList([LinearChainCRF(len(TAGS)) for _ in range(types)] if head == "crf" else [])

    def forward(self, ids: Tensor, attention: Tensor | None, owner: Tensor, words: int) -> Tensor:
        """Word scores, float32 [B, W, K, L].

        `ids` [B, T]; `attention` [B, T] bool, None when nothing is padded; `owner` [B, T]: the word, below `words`,
        that each sub-word speaks for, or -1.
        """
        hidden = self.encoder(input_ids=ids, attention_mask=attention).last_hidden_state
        pooled = pool_words(hidden.float(), owner, words)
        with torch.autocast(pooled.device.type, enabled=False):
            scores: Tensor = self.classifier(self.dropout(pooled))
        return scores.view(*scores.shape[:2], self.types, len(TAGS))

    def loss(self, scores: Tensor, tags: Tensor) -> Tensor:
        """Mean loss over types; `tags` [B, W, K], IGNORED for padding and for types a document is not annotated for."""
        if not self.crfs:
            total = nn.functional.cross_entropy(
                scores.flatten(0, 2), tags.flatten(), ignore_index=IGNORED, reduction="sum"
            )
            return total / (tags != IGNORED).sum().clamp_min(1)
        losses = []
        for k, crf in enumerate(self.crfs):
            mask = tags[:, :, k] != IGNORED
            # Per word, as the softmax head's: long windows count no more than short ones do there.
            nll = crf(scores[:, :, k], tags[:, :, k], mask) * mask.any(1).sum() / mask.sum().clamp_min(1)
            losses.append(nll * mask.any())
        carried = torch.stack([(tags[:, :, k] != IGNORED).any() for k in range(self.types)]).sum()
        return torch.stack(losses).sum() / carried.clamp_min(1)

    @torch.no_grad()
    def decode(self, scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Best legal tags of whole texts: scores [B, W, K, L], mask [B, W] -> tags [B, W, K], probability [B, W, K].

        The probability is the chosen tag's: softmax of the word's scores, or the CRF's marginal.
        """
        tags, chances = [], []
        for k in range(self.types):
            if self.crfs:
                crf = self.crfs[k]
                assert isinstance(crf, LinearChainCRF)
                best, chance = crf.viterbi(scores[:, :, k], mask), crf.marginals(scores[:, :, k], mask)
            else:
                best, chance = constrained_viterbi(scores[:, :, k].log_softmax(-1), mask), scores[:, :, k].softmax(-1)
            tags.append(best)
            chances.append(chance.gather(2, best.unsqueeze(2)).squeeze(2))
        return torch.stack(tags, dim=2), torch.stack(chances, dim=2)


def pool_words(hidden: Tensor, owner: Tensor, words: int) -> Tensor:
    """Mean of each word's sub-words: hidden [B, T, H], owner [B, T] in -1..words-1 -> [B, words, H]; no sub-word: 0."""
    batch, _, size = hidden.shape
    row = torch.arange(batch, device=owner.device).unsqueeze(1) * (words + 1)
    slot = (torch.where(owner < 0, words, owner) + row).flatten()  # one spare slot per window takes the unowned
    total = hidden.new_zeros(batch * (words + 1), size).index_add_(0, slot, hidden.flatten(0, 1))
    count = hidden.new_zeros(batch * (words + 1)).index_add_(0, slot, hidden.new_ones(slot.shape[0]))
    pooled = total / count.clamp_min(1).unsqueeze(1)
    return pooled.view(batch, words + 1, size)[:, :words]


def build_encoder(config: Any) -> nn.Module:
    """An encoder with random weights, float32, without the pooling layer nobody trains."""
    from transformers import MODEL_MAPPING, AutoModel

    kind = MODEL_MAPPING[type(config)]
    unpooled = "add_pooling_layer" in inspect.signature(kind.__init__).parameters
    kwargs = {"add_pooling_layer": False} if unpooled else {}
    encoder: nn.Module = AutoModel.from_config(config, dtype=torch.float32, **kwargs)
    return encoder


def scratch_config(shape: ScratchParams, vocabulary: int, pad_id: int, window_tokens: int) -> Any:
    """A BERT config of the given shape."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.hidden * 4,
        max_position_embeddings=window_tokens,
        pad_token_id=pad_id,
        type_vocab_size=1,
    )


def find_base(base: str, model_store: str) -> Path:
    """The folder of a base model: `base` itself, or `base` under the model store, slashes as folders or as `--`.

    Raises:
        ModelError: it is in neither place; no hub is asked.
    """
    places = [Path(base)]
    if model_store:
        places += [Path(model_store) / base, Path(model_store) / base.replace("/", "--")]
    for place in places:
        if (place / "config.json").is_file():
            return place
    where = f"the model store {model_store}" if model_store else "a model store (set ENIGMA_MODEL_STORE)"
    raise ModelError(f"base model {base!r} is no folder with a config.json, nor in {where}")


def load_base(folder: Path, member: MemberParams) -> tuple[nn.Module, Any]:
    """Encoder in float32 and fast tokenizer of a pretrained checkpoint folder.

    Raises:
        ModelError: no safetensors weights, or weights that do not match the config.
        UsageError: the member's windows are longer than the encoder's positions.
    """
    from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()  # what does not fit is said below, as an error
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    positions = position_limit(config)
    if positions is not None and member.window_tokens > positions:
        raise UsageError(f"window_tokens {member.window_tokens} is more than the {positions} of {folder.name}")
    unpooled = "add_pooling_layer" in inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    try:
        # float32 said aloud: the default takes the file's dtype, and half-precision weights do not train well.
        encoder, report = AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **({"add_pooling_layer": False} if unpooled else {}),
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"base model {folder.name}: weights are missing or do not match its config") from error
    missing = sorted(report["missing_keys"]) + sorted(str(k[0]) for k in report["mismatched_keys"])
    if missing:
        raise ModelError(f"base model {folder.name}: {len(missing)} weights do not match its config, e.g. {missing[0]}")
    # AutoTokenizer may rebuild the pre-tokenizer; the file as it is comes first.
    loader = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    return encoder, loader.from_pretrained(folder, local_files_only=True)


def position_limit(config: Any) -> int | None:
    """The longest input in sub-words, special tokens included; None when positions are relative."""
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None or limit <= 0:
        return None
    return int(limit) - (int(config.pad_token_id) + 1 if config.model_type in _PADDED_POSITIONS else 0)
