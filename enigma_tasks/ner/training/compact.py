"""An encoder's word embedding -> the few rows that the training windows use, for as long as the training lasts.

A multilingual vocabulary has 100,000 rows and more, of which a corpus uses a tenth: optimiser, clipping and zeroing
over the others cost much of each step on a CPU, and weight decay would shrink rows that nothing teaches.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class CompactEmbedding(nn.Module):
    """Stands in for a word embedding; knows the sub-words `used` only, under the ids they always had."""

    slot: Tensor

    def __init__(self, whole: nn.Embedding, used: Tensor) -> None:
        """`used`: LongTensor [R], ascending, each id once."""
        super().__init__()
        self.weight = nn.Parameter(whole.weight.detach()[used].clone(), requires_grad=whole.weight.requires_grad)
        slot = torch.full((whole.num_embeddings,), whole.num_embeddings, device=used.device)  # no row: fails if asked
        slot[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("slot", slot, persistent=False)
        # As in the whole embedding, padding is never taught.
        padding = whole.padding_idx
        self.padding_idx = None if padding is None or padding not in used else int(slot[padding])

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T] -> [B, T, H]."""
        return nn.functional.embedding(self.slot[ids], self.weight, self.padding_idx)


class CompactRows:
    """Swaps the compact embedding of `encoder` in and out; out, the whole one holds what the compact one learnt."""

    def __init__(self, encoder: nn.Module, used: Tensor) -> None:
        self._encoder = encoder
        self._used = used
        self._whole: nn.Embedding = encoder.get_input_embeddings()  # type: ignore[operator]
        self._compact = CompactEmbedding(self._whole, used)
        self._encoder.set_input_embeddings(self._compact)  # type: ignore[operator]

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Within, the encoder reads any text."""
        self.restore()
        try:
            yield
        finally:
            self._encoder.set_input_embeddings(self._compact)  # type: ignore[operator]

    @torch.no_grad()
    def restore(self) -> None:
        """Write the rows back and let the encoder have its whole embedding."""
        self._whole.weight[self._used] = self._compact.weight
        self._encoder.set_input_embeddings(self._whole)  # type: ignore[operator]
