"""Many documents and models at once give what one at a time gives."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ner import engine as engine_module
from enigma_tasks.ner.engine import Engine, collate, windows_of
from tests.unit.ner_builders import SENTENCES, notes, trained
from tests.unit.strategies import texts


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


def test_bfloat16_leaves_the_model_itself_in_float32() -> None:
    model = trained()
    before = copy.deepcopy(model.network.state_dict())
    half = Engine([model], 500, "bf16")
    half.predict(notes(2))
    assert {p.dtype for p in half._networks[0].encoder.parameters()} == {torch.bfloat16}
    assert half._networks[0].classifier.weight.dtype == torch.float32
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())


def test_no_documents_and_empty_texts_are_no_trouble() -> None:
    engine = Engine([trained()], 500, "fp32")
    assert engine.read([]) == []
    assert [r.entities for r in engine.read([Document("a", ""), Document("b", " \r\n")])] == [((),), ((),)]
