"""GLiNER as a member: built tiny from a config, fine-tuned, saved, read back; no word of a note is cut away."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks import artifacts
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.members.gliner import GlinerAnnotator, GlinerModel, load_checkpoint, load_gliner, save_gliner
from enigma_tasks.members.gliner_training import train_gliner
from enigma_tasks.members.gliner_windows import cut_words, labelled
from enigma_tasks.ner.model_folder import load_model, model_digest, read_any_card
from tests.unit.gliner_builders import checkpoint, gliner_recipe, gliner_task
from tests.unit.ner_builders import notes

if TYPE_CHECKING:
    from enigma_tasks.ner.training.train import Progress


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("base") / "gliner-base")


@pytest.fixture(scope="module")
def able(base: Path) -> tuple[GlinerModel, Progress]:
    """A model that has learnt the notes."""
    return train_gliner(gliner_task(base, epochs=25, learning_rate=3e-3), notes(24), notes(6, 100))


@pytest.fixture(scope="module")
def saved(able: tuple[GlinerModel, Progress], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_gliner(able[0], folder)
    return folder


@pytest.mark.training
def test_fine_tuning_learns_and_the_card_says_what_the_encoders_cards_say(able: tuple[GlinerModel, Progress]) -> None:
    model, progress = able
    losses = [e["loss"] for e in progress.epochs]
    assert losses[-1] < losses[0] / 10
    assert all(score.strict_f1 > 0.5 for score in model.card.dev.values())
    assert set(model.card.dev) == set(EntityType)
    assert set(model.card.digests) == {"train", "dev", "base", "recipe", "code"}
    assert model.card.steps == progress.steps > 0
    assert (progress.lost, progress.misaligned) == (0, 0)


def test_a_saved_model_says_the_same_when_read_back_and_nothing_of_the_base_is_needed(
    able: tuple[GlinerModel, Progress], saved: Path
) -> None:
    annotator = GlinerAnnotator.load(saved, model_digest(saved))
    documents = notes(8, 40)
    found = annotator.predict(documents)
    assert found == GlinerAnnotator(able[0]).predict(documents)
    assert any(found)
    for document, entities in zip(documents, found, strict=True):
        assert all(e.text == document.text[e.char_start : e.char_end] for e in entities)
        assert all(0.5 < (e.score or 0) <= 1 for e in entities)
    assert annotator.entity_types == tuple(EntityType)


def test_the_folder_holds_safetensors_and_no_path_of_this_machine(saved: Path) -> None:
    assert {p.name for p in saved.iterdir()} == {*artifacts.GLINER_FILES, artifacts.MODEL_CARD}
    text = "".join(p.read_text() for p in saved.glob("*.json"))
    assert str(saved.parent.parent) not in text
    assert "/tmp" not in text
    assert json.loads((saved / artifacts.MODEL_CARD).read_bytes())["recipe"]["kind"] == "gliner"


def test_the_same_seed_gives_the_same_digest_and_saving_again_changes_nothing(base: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        model, _ = train_gliner(gliner_task(base, max_steps=2), notes(6), notes(2, 50))
        digests.append(save_gliner(model, tmp_path / name).digest)
    assert digests[0] == digests[1] == save_gliner(load_gliner(tmp_path / "a"), tmp_path / "c").digest


def test_without_epochs_it_is_the_base_as_it_is_asked_for_all_labels(base: Path) -> None:
    model, progress = train_gliner(gliner_task(base, epochs=0, threshold=0.65), notes(6), notes(3, 50))
    assert (progress.steps, model.card.steps, model.card.best_epoch) == (0, 0, 0)
    assert set(model.card.dev) == set(EntityType)
    assert model.type_by_label["treatment"] is EntityType.PROCEDURE
    assert len(model.type_by_label) == 5
    weights = load_checkpoint(base, None).model.state_dict()
    assert all(v.equal(weights[k]) for k, v in model.network.model.state_dict().items())


def test_a_fine_tuned_one_is_asked_for_one_label_a_type(able: tuple[GlinerModel, Progress]) -> None:
    assert list(able[0].type_by_label.values()) == list(EntityType)


def test_a_checkpoint_without_its_encoders_config_takes_it_from_the_backbones_folder(tmp_path: Path) -> None:
    store = tmp_path / "store"
    checkpoint(store / "hub--gliner", backbone=store / "some--encoder")
    task = gliner_task("hub/gliner", model_store=str(store), max_steps=1, backbone="some/encoder")
    model, _ = train_gliner(replace(task, backbone_store=str(store)), notes(6), notes(2, 50))
    save_gliner(model, tmp_path / "out")
    shutil.rmtree(store)
    assert len(GlinerAnnotator.load(tmp_path / "out").predict(notes(1, 80))) == 1
    assert load_gliner(tmp_path / "out").card.recipe.base == "hub/gliner"


def test_a_checkpoint_without_its_encoders_config_and_no_backbone_is_refused_without_asking_a_hub(
    tmp_path: Path,
) -> None:
    checkpoint(tmp_path / "gliner", backbone=tmp_path / "encoder")
    with pytest.raises(ModelError, match="backbone"):
        train_gliner(gliner_task(tmp_path / "gliner"), notes(6), notes(2, 50))


def test_a_long_note_is_read_to_its_end(saved: Path) -> None:
    text = (
        "Se realiza analítica completa. "
        + "Sin novedades; alta. " * 300
        + "La paciente refiere fiebre alta con tos seca."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # GLiNER warns when it cuts
        (entities,) = GlinerAnnotator.load(saved).predict([Document("n1", text, language="es")])
    starts = {e.char_start for e in entities}
    assert min(starts) < 50
    assert max(starts) > len(text) - 50


def test_empty_notes_and_notes_of_no_words_have_no_entities(saved: Path) -> None:
    documents = [Document("a", ""), Document("b", " \n\t"), Document("c", "\u200b\ufeff"), Document("d", ".")]
    assert len(GlinerAnnotator.load(saved).predict(documents)) == 4


@settings(max_examples=60)
@given(st.text(alphabet="ab č.,-\n😀½\u0301", max_size=400), st.integers(16, 40))
def test_windows_hold_every_word_are_short_enough_and_share_out_every_span(text: str, size: int) -> None:
    model = WINDOWING["model"]
    recipe = gliner_recipe("x", window_tokens=size, overlap_tokens=size // 2)
    found = cut_words(model, text, recipe)
    held = {i for w in found for a, b in w.spans for i in range(a, b)}
    words = [s for _, *s in model.data_processor.words_splitter(text)]
    assert {i for a, b in words for i in range(a, b)} == held
    for window in found:
        assert window.words == tuple(text[a:b] for a, b in window.spans)
        ids = model.data_processor.transformer_tokenizer(
            [list(window.words)], is_split_into_words=True, add_special_tokens=False
        )["input_ids"]
        assert len(ids[0]) <= size
        assert len(window.words) <= size
    for start, end in {s for w in found for s in w.spans}:
        assert sum(w.owns(start, end) for w in found) == 1
        (owner,) = [w for w in found if w.owns(start, end)]
        assert (start, end) in owner.spans


WINDOWING: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def _network_for_windows(base: Path) -> None:
    WINDOWING["model"] = load_checkpoint(base, None)


def test_gold_inside_words_gets_the_whole_words_and_what_a_window_holds_in_part_is_not_its(base: Path) -> None:
    text = "fiebre alta " + "hoy " * 60 + "asma leve"
    end = len(text)
    document = Document(
        "n1",
        text,
        (entity_at("n1", text, "SYMPTOM", 2, 9), entity_at("n1", text, "DISEASE", end - 9, end)),
    )
    found = cut_words(WINDOWING["model"], text, gliner_recipe("x", window_tokens=32, overlap_tokens=8))
    gold = labelled(found, document, {"SYMPTOM": "s", "DISEASE": "d"})
    assert gold[0] == [(0, 1, "s")]
    assert [text[w.spans[a][0] : w.spans[b][1]] for w, g in zip(found, gold, strict=True) for a, b, _ in g] == [
        "fiebre alta",
        "asma leve",
    ]


def test_mentions_wider_than_the_model_can_see_are_counted(base: Path) -> None:
    text = "uno dos tres cuatro cinco seis siete ocho"
    wide = [Document("w", text, (entity_at("w", text, "DISEASE", 0, len(text)),), "es")]
    _, progress = train_gliner(gliner_task(base, max_steps=1), [*notes(6), *wide], notes(2, 50))
    assert progress.lost == 1


@pytest.mark.parametrize("name", [*artifacts.GLINER_FILES, artifacts.MODEL_CARD])
def test_a_missing_or_damaged_file_is_named(saved: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "m"))
    (folder / name).write_bytes(b"{}")
    with pytest.raises(ModelError, match=name):
        load_gliner(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        load_gliner(folder)


def test_another_model_under_an_expected_digest_is_refused(saved: Path) -> None:
    with pytest.raises(ModelError, match="expected"):
        load_gliner(saved, "0" * 64)


def test_a_gliner_folder_is_no_token_classifier_but_its_card_can_be_read(saved: Path) -> None:
    with pytest.raises(ModelError):
        load_model(saved)
    assert read_any_card(saved).entity_types == tuple(EntityType)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"window_tokens": 200}, UsageError, "more than the checkpoint's 128"),
        ({"labels": {t.value: (f"{'x ' * 400}{t.value}",) for t in EntityType}}, UsageError, "sub-words"),
    ],
)
def test_windows_that_gliner_would_cut_are_refused(
    base: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_gliner(gliner_task(base, **changes), notes(6), notes(2, 50))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("gliner_config.json", None, "gliner_config.json"),
        ("gliner_config.json", b"{", "damaged"),
        ("gliner_config.json", b'{"encoder_config": {"model_type": "bert"}, "span_mode": {}}', "no GLiNER span model"),
        ("model.safetensors", None, "safetensors is missing"),
        ("model.safetensors", b"no tensors", "does not fit"),
    ],
)
def test_a_broken_checkpoint_is_refused_by_name(
    base: Path, tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "broken"))
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        train_gliner(gliner_task(folder), notes(6), notes(2, 50))


def test_another_architecture_of_gliner_is_refused(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "token"))
    config = json.loads((folder / "gliner_config.json").read_bytes())
    (folder / "gliner_config.json").write_text(json.dumps({**config, "span_mode": "token_level"}))
    with pytest.raises(ModelError, match="span models"):
        train_gliner(gliner_task(folder), notes(6), notes(2, 50))


def test_training_without_a_mention_or_on_dev_is_refused(base: Path) -> None:
    with pytest.raises(DataError, match="no_entities"):
        train_gliner(gliner_task(base), [d for d in notes(9) if not d.entities], notes(2, 50))
    with pytest.raises(DataError, match="dev_in_train"):
        train_gliner(gliner_task(base), notes(6), notes(2))


def test_a_type_that_a_document_was_not_annotated_for_is_not_taught_as_absent(base: Path) -> None:
    one_type = notes(6, 0, [EntityType.SYMPTOM])
    task = gliner_task(base, max_steps=1)
    from enigma_tasks.members.gliner_training import _base, examples
    from enigma_tasks.ner.training.train import Progress

    made = examples(_base(task, one_type, notes(2, 50)), one_type, Progress())
    assert {tuple(e["ner_labels"]) for e in made} == {("symptom or sign",)}
