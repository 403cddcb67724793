"""Heads that begin where a linear probe of the frozen encoder ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from enigma_tasks.ner.batching import collate, examples, targets
from enigma_tasks.ner.training.train import train, untrained
from enigma_tasks.ner.training.warm_start import warm_start
from tests.unit.ner_builders import notes, recipe, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ner.batching import Example
    from enigma_tasks.ner.model_folder import Model

pytestmark = pytest.mark.training


def begun(seed: int = 1, **changes: object) -> tuple[Model, list[Example]]:
    torch.manual_seed(seed)
    training = notes(12)
    model = untrained(task(seed=seed, **changes), training, notes(2, 50))
    return model, examples(model, training).windows


def loss(model: Model, windows: Sequence[Example]) -> float:
    model.network.eval()
    ids, attention, owner, words = collate([e.window for e in windows], model.tokenizer)
    tags, _ = targets(windows, words)
    with torch.no_grad():
        return float(model.network.loss(model.network(ids, attention, owner, words), tags))


@pytest.mark.parametrize("changes", [{}, {"head": "crf"}, {"head_layers": 2}, {"head_layers": 1, "head": "crf"}])
def test_the_heads_begin_better_than_at_random_and_the_rest_stays_as_it_was(changes: dict[str, object]) -> None:
    model, windows = begun(**changes)
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    at_random = loss(model, windows)
    assert warm_start(model, windows, 500, 1, half=False) < 1
    assert loss(model, windows) < 0.8 * at_random
    after = model.network.state_dict()
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"heads", "standardise"}


def test_one_seed_gives_one_beginning() -> None:
    made = []
    for seed in (1, 1, 2):
        model, windows = begun()
        warm_start(model, windows, 60, seed, half=False)
        made.append(model.network.heads.state_dict())
    assert all(torch.equal(made[0][k], made[1][k]) for k in made[0])
    assert not all(torch.equal(made[0][k], made[2][k]) for k in made[0])


def test_a_member_that_does_not_ask_for_it_has_features_as_the_encoder_gives_them() -> None:
    assert recipe().warm_start_words == 0
    plain, _ = train(task(max_steps=1), notes(6), notes(2, 50))
    warm, _ = train(task(max_steps=1, warm_start_words=100), notes(6), notes(2, 50))
    assert not plain.network.standardise.mean.any()
    assert (plain.network.standardise.spread == 1).all()
    assert warm.network.standardise.mean.any()
