"""Reduces an encoder's word embedding during training to the rows that the training windows use.

A multilingual vocabulary has 100,000 rows and more, of which a corpus uses a tenth: optimiser, clipping and zeroing
of the others take much of each step on a CPU, and weight decay would shrink rows that get no gradient.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class CompactEmbedding(nn.Module):
    """A word embedding with the rows of the sub-words `used` only, under their original ids."""

    slot: Tensor

    def __init__(self, full: nn.Embedding, used: Tensor) -> None:
        """`used`: LongTensor [R], ascending, each id once."""
        super().__init__()
        self.weight = nn.Parameter(full.weight.detach()[used].clone(), requires_grad=full.weight.requires_grad)
        # an id without a row maps out of range, so that a look-up fails
        slot = torch.full((full.num_embeddings,), full.num_embeddings, device=used.device)
        slot[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("slot", slot, persistent=False)
        padding = full.padding_idx
        self.padding_idx = None if padding is None or padding not in used else int(slot[padding])

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T] -> [B, T, H]."""
        return nn.functional.embedding(self.slot[ids], self.weight, self.padding_idx)


class CompactRows:
    """Replaces the embedding of `encoder` by a compact one, and restores the full one with the trained rows."""

    def __init__(self, encoder: nn.Module, used: Tensor) -> None:
        self._encoder = encoder
        self._used = used
        self._full: nn.Embedding = encoder.get_input_embeddings()  # type: ignore[operator]
        self._compact = CompactEmbedding(self._full, used)
        self._encoder.set_input_embeddings(self._compact)  # type: ignore[operator]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Within the block the encoder has its full embedding, for any text."""
        self.restore()
        try:
            yield
        finally:
            self._encoder.set_input_embeddings(self._compact)  # type: ignore[operator]

    @torch.no_grad()
    def restore(self) -> None:
        """Write the trained rows to the full embedding and give it back to the encoder."""
        self._full.weight[self._used] = self._compact.weight
        self._encoder.set_input_embeddings(self._full)  # type: ignore[operator]
