"""The training loop: returns the best epoch by strict F1 on dev; resumes a killed training from its checkpoint."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from enigma_tasks.documents import EntityType
from enigma_tasks.ner.batching import batches
from enigma_tasks.ner.dev_scores import DevScore, strict_scores
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.network.shared_layers import freeze
from enigma_tasks.ner.training.callbacks import LoggingCallback
from enigma_tasks.ner.training.checkpoints import Checkpoints
from enigma_tasks.ner.training.compact import CompactRows
from enigma_tasks.ner.training.noise import Noise
from enigma_tasks.ner.training.optimiser import TrainingStep, effective_precision
from enigma_tasks.ner.training.tag_check import seqeval_f1
from enigma_tasks.ner.training.warm_start import warm_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.batching import Example, Examples
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.network.encoder import TokenClassifier
    from enigma_tasks.ner.training.callbacks import TrainingCallback
    from enigma_tasks.params.members import MemberParams


@dataclass(slots=True)
class Progress:
    """Counts and seconds of a training, for the report."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    """Without the scoring on dev."""
    windows: int = 0
    documents_empty: int = 0
    """Training documents without a word, which are skipped."""
    misaligned: int = 0
    lost: int = 0
    resumed_at: int = 0
    """The step at which a killed training was resumed; 0 if it was not."""
    seqeval_f1: float = 0.0
    """The best epoch's, on dev, over word tags; see `training.tag_check`."""
    epochs: list[dict[str, float]] = field(default_factory=list)


@dataclass(slots=True)
class _Best:
    """The best epoch so far."""

    f1: float = -1.0
    epoch: int = 0
    without: int = 0
    """Consecutive epochs without improvement."""
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    scores: dict[EntityType, DevScore] = field(default_factory=dict)

    def take(self, epoch: int, scores: dict[EntityType, DevScore], network: TokenClassifier) -> None:
        """Compare an epoch with the best; of equals the later is kept."""
        f1 = mean_f1(scores)
        self.without = 0 if f1 > self.f1 else self.without + 1
        if f1 >= self.f1:
            self.f1, self.epoch, self.scores = f1, epoch, scores
            self.weights = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}


def fit(
    model: Model,
    examples: Examples,
    dev: Sequence[Document],
    *,
    out: Path | None = None,
    callback: TrainingCallback | None = None,
) -> tuple[Model, Progress]:
    """Train `model` on examples with tags or soft targets; returns its best epoch on dev.

    Raises:
        UsageError: noise by an unknown sub-word that the tokenizer lacks, or frozen layers that the encoder lacks.
    """
    recipe, seed = model.card.recipe, model.card.seed
    began, callback = time.perf_counter(), callback or LoggingCallback()
    windows = examples.windows
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = model.network.to(device)
    freeze(network.encoder, recipe.frozen_layers)
    if recipe.warm_start_words:
        half = effective_precision(recipe.precision, device) != torch.float32
        warm_start(model, windows, recipe.warm_start_words, seed, half)
    text_ids = np.unique(np.concatenate([e.window.ids for e in windows]))
    embedding = CompactRows(network.encoder, _used_ids(model, text_ids).to(device))
    total = _total_steps(recipe, len(windows))
    step = TrainingStep(model, total, device)
    noise = Noise(model, text_ids, seed)
    checkpoints = Checkpoints(out, _identity(model, windows, device))
    progress = Progress(windows=len(windows), misaligned=examples.misaligned, lost=examples.lost)
    progress, best = _resumed(checkpoints, network, step, progress)
    callback.on_start(progress.epochs)
    while progress.steps < total and (recipe.patience is None or best.without < recipe.patience):
        epoch = len(progress.epochs) + 1
        order = noise.over(batches(windows, recipe.batch_size, seed, epoch), epoch)
        loss = _epoch(step, order, progress, callback)
        with embedding.restored():
            scores = dev_scores(model, dev)
        best.take(epoch, scores, network)
        progress.epochs.append(epoch_row(epoch, progress.steps, loss, scores))
        state = {"progress": asdict(progress), "best": _as_json(best)}
        checkpoints.write(network, step, best.weights, state)
        callback.on_epoch(progress.epochs[-1])
    network.load_state_dict(best.weights)
    embedding.restore()
    network.to("cpu").eval()
    card = model.card.model_copy(update={"steps": progress.steps, "best_epoch": best.epoch, "dev": best.scores})
    model = replace(model, card=card, network=network)
    progress.seqeval_f1 = seqeval_f1(model, dev, recipe.dev_batch_tokens)
    progress.seconds = time.perf_counter() - began
    return model, progress


def _epoch(step: TrainingStep, order: Iterable[list[Example]], progress: Progress, callback: TrainingCallback) -> float:
    """Run one epoch, or the remaining steps of the training; returns the mean loss."""
    losses, began = [], time.perf_counter()
    step.network.train()
    for batch in order:
        losses.append(step(batch, progress.steps))
        progress.steps += 1
        progress.tokens += sum(len(e.window.ids) for e in batch)
        callback.on_step(progress.steps, step.total, losses[-1])
        if progress.steps == step.total:
            break
    loss = float(torch.stack(losses).mean())
    progress.training_seconds += time.perf_counter() - began
    return loss


def _total_steps(recipe: MemberParams, windows: int) -> int:
    total = max(1, round(recipe.epochs * math.ceil(windows / recipe.batch_size)))
    return total if recipe.max_steps is None else min(total, recipe.max_steps)


def _used_ids(model: Model, text_ids: NDArray[np.int32]) -> torch.Tensor:
    """Ids [R] of every sub-word that may occur in a training step, ascending."""
    tokenizer = model.tokenizer
    unknown = tokenizer.unknown_id
    special = [*tokenizer.prefix, *tokenizer.suffix, tokenizer.pad_id, *([] if unknown is None else [unknown])]
    return torch.from_numpy(np.union1d(text_ids, special).astype(np.int64))


def _identity(model: Model, windows: Sequence[Example], device: torch.device) -> dict[str, Any]:
    """Everything that a checkpoint depends on."""
    data = hashlib.sha256()
    for example in windows:
        for part in (example.window.ids, example.window.owner, example.tags, example.soft):
            data.update(b"-" if part is None else part.tobytes())
    card = model.card.model_dump(mode="json")
    return {"card": card, "windows": data.hexdigest(), "device": device.type, "torch": torch.__version__}


def _resumed(
    checkpoints: Checkpoints, network: TokenClassifier, step: TrainingStep, initial: Progress
) -> tuple[Progress, _Best]:
    found = checkpoints.read(network, step)
    if found is None:
        return initial, _Best()
    progress = Progress(**found.state["progress"])
    progress.resumed_at = progress.steps
    tree = found.state["best"]
    scores = {EntityType(t): DevScore.model_validate(s) for t, s in tree["scores"].items()}
    return progress, _Best(tree["f1"], tree["epoch"], tree["without"], found.best, scores)


def _as_json(best: _Best) -> dict[str, Any]:
    scores = {t.value: s.model_dump() for t, s in best.scores.items()}
    return {"f1": best.f1, "epoch": best.epoch, "without": best.without, "scores": scores}


def mean_f1(scores: dict[EntityType, DevScore]) -> float:
    """Mean strict F1 over the types with gold or predictions in dev; for other types it is undefined."""
    measured = [s.strict_f1 for s in scores.values() if s.gold or s.predicted]
    return sum(measured) / max(1, len(measured))


def epoch_row(epoch: int, steps: int, loss: float, scores: dict[EntityType, DevScore]) -> dict[str, float]:
    """The argument of `TrainingCallback.on_epoch`."""
    of_types = {f"dev_strict_f1_{t.value}": s.strict_f1 for t, s in scores.items()}
    return {"epoch": epoch, "steps": steps, "loss": round(loss, 4), "dev_strict_f1": mean_f1(scores), **of_types}


def dev_scores(model: Model, dev: Sequence[Document]) -> dict[EntityType, DevScore]:
    """Strict scores by entity type over the dev documents annotated for it, if there are any."""
    (found,) = Engine([model], model.card.recipe.dev_batch_tokens).predict(dev)
    return strict_scores(model.card.entity_types, dev, found)
