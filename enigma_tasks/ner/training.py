"""Documents and a recipe -> a trained model: the best epoch by strict F1 on dev, the same for the same seed."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from enigma_tasks.errors import DataError
from enigma_tasks.ner import scoring
from enigma_tasks.ner.alignment import IGNORED
from enigma_tasks.ner.batching import Example, batches, collate, examples
from enigma_tasks.ner.encoder import TokenClassifier, build_encoder, find_base, load_base, scratch_config
from enigma_tasks.ner.engine import Engine, has_bf16
from enigma_tasks.ner.models import DevScore, Model, ModelCard, base_digest, code_digest, data_digest, recipe_digest
from enigma_tasks.ner.tokenizer import TextTokenizer, learn_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enigma_tasks.documents import Document, EntityType
    from enigma_tasks.params.members import MemberParams

log = logging.getLogger(__name__)

_CLIP = 1.0
_LOG_STEPS = 50
_NO_DECAY = ("bias", "LayerNorm.weight", "layer_norm.weight", "norm.weight")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learnt."""

    language: str
    """A language code, or `all`."""
    entity_types: tuple[EntityType, ...]
    member: str
    recipe: MemberParams
    seed: int
    model_store: str = ""


@dataclass(slots=True)
class Progress:
    """What a training did; counts and seconds, for the report."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    """Without the scoring on dev."""
    windows: int = 0
    misaligned: int = 0
    lost: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)


def train(task: Task, training: Sequence[Document], dev: Sequence[Document]) -> tuple[Model, Progress]:
    """Train one model; the same arguments and number of threads give the same weights on a CPU.

    Raises:
        DataError: `no_entities` in the training documents, or `dev_in_train`.
        ModelError, UsageError: the base model is missing, damaged or too short for the windows.
    """
    check_documents(task.entity_types, training, dev)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(task.seed)
        model = _untrained(task, training, dev)
        return _fit(task, model, training, dev)


def check_documents(entity_types: Sequence[EntityType], training: Sequence[Document], dev: Sequence[Document]) -> None:
    """Refuse training without a single mention, and dev documents that training has seen. Raises DataError."""
    labels = {t.label for t in entity_types}
    if not any(e.label in labels for d in training for e in d.entities):
        raise DataError("train", "no_entities")
    ids, texts = {d.id for d in training}, {d.text for d in training}
    for document in dev:
        if document.id in ids or document.text in texts:
            raise DataError(document.id, "dev_in_train")


def _untrained(task: Task, training: Sequence[Document], dev: Sequence[Document]) -> Model:
    recipe = task.recipe
    digests = {"train": data_digest(training), "dev": data_digest(dev), "code": code_digest()}
    if recipe.scratch is not None:
        pretrained = learn_tokenizer([d.text for d in training], recipe.scratch.vocabulary)
        tokenizer = TextTokenizer(pretrained)
        config = scratch_config(recipe.scratch, tokenizer.vocabulary, tokenizer.pad_id, recipe.window_tokens)
        encoder = build_encoder(config)
    else:
        folder = find_base(recipe.base, task.model_store)
        encoder, pretrained = load_base(folder, recipe)
        tokenizer = TextTokenizer(pretrained)
        digests["base"] = base_digest(folder)
        # A folder's path says where a machine keeps it: its name is enough beside the digest.
        recipe = recipe.model_copy(update={"base": recipe.base if not Path(recipe.base).exists() else folder.name})
    digests["recipe"] = recipe_digest(recipe)
    network = TokenClassifier(encoder, len(task.entity_types), recipe.head)
    languages = sorted({d.language for d in training if d.language}) or [task.language]
    card = ModelCard(
        languages=tuple(languages),
        entity_types=task.entity_types,
        member=task.member,
        recipe=recipe,
        seed=task.seed,
        steps=0,
        best_epoch=0,
        dev={},
        digests=digests,
    )
    return Model(card, network, tokenizer)


def _fit(task: Task, model: Model, training: Sequence[Document], dev: Sequence[Document]) -> tuple[Model, Progress]:
    recipe, progress, began = model.card.recipe, Progress(), time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = model.network.to(device)
    made = examples(model, training)
    windows = made.windows
    progress.windows, progress.misaligned, progress.lost = len(windows), made.misaligned, made.lost
    per_epoch = math.ceil(len(windows) / recipe.batch_size)
    total = max(1, round(recipe.epochs * per_epoch))
    if recipe.max_steps is not None:
        total = min(total, recipe.max_steps)
    optimiser, schedule = _optimiser(network, recipe, total)
    step = _stepper(model, optimiser, schedule, device)
    best: tuple[float, int, dict[str, torch.Tensor], dict[EntityType, DevScore]] | None = None
    epoch = 0
    while progress.steps < total:
        epoch += 1
        network.train()
        losses, epoch_began = [], time.perf_counter()
        for batch in batches(windows, recipe.batch_size, task.seed, epoch):
            losses.append(step(batch, progress))
            if progress.steps % _LOG_STEPS == 0:
                log.info("step %d of %d: loss %.4f", progress.steps, total, float(losses[-1]))
            if progress.steps == total:
                break
        loss = float(torch.stack(losses).mean())
        progress.training_seconds += time.perf_counter() - epoch_began
        scores = dev_scores(model, dev)
        f1 = sum(s.strict_f1 for s in scores.values()) / max(1, len(scores))
        progress.epochs.append({"epoch": epoch, "steps": progress.steps, "loss": round(loss, 4), "dev_strict_f1": f1})
        log.info("epoch %d, step %d of %d: loss %.4f, dev strict F1 %.4f", epoch, progress.steps, total, loss, f1)
        if best is None or f1 >= best[0]:
            weights = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
            best = (f1, epoch, weights, scores)
    assert best is not None
    network.to("cpu").load_state_dict(best[2])
    progress.seconds = time.perf_counter() - began
    card = model.card.model_copy(update={"steps": progress.steps, "best_epoch": best[1], "dev": best[3]})
    return replace(model, card=card, network=network.eval()), progress


def _optimiser(
    network: TokenClassifier, recipe: MemberParams, total: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with a linear schedule: up over the warm-up, then down to 0 (paper, appendix C)."""
    plain: list[torch.nn.Parameter] = []
    decayed: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (plain if name.endswith(_NO_DECAY) or name.startswith("crfs.") else decayed).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    warm_up = math.ceil(total * recipe.warmup_ratio)

    def factor(step: int) -> float:
        return (step + 1) / warm_up if step < warm_up else (total - step) / max(1, total - warm_up)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _stepper(
    model: Model,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    device: torch.device,
) -> Callable[[list[Example], Progress], torch.Tensor]:
    """One optimiser step as a function; returns the loss, detached."""
    network, precision = model.network, effective_precision(model.card.recipe.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)

    def step(batch: list[Example], progress: Progress) -> torch.Tensor:
        ids, attention, owner, words = collate([e.window for e in batch], model.tokenizer)
        tags = torch.full((len(batch), words, len(model.card.entity_types)), IGNORED)
        for row, example in enumerate(batch):
            tags[row, : len(example.tags)] = torch.from_numpy(example.tags.astype(np.int64))
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            scores = network(
                ids.to(device), None if attention is None else attention.to(device), owner.to(device), words
            )
        loss = network.loss(scores, tags.to(device))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss))
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        scaler.step(optimiser)
        scaler.update()
        schedule.step()
        progress.steps += 1
        progress.tokens += sum(len(e.window.ids) for e in batch)
        return loss.detach()

    return step


def effective_precision(asked: str, device: torch.device) -> torch.dtype:
    """The number format of the products: half precision only where the hardware has it, else float32 and a warning."""
    if asked == "fp16" and device.type == "cuda":
        return torch.float16
    if asked != "fp32" and has_bf16(device):
        return torch.bfloat16
    if asked != "fp32":
        log.warning("%s is not native on this %s: training in fp32", asked, device.type)
    return torch.float32


def dev_scores(model: Model, dev: Sequence[Document], batch_tokens: int = 8192) -> dict[EntityType, DevScore]:
    """Strict scores per entity type over the dev documents annotated for it; a type with no such document has none."""
    scores: dict[EntityType, DevScore] = {}
    (found,) = Engine([model], batch_tokens).predict(dev)
    for entity_type in model.card.entity_types:
        annotated = [i for i, d in enumerate(dev) if entity_type in d.annotated]
        if not annotated:
            continue
        counts = scoring.Counts()
        for i in annotated:
            predicted = [e for e in found[i] if e.label == entity_type.label]
            counts += scoring.count(dev[i].of_type(entity_type), predicted).get(entity_type.label, scoring.Counts())
        strict = counts.strict
        scores[entity_type] = DevScore(
            precision=strict.precision,
            recall=strict.recall,
            strict_f1=strict.f1,
            documents=len(annotated),
            gold=counts.gold,
            predicted=counts.predicted,
        )
    return scores
