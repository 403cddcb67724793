"""Replaced sub-words: how many, by what, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from enigma_tasks.ner.batching import examples
from enigma_tasks.ner.training.noise import Noise
from tests.unit.ner_builders import notes, recipe, trained

POOL = np.array([40, 41], dtype=np.int32)


def noisy(by: str, epoch: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    model = trained()
    changes = recipe(noise_share=0.5, noise_tokens=0.25, noise_by=by)
    model = replace(model, card=model.card.model_copy(update={"recipe": changes}))
    windows = examples(model, notes(60)).windows
    (after,) = Noise(model, POOL, 1).over(iter([windows]), epoch)
    assert all(a.tags is b.tags and a.window.owner is b.window.owner for a, b in zip(windows, after, strict=True))
    return [e.window.ids for e in windows], [e.window.ids for e in after]


@pytest.mark.parametrize("by", ["random", "unknown"])
def test_the_asked_share_of_windows_and_sub_words_is_replaced(by: str) -> None:
    before, after = noisy(by)
    allowed = POOL if by == "random" else np.array([trained().tokenizer.pretrained.unk_token_id])
    changed = [(a != b) for a, b in zip(before, after, strict=True)]
    assert all(np.isin(a[c], allowed).all() for a, c in zip(after, changed, strict=True))
    touched = [c for c in changed if c.any()]
    assert 0.3 < len(touched) / len(changed) < 0.7
    assert 0.15 < np.concatenate(touched).mean() < 0.35


def test_an_epoch_repeats_itself_and_differs_from_another() -> None:
    first, again, second = (np.concatenate(noisy("random", e)[1]) for e in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
