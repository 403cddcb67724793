"""A retraining by its commands: real git, DVC and MLflow, an S3 server; killed, doubled, with frozen test sets."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.artifacts import FOLDS
from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.formats.packed import pack
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.folds import write_fold
from enigma_tasks.gold.frozen_sets import digests_of
from enigma_tasks.ner.digests import data_digest
from infra.local import training_project
from infra.local.training_project import git
from tests.integration.mlflow_server import mlflow_server, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from enigma_tasks.documents import Document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
SMALL = {"vocabulary": 300, "hidden": 32, "layers": 1, "heads": 2}
ROOT_URI = "s3://ward/hospital"


class Hospital:
    """Its services, and what its people do."""

    def __init__(self, folder: Path, root: str) -> None:
        self.folder, self.root = folder, root
        self.gold, self.project = folder / "gold.git", folder / "training.git"
        self.store = ObjectStore()
        self.batches = 0
        self.dropped: dict[str, list[Document]] = {}

    def enigma(self, *words: str, code: int = 0, **places: str) -> dict[str, Any]:
        """Run one command as a task does, in a process of its own; `places`: other settings for this one."""
        command = [sys.executable, "-m", "enigma_tasks", *words, "--json", "--quiet"]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | places, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if code == 0 else {"error": done.stderr}

    def drop(self, name: str, documents: list[Document]) -> dict[str, Any]:
        """A gold drop, ingested; one of an earlier name replaces that."""
        self.dropped[name] = documents
        self.store.put(f"{self.root}/gold/es/all/{name}.jsonl.gz", pack(documents))
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
        return [o.uri for o in self.store.list(f"{self.root}/training/")]

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
            ["remote", "add", "--local", "--default", "storage", f"{self.root}/dvc"],
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
    params["promotion"]["incomplete"] = True


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


@contextmanager
def hospital_in(folder: Path, root: str = ROOT_URI) -> Iterator[Hospital]:
    """A hospital with repositories and a prefix of its own."""
    folder.mkdir(exist_ok=True)
    own = Hospital(folder, root)
    training_project.make(own.project, ["es"], small)
    git(folder, "init", "-q", "--bare", "-b", "main", str(own.gold))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENIGMA_S3_ROOT", root)
        patch.setenv("ENIGMA_GOLD_REPOSITORY", str(own.gold))
        patch.setenv("ENIGMA_TRAINING_REPOSITORY", str(own.project))
        yield own


@pytest.fixture(scope="module")
def hospital(servers: Path) -> Iterator[Hospital]:
    with hospital_in(servers) as own:
        yield own


def result(hospital: Hospital, version: Any, folder: Path) -> dict[str, Path]:
    """Folders of a registered version: its folds, and the frozen set."""
    clone = hospital.clone_of_result(version.tags["git_commit"], folder)
    assert hashlib.sha256((clone / "dvc.lock").read_bytes()).hexdigest() == version.tags["dvc_lock"]
    folds = {name: clone / "data/split/es" / name for name in FOLDS}
    return folds | {"frozen": clone / "frozen/es"}


def test_gold_becomes_challengers_once_and_what_is_frozen_is_never_trained_on(  # noqa: PLR0915 - one story
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

    # the gate measures the challengers on the test set that they were evaluated on, from the training project
    waiting = hospital.enigma("challengers")["challengers"]
    assert [uri.split("/")[-3] for uri in waiting] == [f"enigma-es-{t.value}" for t in EntityType]
    report = hospital.enigma("compare", "--challenger", waiting[0], "--set", "promotion.documents=2")
    (row,) = report["decisions"]
    (look,) = JournalStore(hospital.store, f"{hospital.root}/journal").lines(version.name)
    assert look.test_set == version.tags["test_set"]
    assert (row["challenger"], row["documents"], row["look"]) == (1, 8, 1)

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


def test_a_member_that_fails_costs_the_ensemble_only_itself_where_that_is_allowed(hospital: Hospital) -> None:
    def two_members(tree: dict[str, Any]) -> None:
        tree["members"]["broken"] = {"base": "nowhere/at-all", "learning_rate": 1e-4, "batch_size": 4, "epochs": 1}
        tree["training"]["es-broken"] = {"language": "es", "member": "broken"}
        tree["ensembles"]["es"]["members"] = ["tiny", "broken"]

    hospital.change(two_members)
    hospital.drop("members", notes(hospital, 30, 4, "members"))
    changes = hospital.enigma("changes", "--batch", "strict", "--member", "broken")
    (uri,) = changes["languages"]
    for model in hospital.enigma("prepare", "--batch", "strict")["models"]:
        failed = hospital.enigma("repro", "train", "--work", model, code=1 if model.endswith("broken") else 0)
    assert "nowhere/at-all" in failed["error"]
    refused = hospital.enigma("repro", "ensemble", "--work", uri, code=1)
    assert "the training of broken has failed" in refused["error"]
    assert "ensemble-without-broken is not done" in hospital.enigma("repro", "evaluate", "--work", uri, code=1)["error"]
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


def test_what_is_not_set_up_or_not_reachable_is_named(servers: Path, tmp_path: Path) -> None:
    with hospital_in(tmp_path / "own", "s3://ward/faults") as own:
        words = ["changes", "--batch", "b"]
        closed = "http://someone:planted@127.0.0.1:9"
        own.drop("few", notes(own, 3, 7, "few"))
        assert "set ENIGMA_TRAINING_REPOSITORY" in own.enigma(*words, code=2, ENIGMA_TRAINING_REPOSITORY="")["error"]
        for places in (
            {"ENIGMA_TRAINING_REPOSITORY": f"file://someone:planted@{tmp_path}/nowhere"},
            {"ENIGMA_GOLD_REPOSITORY": f"file://someone:planted@{tmp_path}/nowhere"},
            {"MLFLOW_TRACKING_URI": closed},
            {"AWS_ENDPOINT_URL": closed},
        ):
            error = own.enigma(*words, code=3, **places)["error"]
            assert "planted" not in error
        training_project.change(own.project, lambda f: _gold(f, "data/sample"), "Back to the sample")
        assert "it trains on a sample" in own.enigma(*words, code=2)["error"]
        training_project.change(own.project, lambda f: _gold(f, "gold"), "On gold")
        assert "no language 'xx'" in own.enigma(*words, "--language", "xx", code=2)["error"]
        assert "no member 'nobody'" in own.enigma(*words, "--member", "nobody", code=2)["error"]

        (uri,) = own.enigma(*words)["languages"]
        refused = own.enigma("prepare", "--batch", "b", code=1)["error"]
        assert "too few to be split" in refused
        assert "prepare is not done" in own.enigma("repro", "ensemble", "--work", uri, code=1)["error"]
        own.drop("more", notes(own, 20, 8, "more"))
        own.enigma("changes", "--batch", "more")
        elsewhere = own.enigma("prepare", "--batch", "more", code=1, ENIGMA_S3_DVC="s3://nowhere/dvc")["error"]
        assert "settings_unexpected" in elsewhere  # the gold repository names the remote that it was made with
        own.enigma("prepare", "--batch", "more", code=3, AWS_ENDPOINT_URL=closed)
        assert not git(own.project, "ls-tree", "main", "--", "frozen/es.dvc")


def _gold(folder: Path, place: str) -> None:
    tree = yaml.safe_load((folder / "dvc.yaml").read_bytes())
    tree["vars"][0]["gold"] = place
    (folder / "dvc.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


def test_a_frozen_set_is_made_once_and_guarded(servers: Path, tmp_path: Path) -> None:
    with hospital_in(tmp_path / "own", "s3://ward/frozen") as own:
        own.drop("june", notes(own, 30, 5, "june"))
        own.enigma("changes", "--batch", "first")
        own.change(lambda tree: tree["members"]["tiny"].update(epochs=4))
        own.enigma("changes", "--batch", "second")
        with ThreadPoolExecutor(2) as pool:  # two runs of two commits freeze at once
            both = list(pool.map(lambda batch: own.enigma("prepare", "--batch", batch), ["first", "second"]))
        assert both[0]["prepared"] == both[1]["prepared"]
        log = git(own.project, "log", "--format=%s", "main", "--", "frozen/es.dvc").splitlines()
        assert log == ["Freeze the test set of es"]
        frozen = git(own.project, "show", "main:frozen/es.json")
        assert not any(d.id in frozen or d.text in frozen for d in own.dropped["june"])

        def refused(batch: str) -> str:
            own.enigma("changes", "--batch", batch)
            return str(own.enigma("prepare", "--batch", batch, code=1)["error"])

        training_project.change(own.project, _removed, "Away with it")
        assert "frozen/es: frozen_set_removed" in refused("removed")
        git_revert(own.project)
        training_project.change(own.project, _without_a_digest, "One less")
        assert "frozen/es: frozen_set_differs" in refused("differs")
        git_revert(own.project)
        training_project.change(own.project, lambda folder: _renewed(folder, own.root), "Another test set")
        assert "frozen/es: test_document_released" in refused("released")
        git_revert(own.project)

        own.enigma("changes", "--batch", "rewritten")
        own.store.delete_many([o for o in own.objects() if "/steps/" in o])
        orphan = git(own.gold, "commit-tree", "-m", "Rewritten", "main^{tree}").strip()
        git(own.gold, "update-ref", "refs/heads/main", orphan)
        error = own.enigma("prepare", "--batch", "rewritten", code=1)["error"]
        assert "revision_gone" in error
        own.enigma("changes", "--batch", "after")
        assert own.enigma("prepare", "--batch", "after")["prepared"] == both[0]["prepared"]


def git_revert(repository: Path) -> None:
    """A person takes the newest commit back."""
    training_project.change(repository, lambda folder: git(folder, "revert", "--no-commit", "HEAD"), "Back")


def _removed(folder: Path) -> None:
    for name in ("es.dvc", "es.json"):
        (folder / "frozen" / name).unlink()


def _without_a_digest(folder: Path) -> None:
    tree = json.loads((folder / "frozen/es.json").read_bytes())
    tree["test"].pop()
    (folder / "frozen/es.json").write_text(json.dumps(tree))


def _renewed(folder: Path, root: str) -> None:
    """Freezes other documents with right digests, which leaves those of the old test set to training."""
    dvc = [sys.executable, "-m", "dvc"]
    run = {"cwd": folder, "check": True, "capture_output": True}
    subprocess.run([*dvc, "remote", "add", "--local", "--default", "storage", f"{root}/dvc"], **run)
    subprocess.run([*dvc, "pull", "frozen/es.dvc"], **run)
    folds = {name: read_corpus(folder / "frozen/es" / name, "es") for name in FOLDS[1:]}
    folds["test"] = folds["test"][1:]
    shutil.rmtree(folder / "frozen/es/test")
    write_fold(folds["test"], folder / "frozen/es/test", "packed")
    (folder / "frozen/es.json").write_text(json.dumps(digests_of(folds)))
    subprocess.run([*dvc, "add", "frozen/es"], **run)
    subprocess.run([*dvc, "push", "frozen/es.dvc"], **run)
