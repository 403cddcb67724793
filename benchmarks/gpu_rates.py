"""Sub-words a second of forward passes and of training steps, with the batch that fits the device's memory best."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import linear

from benchmarks.packed_attention import Packed
from enigma_tasks.documents import EntityType
from enigma_tasks.ner.batching import batches, collate, examples
from enigma_tasks.ner.network.encoder import TokenClassifier, build_encoder
from enigma_tasks.ner.network.half_precision import half_precision
from enigma_tasks.ner.training.optimiser import TrainingStep
from enigma_tasks.ner.training.train import Task, untrained
from enigma_tasks.params.members import MemberParams, ScratchParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.batching import Example
    from enigma_tasks.ner.model_folder import Model

BETTER = 1.03
"""A batch twice as large is taken if it is faster by this."""
SMALLEST_BATCH, LARGEST_BATCH = 4, 8192
"""Windows of a batch."""
PEAK_SIDE = {"cuda": 8192, "cpu": 512}
"""Rows of the square matrices whose product is taken as the device's peak."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An encoder's shape."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int

    def flops(self, length: float) -> float:
        """Floating-point operations of a forward pass for each sub-word of a window of this length, without heads."""
        return self.layers * (24 * self.hidden**2 + 4 * length * self.hidden)


SHAPES = {
    "tiny": Shape(2, 64, 2, 2_000),
    "e5-small": Shape(12, 384, 12, 250_002),
    "xlmr-base": Shape(12, 768, 12, 250_002),
    "xlmr-large": Shape(24, 1024, 16, 250_002),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """One measurement."""

    tokens: float
    """Sub-words a second, padding not counted."""
    share: float
    """Of the operations of the device's measured peak."""
    windows: int
    """In a batch."""
    padding: float = 0.0
    """Share of padding among the sub-words that were computed."""


def model_of(shape: Shape, documents: Sequence[Document], window: int) -> Model:
    """A model with random weights in this shape and a tokenizer learnt from the documents."""
    from transformers import XLMRobertaConfig

    learnt = ScratchParams(vocabulary=min(2_000, shape.vocabulary), hidden=16, layers=1, heads=1, min_notes=1)
    recipe = MemberParams(
        base="scratch",
        scratch=learnt,
        window_tokens=window,
        overlap_tokens=0,
        learning_rate=1e-5,
        batch_size=1,
        epochs=1,
        precision="bf16",
    )
    model = untrained(Task("es", tuple(EntityType), "benchmark", recipe, 7), documents[:-1], documents[-1:])
    config = XLMRobertaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
        max_position_embeddings=window + model.tokenizer.pad_id + 1,
        pad_token_id=model.tokenizer.pad_id,
        type_vocab_size=1,
    )
    return replace(model, network=TokenClassifier(build_encoder(config), len(EntityType), "softmax"))


def measured_peak(device: torch.device) -> float:
    """bfloat16 operations a second of a large matrix product on random data."""
    side = PEAK_SIDE[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = _seconds(lambda: linear(left, right), device, 1.0)
    return 2 * side**3 / seconds


def best_batch(rate: Callable[[int], Rate]) -> Rate:
    """Double the batch until it is no faster or does not fit; the fastest."""
    best: Rate | None = None
    windows = SMALLEST_BATCH
    while windows <= LARGEST_BATCH:
        try:
            found = rate(windows)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        if best is not None and found.tokens < best.tokens * BETTER:
            return max(best, found, key=lambda r: r.tokens)
        best, windows = found, 2 * windows
    if best is None:
        raise torch.OutOfMemoryError(f"a batch of {SMALLEST_BATCH} windows does not fit")
    return best


class Rates:
    """The rates of one model on the windows of its documents."""

    def __init__(self, model: Model, shape: Shape, documents: Sequence[Document], seconds: float) -> None:
        """`seconds`: of each measurement, at least."""
        self._model, self._shape, self._seconds = model, shape, seconds
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._windows = examples(model, documents).windows
        self._special = len(model.tokenizer.prefix) + len(model.tokenizer.suffix)
        self._peak = measured_peak(self._device)

    def padded(self, count: int, *, sort: bool) -> Rate:
        """Forward passes of `count` windows, in the order of the notes, or sorted by length as the engine does."""
        order = sorted(self._windows, key=_length) if sort else self._windows
        inputs = [collate([e.window for e in part], self._model.tokenizer)[:2] for part in _parts(order, count)]
        given = [
            (ids.to(self._device), None if attention is None else attention.to(self._device))
            for ids, attention in inputs
        ]
        encoder = self._half()

        def run() -> None:
            with torch.inference_mode():
                for ids, attention in given:
                    encoder(input_ids=ids, attention_mask=attention)

        computed = sum(ids.numel() for ids, _ in given)
        return self._rate(run, count, 1, computed)

    def packed(self, count: int) -> Rate:
        """Forward passes of `count` windows end to end, without padding."""
        tokenizer = self._model.tokenizer
        prefix, suffix = (torch.tensor(ids, dtype=torch.long) for ids in (tokenizer.prefix, tokenizer.suffix))
        given = [
            [torch.cat((prefix, torch.from_numpy(e.window.ids).long(), suffix)).to(self._device) for e in part]
            for part in _parts(self._windows, count)
        ]
        read = Packed(self._half(), tokenizer.pad_id + 1)

        def run() -> None:
            with torch.inference_mode():
                for part in given:
                    read(part)

        return self._rate(run, count, 1, sum(len(ids) for part in given for ids in part))

    def training(self, count: int) -> Rate:
        """Optimiser steps of `count` windows: forward, backward, AdamW; one epoch in the training's own order."""
        network = self._model.network.to(self._device).train()
        order = list(batches(self._windows, count, 7, 1))
        step = TrainingStep(self._model, len(order), self._device)

        def run() -> None:
            for number, batch in enumerate(order):
                step(batch, number)

        try:
            computed = sum(len(batch) * (max(map(_length, batch)) + self._special) for batch in order)
            return self._rate(run, count, 3, computed)
        finally:
            network.cpu()

    def _half(self) -> nn.Module:
        return half_precision(self._model.network.encoder.eval(), self._device)

    def _rate(self, run: Callable[[], None], windows: int, passes: int, computed: int) -> Rate:
        seconds = _seconds(run, self._device, self._seconds)
        lengths = [_length(e) + self._special for e in self._windows]
        tokens = sum(lengths)
        flops = passes * sum(length * self._shape.flops(length) for length in lengths)
        return Rate(tokens / seconds, flops / seconds / self._peak, windows, 1 - tokens / computed)


def _parts(order: Sequence[Example], count: int) -> Iterator[Sequence[Example]]:
    return (order[i : i + count] for i in range(0, len(order), count))


def _length(example: Example) -> int:
    return len(example.window.ids)


def _seconds(run: Callable[[], Tensor | None], device: torch.device, least: float) -> float:
    """Mean seconds of a run, after one that is not counted."""
    run()
    _wait(device)
    runs, passed, begun = 0, 0.0, time.perf_counter()
    while not runs or passed < least:
        run()
        _wait(device)
        runs, passed = runs + 1, time.perf_counter() - begun
    return passed / runs


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
