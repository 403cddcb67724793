"""What a bundle is made from, in small: key pairs (real openssl), a repository, images, packages; Docker's stand-in."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.bundle.archive import bundled, write_archive
from infra.bundle.load import CONTENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ROOT = Path(__file__).parents[2]
COMMITTED = 1_790_000_000
IDENTITY = f"sha256:{'a' * 64}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def key_pair(folder: Path, name: str = "enigma", algorithm: str = "ed25519") -> tuple[Path, Path]:
    """The private and the public key, made as docs/air-gap.md says."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, "-out", private], check=True, capture_output=True)
    private.chmod(0o600)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def contents(**changes: Any) -> dict[str, Any]:
    """A `bundle.json`."""
    image = {"archive": "images/one.tar", "tag": "enigma-tasks:x", "config": IDENTITY, "manifest": "sha256:m"}
    wheels = {"files": 0, "python": "3.11", "platform": "Linux x86_64"}
    return {"commit": "c" * 40, "torch": "cpu", "images": [image], "models": [], "wheels": wheels, **changes}


def signed(folder: Path, key: Path, files: dict[str, bytes] | None = None, **changes: Any) -> Path:
    """A bundle with an image, other files and a real signature."""
    described = json.dumps(contents(**changes)).encode()
    all_files = {CONTENTS: described, "images/one.tar": b"layers", **(files or {})}
    sources = folder / "sources"
    for name, data in all_files.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    out = folder / "bundle.tar"
    write_archive([bundled(name, sources / name) for name in all_files], key, COMMITTED, out)
    return out


def rewritten(bundle: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], Any]) -> Path:
    """The bundle with its list of members and contents changed."""
    with tarfile.open(bundle) as tar:
        members = [(m, b"".join(tar.extractfile(m) or ())) for m in tar]
    change(members)
    out = bundle.with_name("changed.tar")
    with tarfile.open(out, "w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out


def stand_in_docker(folder: Path, identity: str = IDENTITY) -> Path:
    """A command that notes its arguments in `calls` and says of every image that it has this id."""
    command = folder / "docker"
    command.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\n[ "$1" = load ] || echo {identity}\n')
    command.chmod(0o755)
    return command


def built_image(folder: Path, name: str, commit: str, torch: str = "cpu") -> None:
    """An archive and an SBOM as `make images` writes them, without layers."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"org.opencontainers.image.revision": commit, **({"enigma.torch": torch} if name == "tasks" else {})}
    config = json.dumps({"config": {"Labels": labels}}).encode()
    manifest = json.dumps({"config": {"digest": f"sha256:{sha256(config)}"}}).encode()
    reference = {"org.opencontainers.image.ref.name": f"enigma-{name}:{commit[:12]}"}
    index = {"manifests": [{"digest": f"sha256:{sha256(manifest)}", "annotations": reference}]}
    files = {f"blobs/sha256/{sha256(d)}": d for d in (config, manifest)} | {"index.json": json.dumps(index).encode()}
    with tarfile.open(folder / f"enigma-{name}.tar", "w") as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (folder / f"enigma-{name}.cdx.json").write_text('{"bomFormat": "CycloneDX"}')


def only_packages_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip know of the packages in a folder and of nothing else."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)


def wheel(folder: Path, name: str) -> str:
    """A wheel of version 1 without content; returns its entry of a lock."""
    folder.mkdir(parents=True, exist_ok=True)
    path, described = folder / f"{name}-1-py3-none-any.whl", f"{name}-1.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as out:
        for file, text in files.items():
            out.writestr(f"{described}/{file}", text)
    return f"{name}==1 --hash=sha256:{sha256(path.read_bytes())}\n"


def source_package(folder: Path, name: str) -> str:
    """A package that has no wheel, and whose build imports the package `tool`; returns its entry of a lock."""
    folder.mkdir(parents=True, exist_ok=True)
    backend = (
        "from importlib.metadata import version\nfrom pathlib import Path\nversion('tool')\n"
        "def build_wheel(*_): raise SystemExit('a download builds nothing')\n"
        "def prepare_metadata_for_build_wheel(folder, *_):\n"
        f"    made = Path(folder, '{name}-1.dist-info'); made.mkdir()\n"
        f"    Path(made, 'METADATA').write_text('Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n')\n"
        "    return made.name\n"
    )
    project = '[build-system]\nrequires = ["tool"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    path = folder / f"{name}-1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file, text in (("backend.py", backend), ("pyproject.toml", project)):
            member = tarfile.TarInfo(f"{name}-1/{file}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return f"{name}==1 --hash=sha256:{sha256(path.read_bytes())}\n"


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A git repository with one commit of these files and of the loader."""
    loader = folder / "infra/bundle/load.py"
    loader.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / "infra/bundle/load.py", loader)
    for name, text in {".gitignore": "dist/\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit_all(folder)
    return folder


def commit_all(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{part}": "x" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    when = {"GIT_AUTHOR_DATE": f"{COMMITTED} +0000", "GIT_COMMITTER_DATE": f"{COMMITTED} +0000"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **who, **when}, capture_output=True, text=True, check=True
    )
    return done.stdout
