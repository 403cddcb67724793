"""Replaces some sub-words of training windows, so that the model learns to use context (Jonker and others 2026)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from enigma_tasks.ner.batching import Example
    from enigma_tasks.ner.model_folder import Model


class Noise:
    """Replaces `noise_tokens` of the sub-words in `noise_share` of the windows; tags stay.

    The draw depends on the seed, the epoch and the order of the windows within it.
    """

    def __init__(self, model: Model, drawn_from: NDArray[np.int32], seed: int) -> None:
        """`drawn_from`: sub-word ids that may replace others. Raises UsageError: there is no unknown sub-word."""
        self._recipe = model.card.recipe
        self._pool = drawn_from
        self._seed = seed
        if self._recipe.noise_share and self._recipe.noise_by == "unknown":
            unknown = model.tokenizer.unknown_id
            if unknown is None:
                raise UsageError(f"member {model.card.member}: the tokenizer has no unknown sub-word for noise_by")
            self._pool = np.array([unknown], dtype=np.int32)

    def over(self, batches: Iterable[list[Example]], epoch: int) -> Iterator[list[Example]]:
        """The batches of an epoch, with noise in the drawn windows."""
        generator = np.random.default_rng([self._seed, epoch])
        share = self._recipe.noise_share
        for batch in batches:
            yield [self._noisy(e, generator) if share and generator.random() < share else e for e in batch]

    def _noisy(self, example: Example, generator: np.random.Generator) -> Example:
        ids = example.window.ids
        chosen = generator.random(len(ids)) < self._recipe.noise_tokens
        other = generator.choice(self._pool, len(ids)).astype(ids.dtype)
        return replace(example, window=replace(example.window, ids=np.where(chosen, other, ids)))
