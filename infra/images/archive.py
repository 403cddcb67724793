"""An image as `docker save` writes it -> the same image without the times of its build, as an OCI archive.

An engine writes the time of the build into each layer's files and into the image's configuration, so that two builds
differ in their digests although every file is the same. Builders that can leave it out are not everywhere, so it is
done here, after any builder. Files get one constant time, so that commits with the same packages share those layers.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

BLOCK = 1 << 20
FILE_TIME = 315_532_800
"""1980, the oldest time that every format of archive can hold."""
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Blob:
    """A part of an image."""

    digest: str
    size: int

    def described(self, media_type: str) -> dict[str, Any]:
        """As a manifest names it."""
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}

    @property
    def path(self) -> str:
        """Where it is in an archive."""
        return f"blobs/{self.digest.replace(':', '/')}"


@dataclass(frozen=True)
class Written:
    """The digests of a written image."""

    config: str
    """The image's id in an engine."""
    manifest: str
    """The digest by which a registry knows it when its layers are pushed as they are."""


class _Hashed:
    """A file that is written, its SHA-256 and its size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash, self._size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    def blob(self) -> Blob:
        return Blob(f"sha256:{self._hash.hexdigest()}", self._size)


def without_build_times(saved: Path, out: Path, tag: str, base: Collection[str], created: int) -> Written:
    """Write the image in `saved` (of `docker save`) to `out` without the times of its build.

    Args:
        saved: an archive of one image.
        out: an OCI layout in a tar archive, which `docker load` reads, too.
        tag: the name that `docker load` gives it.
        base: the layers of the image that it was built on, by the digests of their content; they stay as they are.
        created: the image's time, in Unix seconds; the files of every other layer get FILE_TIME.
    """
    with tarfile.open(saved) as source, tarfile.open(out, "w") as target:
        (listed,) = json.loads(_read(source, "manifest.json"))
        config = json.loads(_read(source, listed["Config"]))
        layers: list[Blob] = []
        for name, digest in zip(listed["Layers"], config["rootfs"]["diff_ids"], strict=True):
            with tempfile.TemporaryFile(dir=out.parent) as file:
                blob = _layer(source, name, file, as_it_is=digest in base)
                if blob not in layers:
                    _add(target, blob.path, file, blob.size)
                layers.append(blob)
        described = _blob(target, _configuration(config, layers, created))
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": described.described(_CONFIG),
            "layers": [layer.described(_LAYER) for layer in layers],
        }
        written = _blob(target, manifest)
        entry = {**written.described(_MANIFEST), "annotations": {"org.opencontainers.image.ref.name": tag}}
        legacy = [{"Config": described.path, "RepoTags": [tag], "Layers": [layer.path for layer in layers]}]
        for name, content in {
            "index.json": {"schemaVersion": 2, "manifests": [entry]},
            "manifest.json": legacy,
            "oci-layout": {"imageLayoutVersion": "1.0.0"},
        }.items():
            data = _json(content)
            _add(target, name, io.BytesIO(data), len(data))
    return Written(described.digest, written.digest)


def _read(source: tarfile.TarFile, name: str) -> bytes:
    file = source.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file of the archive")
    return file.read()


def _layer(source: tarfile.TarFile, name: str, file: IO[bytes], *, as_it_is: bool) -> Blob:
    """Write a layer to a file, uncompressed: as it is, or with one time for all files."""
    hashed = _Hashed(file)
    content = source.extractfile(name)
    if content is None:
        raise ValueError(f"{name} is not a file of the archive")
    if as_it_is:
        while data := content.read(BLOCK):
            hashed.write(data)
        file.seek(0)
        return hashed.blob()
    with (
        tarfile.open(fileobj=content, mode="r|*") as old,
        tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as new,  # type: ignore[call-overload]
    ):
        for member in old:
            member.mtime = FILE_TIME
            member.uname = member.gname = ""
            member.pax_headers = {k: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    file.seek(0)
    return hashed.blob()


def _configuration(config: dict[str, Any], layers: list[Blob], created: int) -> dict[str, Any]:
    """The image's configuration with the new layers and time; what a builder noted for itself goes."""
    at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept: dict[str, Any] = {k: config[k] for k in ("architecture", "config", "os", "variant") if k in config}
    return {
        **kept,
        "created": at,
        "history": [{**entry, "created": at} for entry in config.get("history", [])],
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _blob(target: tarfile.TarFile, content: Any) -> Blob:
    data = _json(content)
    blob = Blob(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    _add(target, blob.path, io.BytesIO(data), len(data))
    return blob


def _add(target: tarfile.TarFile, name: str, file: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, FILE_TIME, 0o644
    target.addfile(member, file)
