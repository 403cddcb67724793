"""Training with the used rows alone is training with all of them."""

from __future__ import annotations

import torch

from enigma_tasks.ner.training.compact import CompactRows
from tests.unit.test_encoder import classifier

IDS = torch.tensor([[2, 9, 8, 3], [2, 7, 7, 3]])
OWNER = torch.tensor([[-1, 0, 1, -1], [-1, 0, 1, -1]])


def _trained(*, compact: bool) -> tuple[torch.Tensor, torch.Tensor]:
    network = classifier()
    before = network.encoder.get_input_embeddings().weight.detach().clone()
    rows = CompactRows(network.encoder, torch.tensor([1, 2, 3, 7, 8, 9])) if compact else None
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.0)
    for _ in range(3):
        optimiser.zero_grad()
        network.loss(network(IDS, None, OWNER, 2), torch.ones(2, 2, 3, dtype=torch.long)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    if rows is not None:
        rows.restore()
    return before, network.encoder.get_input_embeddings().weight.detach()


def test_the_rows_learn_the_same_and_the_others_stay_bit_for_bit() -> None:
    before, whole = _trained(compact=False)
    _, compact = _trained(compact=True)
    torch.testing.assert_close(compact, whole)
    used = torch.tensor([2, 3, 7, 8, 9])
    assert not torch.equal(compact[used], before[used])
    others = [i for i in range(len(before)) if i not in used]
    assert torch.equal(compact[others], before[others])


def test_any_text_can_be_read_in_between() -> None:
    network = classifier()
    unseen = torch.tensor([[2, 50, 51, 3]])
    expected = network(unseen, None, OWNER[:1], 2)
    rows = CompactRows(network.encoder, torch.tensor([1, 2, 3]))
    with rows.restored():
        assert torch.equal(network(unseen, None, OWNER[:1], 2), expected)
    assert len(network.encoder.get_input_embeddings().weight) == 3
