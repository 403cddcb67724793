"""Word features -> scores of O, B and I: standardisation, and one head per entity type with optional hidden layers.

Letters in shapes: N words in any arrangement, H hidden units, K entity types, L = 3 tags.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from enigma_tasks.ner.text.alignment import TAGS


class Standardise(nn.Module):
    """Subtracts the features' mean and divides by their standard deviation; buffers, 0 and 1 before `fit`."""

    mean: Tensor
    spread: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def fit(self, features: Tensor, least: float) -> None:
        """Set mean and standard deviation [H] of `features` [N, H]; the latter is at least `least`."""
        self.mean.copy_(features.mean(0))
        self.spread.copy_(features.std(0, correction=0).clamp_min(least))

    def forward(self, features: Tensor) -> Tensor:
        """[..., H] -> [..., H]."""
        return (features - self.mean) / self.spread


class Heads(nn.Module):
    """A separate head for each entity type: `layers` times linear, GELU, dropout; then linear to O, B, I.

    Hidden layers for each type are from the Multi-Head CRF (Jonker and others 2026).
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
