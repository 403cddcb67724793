"""Each architecture of the paper's tables, tiny and random, goes the whole way: train, save, load, predict."""

from __future__ import annotations

import io
import json
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.base_models import load_base, position_limit
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import Model, load_model, save_model
from enigma_tasks.ner.text.tokenizer import TextTokenizer
from enigma_tasks.ner.training.train import Task, train
from tests.unit.base_builders import FAMILIES, base_folder
from tests.unit.ner_builders import SENTENCES, notes, recipe, tokenizer

if TYPE_CHECKING:
    from pathlib import Path


def predictions(model: Model) -> tuple[list[list[tuple[str, int, int]]], torch.Tensor]:
    """Spans of a few notes, and the scores of one sentence: the spans of so small a model may be none."""
    (found,) = Engine([model], 512).predict(notes(4, first=200))
    (read,) = model.tokenizer.encode(SENTENCES[:1])
    ids = torch.from_numpy(read.ids[None, :20].astype("int64"))
    with torch.no_grad():
        scores = model.network(ids, None, torch.arange(20)[None], 20)
    return [[(e.label, e.char_start, e.char_end) for e in of_note] for of_note in found], scores


@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_model_of_each_family_trains_and_predicts_the_same_after_a_reload(family: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    base_folder(store / f"org--{family}", family)
    member = recipe(base=f"org/{family}", scratch=None, learning_rate=2e-2, epochs=3)
    task = Task("es", (EntityType.DISEASE,), family, member, 1, str(store))
    trained, progress = train(task, notes(12), notes(3, first=100))
    saved = save_model(trained, tmp_path / "model")
    before, scores = predictions(saved)
    shutil.rmtree(store)  # a model folder stands alone
    loaded = load_model(tmp_path / "model", saved.digest)
    after, scores_after = predictions(loaded)
    assert after == before
    assert torch.equal(scores_after, scores)
    assert scores.std() > 0.01
    assert progress.lost == 0
    assert loaded.card.recipe.base == f"org/{family}"
    assert loaded.tokenizer.fingerprint == tokenizer(FAMILIES[family]).fingerprint


@pytest.mark.parametrize("family", FAMILIES)
def test_the_longest_window_fits_the_positions_and_one_more_sub_word_is_refused(family: str, tmp_path: Path) -> None:
    """RoBERTa's kin number positions from the padding id + 1, so that 66 rows hold 64 sub-words."""
    folder = base_folder(tmp_path / "base", family)
    longest = 66 if family == "bert" else 64
    member = recipe(base="x", scratch=None, window_tokens=longest)
    encoder, _ = load_base(folder, member)
    assert position_limit(encoder.config) == longest
    ids = torch.full((1, longest), 7)
    assert encoder(input_ids=ids).last_hidden_state.shape == (1, longest, 16)
    with pytest.raises((IndexError, RuntimeError)):
        encoder(input_ids=torch.full((1, longest + 1), 7))
    with pytest.raises(UsageError, match=f"more than the {longest} "):
        load_base(folder, recipe(base="x", scratch=None, window_tokens=longest + 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokenizer_file_is_taken_as_it_is_whatever_class_the_config_names(family: str, tmp_path: Path) -> None:
    """A class with a constructor of its own may rebuild the normalizer and pre-tokenizer: offsets move."""
    classes = {
        "xlm-roberta": "XLMRobertaTokenizer",
        "roberta": "RobertaTokenizer",
        "bert": "BertTokenizer",
        "camembert": "CamembertTokenizer",
    }
    folder = base_folder(tmp_path / "base", family)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": classes[family]}))
    _, pretrained = load_base(folder, recipe(base="x", scratch=None))
    assert TextTokenizer(pretrained).fingerprint == tokenizer(FAMILIES[family]).fingerprint


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_base_model_with_a_slow_tokenizer_only_reads_every_character(family: str, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "base", family)
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocabulary = sorted(backend.get_vocab().items(), key=lambda item: item[1])
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    if family == "bert":
        old = {"<s>": "[CLS]", "</s>": "[SEP]", "<pad>": "[PAD]", "<unk>": "[UNK]", "<mask>": "[MASK]"}
        (folder / "vocab.txt").write_text("\n".join(old.get(piece, piece) for piece, _ in vocabulary) + "\n")
    else:
        backend.model.save(str(folder))
    _, pretrained = load_base(folder, recipe(base="x", scratch=None))
    wrapped = TextTokenizer(pretrained)
    for text, read in zip(SENTENCES, wrapped.encode(SENTENCES), strict=True):
        words = read.alignment.words.tolist()
        assert read.unread_from == len(text)
        assert "".join(text[start:end] for start, end in words) == "".join(text.split())
        assert wrapped.pretrained.unk_token_id not in read.ids


def test_a_sentencepiece_file_alone_becomes_a_fast_tokenizer_with_the_ids_of_its_family(tmp_path: Path) -> None:
    """As XLM-R-ner-hrl has it: the four special pieces come first, and the file's own pieces one later than in it."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="the sentencepiece package is not installed")
    folder = base_folder(tmp_path / "base", "xlm-roberta")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(written.getvalue())
    _, pretrained = load_base(folder, recipe(base="x", scratch=None))
    assert pretrained.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    for text, read in zip(SENTENCES, TextTokenizer(pretrained).encode(SENTENCES), strict=True):
        assert read.unread_from == len(text)


def test_a_base_model_whose_tokenizer_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "base", "roberta")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="its tokenizer is missing or cannot be read"):
        load_base(folder, recipe(base="x", scratch=None))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="its tokenizer"):
        load_base(folder, recipe(base="x", scratch=None))


def test_weights_that_do_not_match_their_config_are_refused_before_training(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "base", "camembert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    with pytest.raises(ModelError, match="do not match its config"):
        load_base(folder, recipe(base="x", scratch=None))


def test_weights_cut_short_are_refused_before_training(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "base", "roberta")
    weights = folder / "model.safetensors"
    assert len(load_file(weights)) > 5
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="weights"):
        load_base(folder, recipe(base="x", scratch=None))


def test_a_tokenizer_with_more_pieces_than_the_encoder_has_rows_is_refused(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "base", "bert")
    tokenizer("byte_bpe").pretrained.save_pretrained(folder)
    with pytest.raises(ModelError, match="more pieces"):
        load_base(folder, recipe(base="x", scratch=None))
