"""Names in cards, plans, stored objects and steps: no folder is left, whatever they say."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks import artifacts
from enigma_tasks.adapters.checkpoint_mirror import CheckpointMirror
from enigma_tasks.adapters.ensemble_cache import cached
from enigma_tasks.adapters.mlflow_registry import download
from enigma_tasks.adapters.night_results import NightResults
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import DataError, ModelError
from enigma_tasks.ner.digests import file_digest
from enigma_tasks.ner.model_folder import load_model, model_digest
from enigma_tasks.notes.plans import Pin, Shard
from tests.unit.ner_builders import model_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.training

OUTSIDE = ["../x", "a/../../x", "/x"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "x").write_text("outside")
    return model_folder(tmp_path / "model")


def name_in_card(model: Path, name: str) -> None:
    """A card that is right but for one more file, outside the folder."""
    card = model / artifacts.MODEL_CARD
    tree = json.loads(card.read_bytes())
    tree["files"][name] = file_digest(model.parent / "x")
    card.write_text(json.dumps(tree))


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_card_that_names_a_file_outside_its_folder_is_refused_and_copied_nowhere(
    model: Path, tmp_path: Path, name: str
) -> None:
    name_in_card(model, name)
    with pytest.raises(ModelError, match="model model: path_outside"):
        load_model(model)
    with pytest.raises(ModelError, match="model model: path_outside"):
        model_digest(model)
    with pytest.raises(ModelError, match="model model: path_outside"):
        write_ensemble(tmp_path / "e/members/deep", "es", EntityType.DISEASE, [model], VotingRule("majority"))
    assert not list(tmp_path.glob("e/**/x"))


@pytest.mark.parametrize("name", [*OUTSIDE, "../../model"])
def test_an_ensemble_whose_card_names_a_member_elsewhere_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    write_ensemble(tmp_path / "e", "es", EntityType.DISEASE, [model], VotingRule("majority"))
    card = tmp_path / "e" / artifacts.ENSEMBLE_CARD
    card.write_text(json.dumps({**json.loads(card.read_bytes()), "members": [name]}))
    with pytest.raises(ModelError, match="path_outside"):
        read_ensemble(tmp_path / "e")


@pytest.mark.parametrize("name", [artifacts.MODEL_WEIGHTS, artifacts.MODEL_CARD, "more"])
def test_a_link_in_a_model_or_in_an_ensembles_member_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    digest = write_ensemble(tmp_path / "e", "es", EntityType.DISEASE, [model], VotingRule("majority"))
    (member,) = (tmp_path / "e" / artifacts.ENSEMBLE_MEMBERS).iterdir()
    for place in (model, member):
        target = tmp_path / f"{place.name}-{name}"
        if (place / name).exists():
            (place / name).rename(target)
        (place / name).symlink_to(target)
    for read in (load_model, model_digest):
        with pytest.raises(ModelError, match="model model: symbolic_link"):
            read(model)
    with pytest.raises(ModelError, match="symbolic_link"):
        read_ensemble(tmp_path / "e")

    def fetch(folder: Path, _: object) -> None:
        (tmp_path / "e").rename(folder) if (tmp_path / "e").exists() else None

    with pytest.raises(ModelError, match="does not have the digest"):
        cached(digest, tmp_path / "cache", fetch)


class Objects:
    """A store with objects of some names in one folder."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = names

    def list(self, prefix: str) -> Iterable[Any]:
        return [SimpleNamespace(uri=f"{prefix}{name}") for name in self.names]

    def download(self, uri: str, path: Path) -> None:
        path.write_text("stored")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_stored_ensemble_and_a_checkpoint_are_written_into_their_folders_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store = Objects(["config.json", name])
    monkeypatch.setattr("enigma_tasks.adapters.object_store.ObjectStore", lambda: store)
    with pytest.raises(ModelError, match="version 1: the stored ensemble: path_outside"):
        download(Pin(name="m", version="1", digest="d", source_uri="s3://b/e"), tmp_path / "cache")
    with pytest.raises(DataError, match="checkpoint: path_outside"):
        CheckpointMirror(store, "s3://b/c", tmp_path / "deep/checkpoint").fetch()  # type: ignore[arg-type]
    assert not [p for p in tmp_path.rglob("x") if p.is_file()]


@pytest.mark.parametrize("shard", [*OUTSIDE, "..", "\0"])
def test_a_shard_whose_id_leaves_the_folder_has_no_result_file(tmp_path: Path, shard: str) -> None:
    results = NightResults(None, tmp_path, "drops/", [])  # type: ignore[arg-type]
    hostile = Shard.model_construct(id=f"{shard}/../y")  # a plan with such an id is refused before
    with pytest.raises(DataError, match="plan: path_outside"):
        results.file(hostile, "notes")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_training_step_writes_into_the_project_only(tmp_path: Path, name: str) -> None:
    project = TrainingRepository("", tmp_path / "project", {}, command_seconds=1, debug=False)
    project.write({"metrics/es/metrics.json": "{}"})
    with pytest.raises(DataError, match="training step: path_outside"):
        project.write({name: "hostile"})
    with pytest.raises(DataError, match="training step: path_outside"):
        project.texts([name])
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["metrics.json"]
