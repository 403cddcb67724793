"""The parts of benchmarks/gpu.py that any device runs: attention over lengths, batches by memory, counted work."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu_rates import LARGEST_BATCH, SHAPES, Rate, Rates, best_batch, model_of
from benchmarks.packed_attention import Packed
from enigma_tasks.ner.batching import collate, windows_of
from tests.unit.ner_builders import notes

SHAPE = SHAPES["tiny"]


def test_windows_end_to_end_are_read_as_padded_ones_are() -> None:
    documents = notes(8)
    model = model_of(SHAPE, documents, 24)
    tokenizer, encoder = model.tokenizer, model.network.encoder.eval()
    texts = tokenizer.encode([d.text for d in documents])
    windows = [w for text, d in zip(texts, documents, strict=True) for w in windows_of(model, text, d)]
    ids, attention, _, _ = collate(windows, tokenizer)
    assert attention is not None
    with torch.inference_mode():
        padded = encoder(input_ids=ids, attention_mask=attention).last_hidden_state[attention]
        packed = Packed(encoder, tokenizer.pad_id + 1)([row[mask] for row, mask in zip(ids, attention, strict=True)])
        again = encoder(input_ids=ids, attention_mask=attention).last_hidden_state[attention]
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(again, padded)


@pytest.mark.parametrize(("fits", "fastest", "expected"), [(64, 10_000, 64), (10_000, 16, 16), (4, 10_000, 4)])
def test_the_batch_is_the_fastest_that_fits(fits: int, fastest: int, expected: int) -> None:
    def rate(windows: int) -> Rate:
        if windows > fits:
            raise torch.OutOfMemoryError
        return Rate(float(min(windows, fastest)), 0.0, windows)

    assert best_batch(rate).windows == expected


def test_a_batch_that_never_fits_is_said() -> None:
    def never(_: int) -> Rate:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError, match="does not fit"):
        best_batch(never)
    assert best_batch(lambda n: Rate(float(n), 0.0, n)).windows == LARGEST_BATCH


@pytest.mark.training
def test_what_is_computed_is_counted_with_its_padding() -> None:
    documents = notes(8)
    rates = Rates(model_of(SHAPE, documents, 24), SHAPE, documents, 0.0)
    packed, ordered = rates.packed(4), rates.padded(4, sort=False)
    assert packed.padding == 0
    assert 0 < rates.padded(4, sort=True).padding < ordered.padding
    assert min(r.tokens for r in (packed, ordered, rates.training(4))) > 0


def test_operations_grow_with_the_shape_and_the_window() -> None:
    base, large = SHAPES["xlmr-base"], SHAPES["xlmr-large"]
    # 2 operations for each of a layer's 12 H^2 weights, and 4 T H for scores and their product with the values
    assert base.flops(0) == 2 * 12 * 12 * 768**2
    assert large.flops(512) - large.flops(0) == 24 * 4 * 512 * 1024
