"""The loop: what it refuses, what it repeats, what it learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from enigma_tasks.config import quiet_third_parties
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.errors import DataError
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.training.loop import dev_scores
from enigma_tasks.ner.training.optimiser import effective_precision
from enigma_tasks.ner.training.train import train
from tests.unit.ner_builders import notes, task

pytestmark = pytest.mark.training

DISEASE, PROCEDURE, SYMPTOM = EntityType


def test_a_corpus_without_entities_is_refused() -> None:
    bare = [Document("a", "tos", (), "es")]
    with pytest.raises(DataError, match="no_entities"):
        train(task(), bare, notes(1, 50))


def test_entities_of_other_types_do_not_count() -> None:
    symptoms = notes(6, annotated=[SYMPTOM])
    with pytest.raises(DataError, match="no_entities"):
        train(task([DISEASE]), symptoms, notes(1, 50))


@pytest.mark.parametrize("change", [{"id": "other"}, {"text": "Otro texto."}])
def test_a_dev_document_seen_in_training_is_refused_by_id_or_by_text(change: dict[str, str]) -> None:
    training = notes(4)
    seen = replace(training[2], entities=(), **change)
    with pytest.raises(DataError, match="dev_in_train") as caught:
        train(task(), training, [seen])
    assert caught.value.record == seen.id


@pytest.mark.parametrize(
    ("change", "rule", "offset"),
    [
        ({"char_end": 9_999}, "span_outside_text", 8),
        ({"char_start": -2}, "span_outside_text", -2),
        ({"char_end": 8}, "span_outside_text", 8),
        ({"text": "other"}, "surface_differs", 8),
        ({"label": "DRUG"}, "label_unknown", 8),
    ],
)
@pytest.mark.parametrize("place", ["train", "dev"])
def test_a_mention_that_does_not_fit_its_text_is_refused_without_a_word_of_it(
    place: str, change: dict[str, Any], rule: str, offset: int
) -> None:
    text = "Refiere tos seca."
    bad = Document("bad", text, (replace(entity_at("bad", text, "SYMPTOM", 8, 16), **change),), "es")
    training, dev = notes(4), notes(2, 50)
    (training if place == "train" else dev).append(bad)
    with pytest.raises(DataError, match=rule) as caught:
        train(task(), training, dev)
    assert (caught.value.record, caught.value.offset) == ("bad", offset)
    assert "tos" not in str(caught.value)


def test_two_trainings_with_one_seed_give_the_same_weights_and_another_seed_does_not() -> None:
    runs = [train(task(seed=s, max_steps=3), notes(6), notes(2, 50))[0].network.state_dict() for s in (1, 1, 2)]
    assert all(torch.equal(runs[0][k], runs[1][k]) for k in runs[0])
    assert not all(torch.equal(runs[0][k], runs[2][k]) for k in runs[0])


def test_training_leaves_the_random_state_of_its_caller_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    train(task(max_steps=1), notes(3), notes(1, 50))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("head", "word_label"), [("softmax", "mean"), ("softmax", "first"), ("crf", "mean")])
def test_it_learns_the_mentions_of_all_types(head: str, word_label: str) -> None:
    recipe_changes = {"epochs": 14, "head": head, "word_label": word_label, "learning_rate": 2e-2}
    model, progress = train(task(**recipe_changes), notes(24), notes(6, 100))
    assert {t: s.gold > 0 for t, s in model.card.dev.items()} == dict.fromkeys(EntityType, True)
    assert min(s.strict_f1 for s in model.card.dev.values()) > 0.8
    assert model.card.dev == dev_scores(model, notes(6, 100))
    best = model.card.best_epoch
    assert progress.epochs[best - 1]["dev_strict_f1"] == max(e["dev_strict_f1"] for e in progress.epochs)


def test_sentences_can_be_the_chunks() -> None:
    model, progress = train(task(chunker="sentence", max_steps=2), notes(6), notes(2, 50))
    assert progress.lost == 0
    (reading, *_) = Engine([model], 500, "fp32").read(notes(1))
    assert reading.characters_read == len(notes(1)[0].text)


def test_max_steps_ends_the_training() -> None:
    _, progress = train(task(max_steps=2, epochs=50), notes(6), notes(2, 50))
    assert progress.steps == 2
    assert progress.tokens > 0


def test_half_precision_is_used_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for able, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"avx512_bf16": able})
        assert effective_precision("fp16", cpu) == effective_precision("bf16", cpu) == expected
        assert effective_precision("fp32", cpu) == torch.float32


def test_the_data_digest_sees_text_spans_and_types_but_not_order() -> None:
    documents = notes(4)
    assert data_digest(documents) == data_digest(documents[::-1])
    for change in ({"text": "x"}, {"entities": ()}, {"annotated": frozenset({DISEASE})}):
        assert data_digest([replace(documents[0], **change), *documents[1:]]) != data_digest(documents)


def test_the_command_line_tells_openmp_to_sleep_at_barriers_unless_the_environment_speaks() -> None:
    environment: dict[str, str] = {}
    quiet_third_parties(environment)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    spoken = {"OMP_WAIT_POLICY": "ACTIVE"}
    quiet_third_parties(spoken)
    assert spoken["OMP_WAIT_POLICY"] == "ACTIVE"
