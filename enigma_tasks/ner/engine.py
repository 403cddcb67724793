"""Runs many models on many documents: each text is tokenised once, each distinct window run once, batched by tokens.

Lower encoder layers that models with the same windows share are also run once (`network.shared_layers`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from enigma_tasks.documents import expanded_length
from enigma_tasks.ner.batching import collate, windows_of
from enigma_tasks.ner.decoding import decode, probabilities
from enigma_tasks.ner.model_groups import ModelGroup, group_of, layers_in_common, window_key
from enigma_tasks.ner.network.half_precision import has_bf16
from enigma_tasks.ner.network.memory import keep_freed_memory
from enigma_tasks.ner.text.alignment import TAGS
from enigma_tasks.ner.text.postprocess import postprocess
from enigma_tasks.ner.text.windows import Window, characters_read, pool

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from enigma_tasks.documents import Document, Entity, EntityType
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.network.encoder import TokenClassifier
    from enigma_tasks.ner.text.alignment import IntArray
    from enigma_tasks.ner.text.tokenizer import TokenisedText
    from enigma_tasks.ner.window_scores import WindowScores

Precision = Literal["auto", "fp32", "bf16"]
Scores = NDArray[np.float32]

_CHUNK_CHARACTERS = 1_000_000
"""Size of a chunk of documents by `expanded_length`, about 250 discharge summaries: 0.5 GB at most to tokenise."""


@dataclass(frozen=True, slots=True)
class DocumentPredictions:
    """The models' predictions for one document."""

    entities: tuple[tuple[Entity, ...], ...]
    """Per model, sorted by offset."""
    characters_read: int
    """Code points before the first word that some model did not read; the text's length if all was read."""
    size: TextSize
    """By the tokenizer of the first model."""
    word_probabilities: Mapping[int, WordProbabilities] = field(default_factory=dict, repr=False, compare=False)
    """By the model's index, for the models in `averaged`."""


@dataclass(frozen=True, slots=True)
class TextSize:
    """How long a text is for a tokenizer."""

    words: int
    """Words that share a sub-word count as one."""
    sub_words: int
    sub_words_unknown: int
    """Of the sub-words, those that its vocabulary does not have."""


@dataclass(frozen=True, slots=True)
class WordProbabilities:
    """One model's tag probabilities at each word of one document."""

    entity_types: tuple[EntityType, ...]
    words: IntArray
    """[W, 2] character ranges of the words, which depend on the tokenizer."""
    values: Scores
    """[W, K, 3] probabilities of O, B and I; K as in `entity_types`."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """One model's word scores for the documents of a chunk."""

    index: int
    """The model's, in the engine."""
    network: TokenClassifier
    texts: list[TokenisedText]
    scores: list[Scores]
    """Per document, word scores [W, K, L]."""
    characters_read: list[int]
    """Per document, code points."""


class Engine:
    """Runs models of any architecture and tokenizer on the same documents.

    The same documents in the same order give the same scores: batches depend on the windows' content only.
    """

    def __init__(
        self,
        models: Sequence[Model],
        batch_tokens: int,
        precision: Precision = "auto",
        window_scores: WindowScores | None = None,
    ) -> None:
        """Prepare the models for the device.

        Args:
            models: run together.
            batch_tokens: sub-words per forward pass, padding included; a longer window is a batch of its own.
            precision: of the encoders' products.
            window_scores: scores of windows that were run before; they may differ in the last digits from those of
                other batches.
        """
        self.models = models
        self._window_scores = window_scores
        self.batch_tokens = batch_tokens
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.device.type == "cpu":
            keep_freed_memory()
        half = precision == "bf16" or (precision == "auto" and has_bf16(self.device))
        self._format = f"{self.device.type} {'bf16' if half else 'fp32'}"
        self._groups = [group_of(models, layers, self.device, half) for layers in layers_in_common(models)]

    def predict(self, documents: Sequence[Document]) -> list[list[tuple[Entity, ...]]]:
        """Entities per model and document."""
        results = self.read(documents)
        return [[result.entities[m] for result in results] for m in range(len(self.models))]

    def read(self, documents: Sequence[Document], averaged: Collection[int] = ()) -> list[DocumentPredictions]:
        """Per document, the entities of every model and how far the models read.

        `averaged`: indexes of the models whose word probabilities are returned too; each model is run once.
        """
        return [result for chunk in _chunks(documents) for result in self._read_chunk(chunk, averaged)]

    def probabilities(self, documents: Sequence[Document]) -> Iterator[list[WordProbabilities]]:
        """Per document, in order, one per model; computed in chunks, so memory does not grow with the documents."""
        for chunk in _chunks(documents):
            of_models = {s.index: self._word_probabilities(s) for s in self._score_chunk(chunk)}
            yield from ([of_models[m][i] for m in range(len(self.models))] for i in range(len(chunk)))

    def _read_chunk(self, documents: Sequence[Document], averaged: Collection[int]) -> list[DocumentPredictions]:
        found: dict[int, list[tuple[Entity, ...]]] = {}
        word_probabilities: dict[int, list[WordProbabilities]] = {}
        read = [len(d.text) for d in documents]
        sizes: list[TextSize] = []
        for scored in self._score_chunk(documents):
            model = self.models[scored.index]
            if scored.index == 0:
                sizes = [_size(text, model) for text in scored.texts]
            known = None
            if scored.index in averaged:
                word_probabilities[scored.index] = self._word_probabilities(scored)
                known = [p.values for p in word_probabilities[scored.index]]
            words = [text.alignment.words for text in scored.texts]
            decoded = decode(scored.network, model.card.entity_types, documents, words, scored.scores, known=known)
            found[scored.index] = [cleaned(model, d, entities) for d, entities in zip(documents, decoded, strict=True)]
            read = [min(pair) for pair in zip(read, scored.characters_read, strict=True)]
        return [
            DocumentPredictions(
                tuple(found[m][i] for m in range(len(self.models))),
                read[i],
                sizes[i],
                {index: of_one[i] for index, of_one in word_probabilities.items()},
            )
            for i in range(len(documents))
        ]

    def _word_probabilities(self, scored: _Scored) -> list[WordProbabilities]:
        types = self.models[scored.index].card.entity_types
        values = probabilities(scored.network, scored.scores)
        return [WordProbabilities(types, t.alignment.words, v) for t, v in zip(scored.texts, values, strict=True)]

    def _score_chunk(self, documents: Sequence[Document]) -> Iterator[_Scored]:
        """Each model's scores of the documents, group by group."""
        texts: dict[str, list[TokenisedText]] = {}
        windows: dict[tuple[object, ...], list[list[Window]]] = {}
        for group in self._groups:
            model = self.models[group.indexes[0]]
            fingerprint = model.tokenizer.fingerprint
            if fingerprint not in texts:
                texts[fingerprint] = list(model.tokenizer.encode([d.text for d in documents]))
            key = window_key(model)
            if key not in windows:
                windows[key] = [
                    windows_of(model, text, document)
                    for text, document in zip(texts[fingerprint], documents, strict=True)
                ]
            of_models = self._scores(group, [w for of_one in windows[key] for w in of_one])
            for index, network, scores in zip(group.indexes, group.networks, of_models, strict=True):
                types = len(self.models[index].card.entity_types)
                pooled: list[Scores] = []
                read: list[int] = []
                position = 0
                for of_one, text in zip(windows[key], texts[fingerprint], strict=True):
                    values, seen = pool(of_one, scores[position : position + len(of_one)], len(text.alignment.words))
                    position += len(of_one)
                    # a text without words has no window, so its shape is set here
                    pooled.append(values.reshape(len(seen), types, len(TAGS)))
                    read.append(characters_read(text, seen))
                yield _Scored(index, network, texts[fingerprint], pooled, read)

    def _scores(self, group: ModelGroup, windows: Sequence[Window]) -> list[list[Scores]]:
        """Per model of the group, word scores [w, K, L] of each window; equal windows are run once."""
        keys = [w.key for w in windows]
        distinct = dict(zip(keys, windows, strict=True))
        results = self._known(group, distinct)
        unknown = (key for key in distinct if not all(key in result for result in results))
        order = sorted(unknown, key=lambda key: (len(distinct[key].ids), key))
        tokenizer = self.models[group.indexes[0]].tokenizer
        special = len(tokenizer.prefix) + len(tokenizer.suffix)
        with torch.inference_mode():
            for batch in _by_tokens(order, [len(distinct[k].ids) + special for k in order], self.batch_tokens):
                ids, attention, owner, words = collate([distinct[k] for k in batch], tokenizer)
                ids, owner = ids.to(self.device), owner.to(self.device)
                attention = None if attention is None else attention.to(self.device)
                if group.shared_encoder is not None:
                    ids = group.shared_encoder(input_ids=ids, attention_mask=attention).last_hidden_state
                for network, result in zip(group.networks, results, strict=True):
                    values = network(ids, attention, owner, words).float().cpu().numpy()
                    for row, key in enumerate(batch):
                        result[key] = values[row, : len(distinct[key].words)].copy()
        if self._window_scores is not None:
            for index, result in zip(group.indexes, results, strict=True):
                self._window_scores.put(self.models[index].digest, self._format, {key: result[key] for key in order})
        return [[result[key] for key in keys] for result in results]

    def _known(self, group: ModelGroup, distinct: Mapping[bytes, Window]) -> list[dict[bytes, Scores]]:
        """Per model of the group, the word scores [w, K, L] of the windows that were run before."""
        if self._window_scores is None:
            return [{} for _ in group.indexes]
        found = []
        for index in group.indexes:
            shape = (len(self.models[index].card.entity_types), len(TAGS))
            sizes = [len(window.words) * shape[0] * shape[1] for window in distinct.values()]
            known = self._window_scores.get(self.models[index].digest, self._format, list(distinct), sizes)
            found.append({key: values.reshape(-1, *shape) for key, values in known.items()})
        return found


def _size(text: TokenisedText, model: Model) -> TextSize:
    words = len(text.alignment.words) + len(text.alignment.uncovered)
    return TextSize(words, len(text.ids), model.tokenizer.unknown_in(text.ids))


def cleaned(model: Model, document: Document, entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """The entities of one document after the post-processing rules of the model's recipe."""
    language = document.language or model.card.languages[0]
    return postprocess(document.id, document.text, entities, language, model.card.recipe.postprocess)[0]


def _chunks(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    start = size = 0
    for i, document in enumerate(documents):
        length = expanded_length(document.text)
        if size and size + length > _CHUNK_CHARACTERS:
            yield documents[start:i]
            start, size = i, 0
        size += length
    if start < len(documents):
        yield documents[start:]


def _by_tokens(keys: Sequence[bytes], lengths: Sequence[int], budget: int) -> Iterator[list[bytes]]:
    """Batches of keys, which are sorted by length: at most `budget` sub-words each, padding included.

    To save padding, a batch that is a quarter full ends where the next window would make more than 1/32 of it padding.
    """
    batch: list[bytes] = []
    real = 0
    for key, length in zip(keys, lengths, strict=True):
        padded = (len(batch) + 1) * length
        wasteful = padded - real - length > padded // 32 and real > budget // 4
        if batch and (padded > budget or wasteful):
            yield batch
            batch, real = [], 0
        batch.append(key)
        real += length
    if batch:
        yield batch
