"""The loop on examples of any making: soft targets, patience, heads of several layers, and what a checkpoint is for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open

from enigma_tasks.documents import EntityType
from enigma_tasks.ner.batching import Examples, collate, examples, targets
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import DevScore, load_model, save_model
from enigma_tasks.ner.training.checkpoints import discard
from enigma_tasks.ner.training.loop import fit, mean_f1
from enigma_tasks.ner.training.train import train, untrained
from tests.unit.ner_builders import notes, task

if TYPE_CHECKING:
    from pathlib import Path

    from enigma_tasks.ner.batching import Example
    from enigma_tasks.ner.model_folder import Model

pytestmark = pytest.mark.training


def softened(example: Example) -> Example:
    """Towards what gold does not say: every word is rather an inside."""
    soft = np.full((*example.tags.shape, 3), 0.1, dtype=np.float32)
    soft[..., 2] = 0.8
    return replace(example, soft=soft)


def surprise(model: Model, windows: list[Example]) -> float:
    ids, attention, owner, words = collate([e.window for e in windows], model.tokenizer)
    tags, soft = targets(windows, words)
    model.network.eval()
    with torch.no_grad():
        return float(model.network.loss(model.network(ids, attention, owner, words), tags, soft))


def begun(**changes: object) -> tuple[Model, list[Example]]:
    torch.manual_seed(1)
    model = untrained(task(**changes), notes(8), notes(2, 50))
    return model, [softened(e) for e in examples(model, notes(8)).windows]


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_soft_targets_are_learnt_in_place_of_the_tags(head: str) -> None:
    model, windows = begun(epochs=4, learning_rate=2e-2, head=head)
    before = surprise(model, windows)
    learnt, progress = fit(model, Examples(windows, 0, 0), notes(2, 50))
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1))
    assert surprise(learnt, windows) < before
    assert (
        head == "crf" or surprise(learnt, windows) >= entropy
    )  # a CRF is told what the probabilities of words leave open
    assert progress.epochs[-1]["loss"] < progress.epochs[0]["loss"]


def test_a_training_that_gets_no_better_ends_when_patience_does() -> None:
    model, progress = train(task(epochs=9, patience=2, learning_rate=1e-9), notes(6), notes(3, 50))
    assert len(progress.epochs) == 3  # the first is the best so far, then two that are not better
    assert model.card.best_epoch == 3  # of equals the later


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_heads_of_several_layers_are_saved_and_read_back(head: str, tmp_path: Path) -> None:
    model, _ = train(task(head=head, head_layers=2, max_steps=3), notes(6), notes(2, 50))
    saved = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", saved.digest)
    assert len(again.network.heads.of_types[0]) == 2 * 3 + 1
    texts = notes(3, 70)
    assert Engine([again], 512, "fp32").predict(texts) == Engine([model], 512, "fp32").predict(texts)


def killed_after(epochs: int, out: Path) -> None:
    class KilledError(BaseException):
        pass

    class Killer:
        def on_start(self, epochs: object) -> None: ...

        def on_step(self, step: int, total: int, loss: object) -> None: ...

        def on_epoch(self, epoch: dict[str, float]) -> None:
            if epoch["epoch"] == epochs:
                raise KilledError

    with pytest.raises(KilledError):
        train(task(epochs=3), notes(8), notes(3, 50), out=out, callback=Killer())


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    killed_after(2, tmp_path)
    again, progress = train(task(epochs=3), notes(8), notes(3, 50), out=tmp_path)
    whole, undisturbed = train(task(epochs=3), notes(8), notes(3, 50))
    assert progress.resumed_at == undisturbed.epochs[1]["steps"]
    assert progress.epochs == undisturbed.epochs
    assert all(torch.equal(v, again.network.state_dict()[k]) for k, v in whole.network.state_dict().items())
    discard(tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["seed", "note", "recipe"])
def test_the_checkpoint_of_another_training_is_not_resumed(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed_after(1, tmp_path)
    other = task(epochs=3, seed=2 if change == "seed" else 1, **({"learning_rate": 1e-3} if change == "recipe" else {}))
    _, progress = train(other, notes(9 if change == "note" else 8), notes(3, 50), out=tmp_path)
    assert progress.resumed_at == 0
    assert "of another training" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_checkpoint_is_not_resumed(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed_after(1, tmp_path)
    (path,) = (tmp_path / ".training").iterdir()
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "garbage": b"\x00" * 200, "empty": b""}[damage])
    _, progress = train(task(epochs=3), notes(8), notes(3, 50), out=tmp_path)
    assert progress.resumed_at == 0
    assert "cannot be read" in caplog.text
    with safe_open(path, framework="pt") as file:  # and it is replaced by a whole one
        assert list(file.keys())


def test_a_type_without_gold_or_predictions_is_no_zero_in_the_mean() -> None:
    def score(f1: float, gold: int, predicted: int) -> DevScore:
        return DevScore(precision=f1, recall=f1, strict_f1=f1, documents=3, gold=gold, predicted=predicted)

    scores = {EntityType.DISEASE: score(0.8, 5, 5), EntityType.SYMPTOM: score(0.0, 0, 0)}
    assert mean_f1(scores) == 0.8
    assert mean_f1(scores | {EntityType.PROCEDURE: score(0.0, 0, 4)}) == 0.4
    assert mean_f1({EntityType.SYMPTOM: score(0.0, 0, 0)}) == 0.0
