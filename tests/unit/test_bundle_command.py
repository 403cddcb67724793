"""`make bundle` as a whole: a bundle that `load.py` loads, the same bytes twice, keys with a passphrase."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tarfile
import termios
import time
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters.model_store import LockedModel, write_lock
from infra.bundle.__main__ import main
from infra.bundle.archive import bundled, write_archive
from infra.bundle.load import check_signature, load
from infra.images.build import IMAGES
from tests.unit.bundle_builders import (
    COMMITTED,
    ROOT,
    built_image,
    commit_all,
    git,
    key_pair,
    only_packages_of,
    repository,
    sha256,
    stand_in_docker,
    wheel,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with images of its commit, an index of packages, and a model store."""
    index, store = tmp_path / "index", tmp_path / "store"
    only_packages_of(index, monkeypatch)
    monkeypatch.setenv("ENIGMA_MODEL_STORE", str(store))
    (store / "org--tiny").mkdir(parents=True)
    (store / "org--tiny/config.json").write_text("{}")
    write_lock(tmp_path / "lock", {"org/tiny": LockedModel(revision="r1", files={"config.json": sha256(b"{}")})})
    files = {
        "models.lock": (tmp_path / "lock").read_text(),
        "requirements/tools/images.lock": wheel(index, "tool"),
        "requirements/tasks.lock": wheel(index, "one"),
        "requirements/airflow.lock": wheel(index, "two"),
        "docker/torch-cpu.txt": wheel(index, "torch"),
    }
    folder = repository(tmp_path / "project", files)
    for name in IMAGES:
        built_image(folder / "dist/images", name, git(folder, "rev-parse", "HEAD").strip())
    return folder


def test_a_bundle_is_the_same_bytes_twice_and_is_loaded_with_a_stand_in_for_docker(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = key_pair(tmp_path)
    assert main(["--key", str(private)], project) == 0
    said = capsys.readouterr()
    commit = git(project, "rev-parse", "HEAD").strip()
    bundle = project / f"dist/enigma-{commit[:12]}.tar"
    first = bundle.read_bytes()
    assert private.read_bytes() not in first
    assert f"commit  {commit}" in said.out
    assert "model   org/tiny  licence: not recorded" in said.out
    assert said.err == ""
    assert sorted(p.name for p in bundle.parent.iterdir()) == [bundle.name, "images"]
    (project / "not-committed").touch()
    assert main(["--key", str(private)], project) == 0
    assert "what is not committed does not go into the bundle" in capsys.readouterr().err
    assert bundle.read_bytes() == first

    docker = stand_in_docker(tmp_path)
    docker.write_text(f"#!{sys.executable}\n{ENGINE}")
    loaded = load(bundle, tmp_path / "loaded", public, tmp_path / "other-store", str(docker))
    assert loaded[0] == f"commit  {commit}"
    assert [line.split()[1] for line in loaded[1:4]] == [f"enigma-{name}:{commit[:12]}" for name in IMAGES]
    assert (tmp_path / "other-store/org--tiny/config.json").read_text() == "{}"
    assert (tmp_path / "loaded/load.py").read_bytes() == (ROOT / "infra/bundle/load.py").read_bytes()
    assert sorted(p.name for p in (tmp_path / "loaded/wheels").iterdir()) == [
        "one-1-py3-none-any.whl", "tool-1-py3-none-any.whl", "torch-1-py3-none-any.whl", "two-1-py3-none-any.whl",
    ]  # fmt: skip
    git(tmp_path, "clone", "--quiet", "loaded/enigma.bundle", "cloned")
    assert git(tmp_path / "cloned", "rev-parse", "HEAD").strip() == commit


ENGINE = """
import json, sys, tarfile
from pathlib import Path
kept = Path(__file__).with_name("kept.json")
images = json.loads(kept.read_text()) if kept.exists() else {}
if sys.argv[1] == "load":
    with tarfile.open(sys.argv[-1]) as tar:
        read = lambda name: json.load(tar.extractfile(name))
        (entry,) = read("index.json")["manifests"]
        manifest = read("blobs/" + entry["digest"].replace(":", "/"))
    images[entry["annotations"]["org.opencontainers.image.ref.name"]] = manifest["config"]["digest"]
    kept.write_text(json.dumps(images))
else:
    print(images[sys.argv[-1]])
"""
"""A stand-in for Docker that calls a loaded image by the digest of its configuration."""


def test_a_bundle_that_cannot_be_made_says_why_and_leaves_nothing(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, _ = key_pair(tmp_path)
    (project / "new").touch()
    commit_all(project)  # the images are of the commit before
    assert main(["--key", str(private)], project) == 1
    assert "run `make images` again" in capsys.readouterr().err
    assert [p.name for p in (project / "dist").iterdir()] == ["images"]
    assert main(["--key", str(tmp_path / "none")], project) == 1
    assert "no such private key" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["--key", ""], project)
    assert stop.value.code == 2
    assert "make bundle KEY=" in capsys.readouterr().err


def test_a_store_without_the_model_is_named(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    private, _ = key_pair(tmp_path)
    assert main(["--key", str(private), "--models", str(tmp_path / "none")], project) == 1
    assert "'org/tiny' is not in the model store" in capsys.readouterr().err


def typed(passphrase: str, command: list[str]) -> tuple[int, bytes]:
    """A command in a terminal of its own, at which a passphrase is typed once, when it asks."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    shown, asked = b"", False
    try:
        while data := os.read(terminal, 1000):
            shown += data
            # by its words: an error is written in pieces as well, and a piece may end in a colon
            if not asked and re.search(rb"pass phrase for [^\n]*:$", shown):
                asked = True
                while termios.tcgetattr(terminal)[3] & termios.ECHO:  # it asks first, then turns the echo off
                    time.sleep(0.01)
                os.write(terminal, f"{passphrase}\n".encode())
    except OSError:  # the terminal's other end was closed
        pass
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


def test_a_key_with_a_passphrase_is_asked_for_it_at_the_terminal(tmp_path: Path) -> None:
    private, public = tmp_path / "enigma.key", tmp_path / "enigma.pub"
    words = ["-algorithm", "ed25519", "-aes256", "-pass", "pass:correct", "-out"]
    subprocess.run(["openssl", "genpkey", *words, private], check=True)
    subprocess.run(
        ["openssl", "pkey", "-in", private, "-passin", "pass:correct", "-pubout", "-out", public], check=True
    )
    (tmp_path / "one").touch()
    sign = (
        "import sys; from pathlib import Path; from infra.bundle.archive import bundled, write_archive\n"
        "folder = Path(sys.argv[1])\n"
        "write_archive([bundled('one', folder / 'one')], folder / 'enigma.key', 1, folder / 'out.tar')"
    )
    command = [sys.executable, "-c", sign, str(tmp_path)]
    code, shown = typed("wrong", command)
    assert code == 1
    assert b"openssl could not sign" in shown
    assert not (tmp_path / "out.tar").exists()
    code, shown = typed("correct", command)
    assert code == 0, shown
    assert b"correct" not in shown
    with tarfile.open(tmp_path / "out.tar") as tar:
        for name in ("MANIFEST", "MANIFEST.sig"):
            (tmp_path / name).write_bytes(b"".join(tar.extractfile(name) or ()))
    check_signature(tmp_path / "MANIFEST", tmp_path / "MANIFEST.sig", public)


def test_a_key_without_a_passphrase_signs_the_same_bytes_each_time(tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path)
    (tmp_path / "one").touch()
    outs = []
    for name in ("a.tar", "b.tar"):
        write_archive([bundled("one", tmp_path / "one")], private, COMMITTED, tmp_path / name)
        outs.append((tmp_path / name).read_bytes())
    assert outs[0] == outs[1]
