"""Word features -> scores of O, B and I: standardisation, and one head per entity type, with hidden layers if asked.

Letters in shapes: N words in any arrangement, H hidden units, K entity types, L = 3 tags.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from enigma_tasks.ner.text.alignment import TAGS


class Standardise(nn.Module):
    """Features less their mean, over their spread; both are buffers, 0 and 1 until `fit` was called."""

    mean: Tensor
    spread: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def fit(self, features: Tensor, least: float) -> None:
        """Take mean and spread [H] of `features` [N, H]; a spread below `least` counts as that."""
        self.mean.copy_(features.mean(0))
        self.spread.copy_(features.std(0, correction=0).clamp_min(least))

    def forward(self, features: Tensor) -> Tensor:
        """[..., H] -> [..., H]."""
        return (features - self.mean) / self.spread


class Heads(nn.Module):
    """A head per entity type: `layers` times linear, GELU, dropout of its own, then linear to O, B, I.

    Hidden layers of a type's own are the Multi-Head CRF's (Jonker and others 2026).
    """

    def __init__(self, size: int, types: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.of_types = nn.ModuleList(_head(size, layers, dropout) for _ in range(types))

    def forward(self, features: Tensor) -> Tensor:
        """[..., H] -> [..., K * L], types one after the other."""
        return torch.cat([head(features) for head in self.of_types], dim=-1)


def _head(size: int, layers: int, dropout: float) -> nn.Sequential:
    hidden = [m for _ in range(layers) for m in (nn.Linear(size, size), nn.GELU(), nn.Dropout(dropout))]
    last = nn.Linear(size, len(TAGS))
    nn.init.normal_(last.weight, std=0.02)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*hidden, last)
