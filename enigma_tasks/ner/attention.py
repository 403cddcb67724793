"""Attention on a CPU with bfloat16: plain batched products, a few windows at a time, so that scores stay in cache.

PyTorch's own kernel takes 1.5 to 2 times as long at the lengths and head sizes of these encoders (docs/experiments.md).

Letters in shapes: B windows, N heads, T sub-words, D units of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAME = "enigma_cached"
_SCORES = 1 << 20
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

        attended, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **extra)
        return attended, None
    windows, heads, length, size = query.shape
    scaling = size**-0.5 if scaling is None else scaling
    # The same for all keys, and so without effect on a softmax; what is left is small, and its scores round less.
    key = key - key.mean(2, keepdim=True)
    # One product a head and window; slices below are of whole windows.
    flat_query, flat_key, flat_value = (x.reshape(windows * heads, length, size) for x in (query, key, value))
    turned = flat_key.transpose(1, 2)
    rows = min(windows, max(1, _SCORES // (heads * length * length))) * heads
    scores = query.new_empty(rows, length, length)
    chances = torch.empty_like(scores)
    attended = torch.empty_like(flat_value)
    for start in range(0, windows * heads, rows):
        stop = min(start + rows, windows * heads)
        part, chance = scores[: stop - start], chances[: stop - start]
        torch.baddbmm(part, flat_query[start:stop], turned[start:stop], beta=0, alpha=scaling, out=part)
        if attention_mask is not None:
            mask = attention_mask[start // heads : stop // heads]
            part.view(-1, heads, length, length).add_(mask)
        torch.softmax(part, -1, out=chance)
        torch.bmm(chance, flat_value[start:stop], out=attended[start:stop])
    return attended.view(windows, heads, length, size).transpose(1, 2).contiguous(), None
