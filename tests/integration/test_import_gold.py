"""Gold on its way into the training project: real git and DVC, an S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.config import load_settings
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.formats.packed import pack
from enigma_tasks.training_places import TrainingFolders
from infra.local import training_project
from tests.integration.mlflow_server import moto_server
from tests.unit.ner_builders import notes

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
ROOT_URI = "s3://ward/hospital"


def test_gold_is_imported_from_a_repository_below_another_dvc_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as `.enigma/gold.git` of a checkout: DVC takes a path below a project for that project
    (tmp_path / ".dvc").mkdir()
    gold, project = tmp_path / "state/gold.git", tmp_path / "state/training.git"
    training_project.make(project, ["es"])
    training_project.git(tmp_path, "init", "-q", "--bare", "-b", "main", str(gold))
    with moto_server(tmp_path / "moto.log") as s3:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true", "ENIGMA_S3_ROOT": ROOT_URI,
            "DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "PYTHONPATH": str(ROOT),
            "ENIGMA_TRAINING_REPOSITORY": str(project), "ENIGMA_GOLD_REPOSITORY": str(gold),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        forget_client()
        ObjectStore().ensure_bucket(ROOT_URI)
        documents = notes(4)
        ObjectStore().put(f"{ROOT_URI}/gold/es/all/june.jsonl.gz", pack(documents))
        command = [sys.executable, "-m", "enigma_tasks", "ingest", "--batch", "june", "--json", "--quiet"]
        done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        revision = json.loads(done.stdout)["revision"]
        with TrainingRepository.open(load_settings(), command_seconds=600) as clone:
            clone.import_gold(str(gold), "es", revision)
            found = read_corpus(clone.folder / TrainingFolders("es").gold, "es")
        assert {d.id: d.text for d in found} == {d.id: d.text for d in documents}
    forget_client()
