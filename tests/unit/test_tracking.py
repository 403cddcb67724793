"""Pins, the cache of ensembles, and how the registry's errors look; the real server is in tests/integration."""

from __future__ import annotations

import logging
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from enigma_tasks.adapters import ensemble_cache, mlflow_registry
from enigma_tasks.adapters.ensemble_cache import cached
from enigma_tasks.adapters.mlflow_registry import registered_name
from enigma_tasks.config import quiet_third_parties
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import EnigmaError, ModelError, ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GOOD = b"weights"


def digest_of_stand_in(folder: Path) -> str | None:
    """For a folder that holds its own digest in `ensemble.json`, and one member; None when that member is damaged."""
    member = folder / "members" / "shared" / "model.safetensors"
    sound = member.is_file() and member.read_bytes() == GOOD
    return (folder / "ensemble.json").read_text() if sound else None


def fetcher(
    digest: str, weights: bytes = GOOD
) -> tuple[Callable[[Path, Mapping[str, Path]], None], list[dict[str, Path]]]:
    """A `fetch` that writes such an ensemble, and the siblings that each of its calls was given."""
    calls: list[dict[str, Path]] = []

    def fetch(folder: Path, siblings: Mapping[str, Path]) -> None:
        calls.append(dict(siblings))
        member = folder / "members" / "shared"
        member.mkdir(parents=True)
        twin = siblings.get("shared")
        (member / "model.safetensors").write_bytes((twin / "model.safetensors").read_bytes() if twin else weights)
        (folder / "ensemble.json").write_text(digest)

    return fetch, calls


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble_cache, "_digest", digest_of_stand_in)


def test_a_registered_model_is_named_after_language_and_type() -> None:
    assert registered_name("es", EntityType.DISEASE) == "enigma-es-disease"


def test_importing_the_adapter_loads_neither_mlflow_nor_torch() -> None:
    code = "import sys, enigma_tasks.adapters.mlflow_registry; sys.exit(bool({'mlflow', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_a_tracking_uri_nothing_is_written_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
        mlflow_registry.registered_models()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_a_library_below_is_a_service_error_without_its_message() -> None:
    with pytest.raises(ServiceError) as caught, mlflow_registry.typed("resolve champions"):
        raise requests.ConnectionError("http://user:secret@registry refused")
    assert str(caught.value) == "mlflow: resolve champions: the store did not answer"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("error", [ModelError("a model"), KeyError("a bug of ours")])
def test_our_own_errors_and_bugs_are_no_service_errors(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, mlflow_registry.typed("register"):
        raise error
    assert caught.value is error


def test_an_ensemble_is_fetched_once(tmp_path: Path) -> None:
    fetch, calls = fetcher("d1")
    assert cached("d1", tmp_path, fetch) == cached("d1", tmp_path, fetch) == tmp_path / "d1"
    assert len(calls) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d1", "d1.lock"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda weights: weights.write_bytes(b"weightz")])
def test_a_damaged_cache_is_fetched_again(
    tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    fetch, calls = fetcher("d1")
    weights = cached("d1", tmp_path, fetch) / "members" / "shared" / "model.safetensors"
    damage(weights)
    with caplog.at_level(logging.WARNING):
        cached("d1", tmp_path, fetch)
    assert weights.read_bytes() == GOOD
    assert len(calls) == 2
    assert "damaged" in caplog.text


@pytest.mark.parametrize(("stored", "weights"), [("d2", GOOD), ("d1", b"other")])
def test_what_does_not_have_the_pinned_digest_never_reaches_the_cache(
    tmp_path: Path, stored: str, weights: bytes
) -> None:
    fetch, _ = fetcher(stored, weights)
    with pytest.raises(ModelError, match="digest"):
        cached("d1", tmp_path, fetch)
    assert [p.name for p in tmp_path.iterdir()] == ["d1.lock"]


def test_a_fetch_that_fails_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    def broken(folder: Path, siblings: Mapping[str, Path]) -> None:
        (folder / "ensemble.json").write_text("d1")
        raise ServiceError("the store is gone")

    with pytest.raises(ServiceError):
        cached("d1", tmp_path, broken)
    assert [p.name for p in tmp_path.iterdir()] == ["d1.lock"]
    assert cached("d1", tmp_path, fetcher("d1")[0]).is_dir()


def test_a_member_that_another_ensemble_has_is_offered_to_the_fetch(tmp_path: Path) -> None:
    cached("d1", tmp_path, fetcher("d1")[0])
    fetch, calls = fetcher("d2")
    cached("d2", tmp_path, fetch)
    assert calls == [{"shared": tmp_path / "d1" / "members" / "shared"}]


def test_a_damaged_sibling_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (cached("d1", tmp_path, fetcher("d1")[0]) / "members" / "shared" / "model.safetensors").write_bytes(b"broken")
    fetch, calls = fetcher("d2")
    assert (cached("d2", tmp_path, fetch) / "members" / "shared" / "model.safetensors").read_bytes() == GOOD
    assert [len(siblings) for siblings in calls] == [1, 0]


@pytest.mark.parametrize("digest", ["", "../outside", "a/b"])
def test_a_digest_that_is_none_makes_no_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(EnigmaError):
        cached(digest, tmp_path / "cache", fetcher(digest)[0])
    assert list(tmp_path.iterdir()) == []


def _fetch_slowly(cache: Path, tally: Path) -> None:
    ensemble_cache._digest = digest_of_stand_in
    plain, _ = fetcher("d1")

    def fetch(folder: Path, siblings: Mapping[str, Path]) -> None:
        with tally.open("a") as lines:
            lines.write("fetched\n")
        time.sleep(0.3)
        plain(folder, siblings)

    cached("d1", cache, fetch)


def test_processes_that_share_a_cache_fetch_once(tmp_path: Path) -> None:
    tally = tmp_path / "tally"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_fetch_slowly, args=(tmp_path / "cache", tally)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert tally.read_text() == "fetched\n"


def test_libraries_are_kept_quiet_unless_the_environment_says_otherwise() -> None:
    environment = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}
    quiet_third_parties(environment)
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["MLFLOW_MODEL_CATALOG_URI"] == ""
    assert environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "9"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE" not in environment


def test_delta_rs_trusts_the_authorities_of_the_s3_client_and_a_model_hub_is_not_asked_for_them() -> None:
    environment = {"AWS_CA_BUNDLE": "/etc/hospital.pem"}
    quiet_third_parties(environment)
    assert environment["SSL_CERT_FILE"] == "/etc/hospital.pem"
    own = {"AWS_CA_BUNDLE": "/etc/hospital.pem", "SSL_CERT_FILE": "/etc/all.pem"}
    quiet_third_parties(own)
    assert own["SSL_CERT_FILE"] == "/etc/all.pem"
    pulling = {"AWS_CA_BUNDLE": "/etc/hospital.pem"}
    quiet_third_parties(pulling, hub=True)
    assert "SSL_CERT_FILE" not in pulling


def test_mlflow_speaks_to_a_store_of_one_s_own_as_enigma_does() -> None:
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    quiet_third_parties(environment)
    assert environment["MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"] == "path"
    assert environment["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
