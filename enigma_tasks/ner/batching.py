"""Documents -> windows by a model's recipe -> batches of tensors, with gold tags for training.

Letters in shapes: B windows, T sub-words, w words of a window, K entity types.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from enigma_tasks.ner.text.alignment import IGNORED, TAGS, tag_words
from enigma_tasks.ner.text.sentences import split_sentences
from enigma_tasks.ner.text.windows import cut_windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.text.tokenizer import TextTokenizer, TokenisedText
    from enigma_tasks.ner.text.windows import Window

_BUCKET_BATCHES = 16
"""Windows are sorted by length within this many batches, which saves padding and keeps the order random."""


def windows_of(model: Model, text: TokenisedText, document: Document) -> list[Window]:
    """The windows of one text by the model's recipe; together they cover all of it."""
    recipe = model.card.recipe
    length = recipe.window_tokens - len(model.tokenizer.prefix) - len(model.tokenizer.suffix)
    language = document.language or model.card.languages[0]
    sentences = split_sentences(document.text, language) if recipe.chunker == "sentence" else None
    return cut_windows(
        text,
        length,
        recipe.overlap_tokens,
        sentences=sentences,
        first_only=recipe.word_label == "first",
        context=recipe.context_tokens,
    )


def collate(
    windows: Sequence[Window], tokenizer: TextTokenizer
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, int]:
    """Windows -> ids [B, T], attention [B, T] (None when nothing is padded), owner [B, T], number of words."""
    before, after = tokenizer.prefix, tokenizer.suffix
    longest = max(len(w.ids) for w in windows) + len(before) + len(after)
    ids = np.full((len(windows), longest), tokenizer.pad_id, dtype=np.int64)
    owner = np.full((len(windows), longest), -1, dtype=np.int64)
    lengths = np.array([len(w.ids) for w in windows])
    for row, window in enumerate(windows):
        stop = len(before) + len(window.ids)
        ids[row, : len(before)] = before
        ids[row, len(before) : stop] = window.ids
        ids[row, stop : stop + len(after)] = after
        owner[row, len(before) : stop] = window.owner
    attention = None
    if (lengths != lengths[0]).any():
        stops = lengths[:, None] + len(before) + len(after)
        attention = torch.from_numpy(np.arange(longest)[None, :] < stops)
    words = max(len(w.words) for w in windows)
    return torch.from_numpy(ids), attention, torch.from_numpy(owner), words


@dataclass(frozen=True, slots=True)
class Example:
    """A window and the tags of its words."""

    window: Window
    tags: NDArray[np.int8]
    """[w, K]; IGNORED in the columns of types that the document is not annotated for."""
    soft: NDArray[np.float32] | None = None
    """[w, K, 3] target probabilities that replace the tags in distillation; IGNORED tags still mask words."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Training windows, and counts of the gold spans that tags cannot represent."""

    windows: list[Example]
    misaligned: int
    """Gold spans with a boundary inside a word: the whole word is tagged."""
    lost: int
    """Gold spans nested in a longer one of their type, or on no word."""


def examples(model: Model, documents: Sequence[Document]) -> Examples:
    """Every window of every document with its gold tags; documents without entities are included."""
    found: list[Example] = []
    misaligned = lost = 0
    types = model.card.entity_types
    for document, text in zip(documents, model.tokenizer.encode([d.text for d in documents]), strict=True):
        tags = np.full((len(text.alignment.words), len(types)), IGNORED, dtype=np.int8)
        for k, entity_type in enumerate(types):
            if entity_type in document.annotated:
                tagging = tag_words(text.alignment.words, (e.span for e in document.of_type(entity_type)))
                tags[:, k] = tagging.tags
                misaligned += tagging.misaligned
                lost += tagging.lost
        found += [Example(w, tags[w.words]) for w in windows_of(model, text, document) if len(w.words)]
    return Examples(found, misaligned, lost)


def targets(batch: Sequence[Example], words: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Tags [B, words, K], IGNORED where a window has no such word; and [B, words, K, 3] when an example is soft."""
    types = batch[0].tags.shape[1]
    tags = torch.full((len(batch), words, types), IGNORED)
    for row, example in enumerate(batch):
        tags[row, : len(example.tags)] = torch.from_numpy(example.tags.astype(np.int64))
    if all(e.soft is None for e in batch):
        return tags, None
    soft = torch.nn.functional.one_hot(tags.clamp_min(0), len(TAGS)).float()
    for row, example in enumerate(batch):
        if example.soft is not None:
            soft[row, : len(example.soft)] = torch.from_numpy(example.soft)
    return tags, soft


def parts(batch: Sequence[Example], budget: int | None) -> Iterator[list[Example]]:
    """A step's windows in parts of at most `budget` padded sub-words, at least one window each; None: all in one."""
    part: list[Example] = []
    longest = 0
    for example in batch:
        length = len(example.window.ids)
        if part and budget is not None and max(longest, length) * (len(part) + 1) > budget:
            yield part
            part, longest = [], 0
        part.append(example)
        longest = max(longest, length)
    if part:
        yield part


def batches(windows: Sequence[Example], size: int, seed: int, epoch: int) -> Iterator[list[Example]]:
    """One epoch: shuffled, sorted by length within buckets, batches in random order."""
    generator = random.Random(f"{seed}-{epoch}")
    order = list(range(len(windows)))
    generator.shuffle(order)
    epoch_batches: list[list[int]] = []
    for first in range(0, len(order), size * _BUCKET_BATCHES):
        bucket = sorted(order[first : first + size * _BUCKET_BATCHES], key=lambda i: len(windows[i].window.ids))
        epoch_batches += [bucket[i : i + size] for i in range(0, len(bucket), size)]
    generator.shuffle(epoch_batches)
    for batch in epoch_batches:
        yield [windows[i] for i in batch]
