"""What goes into a bundle: images of its commit, models as the lock says, packages by hash; else a refusal by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters.model_store import LockedModel, write_lock
from enigma_tasks.config import Settings
from enigma_tasks.errors import ModelError
from infra.bundle.archive import bundled, check_key, write_archive
from infra.bundle.images import images_of
from infra.bundle.models import models_of
from infra.bundle.source import BundleError, find_commit
from infra.bundle.wheels import download
from infra.images.build import IMAGES
from tests.unit.bundle_builders import (
    COMMITTED,
    built_image,
    commit_all,
    git,
    key_pair,
    only_packages_of,
    repository,
    sha256,
    source_package,
    wheel,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMIT = "c" * 40


def all_images(folder: Path) -> None:
    for name in IMAGES:
        built_image(folder, name, COMMIT)


def test_every_image_and_its_bill_of_materials_is_found_with_its_digests(tmp_path: Path) -> None:
    all_images(tmp_path)
    images = images_of(tmp_path, COMMIT, "cpu")
    assert [i.tag for i in images] == [f"enigma-{name}:{COMMIT[:12]}" for name in IMAGES]
    assert all(i.archive.is_file() and i.sbom.is_file() and i.config != i.manifest for i in images)


IMAGE_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no archive": (lambda f: (f / "enigma-airflow.tar").unlink(), r"enigma-airflow.tar is missing: run `make images`"),
    "no SBOM": (lambda f: (f / "enigma-services.cdx.json").unlink(), r"enigma-services.cdx.json is missing"),
    "another commit": (
        lambda f: built_image(f, "airflow", "d" * 40),
        r"enigma-airflow.tar is of commit dddddddddddd, not of cccccccccccc",
    ),
    "another torch": (lambda f: built_image(f, "tasks", COMMIT, "cuda"), r"has torch for cuda, not for cpu"),
    "damaged": (lambda f: (f / "enigma-tasks.tar").write_bytes(b"x" * 20_000), r"enigma-tasks.tar .* is not what"),
    "SBOM of another kind": (lambda f: (f / "enigma-tasks.cdx.json").write_text("[]"), r"enigma-tasks.tar or its SBOM"),
    "SBOM of another format": (
        lambda f: (f / "enigma-tasks.cdx.json").write_text('{"bomFormat": "x"}'),
        r"enigma-tasks.cdx.json is not a CycloneDX list",
    ),
}


@pytest.mark.parametrize("case", IMAGE_FAULTS)
def test_an_image_that_is_not_of_the_commit_is_refused_by_name(tmp_path: Path, case: str) -> None:
    all_images(tmp_path)
    spoil, message = IMAGE_FAULTS[case]
    spoil(tmp_path)
    with pytest.raises(BundleError, match=message):
        images_of(tmp_path, COMMIT, "cpu")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "models.lock"
    files = {"config.json": sha256(b"{}"), "model.safetensors": sha256(b"weights")}
    write_lock(path, {"org/tiny": LockedModel(revision="r1", files=files)})
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    model = tmp_path / "store/org--tiny"
    model.mkdir(parents=True)
    (model / "config.json").write_bytes(b"{}")
    (model / "model.safetensors").write_bytes(b"weights")
    return model.parent


@pytest.mark.parametrize("layout", ["org--tiny", "org/tiny"])
def test_the_models_of_the_lock_are_found_in_either_layout_of_a_store(lock: Path, store: Path, layout: str) -> None:
    (store / layout).parent.mkdir(exist_ok=True)
    (store / "org--tiny").rename(store / layout)
    (store / "org--not-locked").mkdir()
    (model,) = models_of(lock, Settings(model_store=str(store)))
    assert (model.base, model.name, model.folder) == ("org/tiny", "org--tiny", store / layout)


def test_a_lock_without_models_needs_no_store(tmp_path: Path) -> None:
    write_lock(tmp_path / "models.lock", {})
    assert models_of(tmp_path / "models.lock", Settings()) == []


MODEL_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no model": (lambda m: m.rename(m.with_name("x")), r"'org/tiny' is not in the model store"),
    "missing": (lambda m: (m / "config.json").unlink(), r"model org/tiny: config.json is missing"),
    "changed": (lambda m: (m / "config.json").write_bytes(b"[]"), r"model org/tiny: config.json is damaged"),
    "added": (lambda m: (m / "x.json").touch(), r"model org/tiny: x.json is not in models.lock"),
    "link": (lambda m: (m / "x.json").symlink_to("/etc/hostname"), r"symbolic_link"),
}


@pytest.mark.parametrize("case", MODEL_FAULTS)
def test_a_model_that_differs_from_the_lock_is_refused_by_name(lock: Path, store: Path, case: str) -> None:
    spoil, message = MODEL_FAULTS[case]
    spoil(store / "org--tiny")
    with pytest.raises(ModelError, match=message):
        models_of(lock, Settings(model_store=str(store)))


def test_models_of_the_lock_without_a_store_are_named(lock: Path) -> None:
    with pytest.raises(BundleError, match=r"models.lock names org/tiny: say where the model store is"):
        models_of(lock, Settings())


def test_a_damaged_lock_is_not_one_without_models(lock: Path, store: Path) -> None:
    lock.write_text("org/tiny: {files: x}")
    with pytest.raises(ModelError, match=r"models.lock is damaged"):
        models_of(lock, Settings(model_store=str(store)))


def test_a_file_that_changed_since_it_was_checked_is_refused(store: Path) -> None:
    source = store / "org--tiny/config.json"
    assert bundled("models/org--tiny/config.json", source, sha256(b"{}")).digest == sha256(b"{}")
    with pytest.raises(BundleError, match="changed while the bundle was made"):
        bundled("models/org--tiny/config.json", source, sha256(b"[]"))
    for name in ("models/../x", "/x", "models/a b", "MANIFEST"):
        with pytest.raises(BundleError, match="cannot be the name of a file in a bundle"):
            bundled(name, source)


def test_a_key_that_is_missing_or_that_others_can_read_is_refused_before_the_work(tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path)
    check_key(private)
    private.chmod(0o640)
    with pytest.raises(BundleError, match="chmod 600"):
        check_key(private)
    with pytest.raises(BundleError, match="no such private key"):
        check_key(tmp_path / "none.key")


@pytest.mark.parametrize("algorithm", ["rsa", "ed448"])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, algorithm: str) -> None:
    private, _ = key_pair(tmp_path, algorithm=algorithm)
    (tmp_path / "one").touch()
    with pytest.raises(BundleError, match="is not an Ed25519 key"):
        write_archive([bundled("one", tmp_path / "one")], private, COMMITTED, tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()


def test_a_public_key_cannot_sign(tmp_path: Path) -> None:
    _, public = key_pair(tmp_path)
    with pytest.raises(BundleError, match="openssl could not sign"):
        write_archive([], public, COMMITTED, tmp_path / "out.tar")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages, which is all that pip knows of."""
    folder = tmp_path / "index"
    only_packages_of(folder, monkeypatch)
    return folder


def test_packages_are_taken_by_hash_those_without_a_wheel_as_source(tmp_path: Path, index: Path) -> None:
    named = {
        "requirements/tools/images.lock": wheel(index, "tool"),
        "requirements/tasks.lock": wheel(index, "one") + source_package(index, "two") + "torch==2.13.0\n",
        "requirements/airflow.lock": wheel(index, "three"),
        "requirements/cuda.lock": wheel(index, "nvidia_four"),
        "docker/torch-cuda.txt": wheel(index, "torch"),
        "docker/torch-cpu.txt": "torch==9 --hash=sha256:" + "0" * 64,
    }
    wheel(index, "not_locked")
    (tmp_path / "out").mkdir()
    commit = find_commit(repository(tmp_path / "project", named))
    wheels = download(commit, "cuda", sys.executable, tmp_path / "out")
    assert [p.name for p in wheels.files] == [
        "nvidia_four-1-py3-none-any.whl", "one-1-py3-none-any.whl", "three-1-py3-none-any.whl",
        "tool-1-py3-none-any.whl", "torch-1-py3-none-any.whl", "two-1.tar.gz",
    ]  # fmt: skip
    assert wheels.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    for path in wheels.files:
        assert path.read_bytes() == (index / path.name).read_bytes()


def test_a_package_that_is_not_to_be_had_or_is_another_file_is_refused_by_name(tmp_path: Path, index: Path) -> None:
    empty = ("requirements/tools/images.lock", "requirements/tasks.lock", "requirements/airflow.lock")
    named = {**dict.fromkeys(empty, ""), "requirements/tasks.lock": wheel(index, "one")}
    named["docker/torch-cpu.txt"] = "torch==9 --hash=sha256:" + "0" * 64
    commit = find_commit(repository(tmp_path / "project", named))
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match=r"(?s)^docker/torch-cpu.txt: .*torch==9"):
        download(commit, "cpu", sys.executable, tmp_path / "out")
    changed = index / "one-1-py3-none-any.whl"
    changed.write_bytes(changed.read_bytes() + b" ")
    (tmp_path / "again").mkdir()
    with pytest.raises(BundleError, match=r"(?s)^requirements/tasks.lock: .*DO NOT MATCH THE HASHES.*one==1"):
        download(commit, "cpu", sys.executable, tmp_path / "again")


def test_the_history_is_the_same_bytes_however_the_repository_is_packed(tmp_path: Path) -> None:
    project = repository(tmp_path / "project", {"one.txt": "\n".join(map(str, range(3000)))})
    for number in range(1, 6):
        (project / "one.txt").write_text("\n".join(map(str, range(number, 3000 + number))))
        commit_all(project)
    git(tmp_path, "clone", "--quiet", "--no-hardlinks", "project", "other")
    git(project, "gc", "--quiet", "--aggressive")
    written = []
    for place in (project, tmp_path / "other"):
        commit = find_commit(place)
        assert commit.time == COMMITTED
        out = tmp_path / f"{place.name}.bundle"
        commit.write_history(out)
        written.append(out.read_bytes())
    assert written[0] == written[1]
    git(tmp_path, "clone", "--quiet", "project.bundle", "cloned")
    assert git(tmp_path / "cloned", "rev-parse", "main") == git(project, "rev-parse", "HEAD")
    git(tmp_path, "clone", "--quiet", "--depth", "1", (tmp_path / "other").as_uri(), "shallow")
    with pytest.raises(BundleError, match="shallow"):
        find_commit(tmp_path / "shallow").write_history(tmp_path / "shallow.bundle")
