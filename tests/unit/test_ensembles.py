"""Ensemble folders, and the annotator that runs several of them."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks import artifacts
from enigma_tasks.adapters.ensemble_cache import cached
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ensembles import loaded_members as module
from enigma_tasks.ensembles.calibration import Calibration, Curve
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.mean_voting import mean_entities
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.estimates import DevError
from enigma_tasks.members.gliner import GlinerCard
from enigma_tasks.members.llm import LlmCard
from enigma_tasks.ner.engine import Engine, cleaned
from enigma_tasks.ner.model_folder import Model, load_model, model_digest, write_card
from enigma_tasks.ner.network.encoder import TokenClassifier
from enigma_tasks.params.annotators import GlinerMemberParams, LlmMemberParams
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.training

DISEASE, PROCEDURE, SYMPTOM = EntityType


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models with three heads and one with the head for symptoms only."""
    root = tmp_path_factory.mktemp("models")
    return [
        model_folder(root / "a", able=True),
        model_folder(root / "b", seed=3, able=True),
        model_folder(root / "c", (SYMPTOM,), seed=2, able=True),
    ]


def test_an_ensemble_reads_back_as_it_was_written(folders: list[Path], tmp_path: Path) -> None:
    rule = VotingRule("weighted", weights=(0.5, 0.7), threshold=0.6)
    digest = write_ensemble(tmp_path / "e", "es", SYMPTOM, folders[1:], rule)
    ensemble = read_ensemble(tmp_path / "e")
    assert (ensemble.language, ensemble.entity_type, ensemble.rule, ensemble.digest) == ("es", SYMPTOM, rule, digest)
    assert [m.digest for m in ensemble.members] == [model_digest(f) for f in folders[1:]]
    assert all(load_model(m.folder, m.digest) for m in ensemble.members)


def test_the_digest_depends_on_members_and_rule_only(folders: list[Path], tmp_path: Path) -> None:
    made = [
        write_ensemble(tmp_path / str(i), "es", SYMPTOM, members, rule)
        for i, (members, rule) in enumerate(
            [
                (folders, VotingRule("majority")),
                (folders, VotingRule("majority")),
                (folders, VotingRule("union")),
                (folders[:2], VotingRule("majority")),
            ]
        )
    ]
    assert made[0] == made[1]
    assert len(set(made)) == 3


def test_each_type_is_voted_by_its_own_members_and_a_shared_one_is_loaded_once(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(folder: Path, digest: str = "") -> Model:
        loaded.append(digest)
        return load_model(folder, digest or None)

    monkeypatch.setattr(module, "load_model", load)
    chosen = {DISEASE: folders[:2], PROCEDURE: folders[:1], SYMPTOM: folders}
    made = []
    for entity_type, members in chosen.items():
        write_ensemble(tmp_path / entity_type.value, "es", entity_type, members, VotingRule("majority"))
        made.append(read_ensemble(tmp_path / entity_type.value))
    loaded.clear()
    annotator = EnsembleAnnotator(made, 500, "fp32")
    assert len(loaded) == len(set(loaded)) == 3
    documents = notes(10, 60)
    by_folder = dict(
        zip(folders, Engine([load_model(f) for f in folders], 500, "fp32").predict(documents), strict=True)
    )
    for i, annotated in enumerate(annotator.annotate(documents)):
        expected = []
        for entity_type, members in chosen.items():
            votes = [[e for e in by_folder[f][i] if e.label == entity_type.label] for f in members]
            expected += vote(votes, VotingRule("majority"))
        assert list(annotated.entities) == sorted(expected, key=lambda e: (e.char_start, e.char_end, e.label))
        assert annotated.characters_read == len(documents[i].text)
    assert any(a.entities for a in annotator.annotate(documents))


def test_members_whose_probabilities_are_averaged_run_once_for_the_average_and_the_votes(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {DISEASE: VotingRule("union"), SYMPTOM: VotingRule("mean")}
    for entity_type, rule in rules.items():
        write_ensemble(tmp_path / entity_type.value, "es", entity_type, folders[:2], rule)
    annotator = EnsembleAnnotator([read_ensemble(tmp_path / t.value) for t in rules], 500, "fp32")
    engine = Engine([load_model(f) for f in folders[:2]], 500, "fp32")
    documents = notes(10, 60)
    passes: list[int] = []
    forward = TokenClassifier.forward

    def counted(self: TokenClassifier, *tensors: Any) -> Any:
        passes.append(1)
        return forward(self, *tensors)

    monkeypatch.setattr(TokenClassifier, "forward", counted)
    engine.read(documents)
    needed = len(passes)
    annotated = annotator.annotate(documents)
    assert 0 < needed == len(passes) - needed
    mean = mean_entities(documents, list(engine.probabilities(documents)), SYMPTOM)
    for i, (document, answer) in enumerate(zip(documents, annotated, strict=True)):
        symptoms = [e for e in answer.entities if e.label == "SYMPTOM"]
        assert symptoms == list(cleaned(engine.models[0], document, mean[i]))
    assert {e.label for a in annotated for e in a.entities} == {"DISEASE", "SYMPTOM"}


def test_members_that_do_not_fit_are_refused(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no head for disease"):
        write_ensemble(tmp_path / "e", "es", DISEASE, folders, VotingRule("majority"))
    with pytest.raises(ModelError, match="not trained for sv"):
        write_ensemble(tmp_path / "e", "sv", SYMPTOM, folders, VotingRule("majority"))
    with pytest.raises(UsageError, match="twice"):
        write_ensemble(tmp_path / "e", "es", SYMPTOM, [folders[0], folders[0]], VotingRule("majority"))
    with pytest.raises(UsageError, match="4"):
        write_ensemble(tmp_path / "e", "es", SYMPTOM, folders, VotingRule("majority", k=4))
    assert not (tmp_path / "e").exists()


def test_a_damaged_ensemble_is_refused(folders: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "e"
    with pytest.raises(ModelError, match=r"ensemble.json is missing"):
        read_ensemble(folder)
    write_ensemble(folder, "es", SYMPTOM, folders, VotingRule("majority"))
    card = json.loads((folder / artifacts.ENSEMBLE_CARD).read_bytes())
    changes: dict[str, dict[str, object]] = {
        "at least one member": {"members": []},
        "unknown voting strategy": {"rule": {"strategy": "chance"}},
        "entity_type": {"entity_type": "drug"},
        "schema_version": {"schema_version": 2},
        "quota": {"quota": 1},
    }
    for said, change in changes.items():
        (folder / artifacts.ENSEMBLE_CARD).write_text(json.dumps({**card, **change}))
        with pytest.raises(ModelError, match=f"ensemble.json is damaged.*{said}"):
            read_ensemble(folder)
    (folder / artifacts.ENSEMBLE_CARD).write_bytes(b"\xff{")
    with pytest.raises(ModelError, match=r"ensemble\.json is damaged.*json_invalid"):
        read_ensemble(folder)


def test_a_member_that_is_gone_or_was_exchanged_is_refused(folders: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "e"
    write_ensemble(folder, "es", SYMPTOM, folders[:2], VotingRule("union"))
    ensemble = read_ensemble(folder)
    first, second = (m.folder for m in ensemble.members)
    for name in (*artifacts.MODEL_FILES, artifacts.MODEL_CARD):
        (first / name).write_bytes((second / name).read_bytes())
    with pytest.raises(ModelError, match="expected"):
        EnsembleAnnotator([ensemble], 500)
    first.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"member .* is missing"):
        read_ensemble(folder)


def test_an_ensemble_of_members_of_all_kinds_is_fetched_whole_into_the_cache(
    folders: list[Path], tmp_path: Path
) -> None:
    of_all = {"languages": ("es",), "entity_types": (SYMPTOM,), "seed": 1, "steps": 0, "best_epoch": 0, "dev": {}}
    gliner = GlinerCard(member="g", recipe=GlinerMemberParams(kind="gliner", base="some/gliner"), digests={}, **of_all)
    asked = LlmMemberParams(kind="llm", model="m", language="es", language_name="Spanish")
    kinds = [tmp_path / "gliner", tmp_path / "llm"]
    for folder, card in zip(kinds, [gliner, LlmCard(member="l", recipe=asked, digests={}, **of_all)], strict=True):
        folder.mkdir()
        (folder / artifacts.MODEL_WEIGHTS).write_bytes(folder.name.encode())
        write_card(card, folder, [artifacts.MODEL_WEIGHTS])
    digest = write_ensemble(tmp_path / "e", "es", SYMPTOM, [folders[2], *kinds], VotingRule("majority"))

    def fetch(folder: Path, _: object) -> None:
        shutil.copytree(tmp_path / "e", folder, dirs_exist_ok=True)

    assert read_ensemble(cached(digest, tmp_path / "cache", fetch)).digest == digest
    (tmp_path / "e" / "members" / "extra").write_text("")
    with pytest.raises(ModelError, match="digest"):
        cached(digest, tmp_path / "another", fetch)


def test_a_registered_ensemble_reads_texts_in_its_own_language(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from enigma_tasks.adapters.mlflow_pyfunc import EnsemblePyfunc

    write_ensemble(tmp_path / "e", "es", SYMPTOM, folders[2:], VotingRule("majority"))
    read: list[str | None] = []

    def annotate(_: EnsembleAnnotator, documents: Sequence[Document]) -> list[Any]:
        read.extend(d.language for d in documents)
        return []

    monkeypatch.setattr(EnsembleAnnotator, "annotate", annotate)
    served = EnsemblePyfunc()
    served.load_context(SimpleNamespace(artifacts={"ensemble": str(tmp_path / "e")}))
    served.predict(None, ["Fiebre alta.", ""])
    assert read == ["es", "es"]


def test_nothing_to_annotate_gives_nothing(folders: list[Path], tmp_path: Path) -> None:
    write_ensemble(tmp_path / "e", "es", SYMPTOM, folders[2:], VotingRule("majority"))
    annotator = EnsembleAnnotator([read_ensemble(tmp_path / "e")], 500)
    assert annotator.annotate([]) == []
    assert annotator.annotate([Document("d", "", (), "es")])[0].entities == ()


CURVE = Curve(intercept=0.5, slope=0.8)
DEV = DevError(documents=10, mentions=50, estimated=0.7, measured=0.71, rms=0.02)
CALIBRATION = Calibration(found=CURVE, missed=Curve(intercept=-1, slope=0.5), unseen=0.25, dev=DEV)


def test_a_calibration_is_in_the_card_and_in_the_digest(folders: list[Path], tmp_path: Path) -> None:
    rule = VotingRule("majority")
    digest = write_ensemble(tmp_path / "e", "es", DISEASE, folders[:2], rule, calibration=CALIBRATION)
    assert read_ensemble(tmp_path / "e").calibration == CALIBRATION
    assert digest != write_ensemble(tmp_path / "other", "es", DISEASE, folders[:2], rule)
    assert read_ensemble(tmp_path / "other").calibration is None


def test_calibrated_ensembles_say_how_probable_their_entities_are_and_how_many_are_missed(
    folders: list[Path], tmp_path: Path
) -> None:
    write_ensemble(tmp_path / "d", "es", DISEASE, folders[:2], VotingRule("union"), calibration=CALIBRATION)
    write_ensemble(tmp_path / "s", "es", SYMPTOM, folders, VotingRule("union"))
    annotator = EnsembleAnnotator([read_ensemble(tmp_path / name) for name in "ds"], 500, "fp32")
    documents = notes(10, 60)
    plain = EnsembleAnnotator([read_ensemble(tmp_path / "s")], 500, "fp32").annotate(documents)
    labels: set[str] = set()
    for document, annotated, alone in zip(documents, annotator.annotate(documents), plain, strict=True):
        assert len(annotated.probabilities) == len(annotated.entities)
        for entity, probability in zip(annotated.entities, annotated.probabilities, strict=True):
            assert (probability is None) == (entity.label == "SYMPTOM")
            assert probability is None or 0 < probability < 1
            labels.add(entity.label)
        assert set(annotated.missed) == {"DISEASE"}
        assert annotated.missed["DISEASE"] >= 0.25 * len(document.text) / 1000
        assert alone.missed == {}
        assert set(alone.probabilities) <= {None}
    assert labels == {"DISEASE", "SYMPTOM"}
