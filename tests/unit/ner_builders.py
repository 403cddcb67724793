"""Tokenizers of every family, tiny encoders and invented notes for the tests of the core."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.ner.model_folder import Model, save_model
from enigma_tasks.ner.text.tokenizer import TextTokenizer
from enigma_tasks.ner.training.train import Task, train
from enigma_tasks.params.members import MemberParams, ScratchParams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SENTENCES = [
    "La paciente refiere fiebre alta desde ayer, con tos seca.",
    "Se realiza radiografía de tórax (sin hallazgos) y analítica completa.",
    "Diagnóstico: neumonía bilateral; asma leve.",
    "Pacientka má žlutou kůži a bolest břicha.",
    "Exploración: T/A 12,5/8 mmHg, 37.9 °C… ½ comprimido.",
]
_MENTIONS = {
    EntityType.DISEASE: ["neumonía bilateral", "asma leve"],
    EntityType.PROCEDURE: ["radiografía de tórax", "analítica completa"],
    EntityType.SYMPTOM: ["fiebre alta", "tos seca", "bolest břicha"],
}
KINDS = ["metaspace", "whitespace_metaspace", "wordpiece", "byte_bpe"]


@lru_cache
def tokenizer(kind: str) -> TextTokenizer:
    """A small tokenizer of a family, learnt from `SENTENCES`."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer: Any
    if kind in ("metaspace", "whitespace_metaspace"):
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
        metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
        backend.pre_tokenizer = (
            metaspace if kind == "metaspace" else pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
        )
        trainer = trainers.UnigramTrainer(
            vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False
        )
    elif kind == "wordpiece":
        backend = Tokenizer(models.WordPiece(unk_token="<unk>"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    else:
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    backend.train_from_iterator(SENTENCES * 3, trainer)
    ends = [(piece, backend.token_to_id(piece)) for piece in ("<s>", "</s>")]
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return TextTokenizer(
        PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token="<pad>",
            unk_token="<unk>",
            bos_token="<s>",
            eos_token="</s>",
            cls_token="<s>",
            sep_token="</s>",
            mask_token="<mask>",
        )
    )


def notes(count: int, first: int = 0, annotated: Sequence[EntityType] = tuple(EntityType)) -> list[Document]:
    """Invented notes with gold; no two texts are alike, and every third has no entity."""
    made = []
    for i in range(first, first + count):
        text = f"Nota {i}. " + " ".join(SENTENCES[(i + j) % len(SENTENCES)] for j in range(i % 4 + 1))
        if i % 3 == 2:
            text = f"Nota {i}. Sin novedades; alta."
        entities = [
            entity_at(f"n{i}", text, t.label, text.index(m), text.index(m) + len(m))
            for t in annotated
            for m in _MENTIONS[t]
            if m in text
        ]
        entities.sort(key=lambda e: e.span)
        made.append(Document(f"n{i}", text, tuple(entities), "es", frozenset(annotated)))
    return made


def recipe(**changes: Any) -> MemberParams:
    """The smallest recipe there is."""
    values: dict[str, Any] = {
        "base": "scratch",
        "scratch": ScratchParams(vocabulary=120, hidden=16, layers=1, heads=2),
        "window_tokens": 32,
        "overlap_tokens": 8,
        "learning_rate": 5e-3,
        "batch_size": 4,
        "epochs": 1,
    }
    return MemberParams.model_validate({**values, **changes})


def task(types: Sequence[EntityType] = tuple(EntityType), seed: int = 1, **changes: Any) -> Task:
    """A task on the smallest recipe."""
    return Task("es", tuple(types), "smallest", recipe(**changes), seed)


@lru_cache
def trained(types: tuple[EntityType, ...] = tuple(EntityType), seed: int = 1, *, able: bool = False) -> Model:
    """A trained model in memory, shared by tests that only read it; an `able` one finds the mentions."""
    more = {"epochs": 14, "learning_rate": 2e-2} if able else {}
    model, _ = train(task(types, seed, **more), notes(24 if able else 6), notes(3, first=100))
    return model


def model_folder(
    folder: Path, types: tuple[EntityType, ...] = tuple(EntityType), seed: int = 1, *, able: bool = False
) -> Path:
    """A model folder on disk."""
    save_model(trained(types, seed, able=able), folder)
    return folder
