"""Attention in slices equals PyTorch's own, within bfloat16's precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from enigma_tasks.documents import EntityType
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.network import attention as attention_module
from enigma_tasks.ner.network.attention import cached_attention, use_cached_attention
from tests.unit.ner_builders import notes, trained

pytestmark = pytest.mark.training

MODULE = torch.nn.Module()


def made(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    windows, heads, length, size = shape
    # As a linear layer leaves them: heads lie beside each other, so nothing here is contiguous.
    return [torch.randn(windows, length, heads, size, generator=generator).to(dtype).transpose(1, 2) for _ in range(3)]


@settings(max_examples=40)
@given(
    st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 33), st.sampled_from([1, 8, 32])),
    st.booleans(),
    st.sampled_from([1, 500, 1 << 20]),
    st.integers(0, 99),
)
def test_slices_of_any_size_attend_as_the_kernel_does(
    shape: tuple[int, int, int, int], masked: bool, scores: int, seed: int
) -> None:
    windows, heads, length, size = shape
    query, key, value = made(shape, seed, torch.float32)
    mask = None
    if masked:
        seen = torch.arange(length) < torch.randint(
            1, length + 1, (windows, 1), generator=torch.Generator().manual_seed(seed)
        )
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None, None, :].expand(-1, 1, length, -1)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(attention_module, "_SCORES", scores)
        found, weights = cached_attention(MODULE, query, key, value, mask)
        wanted = scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
    assert weights is None
    assert found.shape == (windows, length, heads, size)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_bfloat16_is_nearer_to_float32_than_the_kernel_is() -> None:
    query, key, value = made((3, 12, 128, 32), 1, torch.float32)
    exact = scaled_dot_product_attention(query, key, value).transpose(1, 2)
    halves = [x.to(torch.bfloat16) for x in (query, key, value)]
    with torch.inference_mode():
        ours, _ = cached_attention(MODULE, *halves, None)
        theirs = scaled_dot_product_attention(*halves).transpose(1, 2)
    assert ours.dtype == torch.bfloat16
    assert (ours - exact).abs().mean() < (theirs - exact).abs().mean()


def test_what_other_architectures_ask_for_is_left_to_the_kernel() -> None:
    query, key, value = made((2, 2, 5, 8), 1, torch.float32)
    bias = torch.randn(1, 2, 5, 5)
    with torch.inference_mode():
        biased, _ = cached_attention(MODULE, query, key, value, None, position_bias=bias, is_causal=False)
        wanted = scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2)
        torch.testing.assert_close(biased, wanted)
        module = torch.nn.Module()
        module.is_causal = True  # type: ignore[assignment]
        causal, _ = cached_attention(module, query, key, value, None)
        wanted = scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
        torch.testing.assert_close(causal, wanted)
        halves = [x.to(torch.bfloat16) for x in (query, key, value)]
        masked, _ = cached_attention(module, *halves, torch.zeros(2, 1, 5, 5))  # a float32 mask, as encoders make it
        torch.testing.assert_close(
            masked.float(), scaled_dot_product_attention(query, key, value).transpose(1, 2), atol=0.02, rtol=0.02
        )
        few, _ = cached_attention(MODULE, query[:, :, :2], key, value, None, is_causal=False)
        assert few.shape == (2, 2, 2, 8)


def test_only_the_engines_own_copy_is_changed() -> None:
    model = trained((EntityType.DISEASE,))
    engine = Engine([model], 500, "bf16")
    assert model.network.encoder.config._attn_implementation == "sdpa"
    if torch.cuda.is_available():
        pytest.skip("on a GPU the kernel of PyTorch is used")
    assert engine._groups[0].networks[0].encoder.config._attn_implementation == "enigma_cached"
    found = engine.predict(notes(2))
    assert len(found) == 1


def test_an_encoder_that_chose_otherwise_keeps_its_attention() -> None:
    encoder = trained((EntityType.DISEASE,)).network.encoder
    before = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")
    try:
        use_cached_attention(encoder)
        assert encoder.config._attn_implementation == "eager"
    finally:
        encoder.set_attn_implementation(before)
