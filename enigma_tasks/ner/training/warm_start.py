"""Warm start: initialises the heads as a linear probe of the frozen encoder.

A random head sends random gradients through the encoder; encoders whose sub-words are all close together (sentence
encoders such as e5) do not recover from that in a few epochs. So the heads are fitted first, on standardised features
of the frozen encoder (Kumar and others 2022, "LP-FT"), before fine-tuning.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from enigma_tasks.ner.batching import batches, collate
from enigma_tasks.ner.text.alignment import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ner.batching import Example
    from enigma_tasks.ner.model_folder import Model

log = logging.getLogger(__name__)

_WINDOWS, _WORDS = 16, 2048  # per forward pass of the encoder, per step of the probe
_STEPS, _RATE, _DECAY = 300, 0.02, 0.01
_LEAST_SPREAD = 1e-3


def warm_start(model: Model, windows: Sequence[Example], words: int, seed: int, half: bool) -> float:
    """Standardise the features of `model` and fit its heads on about `words` words, drawn by `seed`.

    `half`: the encoder runs in bfloat16. Returns the probe's last loss, in nats per word and type. The encoder and the
    transitions of CRFs do not change. Memory: `words` x hidden size, float32.
    """
    network = model.network
    network.eval()
    features, tags = _frozen_features(model, windows, words, seed, half)
    network.standardise.fit(features, _LEAST_SPREAD)
    features = network.standardise(features)
    parameters = list(network.heads.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 1 / _STEPS, _STEPS)
    generator = torch.Generator().manual_seed(seed)
    loss = torch.zeros(())
    for _ in range(_STEPS):
        chosen = torch.randint(len(features), (_WORDS,), generator=generator).to(features.device)
        scores = network.heads(features[chosen]).unflatten(-1, (network.types, -1))
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), tags[chosen].flatten(), ignore_index=IGNORED)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    last = float(loss.detach())
    log.info("warm start: heads fitted on %d words of the frozen encoder, loss %.4f", len(features), last)
    return last


def _frozen_features(
    model: Model, windows: Sequence[Example], words: int, seed: int, half: bool
) -> tuple[Tensor, Tensor]:
    """Pooled words [N, H], float32, and their tags [N, K], of windows drawn until there are `words` of them."""
    device = next(model.network.parameters()).device
    features: list[Tensor] = []
    tags: list[Tensor] = []
    count = 0
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        for batch in batches(windows, _WINDOWS, seed, 0):
            ids, attention, owner, width = collate([e.window for e in batch], model.tokenizer)
            pooled = model.network.features(
                ids.to(device), None if attention is None else attention.to(device), owner.to(device), width
            )
            for row, example in enumerate(batch):
                features.append(pooled[row, : len(example.tags)].float())
                tags.append(torch.from_numpy(example.tags.astype(np.int64)))
                count += len(example.tags)
            if count >= words:
                break
    return torch.cat(features), torch.cat(tags).to(device)
