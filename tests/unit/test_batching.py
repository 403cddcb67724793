"""Windows, tags and tensors."""

from __future__ import annotations

import numpy as np

from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.ner.batching import batches, collate, examples
from enigma_tasks.ner.text.alignment import IGNORED
from tests.unit.ner_builders import notes, trained

DISEASE, PROCEDURE, SYMPTOM = EntityType


def test_documents_without_entities_and_types_without_annotation_are_kept_apart() -> None:
    model = trained()
    plain = Document("p", "Sin novedades.", (), "es", frozenset({DISEASE}))
    (example,) = examples(model, [plain]).windows
    assert not example.tags[:, 0].any()
    assert (example.tags[:, 1:] == IGNORED).all()


def test_an_epoch_holds_every_window_once_in_an_order_of_its_own() -> None:
    windows = examples(trained(), notes(30)).windows
    first, again, second = ([id(e) for batch in batches(windows, 4, 7, epoch) for e in batch] for epoch in (1, 1, 2))
    assert sorted(first) == sorted(map(id, windows))
    assert first == again != second


def test_gold_that_tags_cannot_say_is_counted() -> None:
    text = "hepatopatía crónica"
    gold = tuple(entity_at("d", text, "DISEASE", *span) for span in ((6, 19), (12, 19)))
    made = examples(trained(), [Document("d", text, gold, "es")])
    assert (made.misaligned, made.lost) == (1, 1)


def test_a_batch_is_padded_to_its_longest_window_only() -> None:
    model = trained()
    windows = [e.window for e in examples(model, notes(8)).windows]
    windows.sort(key=lambda w: len(w.ids))
    ids, attention, owner, words = collate([windows[0], windows[-1]], model.tokenizer)
    assert ids.shape == owner.shape == (2, len(windows[-1].ids) + 2)
    assert attention is not None
    assert attention.sum(1).tolist() == [len(windows[0].ids) + 2, len(windows[-1].ids) + 2]
    assert words == max(len(windows[0].words), len(windows[-1].words))
    assert (ids[~attention] == model.tokenizer.pad_id).all()
    assert owner[0, 1 : 1 + len(windows[0].ids)].tolist() == windows[0].owner.tolist()
    assert set(np.unique(owner[~attention])) == {-1}


def test_windows_of_one_length_need_no_attention_mask() -> None:
    model = trained()
    window = examples(model, notes(1)).windows[0].window
    assert collate([window, window], model.tokenizer)[1] is None
