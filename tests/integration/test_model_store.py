"""`enigma models`: a folder or S3 store filled from a hub or a carried-in folder, and what a damaged one costs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub.constants
import pytest
import torch
import yaml
from safetensors.torch import load_file

from enigma_tasks.adapters.model_store import read_lock, ready
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.errors import ModelError, ServiceError, UsageError
from enigma_tasks.ner.base_models import find_base, load_base
from enigma_tasks.stages import models
from tests.integration.hub_server import COMMIT, OLDER, Hub, serving
from tests.unit.base_builders import base_folder
from tests.unit.ner_builders import recipe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TINY = "org/tiny"


class Site:
    """A place with a params file, a lock beside it and a model store."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.params = folder / "params.yaml"
        self.lock = folder / "models.lock"
        self.environment = {"ENIGMA_MODEL_STORE": store, "ENIGMA_CACHE": str(folder / "cache")}
        self.settings = load_settings(self.environment)
        shutil.copyfile(ROOT / "params.yaml", self.params)

    def models(self, *words: str) -> dict[str, Any]:
        arguments: argparse.Namespace = build_parser().parse_args(["models", *words, "--params", str(self.params)])
        return models.run(arguments, load_params(self.params), self.settings)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, str(tmp_path / "store"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        files = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        yield hub


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """As on a hub: beside what we need, what we do not."""
    folder = base_folder(tmp_path / "checkpoint", "xlm-roberta")
    for name in ("README.md", "tf_model.h5", "training_args.bin", "pytorch_model.bin"):
        (folder / name).write_bytes(b"not ours")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"not ours either")
    return folder


def pickled(folder: Path) -> Path:
    """The checkpoint as a pickle alone, its embedding tied to an output layer as in a masked language model."""
    state = load_file(folder / "model.safetensors")
    state["lm_head.decoder.weight"] = state["embeddings.word_embeddings.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_pull_from_a_local_server_that_speaks_the_hubs_protocol_takes_what_is_needed_and_locks_it(
    site: Site, hub: Hub, checkpoint: Path
) -> None:
    hub.models[TINY] = {COMMIT: checkpoint}
    assert site.models("pull", TINY)["models"] == [{"model": TINY, "outcome": "pulled", "revision": COMMIT}]
    stored = {p.name for p in (site.folder / "store" / "org--tiny").iterdir()}
    assert stored == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert not any(path.endswith(("tf_model.h5", "pytorch_model.bin")) for path in hub.asked)
    locked = read_lock(site.lock)[TINY]
    assert (locked.revision, set(locked.files)) == (COMMIT, stored)
    site.models("verify", TINY)
    before, hub.asked[:] = site.lock.read_bytes(), []
    assert site.models("pull", TINY)["models"][0]["outcome"] == "was there"
    assert (site.lock.read_bytes(), hub.asked) == (before, [])
    encoder, _ = load_base(find_base(TINY, ready(TINY, site.settings, site.lock)), recipe(base="x", scratch=None))
    assert encoder.config.model_type == "xlm-roberta"


def test_the_command_line_pulls_from_a_local_server_that_speaks_the_hubs_protocol(site: Site, checkpoint: Path) -> None:
    with serving() as hub:
        hub.models[TINY] = {COMMIT: checkpoint}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environment |= {**site.environment, "HF_ENDPOINT": hub.url, "HF_HOME": str(site.folder / "hf")}
        command = [sys.executable, "-m", "enigma_tasks", "models", "pull", TINY, "--json", "--params", str(site.params)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["revision"] == COMMIT
    assert not list((site.folder / "hf").rglob("*.safetensors"))


def test_a_locked_revision_is_pulled_again_until_an_update_is_asked_for(
    site: Site, hub: Hub, checkpoint: Path, tmp_path: Path
) -> None:
    newer = base_folder(tmp_path / "newer", "bert")
    hub.models[TINY] = {OLDER: checkpoint, COMMIT: newer}
    site.models("pull", TINY, "--revision", OLDER)
    shutil.rmtree(site.folder / "store")
    assert site.models("pull", TINY)["models"][0]["revision"] == OLDER
    assert site.models("pull", TINY, "--update")["models"][0]["revision"] == COMMIT
    hub.models[TINY][COMMIT] = checkpoint  # a hub, or something between, that gives other files for the same commit
    shutil.rmtree(site.folder / "store")
    with pytest.raises(ModelError, match=r"org/tiny: .*models\.lock"):
        site.models("pull", TINY)
    assert not list((site.folder / "store").iterdir())


def test_what_a_hub_does_not_give_is_said_by_name_and_costs_the_other_models_nothing(
    site: Site, hub: Hub, checkpoint: Path
) -> None:
    hub.models = {TINY: {COMMIT: checkpoint}, "org/closed": {COMMIT: checkpoint}}
    hub.gated = {"org/closed"}
    with pytest.raises(ModelError, match="org/closed is gated: accept its licence"):
        site.models("pull", "org/closed")
    with pytest.raises(ModelError, match="org/none is not on the hub"):
        site.models("pull", "org/none")
    with pytest.raises(ModelError, match="no revision v9"):
        site.models("pull", TINY, "--revision", "v9")
    report = site.models("pull", "org/closed", "org/none", TINY)
    assert report["exit_code"] == 1
    assert [row["outcome"].split(":")[0] for row in report["models"]] == ["failed", "failed", "pulled"]


def test_no_hub_and_a_hub_that_may_not_be_asked_are_a_service_that_fails(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ServiceError, match="cannot be reached"):
        site.models("pull", TINY)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ServiceError, match="HF_HUB_OFFLINE"):
        site.models("pull", TINY)


def test_a_carried_in_folder_fills_the_store_and_its_revision_is_what_somebody_said(
    site: Site, checkpoint: Path
) -> None:
    assert site.models("pull", TINY, "--from", str(checkpoint))["models"][0]["revision"] is None
    lock = site.lock.read_text()
    assert yaml.safe_load(lock)[TINY]["revision"] is None
    report = site.models("pull", TINY, "--from", str(checkpoint), "--revision", OLDER)
    assert report["models"][0]["revision"] == OLDER
    assert site.lock.read_text() == lock.replace("revision: null", f"revision: {OLDER}")


def test_a_whole_store_carried_in_is_one_folder_and_members_are_named(site: Site, tmp_path: Path) -> None:
    base_folder(tmp_path / "carried" / "intfloat--multilingual-e5-small", "xlm-roberta")
    report = site.models("pull", "e5-small", "--from", str(tmp_path / "carried"))
    assert report["models"][0]["model"] == "intfloat/multilingual-e5-small"
    rows = {row["model"]: row for row in site.models("list")["models"]}
    assert rows["intfloat/multilingual-e5-small"]["stored"] == "yes"
    assert "e5-small" in rows["intfloat/multilingual-e5-small"]["members"].split()
    assert {row["stored"] for base, row in rows.items() if "e5-small" not in base} == {"no"}
    with pytest.raises(UsageError, match="tiny"):  # built from the training text: it has no base model
        site.models("pull", "tiny")


def test_a_pickle_is_refused_until_a_person_allows_its_tensors_to_be_read(site: Site, checkpoint: Path) -> None:
    pickled(checkpoint)
    with pytest.raises(ModelError, match="--convert"):
        site.models("pull", TINY, "--from", str(checkpoint))
    assert not site.lock.exists()
    site.models("pull", TINY, "--from", str(checkpoint), "--convert")
    folder = site.folder / "store" / "org--tiny"
    assert not (folder / "pytorch_model.bin").exists()
    assert "lm_head.decoder.weight" not in load_file(folder / "model.safetensors")
    first = site.lock.read_bytes()
    shutil.rmtree(folder)
    site.models("pull", TINY, "--from", str(checkpoint), "--convert")  # the lock holds: the same bytes again
    assert site.lock.read_bytes() == first
    load_base(folder, recipe(base="x", scratch=None))


def test_a_pickle_on_a_hub_is_not_even_downloaded_without_leave(site: Site, hub: Hub, checkpoint: Path) -> None:
    hub.models[TINY] = {COMMIT: pickled(checkpoint)}
    with pytest.raises(ModelError, match="--convert"):
        site.models("pull", TINY)
    assert not any(path.endswith(".bin") for path in hub.asked)
    site.models("pull", TINY, "--convert")
    site.models("verify", TINY)


class _Planted:
    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.canary,))


def test_a_pickle_that_would_run_something_is_refused_and_nothing_runs(
    site: Site, checkpoint: Path, tmp_path: Path
) -> None:
    pickled(checkpoint)
    canary = tmp_path / "it-ran"
    torch.save({"weight": _Planted(canary)}, checkpoint / "pytorch_model.bin")
    for data in ((checkpoint / "pytorch_model.bin").read_bytes(), pickle.dumps(_Planted(canary))):
        (checkpoint / "pytorch_model.bin").write_bytes(data)
        with pytest.raises(ModelError, match="nothing in it was executed"):
            site.models("pull", TINY, "--from", str(checkpoint), "--convert")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("lost", "said"),
    [("config.json", "config.json"), ("tokenizer.json", "tokenizer"), ("model.safetensors", "--convert")],
)
def test_a_checkpoint_without_config_tokenizer_or_weights_is_refused(
    site: Site, checkpoint: Path, lost: str, said: str
) -> None:
    (checkpoint / lost).unlink()
    with pytest.raises(ModelError, match=f"org/tiny.*{said}"):
        site.models("pull", TINY, "--from", str(checkpoint))


def test_a_safetensors_file_cut_short_is_refused_at_the_door(site: Site, checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"model org/tiny: model\.safetensors is no complete"):
        site.models("pull", TINY, "--from", str(checkpoint))


@pytest.mark.parametrize("kind", ["folder", "s3"])
@pytest.mark.parametrize("defect", ["missing", "damaged", "extra"])
def test_verify_and_train_name_the_model_and_the_file_that_differs(
    kind: str, defect: str, tmp_path: Path, checkpoint: Path, s3_root: str
) -> None:
    site = Site(tmp_path, str(tmp_path / "store") if kind == "folder" else f"{s3_root}/models")
    site.models("pull", TINY, "--from", str(checkpoint))
    site.models("verify")
    name = {"missing": "tokenizer.json", "damaged": "config.json", "extra": "pytorch_model.bin"}[defect]
    if kind == "folder":
        path = tmp_path / "store" / "org--tiny" / name
        path.unlink() if defect == "missing" else path.write_bytes(b"{}")
    else:
        uri = f"{s3_root}/models/org--tiny/{name}"
        ObjectStore().delete_many([uri]) if defect == "missing" else ObjectStore().put(uri, b"{}")
    said = rf"org/tiny: {name} is {'not in' if defect == 'extra' else defect}"
    for names in ((), (TINY,)):
        with pytest.raises(ModelError, match=said) as refused:
            site.models("verify", *names)
        assert refused.value.exit_code == 1
    if kind == "s3" and defect == "extra":
        ready(TINY, site.settings, site.lock)  # only what the lock names is downloaded
    else:
        with pytest.raises(ModelError, match=said):
            ready(TINY, site.settings, site.lock)


def test_a_model_that_was_never_pulled_is_an_error_only_where_it_is_asked_for(site: Site, checkpoint: Path) -> None:
    site.models("pull", TINY, "--from", str(checkpoint))
    assert [row["model"] for row in site.models("verify")["models"]] == [TINY]
    with pytest.raises(ModelError, match="xlm-roberta-large is not in the model store"):
        site.models("verify", "FacebookAI/xlm-roberta-large")
    shutil.copytree(site.folder / "store" / "org--tiny", site.folder / "store" / "org--stranger")
    with pytest.raises(ModelError, match=r"org/stranger is not in models\.lock"):
        site.models("verify")


def test_a_store_in_s3_is_downloaded_once_by_digest_and_again_when_the_cache_is_damaged(
    tmp_path: Path, checkpoint: Path, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, f"{s3_root}/models")
    with pytest.raises(ModelError, match=r"not in models\.lock"):
        ready(TINY, site.settings, site.lock)
    site.models("pull", TINY, "--from", str(checkpoint))
    fetched: list[str] = []
    download = ObjectStore.download
    monkeypatch.setattr(ObjectStore, "download", lambda *a: (fetched.append(a[1]), download(*a)))
    folder = find_base(TINY, ready(TINY, site.settings, site.lock))
    assert len(fetched) == 4
    assert ready(TINY, site.settings, site.lock) == str(folder.parent)
    assert len(fetched) == 4
    (folder / "model.safetensors").write_bytes(b"rot")
    ready(TINY, site.settings, site.lock)
    assert len(fetched) == 8
    load_base(folder, recipe(base="x", scratch=None))


def test_a_damaged_lock_a_wrong_name_and_a_missing_store_are_typed_errors(site: Site, tmp_path: Path) -> None:
    for name in ("../elsewhere", "org/a--b", "nobody", "org/../x"):
        with pytest.raises(UsageError, match="neither a member"):
            site.models("pull", name)
    with pytest.raises(UsageError, match="is only for pull"):
        site.models("verify", "--update")
    with pytest.raises(UsageError, match="ENIGMA_MODEL_STORE"):
        Site(tmp_path, "").models("list")
    site.lock.write_text("org/tiny: {revision: 3}")
    with pytest.raises(ModelError, match=r"models\.lock is damaged"):
        site.models("list")


def test_training_from_a_store_opens_no_socket_and_a_missing_base_model_is_said_at_once(
    site: Site, checkpoint: Path
) -> None:
    """In a process of its own, where an audit hook turns every connection and name look-up into an error."""
    site.models("pull", TINY, "--from", str(checkpoint))
    corpus = site.folder / "corpus"
    sample = ["sample", "--notes", "4", "--language", "es", "--out", str(corpus)]
    member = "{base: org/tiny, window_tokens: 32, overlap_tokens: 8, learning_rate: 0.001, batch_size: 4, epochs: 1}"
    data = ["--train", str(corpus), "--dev", str(site.folder / "dev"), "--out", str(site.folder / "model")]
    train = ["train", "--language", "es", "--entity", "disease", "--member", "m", "--json", *data]
    program = f"""
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise RuntimeError("a socket was opened: " + event)
sys.addaudithook(refuse)
from enigma_tasks.cli import main
common = ["--quiet", "--params", {str(site.params)!r}]
assert main({sample!r} + common) == 0
assert main({sample!r}[:-1] + [{str(site.folder / "dev")!r}, "--seed", "7"] + common) == 0
assert main(["models", "verify"] + common) == 0
member = ["--set", "members.m=" + {member!r}]
assert main({train!r} + common + member) == 0
absent = ["--set", "members.m=" + {member!r}.replace("org/tiny", "org/absent"), "--train", "nowhere"]
assert main({train!r} + common + absent) == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **site.environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "base model 'org/absent' is not in the model store: `enigma models pull org/absent`" in done.stderr
    assert (site.folder / "model" / "model.safetensors").is_file()
