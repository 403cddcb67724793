"""bfloat16 products: close to float32, closer than a whole encoder in bfloat16, and the encoder given is left alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig

from enigma_tasks.ner.network import half_precision as half_precision_module
from enigma_tasks.ner.network.encoder import build_encoder
from enigma_tasks.ner.network.half_precision import HalfLinear, half_precision, packs
from tests.unit.base_builders import FAMILIES

if TYPE_CHECKING:
    from torch import Tensor, nn

CPU = torch.device("cpu")


def encoder_of(kind: str, **changes: object) -> nn.Module:
    """Random weights, large enough that rounding shows."""
    torch.manual_seed(3)
    shape = {"vocab_size": 80, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
    positions = {"intermediate_size": 128, "max_position_embeddings": 66, "pad_token_id": 1}
    encoder = build_encoder(AutoConfig.for_model(kind, **{**shape, **positions, **changes})).eval()
    for parameter in encoder.parameters():
        parameter.data.mul_(3.0 if parameter.ndim > 1 else 1.0)
    return encoder


def hidden(encoder: nn.Module, *, padded: bool = False) -> Tensor:
    ids = torch.arange(2, 62).reshape(3, 20)
    attention = torch.arange(20) < torch.tensor([[20], [13], [7]]) if padded else None
    with torch.inference_mode():
        made = encoder(input_ids=ids, attention_mask=attention).last_hidden_state.float()
    return made if attention is None else made[attention]


@pytest.mark.skipif(not packs(), reason="this build of PyTorch or this processor has no packed bfloat16 products")
@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 5), max_size=2),
    st.integers(1, 70),
    st.integers(1, 70),
    st.booleans(),
    st.sampled_from([(False, torch.float32), (True, torch.float32), (True, torch.bfloat16)]),
)
def test_packed_products_equal_plain_ones(
    leading: list[int], given_units: int, made_units: int, bias: bool, way: tuple[bool, torch.dtype]
) -> None:
    gelu, given_format = way
    torch.manual_seed(given_units)
    layer = torch.nn.Linear(given_units, made_units, bias=bias)
    inputs = torch.randn(*leading, 3, given_units).to(given_format)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        found = HalfLinear(layer, gelu=gelu)(inputs)
        patch.setattr(half_precision_module, "packs", lambda: False)
        plain = HalfLinear(layer, gelu=gelu)(inputs)
        exact = layer(inputs.float())
        exact = torch.nn.functional.gelu(exact) if gelu else exact
    assert found.dtype == plain.dtype == torch.bfloat16
    assert found.shape == plain.shape == exact.shape
    torch.testing.assert_close(found.float(), exact, atol=0.03, rtol=0.02)
    torch.testing.assert_close(plain.float(), exact, atol=0.03, rtol=0.02)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_is_nearer_to_float32_than_a_whole_encoder_in_bfloat16(
    family: str, padded: bool, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not packed:
        monkeypatch.setattr(half_precision_module, "packs", lambda: False)
    encoder = encoder_of(family)
    exact = hidden(encoder, padded=padded)
    off = (hidden(half_precision(encoder, CPU), padded=padded) - exact).abs().mean()
    whole = (hidden(copy.deepcopy(encoder).to(torch.bfloat16), padded=padded) - exact).abs().mean()
    assert 0 < off < 0.8 * whole


def test_the_encoder_given_stays_as_it_is_and_shares_its_embeddings() -> None:
    encoder = encoder_of("bert")
    before, exact = copy.deepcopy(encoder.state_dict()), hidden(encoder)
    half = half_precision(encoder, CPU)
    hidden(half)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert torch.equal(hidden(encoder), exact)
    assert half.get_input_embeddings().weight is encoder.get_input_embeddings().weight  # type: ignore[operator]
    products = [layer for layer in half.modules() if isinstance(layer, HalfLinear)]
    assert len(products) == 4 * 6
    assert sum(layer.gelu for layer in products) == 4
    assert not [layer for layer in half.modules() if type(layer) is torch.nn.Linear]


def test_another_activation_is_not_taken_for_gelu() -> None:
    encoder = encoder_of("bert", hidden_act="relu")
    half = half_precision(encoder, CPU)
    assert not any(layer.gelu for layer in half.modules() if isinstance(layer, HalfLinear))
    torch.testing.assert_close(hidden(half), hidden(encoder), atol=0.2, rtol=0.1)


def test_an_architecture_unknown_here_is_bfloat16_throughout() -> None:
    encoder = encoder_of("electra", embedding_size=64)
    half = half_precision(encoder, CPU)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(hidden(half, padded=True), hidden(encoder, padded=True), atol=0.3, rtol=0.1)
