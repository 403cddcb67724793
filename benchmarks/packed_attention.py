"""Windows of different lengths as one row without padding: attention within each window only.

Letters in shapes: B windows, S the sub-words of all of them, N heads, D units of a head.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

_NAME = "enigma_packed"


def kernel() -> Any:
    """PyTorch's attention over lengths, or None where this version has none."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


class Packed:
    """An encoder that reads windows end to end, in one row."""

    def __init__(self, encoder: nn.Module, first_position: int) -> None:
        """`first_position`: the position id of a window's first sub-word (0 for BERT, padding's id + 1 for RoBERTa)."""
        self._encoder, self._first = encoder, first_position
        self._ends = torch.zeros(1, dtype=torch.int32)
        self._longest = 0

    def __call__(self, windows: Sequence[Tensor]) -> Tensor:
        """Ids of each window, [t] -> hidden [S, H], in the order of the windows."""
        lengths = torch.tensor([len(w) for w in windows])
        ids = torch.cat(list(windows)).unsqueeze(0)
        self._longest = int(lengths.max())
        self._ends = torch.cat((torch.zeros(1), lengths.cumsum(0))).to(ids.device, torch.int32)
        positions = torch.cat([torch.arange(int(n)) for n in lengths]).to(ids.device) + self._first
        with self._in_use():
            hidden: Tensor = self._encoder(input_ids=ids, position_ids=positions.unsqueeze(0)).last_hidden_state
        return hidden[0]

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """The encoder's attention is ours inside the block."""
        from transformers import AttentionInterface, AttentionMaskInterface

        before = self._encoder.config._attn_implementation  # type: ignore[union-attr] # noqa: SLF001 - no public getter
        AttentionInterface.register(_NAME, self._attention)
        AttentionMaskInterface.register(_NAME, lambda *_, **__: None)
        self._encoder.set_attn_implementation(_NAME)  # type: ignore[operator]
        try:
            yield
        finally:
            self._encoder.set_attn_implementation(before)  # type: ignore[operator]

    def _attention(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **_: Any
    ) -> tuple[Tensor, None]:
        """[1, N, S, D] each -> [1, S, N, D]; window by window where there is no kernel for the device."""
        del module, mask
        varlen = kernel()
        if varlen is not None and query.device.type == "cuda":
            flat = [x[0].transpose(0, 1).contiguous() for x in (query, key, value)]
            return varlen(*flat, self._ends, self._ends, self._longest, self._longest).unsqueeze(0), None
        ends = self._ends.tolist()
        parts = [
            scaled_dot_product_attention(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b]) for a, b in pairwise(ends)
        ]
        return torch.cat(parts, dim=2).transpose(1, 2), None
