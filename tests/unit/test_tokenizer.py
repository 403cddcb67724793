"""The wrapper of tokenizers, and the one that is learnt."""

from __future__ import annotations

import hashlib
import json

import pytest

from enigma_tasks.ner.text.tokenizer import TextTokenizer, learn_tokenizer
from tests.unit.ner_builders import KINDS, SENTENCES, tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_written_in_a_note_do_not_act_as_such(kind: str) -> None:
    special = {tokenizer(kind).pretrained.convert_tokens_to_ids(t) for t in ("<s>", "</s>", "<pad>", "<mask>")}
    (encoded,) = tokenizer(kind).encode(["tos <s> fiebre </s> <pad><mask> alta"])
    assert not special.intersection(encoded.ids.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_stand_around_the_text(kind: str) -> None:
    backend = tokenizer(kind).pretrained.backend_tokenizer
    assert (tokenizer(kind).prefix, tokenizer(kind).suffix) == (
        (backend.token_to_id("<s>"),),
        (backend.token_to_id("</s>"),),
    )


def test_a_truncation_in_the_file_is_not_obeyed() -> None:
    pretrained = learn_tokenizer(SENTENCES, 120)
    pretrained.backend_tokenizer.enable_truncation(5)
    (encoded,) = TextTokenizer(pretrained).encode([SENTENCES[0] * 40])
    assert int(encoded.alignment.words[-1, 1]) == len(SENTENCES[0]) * 40


def test_a_word_that_the_tokenizer_never_knows_is_read_and_one_that_it_left_out_is_not() -> None:
    (encoded,) = tokenizer("metaspace").encode(["tos \u200b"])
    assert encoded.unread_from == encoded.length == 5
    pretrained = learn_tokenizer(SENTENCES, 120)
    wrapped = TextTokenizer(pretrained)
    pretrained.backend_tokenizer.enable_truncation(4)
    (cut,) = wrapped.encode(["tos fiebre asma leve neumonía bilateral"])
    assert cut.unread_from < cut.length


def test_the_fingerprint_tells_two_pre_tokenizers_apart() -> None:
    assert len({tokenizer(kind).fingerprint for kind in KINDS}) == len(KINDS)


def test_the_same_texts_give_the_same_tokenizer() -> None:
    first, second = (
        hashlib.sha256(
            json.dumps(learn_tokenizer(SENTENCES, 200).backend_tokenizer.get_vocab(), sort_keys=True).encode()
        ).hexdigest()
        for _ in range(2)
    )
    assert first == second
