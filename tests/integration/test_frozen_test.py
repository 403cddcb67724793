"""The frozen test set as the gate gets it: real git and DVC, an S3 server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters.frozen_test import frozen_test
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.artifacts import SPLIT_CARD
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.training_places import TrainingFolders
from infra.local import training_project
from tests.integration.mlflow_server import moto_server
from tests.unit.ner_builders import notes

if TYPE_CHECKING:
    from pathlib import Path

TEST = notes(9, first=50)


def test_the_gate_gets_the_newest_frozen_test_set_and_names_a_language_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "training.git"
    training_project.make(project, ["es", "it"])
    with moto_server(tmp_path / "moto.log") as s3:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3, "ENIGMA_S3_ROOT": "s3://ward/hospital",
            "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
            "ENIGMA_TRAINING_REPOSITORY": str(project),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        forget_client()
        ObjectStore().ensure_bucket("s3://ward/hospital")
        settings, params = load_settings(), load_params()
        with TrainingRepository.open(settings, command_seconds=600) as clone:
            split = clone.folder / TrainingFolders("es").split
            for name, documents in (("dev", notes(4)), ("test", TEST)):
                write_corpus(documents, split / name, "packed")
            (split / SPLIT_CARD).write_text(json.dumps({"frozen": True}))
            clone.freeze("es", {"test": ["0" * 64]})
        with frozen_test(settings, params, "es") as folder:
            assert data_digest(read_corpus(folder, "es")) == data_digest(TEST)
        with pytest.raises(DataError) as error, frozen_test(settings, params, "it"):
            pass
        assert error.value.rule == "test_set_missing"
    forget_client()
