"""The token classifier: windows of sub-words -> scores of O, B and I for each word and entity type.

Letters in shapes: B windows, T sub-words, W words, H hidden units, K entity types, L = 3 tags.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from enigma_tasks.ner.network.crf import LinearChainCRF, constrained_viterbi
from enigma_tasks.ner.network.heads import Heads, Standardise
from enigma_tasks.ner.network.transformers_import import import_modelling
from enigma_tasks.ner.text.alignment import IGNORED, TAGS

if TYPE_CHECKING:
    from enigma_tasks.params.members import ScratchParams


class TokenClassifier(nn.Module):
    """Encoder, standardisation, dropout, and a head per entity type; with `head="crf"` a CRF on top of each."""

    def __init__(self, encoder: nn.Module, types: int, head: str, head_layers: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.types = types
        hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.standardise = Standardise(hidden)
        self.heads = Heads(hidden, types, head_layers, dropout)
        self.crfs = nn.ModuleList([LinearChainCRF(len(TAGS)) for _ in range(types)] if head == "crf" else [])

    def features(self, ids: Tensor, attention: Tensor | None, owner: Tensor, words: int) -> Tensor:
        """Word features, float32 [B, W, H]; arguments as for `forward`."""
        given = {"input_ids" if ids.dim() == 2 else "inputs_embeds": ids}
        hidden = self.encoder(**given, attention_mask=attention).last_hidden_state
        return pool_words(hidden.float(), owner, words)

    def forward(self, ids: Tensor, attention: Tensor | None, owner: Tensor, words: int) -> Tensor:
        """Word scores, float32 [B, W, K, L].

        `ids` [B, T], or [B, T, H] from shared lower layers (`shared_layers`); `attention` [B, T] bool, None without
        padding; `owner` [B, T]: the word, below `words`, that each sub-word is scored for, or -1.
        """
        pooled = self.features(ids, attention, owner, words)
        with torch.autocast(pooled.device.type, enabled=False):
            scores: Tensor = self.heads(self.dropout(self.standardise(pooled)))
        return scores.view(*scores.shape[:2], self.types, len(TAGS))

    def loss(self, scores: Tensor, tags: Tensor, soft: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        """Loss per labelled word, in nats: over all types together (softmax), or the mean of the types' CRF losses.

        `tags` [B, W, K], IGNORED for padding and for types that a document is not annotated for. `soft` [B, W, K, L]:
        target probabilities that replace the tags. `counts` [K]: labelled words of each type in the whole step, if the
        batch is a part of it; the losses of the parts then add up to the step's.
        """
        if counts is None:
            counts = label_counts(tags)
        if not self.crfs:
            return _cross_entropy(scores, tags, soft) / counts.sum().clamp_min(1)
        losses = []
        for k, crf in enumerate(self.crfs):
            mask = tags[:, :, k] != IGNORED
            # per word, as for the softmax head, so that words count equally in long and short windows
            assert isinstance(crf, LinearChainCRF)
            own = scores[:, :, k]
            mean = crf(own, tags[:, :, k], mask) if soft is None else crf.expected(own, soft[:, :, k], mask)
            losses.append(mean * mask.any(1).sum() / counts[k].clamp_min(1))
        return torch.stack(losses).sum() / (counts > 0).sum().clamp_min(1)

    @torch.no_grad()
    def best_tags(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Best valid tags of whole texts: scores [B, W, K, L], mask [B, W] -> tags [B, W, K]."""
        tags = []
        for k in range(self.types):
            if self.crfs:
                crf = self.crfs[k]
                assert isinstance(crf, LinearChainCRF)
                tags.append(crf.viterbi(scores[:, :, k], mask))
            else:
                tags.append(constrained_viterbi(scores[:, :, k].log_softmax(-1), mask))
        return torch.stack(tags, dim=2)

    @torch.no_grad()
    def probabilities(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Probability of each tag at each word, [B, W, K, L]: softmax of the word's scores, or the CRF's marginals."""
        if not self.crfs:
            return scores.softmax(-1)
        marginals = []
        for k, crf in enumerate(self.crfs):
            assert isinstance(crf, LinearChainCRF)
            marginals.append(crf.marginals(scores[:, :, k], mask))
        return torch.stack(marginals, dim=2)


def label_counts(tags: Tensor) -> Tensor:
    """Labelled words of each type: tags [B, W, K] -> [K]."""
    return (tags != IGNORED).sum((0, 1))


def _cross_entropy(scores: Tensor, tags: Tensor, soft: Tensor | None) -> Tensor:
    """Sum over the labelled words of all types."""
    if soft is None:
        return nn.functional.cross_entropy(scores.flatten(0, 2), tags.flatten(), ignore_index=IGNORED, reduction="sum")
    losses = -(soft * scores.log_softmax(-1)).sum(-1)
    return (losses * (tags != IGNORED)).sum()


def pool_words(hidden: Tensor, owner: Tensor, words: int) -> Tensor:
    """Mean of each word's sub-words: hidden [B, T, H], owner [B, T] in -1..words-1 -> [B, words, H]; no sub-word: 0."""
    batch, _, size = hidden.shape
    row = torch.arange(batch, device=owner.device).unsqueeze(1) * (words + 1)
    slot = (torch.where(owner < 0, words, owner) + row).flatten()  # a spare slot per window for sub-words of no word
    total = hidden.new_zeros(batch * (words + 1), size).index_add_(0, slot, hidden.flatten(0, 1))
    count = hidden.new_zeros(batch * (words + 1)).index_add_(0, slot, hidden.new_ones(slot.shape[0]))
    pooled = total / count.clamp_min(1).unsqueeze(1)
    return pooled.view(batch, words + 1, size)[:, :words]


def build_encoder(config: Any) -> nn.Module:
    """An encoder with random weights, float32, without the pooling layer, which would not be trained."""
    import_modelling()
    from transformers import MODEL_MAPPING, AutoModel

    kind = MODEL_MAPPING[type(config)]
    unpooled = "add_pooling_layer" in inspect.signature(kind.__init__).parameters
    kwargs = {"add_pooling_layer": False} if unpooled else {}
    encoder: nn.Module = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False, **kwargs)
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
