"""GLiNER span models: read and write their folders, and annotate documents with them (paper, appendix B).

GLiNER silently truncates long texts and requests its backbone's config from a hub: here every word of a text is in a
window, and everything is read from folders.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from enigma_tasks import artifacts
from enigma_tasks.documents import Document, Entity, EntityType, entity_at, sorted_entities
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.members.gliner_windows import WordWindow, cut_words
from enigma_tasks.ner.base_models import position_limit
from enigma_tasks.ner.model_files import check_model_files, refused_unless_loaded
from enigma_tasks.ner.model_folder import Card, read_card_as, tokenizer_config, verify_files, write_card, write_json
from enigma_tasks.ner.text.invisible import visible_document
from enigma_tasks.ner.text.overlaps import without_overlaps
from enigma_tasks.ner.text.postprocess import postprocess
from enigma_tasks.params.annotators import GlinerMemberParams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gliner.model import UniEncoderSpanGLiNER

_BACKBONE = "backbone"
"""The encoder's name in the config: its real name would be requested from a hub, or be a path of this machine."""


class GlinerCard(Card[GlinerMemberParams]):
    """The card of a GLiNER model's folder."""


@dataclass(frozen=True)
class GlinerModel:
    """A GLiNER span model with its card."""

    card: GlinerCard
    network: UniEncoderSpanGLiNER
    digest: str = ""
    """`model_digest` of its folder; empty while it is being trained."""

    @property
    def type_by_label(self) -> dict[str, EntityType]:
        """The labels of the model's prompt and their types, in the order of the types; of a trained model, one each."""
        labels = {t: self.card.recipe.labels[t] for t in self.card.entity_types}
        return {label: t for t, all_ in labels.items() for label in (all_[:1] if self.card.recipe.epochs else all_)}


def load_checkpoint(folder: Path, backbone: Path | None) -> UniEncoderSpanGLiNER:
    """A GLiNER checkpoint on the CPU, in float32. `backbone`: its encoder's folder, for the config and the tokenizer.

    Only files of the two folders are read.

    Raises:
        ModelError: a file is missing, the weights do not fit the config, or it is no span model; as
            `check_model_files` does.
    """
    from gliner.config import UniEncoderSpanConfig
    from gliner.model import UniEncoderSpanGLiNER
    from transformers import AutoConfig
    from transformers.utils import logging as hf_logging

    hf_logging.set_verbosity_error()
    check_model_files(folder)
    tree = read_gliner_config(folder)
    if not tree.get("encoder_config"):
        if backbone is None:
            raise ModelError(f"model {folder.name} has no encoder_config: set the member's `backbone` to its encoder")
        check_model_files(backbone)
        with refused_unless_loaded(f"model {backbone.name}: {artifacts.ENCODER_CONFIG} describes no known encoder"):
            found = AutoConfig.from_pretrained(backbone, local_files_only=True, trust_remote_code=False)
        tree["encoder_config"] = found.to_dict()
        if tree.get("vocab_size", -1) != -1:
            tree["encoder_config"]["vocab_size"] = tree["vocab_size"]
    has_tokenizer = (folder / artifacts.TOKENIZER_CONFIG).is_file() or backbone is None
    tree["model_name"] = str(folder if has_tokenizer else backbone)
    with refused_unless_loaded(f"model {folder.name}: its config or tokenizer is no GLiNER span model's"):
        network: UniEncoderSpanGLiNER = UniEncoderSpanGLiNER.load_from_config(
            UniEncoderSpanConfig(**tree), backbone_from_pretrained=False, local_files_only=True
        )
    network.config.model_name = _BACKBONE
    if not (folder / artifacts.MODEL_WEIGHTS).is_file():
        raise ModelError(f"model {folder.name}: {artifacts.MODEL_WEIGHTS} is missing")
    with refused_unless_loaded(f"model {folder.name}: {artifacts.MODEL_WEIGHTS} does not fit its config"):
        network.model.load_state_dict(load_file(folder / artifacts.MODEL_WEIGHTS), strict=True)
    return network.float().eval()


def read_gliner_config(folder: Path) -> dict[str, Any]:
    """`gliner_config.json`, without its model type. Raises ModelError: missing, damaged, or another architecture's."""
    try:
        tree: dict[str, Any] = json.loads((folder / artifacts.GLINER_CONFIG).read_bytes())
    except FileNotFoundError:
        raise ModelError(f"model {folder.name}: {artifacts.GLINER_CONFIG} is missing") from None
    except ValueError:
        raise ModelError(f"model {folder.name}: {artifacts.GLINER_CONFIG} is damaged") from None
    other = [key for key in ("labels_encoder", "labels_decoder", "relations_layer") if tree.pop(key, None)]
    if other or tree.get("span_mode", "") in ("token_level", "token-level"):
        raise ModelError(f"model {folder.name}: only GLiNER's span models with one encoder are supported")
    tree.pop("model_type", None)
    return tree


def save_gliner(model: GlinerModel, folder: Path) -> GlinerModel:
    """Write the model folder; returns the model with the card and digest as written. The same model, the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.network.config.to_dict()
    config["encoder_config"] = {k: v for k, v in config["encoder_config"].items() if k != "_name_or_path"}
    write_json(folder / artifacts.GLINER_CONFIG, {k: v for k, v in config.items() if k != "_name_or_path"})
    # cloned, as some weights share memory, which safetensors refuses
    weights = {k: v.detach().cpu().clone().contiguous() for k, v in model.network.model.state_dict().items()}
    save_file(weights, folder / artifacts.MODEL_WEIGHTS, metadata={"format": "pt"})
    pretrained = model.network.data_processor.transformer_tokenizer
    pretrained.backend_tokenizer.save(str(folder / artifacts.TOKENIZER))
    limit = {"model_max_length": pretrained.model_max_length}
    write_json(folder / artifacts.TOKENIZER_CONFIG, {**tokenizer_config(pretrained), **limit})
    card, digest = write_card(model.card, folder, artifacts.GLINER_FILES)
    return replace(model, card=card, digest=digest)


def load_gliner(folder: Path, digest: str | None = None) -> GlinerModel:
    """Check every digest of a model folder and load the model on the CPU.

    Raises:
        ModelError: a file is missing, damaged or does not fit the others, which it names; or the digest is another.
    """
    card = read_card_as(GlinerCard, folder, artifacts.GLINER_FILES)
    found = verify_files(card, folder, digest)
    return GlinerModel(card, load_checkpoint(folder, None), found)


class GlinerAnnotator:
    """A GLiNER model for documents of any length."""

    def __init__(self, model: GlinerModel) -> None:
        """Raises ModelError, UsageError: the windows with the labels are longer than the model's input."""
        self.card, self.digest = model.card, model.digest
        self.entity_types = model.card.entity_types
        self._type_by_label, self._network = model.type_by_label, model.network
        self._recipe = model.card.recipe
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network.to(self._device)
        check_window(self._network, self._recipe, list(self._type_by_label))

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> GlinerAnnotator:
        """Load a model folder. Raises ModelError as `load_gliner` does."""
        return cls(load_gliner(folder, digest))

    def predict(self, documents: Sequence[Document]) -> list[tuple[Entity, ...]]:
        """Entities of each document, sorted and post-processed by the recipe's rules; every character is read."""
        visible = [visible_document(d) for d in documents]
        found = self._predict([v.document for v in visible])
        return [v.as_stored(entities) for v, entities in zip(visible, found, strict=True)]

    def _predict(self, documents: Sequence[Document]) -> list[tuple[Entity, ...]]:
        """`predict` for texts without invisible characters."""
        windows = [cut_words(self._network, d.text, self._recipe) for d in documents]
        order = sorted(
            ((i, j) for i, pieces in enumerate(windows) for j in range(len(pieces))),
            key=lambda at: (len(windows[at[0]][at[1]].words), at),
        )  # windows of similar length in a batch save padding
        found: list[list[Entity]] = [[] for _ in documents]
        size = self._recipe.batch_size
        for first in range(0, len(order), size):
            batch = order[first : first + size]
            for (i, j), spans in zip(batch, self._spans([windows[i][j] for i, j in batch]), strict=True):
                found[i] += [
                    replace(entity_at(documents[i].id, documents[i].text, t.label, a, b), score=score)
                    for t, a, b, score in spans
                    if windows[i][j].owns(a, b)
                ]
        return [self._cleaned(d, entities) for d, entities in zip(documents, found, strict=True)]

    @torch.inference_mode()
    def _spans(self, windows: Sequence[WordWindow]) -> list[list[tuple[EntityType, int, int, float]]]:
        """Spans above the threshold in each window: type, characters, score."""
        labels = list(self._type_by_label)
        examples = self._network.prepare_base_input([list(w.words) for w in windows])
        output = self._network.run_batch(self._network.collate_batch(examples, labels))
        probabilities = output.logits.float().sigmoid().cpu()  # [windows, first word, words - 1, label]
        found: list[list[tuple[EntityType, int, int, float]]] = []
        for row, window in enumerate(windows):
            spans = []
            for start, width, label in (probabilities[row] > self._recipe.threshold).nonzero().tolist():
                if start + width < len(window.words) and label < len(labels):
                    span = window.spans[start][0], window.spans[start + width][1]
                    score = float(probabilities[row, start, width, label])
                    spans.append((self._type_by_label[labels[label]], *span, score))
            found.append(spans)
        return found

    def _cleaned(self, document: Document, entities: list[Entity]) -> tuple[Entity, ...]:
        """Of overlapping spans of one type the most probable is kept; then the recipe's post-processing rules run."""
        kept = without_overlaps(sorted(entities, key=lambda e: (-(e.score or 0.0), e.span)))
        language = document.language or self.card.languages[0]
        cleaned, _ = postprocess(document.id, document.text, kept, language, self._recipe.postprocess)
        return sorted_entities(cleaned)


def check_window(network: UniEncoderSpanGLiNER, recipe: GlinerMemberParams, labels: list[str]) -> None:
    """Refuse windows that GLiNER would silently truncate.

    Raises:
        UsageError: they are longer than its `max_len`, or, with the labels, than the limit of tokenizer or encoder.
    """
    if recipe.window_tokens > network.config.max_len:
        raise UsageError(f"window_tokens {recipe.window_tokens} is more than the checkpoint's {network.config.max_len}")
    processor = network.data_processor
    ((prompt,), _) = processor.prepare_inputs([[]], [labels])
    encoded = processor.transformer_tokenizer([prompt], is_split_into_words=True, truncation=False)
    needed = len(encoded["input_ids"][0]) + recipe.window_tokens
    limits = [processor.transformer_tokenizer.model_max_length, position_limit(network.config.encoder_config)]
    limit = min(n for n in limits if n is not None)
    if needed > limit:
        raise UsageError(f"window_tokens and the labels take {needed} sub-words, more than the {limit} allowed")
