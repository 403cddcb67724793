"""Train a model by a recipe; deterministic for a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from enigma_tasks import artifacts
from enigma_tasks.documents import LABELS
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.ner.base_models import find_base, load_base
from enigma_tasks.ner.batching import examples
from enigma_tasks.ner.digests import base_digest, code_digest, data_digest, recipe_digest
from enigma_tasks.ner.model_folder import FITTED_WEIGHTS, Model, ModelCard, read_card
from enigma_tasks.ner.network.encoder import TokenClassifier, build_encoder, scratch_config
from enigma_tasks.ner.text.tokenizer import TextTokenizer, learn_tokenizer
from enigma_tasks.ner.training.distillation import soft_examples
from enigma_tasks.ner.training.loop import Progress, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document, EntityType
    from enigma_tasks.ner.training.callbacks import TrainingCallback
    from enigma_tasks.ner.training.distillation import DistillationData
    from enigma_tasks.params.members import MemberParams


@dataclass(frozen=True, slots=True)
class Task:
    """What to train."""

    language: str
    """A language code, or `all`."""
    entity_types: tuple[EntityType, ...]
    member: str
    recipe: MemberParams
    seed: int
    model_store: str = ""


def train(
    task: Task,
    training: Sequence[Document],
    dev: Sequence[Document],
    *,
    distillation_data: DistillationData | None = None,
    out: Path | None = None,
    callback: TrainingCallback | None = None,
) -> tuple[Model, Progress]:
    """Train one model; the same arguments and number of threads give the same weights on a CPU.

    `distillation_data`: texts and teachers for further windows with soft targets. `out`: the model's folder; a
    checkpoint there is resumed, and stays until `checkpoints.discard`.

    Raises:
        DataError: `no_entities` in the training documents, `dev_in_train`, or a span that does not fit its text.
        ModelError, UsageError: the base model is missing, damaged or too short for the windows; see `soft_examples`.
    """
    check_documents(task.entity_types, training, dev)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(task.seed)
        model = untrained(task, training, dev, distillation_data)
        windows = examples(model, training)
        if distillation_data is not None:
            soft = soft_examples(
                model, distillation_data.documents, distillation_data.teachers, distillation_data.batch_tokens
            )
            windows = replace(windows, windows=[*windows.windows, *soft])
        model, progress = fit(model, windows, dev, out=out, callback=callback)
    progress.documents_empty = sum(not d.text or d.text.isspace() for d in training)
    return model, progress


def check_documents(entity_types: Sequence[EntityType], training: Sequence[Document], dev: Sequence[Document]) -> None:
    """Refuse documents that cannot be trained or measured on.

    Raises:
        DataError: `no_entities` of these types in training, `dev_in_train` (same id or text), or a mention that is
            `span_outside_text`, `surface_differs` or `label_unknown`.
    """
    labels = {t.label for t in entity_types}
    if not any(e.label in labels for d in training for e in d.entities):
        raise DataError("train", "no_entities")
    for document in (*training, *dev):
        for entity in document.entities:
            if not 0 <= entity.char_start < entity.char_end <= len(document.text):
                raise DataError(document.id, "span_outside_text", entity.char_start)
            if document.text[entity.char_start : entity.char_end] != entity.text:
                raise DataError(document.id, "surface_differs", entity.char_start)
            if entity.label not in LABELS:
                raise DataError(document.id, "label_unknown", entity.char_start)
    ids, texts = {d.id for d in training}, {d.text for d in training}
    for document in dev:
        if document.id in ids or document.text in texts:
            raise DataError(document.id, "dev_in_train")


def untrained(
    task: Task, training: Sequence[Document], dev: Sequence[Document], distillation_data: DistillationData | None = None
) -> Model:
    """An untrained model for `fit`. Raises ModelError, UsageError: see `base_models`."""
    recipe = task.recipe
    digests = {"train": data_digest(training), "dev": data_digest(dev), "code": code_digest()}
    if distillation_data is not None:
        digests["unlabelled"] = data_digest(distillation_data.documents)
        digests |= {f"teacher.{i}": teacher.digest for i, teacher in enumerate(distillation_data.teachers, 1)}
    if recipe.scratch is not None:
        texts = [(_original(d.id), d.text) for d in training]
        pretrained = learn_tokenizer(texts, recipe.scratch.vocabulary, recipe.scratch.min_notes)
        held = {artifacts.TOKENIZER: f"words, and parts of words, that are in {recipe.scratch.min_notes} notes or more"}
        tokenizer = TextTokenizer(pretrained)
        config = scratch_config(recipe.scratch, tokenizer.vocabulary, tokenizer.pad_id, recipe.window_tokens)
        encoder = build_encoder(config)
    else:
        folder = find_base(recipe.base, task.model_store)
        encoder, pretrained = load_base(folder, recipe)
        held = dict(read_card(folder).training_text) if (folder / artifacts.MODEL_CARD).is_file() else {}
        tokenizer = TextTokenizer(pretrained)
        digests["base"] = base_digest(folder)
        if (folder / artifacts.MODEL_CARD).is_file() and read_card(folder).digests.get("train") == digests["dev"]:
            raise UsageError(f"model {folder.name}, the base, was trained on the dev documents")
        # the name of a local folder only: its path is the machine's, and the digest identifies it
        recipe = recipe.model_copy(update={"base": recipe.base if not Path(recipe.base).exists() else folder.name})
    digests["recipe"] = recipe_digest(recipe)
    network = TokenClassifier(encoder, len(task.entity_types), recipe.head, recipe.head_layers)
    unlabelled = () if distillation_data is None else distillation_data.documents
    languages = sorted({d.language for d in (*training, *unlabelled) if d.language}) or [task.language]
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
        training_text=held | {artifacts.MODEL_WEIGHTS: FITTED_WEIGHTS},
    )
    return Model(card, network, tokenizer)


def _original(document_id: str) -> str:
    """The note that an augmented document (`id--method-1`) or one annotated for a type (`id~disease`) repeats."""
    return document_id.partition("--")[0].partition("~")[0]
