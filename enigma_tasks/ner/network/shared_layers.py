"""Encoders that share lower layers <-> those layers, run once for all of them, and what each has above them.

Members that keep the lower layers of one base as they were (`frozen_layers`) cost an ensemble those layers once.
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
"""Architectures that are `embeddings` and, above them, `encoder.layer`, each layer fed by the one below alone."""


def freeze(encoder: nn.Module, layers: int) -> None:
    """Keep the embeddings and the lowest `layers` layers from learning; 0 leaves all free.

    Raises:
        UsageError: an architecture whose layers are not told apart here, or fewer than `layers` of them.
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
    """Layers, from the embeddings up, that are the same in both encoders; 0 when their embeddings differ."""
    kinds = {encoder.config.model_type for encoder in (one, other)}  # type: ignore[union-attr]
    if len(kinds) > 1 or not kinds <= set(STACKS) or _shape(one) != _shape(other):
        return 0
    if not _alike(one.embeddings, other.embeddings):
        return 0
    pairs = list(zip(_stack(one), _stack(other), strict=False))
    return next((i for i, pair in enumerate(pairs) if not _alike(*pair)), len(pairs))


def split_at_layer(networks: Sequence[TokenClassifier], layers: int) -> tuple[nn.Module, list[TokenClassifier]]:
    """The encoder of the lowest `layers` layers, which all share, and networks that go on from what it gives.

    The networks given stay as they are; weights are shared with them, not copied.
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
    """A module with the same children, whose children can be replaced without replacing the other's."""
    other = copy.copy(module)
    other._modules = dict(module._modules)  # noqa: SLF001 - `copy` leaves the two with one dictionary
    return other


class _PassThrough(nn.Module):
    """Stands in for the embeddings of an encoder that is given the output of the shared layers."""

    def forward(self, inputs_embeds: Tensor, **_others: Any) -> Tensor:
        """[B, T, H], as it is."""
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
    """All of a configuration that the weights do not show."""
    config: Any = encoder.config
    return (
        config.num_attention_heads,
        config.hidden_act,
        config.layer_norm_eps,
        config.pad_token_id,
        getattr(config, "position_embedding_type", "absolute"),
    )


def _alike(one: Any, other: Any) -> bool:
    """Whether two modules hold the same weights; the smallest are looked at first, they tell soonest."""
    mine, theirs = one.state_dict(), other.state_dict()
    if mine.keys() != theirs.keys():
        return False
    names = sorted(mine, key=lambda name: mine[name].numel())
    # One of them may have been run already, and lie on a GPU.
    return all(torch.equal(mine[name], theirs[name].to(mine[name].device)) for name in names)
