"""Attention on a CPU: batched products in float32, a few windows at a time, so that scores stay in cache.

PyTorch's own bfloat16 kernel takes 1.2 to 1.6 times as long at windows of 128 and as long at 512, and rounds scores and
probabilities, which these products do not (docs/experiments.md).

Letters in shapes: B windows, N heads, T sub-words, D units of a head.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAME = "enigma_cached"
_SCORES = 1 << 19
"""Attention scores per step: 2 MiB, and as much for their softmax."""


def use_cached_attention(encoder: nn.Module) -> None:
    """Make a bfloat16 encoder on the CPU use `cached_attention`, unless another implementation was chosen."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    if encoder.config._attn_implementation != "sdpa":  # type: ignore[union-attr] # noqa: SLF001 - no public getter
        return
    AttentionInterface.register(_NAME, cached_attention)
    AttentionMaskInterface.register(_NAME, eager_mask)
    encoder.set_attn_implementation(_NAME)  # type: ignore[operator]


def cached_attention(  # noqa: PLR0917 - the signature is that of `transformers`
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **extra: Any,
) -> tuple[Tensor, None]:
    """Queries, keys and values [B, N, T, D], mask to add [B, 1, T, T] -> [B, T, N, D]; `transformers` calls it.

    Dropout, causal attention and position biases are left to PyTorch's kernel.
    """
    others = extra.get("position_bias") is not None or extra.get("is_causal") or getattr(module, "is_causal", False)
    if dropout or others or key.shape != query.shape:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        mask = None if attention_mask is None else attention_mask.to(query.dtype)
        attended, _ = sdpa_attention_forward(module, query, key, value, mask, dropout, scaling, **extra)
        return attended, None
    windows, heads, length, size = query.shape
    scaling = size**-0.5 if scaling is None else scaling
    heads_at_once = min(heads, max(1, _SCORES // length**2))
    windows_at_once = min(windows, max(1, _SCORES // (heads * length**2)))
    scores = torch.empty(windows_at_once * heads_at_once, length, length, device=query.device)
    probabilities = torch.empty_like(scores)
    attended = query.new_empty(windows, length, heads, size)
    for window, head in product(range(0, windows, windows_at_once), range(0, heads, heads_at_once)):
        part = slice(window, window + windows_at_once), slice(head, head + heads_at_once)
        # one product for each head and window
        queries, keys, values = (_flat(x[part]) for x in (query, key, value))
        score, probability = scores[: len(queries)], probabilities[: len(queries)]
        torch.baddbmm(score, queries, keys.transpose(1, 2), beta=0, alpha=scaling, out=score)
        if attention_mask is not None:
            mask = attention_mask[part[0]]
            score.view(len(mask), -1, length, length).add_(mask)
        torch.softmax(score, -1, out=probability)
        result = torch.bmm(probability, values)
        attended[part[0], :, part[1]] = result.view(-1, min(heads_at_once, heads - head), length, size).transpose(1, 2)
    return attended, None


def _flat(part: Tensor) -> Tensor:
    """[B, N, T, D], with any strides -> float32 [B * N, T, D], in one pass."""
    return part.to(torch.float32, memory_format=torch.contiguous_format).flatten(0, 1)
