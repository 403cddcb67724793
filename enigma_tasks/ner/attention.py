"""Attention on a CPU: plain batched products in float32, a few windows at a time, so that scores stay in cache.

PyTorch's own bfloat16 kernel takes 1.5 to 2 times as long at the lengths and head sizes of these encoders, and rounds
scores and chances, which these products do not (docs/experiments.md).

Letters in shapes: B windows, N heads, T sub-words, D units of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAME = "enigma_cached"
_SCORES = 1 << 19
"""Attention scores worked on together: 2 MiB of them, and as much of their softmax."""


def use_cached_attention(encoder: nn.Module) -> None:
    """Have a bfloat16 encoder on the CPU attend by `cached_attention`, unless it was told to attend otherwise."""
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

    What a plain encoder does not ask for at inference is left to PyTorch's kernel.
    """
    others = extra.get("position_bias") is not None or extra.get("is_causal") or getattr(module, "is_causal", False)
    if dropout or others or key.shape != query.shape:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        mask = None if attention_mask is None else attention_mask.to(query.dtype)
        attended, _ = sdpa_attention_forward(module, query, key, value, mask, dropout, scaling, **extra)
        return attended, None
    windows, heads, length, size = query.shape
    scaling = size**-0.5 if scaling is None else scaling
    at_once = min(windows, max(1, _SCORES // (heads * length * length)))
    scores = torch.empty(at_once * heads, length, length, device=query.device)
    chances = torch.empty_like(scores)
    attended = query.new_empty(windows, length, heads, size)
    for start in range(0, windows, at_once):
        part = slice(start, min(start + at_once, windows))
        # One product a head and window.
        queries, keys, values = (x[part].float().reshape(-1, length, size) for x in (query, key, value))
        score, chance = scores[: len(queries)], chances[: len(queries)]
        torch.baddbmm(score, queries, keys.transpose(1, 2), beta=0, alpha=scaling, out=score)
        if attention_mask is not None:
            score.view(-1, heads, length, length).add_(attention_mask[part])
        torch.softmax(score, -1, out=chance)
        attended[part] = torch.bmm(chance, values).view(-1, heads, length, size).transpose(1, 2)
    return attended, None
