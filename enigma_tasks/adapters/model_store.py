"""The store of base models, a folder or an S3 prefix, and the lock file with their digests."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from enigma_tasks import artifacts
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.frozen import Frozen
from enigma_tasks.leftovers import swept_folder
from enigma_tasks.paths import model_file, refuse_model_links
from enigma_tasks.workfolder import disk_errors
from enigma_tasks.yaml_text import parsed_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from enigma_tasks.config import Settings

_CHUNK = 1 << 20
_LOCK_HEAD = """\
# Base models by hub id: their commit, and the sha256 of each file in the model store. Written by `enigma models pull`,
# checked by `enigma models verify` and `enigma train`. revision is null for files from a folder without --revision.
"""


class LockedModel(Frozen):
    """One base model in models.lock."""

    revision: str | None
    files: dict[str, str]
    """Name -> sha256."""

    @property
    def digest(self) -> str:
        """sha256 over the names and digests of the files."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


def read_lock(path: Path) -> dict[str, LockedModel]:
    """Hub id -> locked model; empty if there is no file. Raises ModelError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        tree = parsed_yaml(path.read_bytes()) or {}
        return {str(base): LockedModel.model_validate(entry) for base, entry in tree.items()}
    except (ValueError, AttributeError):  # pydantic's too
        raise ModelError(f"{path.name} is damaged") from None


def write_lock(path: Path, models: Mapping[str, LockedModel]) -> None:
    """Replace the lock atomically; the same models give the same bytes."""
    tree: dict[str, Any] = {base: model.model_dump() for base, model in models.items()}
    text = _LOCK_HEAD + (yaml.safe_dump(tree, sort_keys=True) if tree else "{}\n")
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    beside.replace(path)


class Store(Protocol):
    """A store of base models, one folder each."""

    def bases(self) -> list[str]:
        """The hub ids of all models."""

    def digests(self, base: str) -> dict[str, str]:
        """Name -> sha256 of each file of a model, computed from its content; empty if the model is missing."""

    def put(self, base: str, folder: Path) -> None:
        """Store a folder as this model, replacing an earlier one."""

    def scratch(self) -> AbstractContextManager[Path]:
        """A temporary folder for preparing a model."""

    def local(self, base: str, locked: LockedModel | None) -> str:
        """A folder in which `find_base` finds the model. Raises ModelError: it is missing or differs from the lock."""


def open_store(settings: Settings) -> Store:
    """The configured store. Raises UsageError if there is none."""
    place = settings.model_store.rstrip("/")
    if not place:
        raise UsageError("set ENIGMA_MODEL_STORE to a folder or s3://bucket/prefix")
    return S3Store(place, settings.cache / artifacts.BASE_MODELS) if place.startswith("s3://") else FolderStore(place)


def ready(base: str, settings: Settings, lock: Path) -> str:
    """A local model store with the base model, verified; empty for `scratch` or a local folder, which need no store.

    No hub is contacted.

    Raises:
        ModelError: the store does not have the model, or its files differ from the lock.
    """
    if base == "scratch" or Path(base).is_dir():
        return ""
    if not settings.model_store:
        raise ModelError(f"base model {base!r} is no folder, and no model store is set (ENIGMA_MODEL_STORE)")
    return open_store(settings).local(base, read_lock(lock).get(base))


def defects(base: str, locked: LockedModel, found: Mapping[str, str]) -> list[str]:
    """Differences between a stored model and the lock, as sentences, by file name."""
    sentences = []
    for name in sorted(locked.files | dict(found)):
        if name not in found:
            sentences.append(f"model {base}: {name} is missing")
        elif name not in locked.files:
            sentences.append(f"model {base}: {name} is not in {artifacts.MODELS_LOCK}")
        elif found[name] != locked.files[name]:
            sentences.append(f"model {base}: {name} is damaged (its digest is not the one in {artifacts.MODELS_LOCK})")
    return sentences


def folder_digests(folder: Path) -> dict[str, str]:
    """Path below the folder -> sha256 of every file."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): _sha256(p) for p in files}


class FolderStore:
    """A folder with a folder `org--name` (or `org/name`) for each model."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def bases(self) -> list[str]:
        """See `Store`; models in folders `org/name` are not listed."""
        return sorted(p.name.replace("--", "/", 1) for p in self._root.glob("[!.]*--*") if p.is_dir())

    def digests(self, base: str) -> dict[str, str]:
        """See `Store`."""
        folder = self._folder(base)
        return folder_digests(folder) if folder.is_dir() else {}

    def put(self, base: str, folder: Path) -> None:
        """See `Store`; the model appears atomically, by renaming."""
        target = self._folder(base)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)

    def scratch(self) -> AbstractContextManager[Path]:
        """See `Store`; on the store's disk."""
        self._root.mkdir(parents=True, exist_ok=True)
        return swept_folder(".pulling.", self._root)

    def local(self, base: str, locked: LockedModel | None) -> str:
        """See `Store`; the digests of a model that is not in the lock are not checked. Raises `symbolic_link`."""
        if not self._folder(base).is_dir():
            raise ModelError(f"base model {base!r} is not in the model store: `enigma models pull {base}`")
        refuse_model_links(self._folder(base))
        if locked is not None:
            refuse(defects(base, locked, self.digests(base)))
        return str(self._root)

    def _folder(self, base: str) -> Path:
        nested = self._root / base
        return nested if nested.is_dir() else self._root / artifacts.base_model_folder(base)


class S3Store:
    """Objects `prefix/org--name/file`; a model is downloaded once into this machine's cache, by digest."""

    def __init__(self, root: str, cache: Path) -> None:
        self._root = root
        self._cache = cache
        self._objects = ObjectStore()

    def bases(self) -> list[str]:
        """See `Store`."""
        return sorted({self._name(i.uri)[0].replace("--", "/", 1) for i in self._objects.list(f"{self._root}/")})

    def digests(self, base: str) -> dict[str, str]:
        """See `Store`; every object is read as a stream."""
        found = {}
        for uri in self._uris(base):
            digest = hashlib.sha256()
            with self._objects.open_stream(uri) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
            found[self._name(uri)[1]] = digest.hexdigest()
        return found

    def put(self, base: str, folder: Path) -> None:
        """See `Store`; files that the model no longer has are deleted first."""
        names = {p.name for p in folder.iterdir()}
        self._objects.delete_many([u for u in self._uris(base) if self._name(u)[1] not in names])
        for name in sorted(names):
            self._objects.upload(folder / name, f"{self._root}/{artifacts.base_model_folder(base)}/{name}")

    def scratch(self) -> AbstractContextManager[Path]:
        """See `Store`; in the cache."""
        self._cache.mkdir(parents=True, exist_ok=True)
        return swept_folder(".pulling.", self._cache)

    def local(self, base: str, locked: LockedModel | None) -> str:
        """See `Store`; processes wait for each other, and a model appears atomically, by renaming."""
        if locked is None:
            raise ModelError(f"base model {base!r} is not in {artifacts.MODELS_LOCK}: `enigma models pull {base}`")
        root = self._cache / locked.digest
        target = root / artifacts.base_model_folder(base)
        self._cache.mkdir(parents=True, exist_ok=True)
        with disk_errors(self._cache), (self._cache / f"{locked.digest}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released by the kernel, however the process ends
            if target.is_dir() and not defects(base, locked, folder_digests(target)):
                return str(root)
            shutil.rmtree(root, ignore_errors=True)
            stored = {self._name(uri)[1]: uri for uri in self._uris(base)}
            refuse(
                [f"model {base}: {name} is missing in the model store" for name in locked.files if name not in stored]
            )
            with swept_folder(".fetching.", self._cache) as scratch:
                fetched = Path(scratch) / locked.digest / target.name
                fetched.mkdir(parents=True)
                for name in locked.files:
                    self._objects.download(stored[name], model_file(fetched, name))
                refuse(defects(base, locked, folder_digests(fetched)))
                fetched.parent.rename(root)
        return str(root)

    def _uris(self, base: str) -> Iterator[str]:
        return (info.uri for info in self._objects.list(f"{self._root}/{artifacts.base_model_folder(base)}/"))

    def _name(self, uri: str) -> tuple[str, str]:
        folder, _, name = uri.removeprefix(f"{self._root}/").partition("/")
        return folder, name


def refuse(sentences: list[str]) -> None:
    """Raise ModelError with the first five sentences, if there are any."""
    if sentences:
        more = f", and {len(sentences) - 5} more" if len(sentences) > 5 else ""
        raise ModelError("; ".join(sentences[:5]) + more)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
