"""Shared encoder layers: lower layers that several encoders have in common are found, split off and run once.

Members of the same base share layers if their recipe freezes these (`frozen_layers`).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ner.network.encoder import TokenClassifier

AnyModule = TypeVar("AnyModule", bound=nn.Module)

STACKS = ("bert", "roberta", "xlm-roberta", "camembert")
"""Architectures of `embeddings` and `encoder.layer`, where each layer's only input is the layer below."""


def freeze(encoder: nn.Module, layers: int) -> None:
    """Freeze the embeddings and the lowest `layers` layers; 0 freezes nothing.

    Raises:
        UsageError: an architecture that is not in `STACKS`, or fewer than `layers` layers.
    """
    if not layers:
        return
    kind = encoder.config.model_type  # type: ignore[union-attr]
    if kind not in STACKS:
        raise UsageError(f"frozen_layers: not for {kind}, only for {', '.join(STACKS)}")
    stack = _stack(encoder)
    if layers > len(stack):
        raise UsageError(f"frozen_layers: {layers} of an encoder with {len(stack)} layers")
    for part in (encoder.embeddings, *stack[:layers]):
        part.requires_grad_(requires_grad=False)


def shared_layers(one: nn.Module, other: nn.Module) -> int:
    """Number of layers, from the embeddings up, that both encoders share; 0 if their embeddings differ."""
    kinds = {encoder.config.model_type for encoder in (one, other)}  # type: ignore[union-attr]
    if len(kinds) > 1 or not kinds <= set(STACKS) or _shape(one) != _shape(other):
        return 0
    if not _equal_weights(one.embeddings, other.embeddings):
        return 0
    pairs = list(zip(_stack(one), _stack(other), strict=False))
    return next((i for i, pair in enumerate(pairs) if not _equal_weights(*pair)), len(pairs))


def split_at_layer(networks: Sequence[TokenClassifier], layers: int) -> tuple[nn.Module, list[TokenClassifier]]:
    """The encoder of the lowest `layers` layers, which all share, and networks that take its output.

    The original networks do not change; weights are shared with them, not copied.
    """
    shared = _with(networks[0].encoder, layers=slice(0, layers))
    above = []
    for network in networks:
        upper = shallow_copy(network)
        upper.encoder = _with(network.encoder, layers=slice(layers, None))
        upper.encoder.embeddings = _PassThrough()
        above.append(upper)
    return shared, above


def shallow_copy(module: AnyModule) -> AnyModule:
    """A module with the same children, which can be replaced without replacing those of the original."""
    other = copy.copy(module)
    other._modules = dict(module._modules)  # noqa: SLF001 - `copy` leaves the two with one dictionary
    return other


class _PassThrough(nn.Module):
    """Replaces the embeddings of an encoder that takes the output of the shared layers."""

    def forward(self, inputs_embeds: Tensor, **_others: Any) -> Tensor:
        """[B, T, H], unchanged."""
        return inputs_embeds


def _stack(encoder: nn.Module) -> nn.ModuleList:
    layers = encoder.encoder.layer  # type: ignore[union-attr]
    assert isinstance(layers, nn.ModuleList)
    return layers


def _with(encoder: nn.Module, layers: slice) -> nn.Module:
    """The encoder with some of its layers only."""
    part, stack = shallow_copy(encoder), encoder.encoder
    assert isinstance(stack, nn.Module)
    part.encoder = shallow_copy(stack)
    part.encoder.layer = nn.ModuleList(list(_stack(encoder))[layers])
    return part


def _shape(encoder: nn.Module) -> tuple[object, ...]:
    """The settings of an encoder that its weights do not determine."""
    config: Any = encoder.config
    return (
        config.num_attention_heads,
        config.hidden_act,
        config.layer_norm_eps,
        config.pad_token_id,
        getattr(config, "position_embedding_type", "absolute"),
    )


def _equal_weights(one: Any, other: Any) -> bool:
    """Whether two modules have the same weights; the smallest tensors are compared first, for speed."""
    first, second = one.state_dict(), other.state_dict()
    if first.keys() != second.keys():
        return False
    names = sorted(first, key=lambda name: first[name].numel())
    # one of them may have been moved to a GPU already
    return all(torch.equal(first[name], second[name].to(first[name].device)) for name in names)
