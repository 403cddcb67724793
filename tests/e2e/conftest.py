"""A stack of the tests' own: S3 server, MLflow and Airflow's real scheduler, with two tiny champions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from infra.local.stack import ROOT, Stack
from infra.local.user import User, register, sample_corpora, train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LANGUAGES = ["es", "en"]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of a running stack whose champions annotate Spanish and English."""
    work = tmp_path_factory.mktemp("work")
    params = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    # several progress lines a shard, so that a test can stop it in the middle
    params["annotate"]["chunk_notes"] = 25
    (work / "params.yaml").write_text(yaml.safe_dump(params))
    stack = Stack(
        tmp_path_factory.mktemp("stack"),
        preferred_ports={"s3": 0, "mlflow": 0, "airflow": 0},
        extra={"ENIGMA_WORKDIR": str(work), "ENIGMA_RETRY_SECONDS": "3"},
    )
    stack.start()
    try:
        corpora = work / "corpora"
        sample_corpora(stack.environment, LANGUAGES, 48, 1, corpora)
        for language in LANGUAGES:
            train(stack.environment, language, corpora)
            register(stack.environment, language, corpora)
        yield User(stack)
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def texts(user: User, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Language -> sample notes that no model was trained on."""
    folder: Path = tmp_path_factory.mktemp("texts")
    user.enigma("sample", "--notes", "300", "--language", *LANGUAGES, "--seed", "2", "--out", str(folder))
    return {code: [p.read_bytes() for p in sorted((folder / code / "txt").iterdir())] for code in LANGUAGES}
