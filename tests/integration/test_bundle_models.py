"""The base models of a bundle, from a model store in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters.model_store import LockedModel, folder_digests, open_store, write_lock
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.config import load_settings
from enigma_tasks.errors import ModelError
from infra.bundle.models import models_of

if TYPE_CHECKING:
    from pathlib import Path


def test_models_come_from_s3_by_digest_and_a_changed_one_is_refused(tmp_path: Path, s3_root: str) -> None:
    settings = load_settings({"ENIGMA_MODEL_STORE": f"{s3_root}/models", "ENIGMA_CACHE": str(tmp_path / "cache")})
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text("{}")
    open_store(settings).put("org/tiny", source)
    lock = tmp_path / "models.lock"
    write_lock(lock, {"org/tiny": LockedModel(revision="r1", files=folder_digests(source))})

    (model,) = models_of(lock, settings)
    assert folder_digests(model.folder) == model.locked.files

    ObjectStore().put(f"{s3_root}/models/org--tiny/config.json", b"[]")
    assert models_of(lock, settings) == [model]  # the copy in the cache is still the locked one
    (model.folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"org/tiny: config.json is damaged"):
        models_of(lock, settings)
