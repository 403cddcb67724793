"""Fine-tune a GLiNER model by a recipe, or only score it on dev (paper, appendices B and C)."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import get_linear_schedule_with_warmup

from enigma_tasks import artifacts
from enigma_tasks.members.gliner import (
    GlinerAnnotator,
    GlinerCard,
    GlinerModel,
    check_window,
    load_checkpoint,
)
from enigma_tasks.members.gliner_windows import cut_words, labelled
from enigma_tasks.ner.base_models import find_base
from enigma_tasks.ner.dev_scores import strict_scores
from enigma_tasks.ner.digests import base_digest, code_digest, data_digest, recipe_digest
from enigma_tasks.ner.model_folder import FITTED_WEIGHTS
from enigma_tasks.ner.text.invisible import visible_document
from enigma_tasks.ner.training.callbacks import LoggingCallback
from enigma_tasks.ner.training.loop import Progress, epoch_row
from enigma_tasks.ner.training.optimiser import effective_precision
from enigma_tasks.ner.training.train import check_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enigma_tasks.documents import Document, EntityType
    from enigma_tasks.ner.dev_scores import DevScore
    from enigma_tasks.ner.training.callbacks import TrainingCallback
    from enigma_tasks.params.annotators import GlinerMemberParams

Example = dict[str, Any]


@dataclass(frozen=True, slots=True)
class GlinerTask:
    """What to train."""

    language: str
    """A language code, or `all`."""
    entity_types: tuple[EntityType, ...]
    member: str
    recipe: GlinerMemberParams
    seed: int
    model_store: str = ""
    backbone_store: str = ""
    """The model store with `recipe.backbone`."""


def train_gliner(
    task: GlinerTask, training: Sequence[Document], dev: Sequence[Document], *, callback: TrainingCallback | None = None
) -> tuple[GlinerModel, Progress]:
    """Fine-tune and return the best epoch by strict F1 on dev; with `epochs: 0` only score. Deterministic.

    Raises:
        DataError: `no_entities` in the training documents, or `dev_in_train`.
        ModelError, UsageError: the base model is missing, damaged, or too short for the windows.
    """
    check_documents(task.entity_types, training, dev)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    state = random.getstate()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(task.seed)
        random.seed(task.seed)  # the collator draws from it
        try:
            return _fit(_base(task, training, dev), training, dev, callback or LoggingCallback())
        finally:
            random.setstate(state)


def _base(task: GlinerTask, training: Sequence[Document], dev: Sequence[Document]) -> GlinerModel:
    recipe = task.recipe
    folder = find_base(recipe.base, task.model_store, artifacts.GLINER_CONFIG)
    backbone = find_base(recipe.backbone, task.backbone_store) if recipe.backbone else None
    network = load_checkpoint(folder, backbone)
    # the names of local folders only: paths are the machine's, and the digest identifies the base
    folders = {"base": folder} | ({"backbone": backbone} if backbone else {})
    recipe = recipe.model_copy(update={k: v.name for k, v in folders.items() if Path(getattr(recipe, k)).exists()})
    card = GlinerCard(
        languages=tuple(sorted({d.language for d in training if d.language}) or [task.language]),
        entity_types=task.entity_types,
        member=task.member,
        recipe=recipe,
        seed=task.seed,
        steps=0,
        best_epoch=0,
        dev={},
        digests={
            "train": data_digest(training),
            "dev": data_digest(dev),
            "code": code_digest(),
            "base": base_digest(folder),
            "recipe": recipe_digest(recipe),
        },
        training_text={artifacts.MODEL_WEIGHTS: FITTED_WEIGHTS} if recipe.epochs else {},
    )
    model = GlinerModel(card, network)
    check_window(network, recipe, list(model.type_by_label))
    return model


def _fit(
    model: GlinerModel, training: Sequence[Document], dev: Sequence[Document], callback: TrainingCallback
) -> tuple[GlinerModel, Progress]:
    recipe, progress, began = model.card.recipe, Progress(), time.perf_counter()
    windows = examples(model, training, progress)
    total = round(recipe.epochs * math.ceil(len(windows) / recipe.batch_size))
    total = min(total, recipe.max_steps or total)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.network.to(device)
    optimiser, schedule = _optimiser(model, total)
    best: tuple[float, int, dict[str, torch.Tensor], dict[EntityType, DevScore]] | None = None
    epoch = 0
    callback.on_start([])
    while best is None or progress.steps < total:
        if total:
            epoch += 1
        losses, epoch_began = [], time.perf_counter()
        for batch in _batches(windows, recipe.batch_size, model.card.seed, epoch):
            if progress.steps == total:
                break
            losses.append(_step(model, batch, optimiser, device, progress))
            schedule.step()
            progress.steps += 1
            callback.on_step(progress.steps, total, losses[-1])
        loss = float(torch.stack(losses).mean()) if losses else 0.0
        progress.training_seconds += time.perf_counter() - epoch_began
        model.network.eval()
        scores = strict_scores(model.card.entity_types, dev, GlinerAnnotator(model).predict(dev))
        progress.epochs.append(epoch_row(epoch, progress.steps, loss, scores))
        callback.on_epoch(progress.epochs[-1])
        f1 = progress.epochs[-1]["dev_strict_f1"]
        if best is None or f1 >= best[0]:
            weights = {k: v.detach().cpu().clone() for k, v in model.network.model.state_dict().items()}
            best = (f1, epoch, weights, scores)
    model.network.to("cpu").model.load_state_dict(best[2])
    progress.seconds = time.perf_counter() - began
    card = model.card.model_copy(update={"steps": progress.steps, "best_epoch": best[1], "dev": best[3]})
    return replace(model, card=card, network=model.network.eval()), progress


def examples(model: GlinerModel, training: Sequence[Document], progress: Progress) -> list[Example]:
    """Windows for GLiNER's collator; counts them, and the mentions that do not fit into a window or span.

    A document's examples have only the labels of the types that it was annotated for.
    """
    found: list[Example] = []
    names = {t: label for label, t in model.type_by_label.items()}
    for stored in training:
        document = visible_document(stored).document
        known = {t.label: label for t, label in names.items() if t in document.annotated}
        windows = cut_words(model.network, document.text, model.card.recipe)
        gold = labelled(windows, document, known)
        reached = {
            (window.spans[a][0], window.spans[b][1], label)
            for window, spans in zip(windows, gold, strict=True)
            for a, b, label in spans
            if b - a < model.network.config.max_width
        }
        mentions = {(*e.span, known[e.label]) for e in document.entities if e.label in known}
        progress.lost += max(0, len(mentions) - len(reached))
        progress.misaligned += len(reached - mentions)
        found += [
            {"tokenized_text": list(w.words), "ner": spans, "ner_labels": list(known.values())}
            for w, spans in zip(windows, gold, strict=True)
        ]
    progress.windows = len(found)
    return found


def _batches(windows: Sequence[Example], size: int, seed: int, epoch: int) -> Iterator[list[Example]]:
    order = list(range(len(windows)))
    random.Random(f"{seed}-{epoch}").shuffle(order)
    for first in range(0, len(order), size):
        yield [windows[i] for i in order[first : first + size]]


def _optimiser(model: GlinerModel, total: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with a linear schedule (paper, appendix C)."""
    recipe = model.card.recipe
    plain: list[torch.nn.Parameter] = []
    decayed: list[torch.nn.Parameter] = []
    for name, parameter in model.network.model.named_parameters():
        (plain if name.endswith("bias") or "norm" in name.lower() else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    warm_up = math.ceil(total * recipe.warmup_ratio)
    return optimiser, get_linear_schedule_with_warmup(optimiser, warm_up, max(1, total))


def _step(
    model: GlinerModel,
    batch: list[Example],
    optimiser: torch.optim.Optimizer,
    device: torch.device,
    progress: Progress,
) -> torch.Tensor:
    """Run one optimiser step; returns the loss on the device, as reading it would wait for the step."""
    network = model.network
    network.train()
    collator = network.data_collator_class(network.config, data_processor=network.data_processor, prepare_labels=True)
    inputs = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in collator(batch).items()}
    progress.tokens += int(inputs["attention_mask"].sum())
    precision = effective_precision(model.card.recipe.precision, device)
    with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        loss = network.model(**inputs).loss
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.model.parameters(), model.card.recipe.max_gradient_norm)
    optimiser.step()
    detached: torch.Tensor = loss.detach()
    return detached
