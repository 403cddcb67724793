"""Groups, schedule, and steps in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from enigma_tasks.ner.batching import examples
from enigma_tasks.ner.training.optimiser import TrainingStep, optimiser_of, rate_factor
from enigma_tasks.ner.training.train import untrained
from tests.unit.ner_builders import notes, recipe, task, trained


def test_the_schedule_rises_over_the_warm_up_and_ends_near_zero() -> None:
    rates = [rate_factor(step, 10, 0.2) for step in range(10)]
    np.testing.assert_allclose(rates, [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_biases_and_norms_do_not_decay_and_heads_learn_at_their_own_rate() -> None:
    network = trained().network
    optimiser = optimiser_of(network, recipe(head_learning_rate=0.5, head_layers=1))
    of_group = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        group = of_group[id(parameter)]
        assert (group["weight_decay"] == 0) == (name.endswith("bias") or "LayerNorm" in name)
        assert group["lr"] == (0.5 if name.startswith("heads.") else 5e-3)


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_step_in_parts_learns_what_the_whole_step_does(head: str) -> None:
    moved = []
    for budget in (None, 32):
        torch.manual_seed(3)
        own = task(head=head, batch_tokens=budget, batch_size=8)
        model = untrained(own, notes(6), notes(1, 50))
        model.network.eval()  # no dropout: what it drops depends on the parts
        training_step = TrainingStep(model, 4, torch.device("cpu"))
        batch = examples(model, notes(6)).windows[:8]
        losses = [float(training_step(batch, step)) for step in range(2)]
        moved.append((losses, model.network.heads.state_dict()))
    np.testing.assert_allclose(moved[0][0], moved[1][0], rtol=1e-5)
    for name, values in moved[0][1].items():
        torch.testing.assert_close(values, moved[1][1][name], rtol=1e-4, atol=1e-5)
