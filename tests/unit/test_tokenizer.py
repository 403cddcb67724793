"""The wrapper of tokenizers, and the one that is learnt."""

from __future__ import annotations

import hashlib
import json

import pytest

from enigma_tasks.ner.text.tokenizer import TextTokenizer, learn_tokenizer
from tests.unit.ner_builders import KINDS, SENTENCES, tokenizer

NOTES = [(str(i), sentence) for i, sentence in enumerate(SENTENCES)]


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
    pretrained = learn_tokenizer(NOTES, 120, 1)
    pretrained.backend_tokenizer.enable_truncation(5)
    (encoded,) = TextTokenizer(pretrained).encode([SENTENCES[0] * 40])
    assert int(encoded.alignment.words[-1, 1]) == len(SENTENCES[0]) * 40


def test_a_word_that_the_tokenizer_never_knows_is_read_and_one_that_it_left_out_is_not() -> None:
    (encoded,) = tokenizer("metaspace").encode(["tos \u200b"])
    assert encoded.unread_from == encoded.length == 5
    pretrained = learn_tokenizer(NOTES, 120, 1)
    wrapped = TextTokenizer(pretrained)
    pretrained.backend_tokenizer.enable_truncation(4)
    (cut,) = wrapped.encode(["tos fiebre asma leve neumonía bilateral"])
    assert cut.unread_from < cut.length


def test_the_fingerprint_tells_two_pre_tokenizers_apart() -> None:
    assert len({tokenizer(kind).fingerprint for kind in KINDS}) == len(KINDS)


def test_the_same_texts_give_the_same_tokenizer() -> None:
    first, second = (
        hashlib.sha256(
            json.dumps(learn_tokenizer(NOTES, 200, 1).backend_tokenizer.get_vocab(), sort_keys=True).encode()
        ).hexdigest()
        for _ in range(2)
    )
    assert first == second


def pieces(notes: list[tuple[str, str]], min_notes: int) -> set[str]:
    return set(learn_tokenizer(notes, 2000, min_notes).get_vocab())


def test_a_surname_of_few_notes_is_no_piece_and_no_part_of_one() -> None:
    notes = [(f"n{i}", f"Tos y fiebre{' de Quebrantahuesos' * (i < 2)}.") for i in range(6)]
    assert "quebrantahuesos" in pieces(notes, 1)
    common = pieces(notes, 3)
    assert {"tos", "fiebre"} <= common
    assert not [piece for piece in common if len(piece) > 3 and piece in "quebrantahuesos"]


def test_copies_of_one_note_count_once_and_a_word_repeated_in_it_too() -> None:
    notes = [("n1", "Ana Quebrantahuesos, Quebrantahuesos.")] * 5 + [("n2", "Tos."), ("n3", "Tos.")]
    assert "tos" in pieces(notes, 2)
    assert "quebrantahuesos" not in pieces(notes, 2)


def test_every_character_is_known_also_of_the_words_that_are_left_out() -> None:
    notes = [("n1", "Fiebre y tos, ½ comprimido."), ("n2", "Fiebre y tos.")]
    wrapped = TextTokenizer(learn_tokenizer(notes, 2000, 2))
    (encoded,) = wrapped.encode(["½ comprimido"])
    assert wrapped.unknown_in(encoded.ids) == 0
