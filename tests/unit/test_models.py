"""Model folders: written, read back, and refused when anything is wrong with them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from enigma_tasks import artifacts
from enigma_tasks.documents import Document
from enigma_tasks.errors import ModelError
from enigma_tasks.ner.digests import file_digest
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model, model_digest, read_card, save_model
from enigma_tasks.ner.text.tokenizer import TextTokenizer
from enigma_tasks.ner.training.train import Task, train, untrained
from tests.unit.base_builders import base_folder
from tests.unit.ner_builders import model_folder, notes, recipe, task, trained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "model", able=True)


def rewrite_card(folder: Path, **changes: object) -> None:
    """A card that agrees with the files as they now are."""
    card = json.loads((folder / artifacts.MODEL_CARD).read_bytes())
    card["files"] = {name: file_digest(folder / name) for name in card["files"]}
    (folder / artifacts.MODEL_CARD).write_text(json.dumps({**card, **changes}))


def test_a_saved_model_says_the_same_when_read_back(folder: Path) -> None:
    model = load_model(folder)
    documents = notes(8, 40)
    assert model.digest == model_digest(folder)
    found = Engine([model], 500, "fp32").predict(documents)
    assert found == Engine([trained(able=True)], 500, "fp32").predict(documents)
    assert any(found[0])
    assert model.tokenizer.fingerprint == model.card.tokenizer_fingerprint


def test_all_files_of_a_model_have_the_same_permissions(folder: Path) -> None:
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_two_trainings_with_one_seed_give_the_same_digest(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        model, _ = train(task(max_steps=2), notes(6), notes(2, 50))
        digests.append(save_model(model, tmp_path / name).digest)
    assert digests[0] == digests[1] == model_digest(tmp_path / "b")


def test_a_saved_model_saved_again_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    assert save_model(load_model(folder), tmp_path / "again").digest == model_digest(folder)


@pytest.mark.parametrize("name", [*artifacts.MODEL_FILES, artifacts.MODEL_CARD])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        load_model(folder)
    with pytest.raises(ModelError, match=f"{name} is missing"):
        model_digest(folder)


@pytest.mark.parametrize("name", [*artifacts.MODEL_FILES, artifacts.MODEL_CARD])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        load_model(folder)


def test_a_card_of_another_version_or_without_a_digest_is_refused(folder: Path) -> None:
    rewrite_card(folder, schema_version=99)
    with pytest.raises(ModelError, match="damaged at: schema_version"):
        read_card(folder)
    rewrite_card(folder, schema_version=1, files={})
    with pytest.raises(ModelError, match=r"no digest of config.json"):
        read_card(folder)


@pytest.mark.parametrize(("change", "what"), [("drop", "1 weights missing"), ("add", "1 unexpected")])
def test_weights_that_do_not_match_the_config_are_refused(folder: Path, change: str, what: str) -> None:
    weights = load_file(folder / artifacts.MODEL_WEIGHTS)
    if change == "drop":
        del weights["heads.of_types.0.0.bias"]
    else:
        weights["pooler"] = torch.zeros(2)
    save_file(weights, folder / artifacts.MODEL_WEIGHTS)
    rewrite_card(folder)
    with pytest.raises(ModelError, match=f"{artifacts.MODEL_WEIGHTS} does not fit.*{what}"):
        load_model(folder)


def test_a_config_of_another_shape_or_kind_is_refused(folder: Path) -> None:
    config = json.loads((folder / artifacts.ENCODER_CONFIG).read_bytes())
    for change, name in (
        ({"hidden_size": 24}, artifacts.MODEL_WEIGHTS),
        ({"model_type": "x"}, artifacts.ENCODER_CONFIG),
    ):
        (folder / artifacts.ENCODER_CONFIG).write_text(json.dumps({**config, **change}))
        rewrite_card(folder)
        with pytest.raises(ModelError, match=name):
            load_model(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 10**6}, "settings_damaged"),
        ({"vocab_size": 2**31}, "settings_damaged"),
        ({"hidden_size": "16"}, "describes no known encoder"),
        ({"hidden_size": -1}, "describes no known encoder"),
        ({"num_attention_heads": 0}, "describes no known encoder"),
        ({"hidden_act": []}, "describes no known encoder"),
    ],
)
def test_a_config_that_no_encoder_can_be_built_from_is_refused(folder: Path, change: dict[str, Any], said: str) -> None:
    config = json.loads((folder / artifacts.ENCODER_CONFIG).read_bytes())
    (folder / artifacts.ENCODER_CONFIG).write_text(json.dumps({**config, **change}))
    rewrite_card(folder)
    with pytest.raises(ModelError, match=said):
        load_model(folder)


class PanicException(BaseException):
    """Stands in for that of the tokenizers library, which is no Exception."""


@pytest.mark.parametrize("kind", [PanicException, Exception])
def test_a_tokenizer_that_fails_on_a_text_is_refused(
    folder: Path, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> str:
        raise kind("range end index out of range")

    monkeypatch.setattr(TextTokenizer, "fingerprint", property(fails))
    with pytest.raises(ModelError, match=f"{artifacts.TOKENIZER} cannot be read"):
        load_model(folder)


def test_weights_that_are_no_safetensors_are_refused(folder: Path) -> None:
    torch.save({"classifier.bias": torch.zeros(9)}, folder / artifacts.MODEL_WEIGHTS)
    rewrite_card(folder)
    with pytest.raises(ModelError, match=artifacts.MODEL_WEIGHTS):
        load_model(folder)


def test_a_tokenizer_that_tokenises_differently_is_refused_even_with_a_right_digest(folder: Path) -> None:
    tree = json.loads((folder / artifacts.TOKENIZER).read_bytes())
    tree["normalizer"] = None
    (folder / artifacts.TOKENIZER).write_text(json.dumps(tree))
    rewrite_card(folder)
    with pytest.raises(ModelError, match="tokenises differently"):
        load_model(folder)


def test_a_tokenizer_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / artifacts.TOKENIZER).write_text("{}")
    rewrite_card(folder)
    with pytest.raises(ModelError, match=artifacts.TOKENIZER):
        load_model(folder)


def test_another_model_under_an_expected_digest_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="expected 0000"):
        load_model(folder, "0" * 64)
    rewrite_card(folder, member="other")
    assert load_model(folder).digest != trained(able=True).digest


def test_no_file_says_where_the_base_model_lay(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "secret-place" / "base")
    local = Task(
        "es", (next(iter(task().entity_types)),), "local", recipe(base=str(base), scratch=None, max_steps=1), 1
    )
    model, _ = train(local, notes(4), notes(1, 50))
    save_model(model, tmp_path / "model")
    shutil.rmtree(tmp_path / "secret-place")
    for file in (tmp_path / "model").iterdir():
        assert b"secret-place" not in file.read_bytes()
    assert load_model(tmp_path / "model").card.recipe.base == "base"
    assert set(model.card.digests) == {"train", "dev", "code", "base", "recipe"}


def test_no_file_of_a_model_holds_a_sentence_of_its_training_text(folder: Path) -> None:
    for file in folder.iterdir():
        assert "refiere fiebre" not in file.read_bytes().decode("utf-8", errors="ignore")


def test_a_model_from_scratch_keeps_no_surname_of_a_few_notes_whatever_augmentation_made_of_them() -> None:
    training = notes(6)
    training += [
        Document(f"n0{copy}", "Quebrantahuesos. Fiebre alta.", (), "es")
        for copy in ("--oversample-1", "--oversample-2", "--morphology-1", "--paraphrase-1", "~disease")
    ]
    model = untrained(task(), training, notes(3, first=100))
    vocabulary = set(model.tokenizer.pretrained.get_vocab())
    assert not [p for p in vocabulary if len(p) > 4 and p in "quebrantahuesos"]
    assert model.card.training_text == {
        artifacts.TOKENIZER: "words, and parts of words, that are in 5 notes or more",
        artifacts.MODEL_WEIGHTS: "no text; weights that were fitted to all notes",
    }


def test_the_card_of_a_model_of_a_base_says_that_its_tokenizer_is_the_bases(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base")
    model = untrained(task(base=str(base), scratch=None), notes(6), notes(3, first=100))
    assert set(model.card.training_text) == {artifacts.MODEL_WEIGHTS}
    before = model_folder(tmp_path / "before")
    further = untrained(task(base=str(before), scratch=None), notes(6), notes(3, first=100))
    assert set(further.card.training_text) == {artifacts.TOKENIZER, artifacts.MODEL_WEIGHTS}
