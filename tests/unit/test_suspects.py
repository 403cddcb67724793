"""Suspect gold: planted label errors are ranked above sound gold, with their places and what is doubted."""

from __future__ import annotations

import numpy as np
import pytest

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.engine import WordProbabilities
from enigma_tasks.ner.suspects import Doubt, suspects
from enigma_tasks.ner.text.alignment import split_words, tag_words
from enigma_tasks.ner.training.out_of_fold import out_of_fold
from enigma_tasks.ner.training.train import Task

DISEASE = EntityType("disease")
TEXT = "El paciente refiere fiebre alta y tos seca desde ayer por la noche"
TRUE = [(20, 31), (34, 42)]
SURE = 0.97


def document(name: str, spans: list[tuple[int, int]], annotated: frozenset[EntityType]) -> Document:
    entities = tuple(Entity("DISEASE", a, b, TEXT[a:b]) for a, b in spans)
    return Document(name, TEXT, entities, "es", annotated)


def predicted(spans: list[tuple[int, int]]) -> WordProbabilities:
    words = split_words(TEXT)
    tags = tag_words(words, spans).tags
    values = np.full((len(words), 1, 3), (1 - SURE) / 2, np.float32)
    values[np.arange(len(words)), 0, tags] = SURE
    return WordProbabilities((DISEASE,), words, values)


def found(planted: dict[str, list[tuple[int, int]]], annotated: frozenset[EntityType] = frozenset({DISEASE})):
    gold = {f"sound-{i}": TRUE for i in range(30)} | planted
    documents = [document(name, spans, annotated) for name, spans in sorted(gold.items())]
    return suspects(documents, [predicted(TRUE)] * len(documents))


@pytest.mark.parametrize(
    ("spans", "place", "doubt"),
    [
        ([(34, 42)], (20, 31), Doubt.MISSED),
        ([*TRUE, (3, 11)], (3, 11), Doubt.SPURIOUS),
        ([(27, 31), (34, 42)], (27, 31), Doubt.BOUNDARY),
    ],
)
def test_a_planted_error_is_found_at_its_place(spans, place, doubt) -> None:
    rows = found({"planted": spans})
    assert [s.document.id for s in rows] == ["planted"]
    assert (*place, doubt) in [(p.char_start, p.char_end, p.doubt) for p in rows[0].places]
    assert rows[0].quality == pytest.approx((1 - SURE) / 2, abs=1e-4)


def test_gold_that_agrees_and_types_that_were_not_annotated_are_no_suspects() -> None:
    assert not found({})
    assert not found({"planted": []}, annotated=frozenset({EntityType("symptom")}))


def test_out_of_fold_predictions_need_three_folds() -> None:
    task = Task("es", (DISEASE,), "tiny", None, 1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="3 folds"):
        out_of_fold(task, [[document("a", TRUE, frozenset({DISEASE}))]] * 2, 4096)
