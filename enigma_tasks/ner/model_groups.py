"""Models that share windows and lower encoder layers -> groups whose shared layers run once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.ner.network.half_precision import half_precision
from enigma_tasks.ner.network.shared_layers import shallow_copy, shared_layers, split_at_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import nn

    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.network.encoder import TokenClassifier


@dataclass(frozen=True, slots=True)
class ModelGroup:
    """Models with the same windows and the same lower layers; usually a single model."""

    indexes: list[int]
    shared_encoder: nn.Module | None
    """The layers that they share, None if there are none."""
    networks: list[TokenClassifier]
    """Each model's layers above the shared ones, in the order of `indexes`."""


def layers_in_common(models: Sequence[Model]) -> list[dict[int, int]]:
    """Groups of models with the same windows and lower layers: model index -> layers shared with the group's first."""
    groups: list[dict[int, int]] = []
    for index, model in enumerate(models):
        for group in groups:
            first = models[next(iter(group))]
            layers = window_key(first) == window_key(model) and shared_layers(
                first.network.encoder, model.network.encoder
            )
            if layers:
                group[index] = layers
                break
        else:
            groups.append({index: sys.maxsize})
    return groups


def group_of(models: Sequence[Model], layers: dict[int, int], device: torch.device, half: bool) -> ModelGroup:
    """One of `layers_in_common`, ready to run on the device; `half`: with bfloat16 products."""
    networks = [models[index].network for index in layers]
    shared_encoder = None
    if len(networks) > 1:
        below, networks = split_at_layer(networks, min(layers.values()))
        shared_encoder = _encoder_on(below, device, half)
    return ModelGroup(list(layers), shared_encoder, [_network_on(network, device, half) for network in networks])


def window_key(model: Model) -> tuple[object, ...]:
    """The tokenizer and every setting that `windows_of` depends on; models with the same key have the same windows."""
    recipe = model.card.recipe
    splitter = recipe.chunker == "sentence" and model.card.languages[0]
    return (
        model.tokenizer.fingerprint,
        splitter,
        recipe.window_tokens,
        recipe.overlap_tokens,
        getattr(recipe, "context_tokens", 0),
        recipe.word_label,
    )


def _network_on(network: TokenClassifier, device: torch.device, half: bool) -> TokenClassifier:
    """The network on the device; with `half` its encoder is a copy with bfloat16 products, the heads stay float32."""
    copy = shallow_copy(network)
    copy.encoder = _encoder_on(network.encoder, device, half)
    return copy.to(device).eval()


def _encoder_on(encoder: nn.Module, device: torch.device, half: bool) -> nn.Module:
    """The encoder on the device; with `half` a copy with bfloat16 products."""
    return (half_precision(encoder, device) if half else encoder.to(device)).eval()
