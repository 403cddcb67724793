"""Copies an encoder for inference with bfloat16 products.

On a CPU everything but the products of BERT-like encoders stays float32, which avoids rounding at every layer for 4 to
8 % of the time. Weights are packed once for oneDNN, and GELU is fused with the product before it: PyTorch's linear
layer packs its weight for each batch and applies GELU in a second pass, an eighth of the time of an encoder's linear
layers (docs/experiments.md).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from enigma_tasks.ner.network.attention import use_cached_attention
from enigma_tasks.ner.network.shared_layers import STACKS

if TYPE_CHECKING:
    from torch import Tensor


class HalfLinear(nn.Module):
    """A trained linear layer with its product in bfloat16: [..., in] of any format -> bfloat16 [..., out]."""

    def __init__(self, layer: nn.Linear, *, gelu: bool = False) -> None:
        """`gelu`: apply GELU to the product. The layer's memory is not shared."""
        super().__init__()
        weight = layer.weight.detach().to(torch.bfloat16)
        # not parameters: a packed weight cannot be copied, moved or saved
        self.packed = packs()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.packed else weight  # noqa: SLF001
        self.bias = None if layer.bias is None else layer.bias.detach().to(torch.bfloat16)
        self.gelu = gelu

    def forward(self, inputs: Tensor) -> Tensor:
        """The product, accumulated in float32."""
        inputs = inputs.to(torch.bfloat16)
        if self.packed:
            activation = "gelu" if self.gelu else "none"
            product: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
                inputs, self.weight, self.bias, activation, [], "none"
            )
            return product
        product = nn.functional.linear(inputs, self.weight, self.bias)
        return nn.functional.gelu(product) if self.gelu else product


def half_precision(encoder: nn.Module, device: torch.device) -> nn.Module:
    """A copy of the encoder on the device, which may share weights with the original; the original does not change."""
    if device.type != "cpu":
        return copy.deepcopy(encoder).to(device, torch.bfloat16)
    kind = encoder.config.model_type  # type: ignore[union-attr]
    if kind not in STACKS:
        half = copy.deepcopy(encoder).to(torch.bfloat16)
    else:
        tensors = [*encoder.parameters(), *encoder.buffers()]
        half = copy.deepcopy(encoder, memo={id(t): t for t in tensors})
        _replace_linear_layers(half)
    use_cached_attention(half)
    return half


def packs() -> bool:
    """Whether this PyTorch and processor have the packed linear operators of `torch.compile`."""
    operators = ("_linear_pointwise", "_reorder_linear_weight")
    return (
        bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in operators)
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
    )


def _replace_linear_layers(encoder: nn.Module) -> None:
    for part in list(encoder.modules()):
        followed = _followed_by_gelu(part)
        for name, layer in list(part.named_children()):
            if type(layer) is nn.Linear:
                setattr(part, name, HalfLinear(layer, gelu=followed))
        if followed:
            part.intermediate_act_fn = nn.Identity()


def _followed_by_gelu(part: nn.Module) -> bool:
    """Whether this is BERT's intermediate layer: a linear layer directly followed by the exact GELU."""
    from transformers.activations import GELUActivation

    after = getattr(part, "intermediate_act_fn", None)
    exact = isinstance(after, GELUActivation) and after.act is nn.functional.gelu
    return exact and [name for name, _ in part.named_children()] == ["dense", "intermediate_act_fn"]


def has_bf16(device: torch.device) -> bool:
    """Whether the device has native bfloat16 products; emulated ones are slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
