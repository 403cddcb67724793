"""Many documents and models at once give what one at a time gives."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType, sorted_entities
from enigma_tasks.ner import engine as engine_module
from enigma_tasks.ner.decoding import decode_probabilities
from enigma_tasks.ner.engine import Engine, cleaned, collate, windows_of
from enigma_tasks.ner.text.alignment import tagged_words
from enigma_tasks.ner.training.train import train
from tests.unit.ner_builders import SENTENCES, notes, task, trained
from tests.unit.strategies import texts

if TYPE_CHECKING:
    from enigma_tasks.ner.model_folder import Model

pytestmark = pytest.mark.training


@pytest.mark.parametrize("batch_tokens", [1, 70, 4000])
def test_batches_give_the_same_spans_as_one_document_at_a_time(batch_tokens: int) -> None:
    models = [trained(able=True), trained((EntityType.SYMPTOM,), seed=2, able=True)]
    documents = notes(17, 30)
    together = Engine(models, batch_tokens, "fp32").predict(documents)
    for m, model in enumerate(models):
        alone = [Engine([model], 1, "fp32").predict([d])[0][0] for d in documents]
        assert together[m] == alone
        assert any(alone)


@settings(max_examples=30)
@given(st.lists(texts | st.lists(st.sampled_from(SENTENCES), max_size=6).map(" ".join), max_size=4))
def test_every_text_is_read_to_its_end_and_spans_equal_their_slice(many: list[str]) -> None:
    documents = [Document(str(i), text) for i, text in enumerate(many)]
    for document, reading in zip(documents, Engine([trained(able=True)], 200, "fp32").read(documents), strict=True):
        assert reading.characters_read == len(document.text)
        for entity in reading.entities[0]:
            assert entity.text == document.text[entity.char_start : entity.char_end]
            assert entity.score is not None
            assert 0 <= entity.score <= 1


def test_windows_with_context_give_the_same_spans_in_batches_as_alone() -> None:
    changes = {"context_tokens": 8, "overlap_tokens": 0, "epochs": 14, "learning_rate": 2e-2}
    model, _ = train(task(**changes), notes(24), notes(3, 100))
    documents = notes(9, 30)
    together = Engine([model], 500, "fp32").read(documents)
    alone = [Engine([model], 1, "fp32").read([d])[0] for d in documents]
    assert together == alone
    assert all(r.characters_read == len(d.text) for r, d in zip(together, documents, strict=True))
    assert sum(len(r.entities[0]) for r in together) > 9


def test_windows_that_look_alike_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    runs = []
    monkeypatch.setattr(
        engine_module, "collate", lambda windows, tokenizer: runs.extend(windows) or collate(windows, tokenizer)
    )
    first, second = notes(2, 30)
    copied = replace(first, id="copied")
    Engine([model], 500, "fp32").predict([first, copied, second])
    (one,), (two,) = (model.tokenizer.encode([d.text]) for d in (first, second))
    distinct = {w.key for d, t in ((first, one), (second, two)) for w in windows_of(model, t, d)}
    assert len(runs) == len(distinct)


def test_a_text_is_tokenised_once_for_models_that_share_a_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    calls = []
    encode = type(model.tokenizer).encode
    monkeypatch.setattr(
        type(model.tokenizer), "encode", lambda self, texts: calls.append(len(texts)) or encode(self, texts)
    )
    Engine([model, model], 500, "fp32").predict(notes(3))
    assert calls == [3]


def test_work_in_chunks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = notes(9, 30)
    whole = Engine([trained(able=True)], 500, "fp32").predict(documents)
    monkeypatch.setattr(engine_module, "_CHUNK_CHARACTERS", 150)
    assert Engine([trained(able=True)], 500, "fp32").predict(documents) == whole


@lru_cache
def models_of_every_recipe() -> list[Model]:
    """Heads, chunkers and labelled words that differ; two of them share a tokenizer."""
    recipes = [
        {},
        {"head": "crf", "word_label": "first"},
        {"chunker": "sentence", "overlap_tokens": 0},
        {"context_tokens": 6, "overlap_tokens": 4},
    ]
    return [train(task(epochs=8, learning_rate=2e-2, **r), notes(12), notes(3, first=100))[0] for r in recipes]


def slowly(model: Model, document: Document) -> tuple[Entity, ...]:
    """Window after window, nothing batched, padded or remembered; means of words summed one by one."""
    (text,) = model.tokenizer.encode([document.text])
    seen: dict[int, list[torch.Tensor]] = {}
    with torch.inference_mode():
        for window in windows_of(model, text, document):
            ids, _, owner, words = collate([window], model.tokenizer)
            scores = model.network(ids, None, owner, words)[0]
            for i, word in enumerate(window.words.tolist()):
                seen.setdefault(word, []).append(scores[i])
        pooled = torch.stack([torch.stack(seen[w]).mean(0) for w in range(len(text.alignment.words))])
        mask = torch.ones(1, len(pooled), dtype=torch.bool)
        tags = model.network.best_tags(pooled[None], mask)
        probabilities = model.network.probabilities(pooled[None], mask).gather(3, tags.unsqueeze(3)).squeeze(3)
    found = []
    for k, entity_type in enumerate(model.card.entity_types):
        for first, stop in tagged_words(tags[0, :, k].numpy()):
            start, end = int(text.alignment.words[first, 0]), int(text.alignment.words[stop - 1, 1])
            probability = float(probabilities[0, first:stop, k].mean())
            found.append(Entity(entity_type.label, start, end, document.text[start:end], probability))
    return cleaned(model, document, sorted_entities(found))


def test_all_models_together_find_the_spans_of_the_slow_path() -> None:
    models, documents = models_of_every_recipe(), notes(12, 30)
    documents.append(Document("long", " ".join(SENTENCES * 6), language="es"))
    together = Engine(models, 300, "fp32").predict(documents)
    for model, found in zip(models, together, strict=True):
        slow = [slowly(model, d) for d in documents]
        assert [[(e.label, e.span) for e in one] for one in found] == [[(e.label, e.span) for e in one] for one in slow]
        for e, expected in zip(chain(*found), chain(*slow), strict=True):
            assert e.score == pytest.approx(expected.score, abs=1e-4)
    assert sum(map(len, chain(*together))) > 0


def test_probabilities_are_of_words_and_lead_to_the_spans_that_the_engine_finds() -> None:
    models, documents = models_of_every_recipe(), [*notes(6, 30), Document("none", "")]
    engine = Engine(models, 300, "fp32")
    found = engine.predict(documents)
    rows = list(engine.probabilities(documents))
    assert len(rows) == len(documents)
    for m, model in enumerate(models):
        of_model = [row[m] for row in rows]
        for document, probabilities in zip(documents, of_model, strict=True):
            assert probabilities.entity_types == model.card.entity_types
            assert probabilities.values.shape == (len(probabilities.words), len(model.card.entity_types), 3)
            assert np.allclose(probabilities.values.sum(-1), 1, atol=1e-4)
            assert probabilities.words.max(initial=0) <= len(document.text)
        if model.card.recipe.head == "softmax":
            words, values = [c.words for c in of_model], [c.values for c in of_model]
            decoded = decode_probabilities(model.card.entity_types, documents, words, values)
            assert [cleaned(model, d, e) for d, e in zip(documents, decoded, strict=True)] == found[m]


def test_bfloat16_leaves_the_model_itself_in_float32() -> None:
    model = trained()
    before = copy.deepcopy(model.network.state_dict())
    half = Engine([model], 500, "bf16")
    half.predict(notes(2))
    (network,) = half._groups[0].networks
    assert network.encoder.encoder.layer[0].intermediate.dense.weight.dtype == torch.bfloat16
    assert next(network.heads.parameters()).dtype == torch.float32
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())


def test_no_documents_and_empty_texts_are_no_trouble() -> None:
    engine = Engine([trained()], 500, "fp32")
    assert engine.read([]) == []
    assert [r.entities for r in engine.read([Document("a", ""), Document("b", " \r\n")])] == [((),), ((),)]


@given(st.lists(st.integers(1, 130), max_size=80).map(sorted), st.integers(1, 3000))
def test_batches_keep_order_and_budget_and_hold_little_padding(lengths: list[int], budget: int) -> None:
    keys = [bytes([i]) for i in range(len(lengths))]
    batches = list(engine_module._by_tokens(keys, lengths, budget))
    assert list(chain.from_iterable(batches)) == keys
    for batch in batches:
        of_batch = [lengths[key[0]] for key in batch]
        padded = len(batch) * of_batch[-1]
        assert len(batch) == 1 or padded <= budget
        if sum(of_batch[:-1]) > budget // 4:
            assert padded - sum(of_batch) <= padded // 32
