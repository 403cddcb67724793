"""A retraining by its commands: real git, DVC and MLflow, an S3 server; killed, doubled, with frozen test sets."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.artifacts import FOLDS
from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.formats.packed import pack
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.ner.digests import data_digest
from infra.local import training_project
from infra.local.training_project import git
from tests.integration.mlflow_server import mlflow_server, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from enigma_tasks.documents import Document

ROOT = Path(__file__).parents[2]
SMALL = {"vocabulary": 300, "hidden": 32, "layers": 1, "heads": 2}
ROOT_URI = "s3://ward/hospital"


class Hospital:
    """Its services, and what its people do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gold, self.project = folder / "gold.git", folder / "training.git"
        self.store = ObjectStore()
        self.batches = 0
        self.dropped: dict[str, list[Document]] = {}

    def enigma(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run one command as a task does, in a process of its own."""
        command = [sys.executable, "-m", "enigma_tasks", *words, "--json", "--quiet"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if code == 0 else {"error": done.stderr}

    def drop(self, name: str, documents: list[Document]) -> dict[str, Any]:
        """A gold drop, ingested; one of an earlier name replaces that."""
        self.dropped[name] = documents
        self.store.put(f"{ROOT_URI}/gold/es/all/{name}.jsonl.gz", pack(documents))
        self.batches += 1
        return self.enigma("ingest", "--batch", f"gold-{self.batches}")

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """A person changes the training project's params.yaml."""

        def edited(folder: Path) -> None:
            tree = yaml.safe_load((folder / "params.yaml").read_bytes())
            edit(tree)
            (folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))

        training_project.change(self.project, edited, "Other parameters")

    def main(self) -> str:
        """The newest commit of the training project."""
        return git(self.project, "rev-parse", "main")

    def objects(self) -> list[str]:
        """What lies under training/."""
        return [o.uri for o in self.store.list(f"{ROOT_URI}/training/")]

    def card(self, version: Any) -> dict[str, Any]:
        """The ensemble's card in a registered version."""
        source = MlflowClient().get_model_version_download_uri(version.name, version.version)
        return json.loads(self.store.get(f"{source}/artifacts/ensemble/ensemble.json"))

    def retrain(self, *words: str) -> dict[str, Any]:
        """Every task of the DAG, in turn."""
        self.batches += 1
        batch = ["--batch", f"retrain-{self.batches}"]
        changes = self.enigma("changes", *batch, *words)
        prepared = self.enigma("prepare", *batch)
        for uri in prepared["models"]:
            self.enigma("repro", "train", "--work", uri)
        registered = []
        for uri in changes["languages"]:
            for stage in ("ensemble", "evaluate"):
                self.enigma("repro", stage, "--work", uri)
            registered.append(self.enigma("register", "--retrained", uri))
        return {"changes": changes, "prepared": prepared, "registered": registered}

    def versions(self, entity: str = "disease") -> list[Any]:
        found = MlflowClient().search_model_versions(f"name = 'enigma-es-{entity}'")
        return sorted(found, key=lambda v: int(v.version))

    def clone_of_result(self, commit: str, folder: Path) -> Path:
        """The folders of a registered version, as a person would get them."""
        git(self.folder, "clone", "-q", str(self.project), str(folder))
        git(folder, "checkout", "-q", commit)
        dvc = [sys.executable, "-m", "dvc"]
        for words in (
            ["remote", "add", "--local", "--default", "storage", f"{ROOT_URI}/dvc"],
            ["pull", "data/split/es", "data/augmented/es", "models/es/ensemble", "frozen/es"],
        ):
            subprocess.run([*dvc, *words], cwd=folder, check=True, capture_output=True)
        return folder


def notes(hospital: Hospital, count: int, seed: int, name: str) -> list[Document]:
    """Synthetic Spanish notes with gold of all types."""
    out = hospital.folder / f"sample-{name}"
    hospital.enigma("sample", "--notes", str(count), "--language", "es", "--seed", str(seed), "--out", str(out))
    return [replace(d, id=f"{name}-{d.id}") for d in read_corpus(out, "es")]


def small(params: dict[str, Any]) -> None:
    params["members"]["tiny"] |= {"scratch": SMALL, "epochs": 3, "batch_size": 4}


def allow_incomplete(params: dict[str, Any]) -> None:
    params["ensemble"]["incomplete"] = True


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("servers")
    with pytest.MonkeyPatch.context() as patch, moto_server(folder / "moto.log") as s3:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "ENIGMA_S3_ROOT": ROOT_URI,
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "PYTHONPATH": str(ROOT),
        }.items():
            patch.setenv(name, value)
        forget_client()
        ObjectStore().ensure_bucket(ROOT_URI)
        with mlflow_server(folder, f"{ROOT_URI}/mlflow") as url:
            patch.setenv("MLFLOW_TRACKING_URI", url)
            yield folder
        forget_client()


@pytest.fixture(scope="module")
def hospital(servers: Path) -> Iterator[Hospital]:
    own = Hospital(servers)
    training_project.make(own.project, ["es"], small)
    git(servers, "init", "-q", "--bare", "-b", "main", str(own.gold))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENIGMA_GOLD_REPOSITORY", str(own.gold))
        patch.setenv("ENIGMA_TRAINING_REPOSITORY", str(own.project))
        yield own


def result(hospital: Hospital, version: Any, folder: Path) -> dict[str, Path]:
    """Folders of a registered version: its folds, and the frozen set."""
    clone = hospital.clone_of_result(version.tags["git_commit"], folder)
    assert hashlib.sha256((clone / "dvc.lock").read_bytes()).hexdigest() == version.tags["dvc_lock"]
    folds = {name: clone / "data/split/es" / name for name in FOLDS}
    return folds | {"frozen": clone / "frozen/es"}


def test_gold_becomes_challengers_once_and_what_is_frozen_is_never_trained_on(
    hospital: Hospital, tmp_path: Path
) -> None:
    assert hospital.enigma("changes", "--batch", "early")["languages"] == []
    ingested = hospital.drop("june", notes(hospital, 40, 1, "june"))
    assert ingested["announce"]
    first = hospital.retrain()
    assert first["changes"]["outdated"] == {"es": ["disease", "procedure", "symptom"]}
    assert first["prepared"]["refused"] == {}
    (registered,) = first["registered"]
    assert registered["announce"]["versions"] == {f"enigma-es-{t}": 1 for t in ("disease", "procedure", "symptom")}
    (version,) = hospital.versions()
    assert version.tags["gold_revision"] == ingested["revision"] == first["changes"]["revision"]
    assert version.tags["training_commit"] == first["changes"]["commit"]
    model = MlflowClient().get_registered_model(version.name)
    assert dict(model.aliases) == {"challenger": "1"}

    # the event is lost, doubled, late: the work list knows better
    assert hospital.enigma("changes", "--batch", "doubled")["languages"] == []
    uri = first["changes"]["languages"][0]
    before = hospital.main(), hospital.objects()
    assert hospital.enigma("changes", "--batch", f"retrain-{hospital.batches}") == first["changes"]
    assert hospital.enigma("prepare", "--batch", f"retrain-{hospital.batches}") == first["prepared"]
    hospital.enigma("repro", "train", "--work", first["prepared"]["models"][0])
    hospital.enigma("repro", "ensemble", "--work", uri)
    assert hospital.enigma("register", "--retrained", uri) == registered
    assert (hospital.main(), hospital.objects()) == before

    folders = result(hospital, version, tmp_path / "first")
    test = read_corpus(folders["test"], "es")
    assert data_digest([d for d in test if EntityType.DISEASE in d.annotated]) == version.tags["test_set"]
    assert data_digest(read_corpus(folders["frozen"] / "test", "es")) == data_digest(test)

    # new notes, a copy of a frozen one with a sentence more, and a frozen one that was annotated again
    copied = [replace(d, id="copy", text=f"{d.text} Se da de alta.") for d in test[:1]]
    hospital.drop("july", notes(hospital, 12, 2, "july") + copied)
    corrected = [replace(d, entities=d.entities[1:]) if d.id == test[1].id else d for d in hospital.dropped["june"]]
    hospital.drop("june", corrected)
    second = hospital.retrain()
    counts = second["prepared"]["prepared"]["es"]
    assert (counts["train"], counts["test"], counts["left_out"]) == (24 + 12, 8, 1)
    assert (counts["frozen_changed"], counts["frozen_gone"]) == (1, 0)
    newest = hospital.versions()[-1]
    assert newest.version == "2"
    assert newest.tags["test_set"] == version.tags["test_set"]
    later = result(hospital, newest, tmp_path / "second")
    assert data_digest(read_corpus(later["test"], "es")) == data_digest(test)
    training = read_corpus(later["train"], "es")
    params = load_params(ROOT / "params.yaml")
    for case in cases_under([*test, *training], params):
        assert max(case) < len(test) or min(case) >= len(test)

    # on demand, although nothing is new: nothing is made again
    third = hospital.retrain("--language", "es", "--member", "tiny")
    assert third["registered"][0]["registered"][0]["version"] == "2"
    assert len(hospital.versions()) == 2


@pytest.mark.slow
def test_a_killed_training_is_resumed_by_another_container_with_the_same_result(hospital: Hospital) -> None:
    hospital.change(lambda tree: tree["members"]["tiny"].update(epochs=12))
    hospital.drop("killed", notes(hospital, 30, 3, "killed"))
    changes = hospital.enigma("changes", "--batch", "killed")
    (uri,) = hospital.enigma("prepare", "--batch", "killed")["models"]
    (language,) = changes["languages"]
    words = [sys.executable, "-m", "enigma_tasks", "repro", "train", "--work", uri, "--json", "--quiet"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        checkpoint = f"{language}/checkpoints/tiny/checkpoint.safetensors"
        while not hospital.store.exists(checkpoint):
            assert process.poll() is None
            time.sleep(0.2)
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert not hospital.store.exists(f"{language}/steps/train-tiny.json")
    resumed = hospital.enigma("repro", "train", "--work", uri)
    metrics = json.loads(hospital.store.get(f"{language}/steps/train-tiny.json"))["files"]
    assert json.loads(metrics["metrics/es/es-tiny.json"])["resumed_at"] > 0
    assert not [o for o in hospital.objects() if "/checkpoints/" in o]
    hospital.store.delete_many([f"{language}/steps/train-tiny.json"])
    whole = hospital.enigma("repro", "train", "--work", uri)
    assert (
        json.loads(
            json.loads(hospital.store.get(f"{language}/steps/train-tiny.json"))["files"]["metrics/es/es-tiny.json"]
        )["resumed_at"]
        == 0
    )
    assert whole["outputs"]["models/es/members/tiny"] == resumed["outputs"]["models/es/members/tiny"]


@pytest.mark.slow
def test_a_member_that_fails_costs_the_ensemble_only_itself_where_that_is_allowed(hospital: Hospital) -> None:
    def two_members(tree: dict[str, Any]) -> None:
        tree["members"]["broken"] = {"base": "nowhere/at-all", "learning_rate": 1e-4, "batch_size": 4, "epochs": 1}
        tree["training"]["es-broken"] = {"language": "es", "member": "broken"}
        tree["ensembles"]["es"]["members"] = ["tiny", "broken"]

    hospital.change(two_members)
    changes = hospital.enigma("changes", "--batch", "strict", "--member", "broken")
    (uri,) = changes["languages"]
    for model in hospital.enigma("prepare", "--batch", "strict")["models"]:
        failed = hospital.enigma("repro", "train", "--work", model, code=1 if model.endswith("broken") else 0)
    assert "nowhere/at-all" in failed["error"]
    refused = hospital.enigma("repro", "ensemble", "--work", uri, code=1)
    assert "the training of broken has failed" in refused["error"]
    assert "ensemble is not done" in hospital.enigma("repro", "evaluate", "--work", uri, code=1)["error"]
    assert "ensemble-without-broken is not done" in hospital.enigma("register", "--retrained", uri, code=1)["error"]

    hospital.change(allow_incomplete)
    changes = hospital.enigma("changes", "--batch", "lenient", "--language", "es")
    (uri,) = changes["languages"]
    for model in hospital.enigma("prepare", "--batch", "lenient")["models"]:
        hospital.enigma("repro", "train", "--work", model, code=1 if model.endswith("broken") else 0)
    assert hospital.enigma("repro", "ensemble", "--work", uri)["missing_members"] == ["broken"]
    hospital.enigma("repro", "evaluate", "--work", uri)
    hospital.enigma("register", "--retrained", uri)
    version = hospital.versions()[-1]
    assert version.tags["missing_members"] == "broken"
    card = hospital.card(version)
    assert (card["fitted"]["names"], card["fitted"]["missing"]) == (["tiny"], ["broken"])
