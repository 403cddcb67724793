"""A night by the commands on a Ceph gateway, models in MLflow with their artifacts there: as on moto's server."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.store.artifact import s3_artifact_repo

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.cli import main
from tests.integration.mlflow_server import mlflow_server, moto_server
from tests.integration.store_root import fresh_root
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.ceph, pytest.mark.training, pytest.mark.timeout(900)]

NIGHT = "night-1"
DAY = "2026-06-11"
NOTES = 12
OTHERS = {
    f"es/{DAY}/bad.txt": b"\xff\x00",
    f"es/{DAY}/empty.txt": b"",
    f"es/{DAY}/caf\u00e9 + 100%.txt": b"Tos y fiebre.",
}
DIFFERENT = {"bucket", "planned_at", "published_at", "annotated_at", "seconds", "attempt_id"}
"""Columns of a night's own times, attempts and bucket."""
DERIVED = ("SSL_CERT_FILE", "AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
"""What a command sets by `AWS_CA_BUNDLE` and the address of the store."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model that finds the mentions of its kind of notes."""
    return model_folder(tmp_path_factory.mktemp("model") / "es", able=True)


class Ward:
    """A store and a registry, and what is done with them by commands."""

    def __init__(self, root: str, model: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.model, self.store = root, model, ObjectStore()
        for name in DERIVED:
            patch.setenv(name, "")  # so that it is unset again in the end
            patch.delenv(name)
        s3_artifact_repo._cached_get_s3_client.cache_clear()

    def enigma(self, *words: str | Path) -> dict[str, Any]:
        """The report of a command."""
        said = io.StringIO()
        with redirect_stdout(said):
            code = main([*map(str, words), "--json", "--quiet"])
        assert code == 0, words
        report: dict[str, Any] = json.loads(said.getvalue())
        return report

    def night(self) -> None:
        for shard in self.enigma("plan", "--batch", NIGHT)["shards"]:
            self.enigma("annotate", "--shard", shard)
        self.enigma("publish", "--batch", NIGHT)
        self.enigma("monitor", "--batch", NIGHT)

    def whole_night(self) -> None:
        """From the registration of a champion and the drop of notes on."""
        self.enigma("register", "--language", "es", "--entity", "all", "--model", self.model, "--first")
        own = {f"es/{DAY}/ward 1/{note.id}.txt": note.text.encode() for note in notes(NOTES, first=50)}
        self.store.put_many((f"{self.root}/drops/{name}", data) for name, data in (own | OTHERS).items())
        self.night()

    def objects(self) -> dict[str, str]:
        """Every object's ETag."""
        return {info.key: info.etag for info in self.store.list(f"{self.root}/")}

    def outcome(self) -> dict[str, Any]:
        """The tables' rows and the annotations, without what differs between any two nights."""
        rows = {}
        for name, read in (("notes", night_table.read_notes), ("spans", night_table.read_spans)):
            found = read(f"{self.root}/tables", NIGHT).to_pylist()
            kept = [{k: v for k, v in row.items() if k not in DIFFERENT} for row in found]
            rows[name] = sorted(kept, key=lambda row: (row["key"], row.get("char_start", 0), row.get("label", "")))
        prefix = f"{self.root}/annotations/"
        files = {info.uri.removeprefix(prefix): self.store.get(info.uri) for info in self.store.list(prefix)}
        return {**rows, "annotations": files}


@contextmanager
def ward(root: str, model: Path, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Ward]:
    """With a registry whose artifacts are in the store's bucket."""
    with mlflow_server(folder / "mlflow", f"{root}/mlflow") as url:
        for name, value in {
            "MLFLOW_TRACKING_URI": url, "ENIGMA_ACTOR": "ana", "ENIGMA_CACHE": str(folder / "cache"),
        }.items():  # fmt: skip
            patch.setenv(name, value)
        yield Ward(root, model, patch)


@pytest.fixture(scope="module")
def as_on_moto(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome of the same night on moto's server."""
    folder = tmp_path_factory.mktemp("moto")
    with (
        pytest.MonkeyPatch.context() as patch,
        moto_server(folder / "moto.log") as url,
        fresh_root(url, patch) as root,
        ward(root, model, folder, patch) as found,
    ):
        found.whole_night()
        return found.outcome()


@pytest.fixture
def on_ceph(s3_root: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    with ward(s3_root, model, tmp_path, monkeypatch) as found:
        yield found


def test_a_night_ends_as_on_moto_and_a_second_run_changes_nothing(on_ceph: Ward, as_on_moto: dict[str, Any]) -> None:
    on_ceph.whole_night()
    assert on_ceph.outcome() == as_on_moto
    assert len(as_on_moto["notes"]) == NOTES + len(OTHERS)
    assert len(as_on_moto["spans"]) > NOTES
    report = on_ceph.enigma("doctor")
    assert report["failed"] == []
    assert next(c["status"] for c in report["checks"] if c["name"] == "s3 conditional writes") == "ok"
    before = on_ceph.objects()
    assert any("/mlflow/" in key and key.endswith(".safetensors") for key in before)
    on_ceph.night()
    assert on_ceph.objects() == before
