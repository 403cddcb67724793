"""Predictions for every document by a model that was not trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.training.train import train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.engine import WordProbabilities
    from enigma_tasks.ner.training.callbacks import TrainingCallback
    from enigma_tasks.ner.training.train import Task

LEAST_FOLDS = 3
"""One to predict, one that chooses the epoch, one to train on."""


def out_of_fold(
    task: Task,
    folds: Sequence[Sequence[Document]],
    batch_tokens: int,
    callback: TrainingCallback | None = None,
) -> list[list[WordProbabilities]]:
    """Per fold, one for each of its documents: trains a model for each fold, on all others but one, which is its dev.

    Raises:
        UsageError: fewer than three folds with documents.
        DataError: see `train`; documents of one case must be in one fold.
    """
    if len(folds) < LEAST_FOLDS or not all(folds):
        raise UsageError(f"out-of-fold predictions need {LEAST_FOLDS} folds with documents")
    found = []
    for i, fold in enumerate(folds):
        dev = folds[(i + 1) % len(folds)]
        training = [d for other in folds if other is not fold and other is not dev for d in other]
        model, _ = train(task, training, dev, callback=callback)
        found.append([of_models[0] for of_models in Engine([model], batch_tokens).probabilities(fold)])
    return found
