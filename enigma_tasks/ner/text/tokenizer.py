"""Tokenisation of texts with any fast tokenizer, aligned with words; training of a tokenizer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from enigma_tasks.errors import ModelError
from enigma_tasks.ner.text.alignment import Alignment, IntArray, align
from enigma_tasks.ner.text.invisible import VisibleText, without_invisible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PROBE = (
    "El paciente (78 años) refiere disnea, fiebre de 38,5 °C y tos; TA 120/80 mmHg.\r\n"
    "Pacientka má žluté skléry, přišla pro bolest břicha… \tSeen ½ h later: “no change”.\n\n"
    "Pacienta prezintă ţesut şi țesut; la pressione è normale. De patiënt is geïnformeerd.\n"
    "Blåsljud hördes över hjärtat. e\u0301 a\u0302\u0323 \u00a0x\u202fy \ufeff\u200b 😀 x\x10y <s> </s> <pad> [SEP]"
)
"""A text on which tokenizers differ: composed and decomposed accents, spaces, control characters, special tokens."""

_BATCH = 256


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """One text as T sub-words aligned with W words, without truncation and special tokens.

    Offsets are those of the text as stored; the tokenizer gets it without invisible characters (`ner.text.invisible`).
    """

    length: int
    """Code points of the text as stored."""
    ids: IntArray
    """[T] sub-word ids."""
    alignment: Alignment
    unread_from: int
    """Offset of the first visible word that the tokenizer dropped although it tokenises it alone; else `length`."""


class TextTokenizer:
    """A transformers fast tokenizer, used without truncation; special tokens written in a text are plain text."""

    def __init__(self, pretrained: Any) -> None:
        """Wrap a `PreTrainedTokenizerFast`.

        Raises:
            ModelError: it has no padding token, or its special tokens are not before and after the text.
        """
        self.pretrained = pretrained
        self._backend = pretrained.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        if pretrained.pad_token_id is None:
            raise ModelError("the tokenizer has no padding token")
        self.pad_id = int(pretrained.pad_token_id)
        self.vocabulary = int(self._backend.get_vocab_size(with_added_tokens=True))
        plain = self._backend.encode("a", add_special_tokens=False).ids
        with_special = self._backend.encode("a", add_special_tokens=True).ids
        middle = next((i for i in range(len(with_special)) if with_special[i : i + len(plain)] == plain), None)
        if middle is None:
            raise ModelError("the tokenizer's special tokens are not before and after the text")
        self.prefix = tuple(with_special[:middle])
        self.suffix = tuple(with_special[middle + len(plain) :])
        self.unknown_id: int | None = pretrained.unk_token_id
        special = [i for i in pretrained.all_special_ids if i != self.unknown_id]
        self._special = np.array(special, dtype=np.int32)
        self._replacement = np.int32(self.pad_id if self.unknown_id is None else self.unknown_id)

    def encode(self, texts: Sequence[str]) -> Iterator[TokenisedText]:
        """Tokenise each text completely."""
        for first in range(0, len(texts), _BATCH):
            batch = [VisibleText.of(text) for text in texts[first : first + _BATCH]]
            encodings = self._backend.encode_batch([v.text for v in batch], add_special_tokens=False)
            for stored, visible, encoding in zip(texts[first : first + _BATCH], batch, encodings, strict=True):
                # a Unigram vocabulary has "<s>" as a piece: in a note it must not act as a special token
                ids = np.array(encoding.ids, dtype=np.int32)
                ids[np.isin(ids, self._special)] = self._replacement
                alignment = align(visible.text, np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2))
                unread_from = visible.stored_offset(self._unread_from(visible.text, alignment))
                yield TokenisedText(len(stored), ids, _as_stored(alignment, visible), unread_from)

    def unknown_in(self, ids: IntArray) -> int:
        """How many of the sub-words are unknown to the vocabulary; 0 for one that can spell every text."""
        return 0 if self.unknown_id is None else int(np.count_nonzero(ids == self.unknown_id))

    def _unread_from(self, text: str, alignment: Alignment) -> int:
        """Offset of the first uncovered word that gets sub-words if it is tokenised alone; else the text's length."""
        for start, end in alignment.uncovered.tolist():
            word = text[start:end]
            alone = self._backend.encode(word, add_special_tokens=False)
            if len(align(word, np.array(alone.offsets, dtype=np.int64).reshape(-1, 2)).words):
                return int(start)
        return len(text)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the ids and offsets of `PROBE`, which identifies how the tokenizer works.

        The file's digest is not enough, as transformers may rebuild the pre-tokenizer on loading.
        """
        encoding = self._backend.encode(PROBE, add_special_tokens=True)
        content = json.dumps([encoding.ids, encoding.offsets, self.pad_id])
        return hashlib.sha256(content.encode()).hexdigest()


def _as_stored(alignment: Alignment, visible: VisibleText) -> Alignment:
    if visible.stored is None:
        return alignment
    words, uncovered = visible.stored_spans(alignment.words), visible.stored_spans(alignment.uncovered)
    return replace(alignment, words=words, uncovered=uncovered)


def learn_tokenizer(notes: Iterable[tuple[str, str]], vocabulary: int, min_notes: int) -> Any:
    """Train a lower-casing BPE `PreTrainedTokenizerFast` of at most `vocabulary` pieces; deterministic.

    Invisible characters are removed, as in `encode`. Not WordPiece: its trainer numbers the "##" pieces in the order of
    a hash table, which differs between runs.

    Args:
        notes: id and text; texts of one id are one note.
        vocabulary: pieces, special ones and single characters included.
        min_notes: words of fewer notes are left out, as the pieces are kept in the model. Their characters are not.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - a piece of text, no secret
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = [(note, _words(tokenizer, text)) for note, text in notes]
    characters = sorted({character for _, found in words for word in found for character in word})
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, show_progress=False, initial_alphabet=characters
    )
    tokenizer.train_from_iterator(_common(words, min_notes), trainer)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _words(tokenizer: Any, text: str) -> list[str]:
    """The words that the tokenizer divides into pieces, in order."""
    normalised = tokenizer.normalizer.normalize_str(without_invisible(text))
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalised)]


def _common(words: Sequence[tuple[str, list[str]]], min_notes: int) -> Iterator[str]:
    """Each text without the words that are in fewer notes."""
    notes_of: dict[str, set[str]] = {}
    for note, found in words:
        for word in found:
            notes_of.setdefault(word, set()).add(note)
    for _, found in words:
        yield " ".join(word for word in found if len(notes_of[word]) >= min_notes)
