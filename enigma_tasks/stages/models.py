"""`enigma models`: base models from a hub or folder -> the model store and models.lock; differences between the two."""

from __future__ import annotations

import logging
import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks import artifacts
from enigma_tasks.adapters.model_store import (
    LockedModel,
    defects,
    folder_digests,
    open_store,
    read_lock,
    refuse,
    write_lock,
)
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.paths import refuse_model_links

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.adapters.model_store import Store
    from enigma_tasks.config import Params, Settings

log = logging.getLogger(__name__)

HUB_ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """`enigma models pull|list|verify`: a row for each base model.

    Raises:
        UsageError: no store, a name that is neither member nor hub id, or options that exclude each other.
        ModelError: the store differs from the lock; or (for a single model) it cannot be pulled.
        ServiceError: the hub or the store's S3 cannot be reached.
    """
    only_pull = {"--from": arguments.source, "--revision": arguments.revision} | {
        f"--{name}": getattr(arguments, name) for name in ("update", "convert")
    }
    given = [name for name, value in only_pull.items() if value]
    if given and arguments.action != "pull":
        raise UsageError(f"{given[0]} is only for pull")
    bases = requested(arguments.names, params)
    lock = Path(arguments.params).with_name(artifacts.MODELS_LOCK)
    store = open_store(settings)
    if arguments.action == "list":
        return {"models": _listed(bases, read_lock(lock), store)}
    if arguments.action == "verify":
        return {"models": _verified(bases if arguments.names else None, read_lock(lock), store)}
    if arguments.revision and len(bases) != 1:
        raise UsageError("--revision is only for one model")
    return _pulled(list(bases), arguments, lock, store)


def requested(names: Sequence[str], params: Params) -> dict[str, list[str]]:
    """Hub id -> the members with this base; those of all members without `names`. Local folders are left out.

    Raises:
        UsageError: a name that is neither a member with a hub id nor a hub id.
    """
    bases: dict[str, list[str]] = {}
    for name, member in sorted(params.members.items()):
        for base in (getattr(member, "base", None), getattr(member, "backbone", None)):  # a language model has neither
            if base and base != "scratch" and HUB_ID.fullmatch(base) and not Path(base).is_dir():
                bases.setdefault(base, []).append(name)
    if not names:
        return bases
    chosen: dict[str, list[str]] = {}
    for name in names:
        base = getattr(params.members[name], "base", "scratch") if name in params.members else name
        if base not in bases and (name in params.members or not HUB_ID.fullmatch(name) or "/" not in name):
            raise UsageError(f"{name!r} is neither a member with a base model on a hub nor a hub id (org/name)")
        chosen[base] = bases.get(base, [])
    return chosen


def _listed(bases: dict[str, list[str]], lock: dict[str, LockedModel], store: Store) -> list[dict[str, Any]]:
    stored = set(store.bases())
    return [
        {
            "model": base,
            "members": " ".join(bases.get(base, [])),
            "stored": "yes" if base in stored else "no",
            "revision": (lock[base].revision or "not known")[:12] if base in lock else "not locked",
        }
        for base in sorted(set(bases) | stored | set(lock))
    ]


def _verified(named: dict[str, list[str]] | None, lock: dict[str, LockedModel], store: Store) -> list[dict[str, Any]]:
    """Check the named models, or all that are stored: a store need not have every model of the lock."""
    bases = sorted(named) if named is not None else store.bases()
    rows, differences = [], []
    for base in bases:
        found = store.digests(base)
        if not found:
            differences.append(f"model {base} is not in the model store")
        elif base not in lock:
            differences.append(f"model {base} is not in {artifacts.MODELS_LOCK}")
        else:
            differences += defects(base, lock[base], found)
        rows.append({"model": base, "files": len(found), "revision": base in lock and lock[base].revision})
    refuse(differences)
    return rows


def _pulled(bases: list[str], arguments: argparse.Namespace, lock_file: Path, store: Store) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    failed = False
    for base in bases:
        try:
            outcome = _pull(base, arguments, lock_file, store)
        except ModelError as error:
            if len(bases) == 1:
                raise
            log.warning("%s", error)  # go on with the other models
            outcome, failed = f"failed: {error}", True
        locked = read_lock(lock_file).get(base)
        rows.append({"model": base, "outcome": outcome, "revision": locked.revision if locked else None})
    return {"models": rows, "exit_code": int(failed)}


def _pull(base: str, arguments: argparse.Namespace, lock_file: Path, store: Store) -> str:
    locked = read_lock(lock_file).get(base)
    changes = arguments.update or arguments.revision
    if locked is not None and not changes and not defects(base, locked, store.digests(base)):
        return "was there"
    with store.scratch() as scratch:
        folder = scratch / "model"
        folder.mkdir()
        revision = arguments.revision or (locked.revision if locked and not arguments.update else None)
        if arguments.source:
            _copy_files(_source_folder(Path(arguments.source), base), folder)
        else:
            revision = _fetch(base, revision, folder, convert=arguments.convert)
        _complete(base, folder, convert=arguments.convert)
        found = LockedModel(revision=revision, files=folder_digests(folder))
        if locked is not None and not changes:
            refuse([f"{d}; --update accepts it" for d in defects(base, locked, found.files)])
        store.put(base, folder)
    write_lock(lock_file, {**read_lock(lock_file), base: found})
    return "pulled"


def _fetch(base: str, revision: str | None, folder: Path, *, convert: bool) -> str:
    """Download from the hub; the pickle only if it is needed and allowed."""
    from enigma_tasks.adapters.model_hub import download

    commit = download(base, revision, artifacts.BASE_MODEL_FILES, folder)
    if convert and not any(folder.glob("*.safetensors")):
        download(base, commit, [artifacts.WEIGHTS_PICKLE], folder)
    return commit


def _source_folder(source: Path, base: str) -> Path:
    """The model's folder in `--from`, which has a store's layout or is the model itself."""
    for place in (source / artifacts.base_model_folder(base), source / base, source):
        if any((place / name).is_file() for name in (artifacts.ENCODER_CONFIG, artifacts.GLINER_CONFIG)):
            return place
    raise ModelError(f"model {base}: no {artifacts.ENCODER_CONFIG} in the folder given")


def _copy_files(source: Path, folder: Path) -> None:
    refuse_model_links(source)
    for path in sorted(source.iterdir()):
        names = (*artifacts.BASE_MODEL_FILES, artifacts.WEIGHTS_PICKLE)
        if path.is_file() and any(fnmatchcase(path.name, pattern) for pattern in names):
            shutil.copyfile(path, folder / path.name)


def _complete(base: str, folder: Path, *, convert: bool) -> None:
    """Check weights, config and tokenizer; convert and remove the pickle. Raises ModelError: missing or unsafe."""
    from enigma_tasks.ner.base_models import check_safetensors
    from enigma_tasks.ner.model_files import check_model_files
    from enigma_tasks.ner.pickles import convert_pickle

    pickle = folder / artifacts.WEIGHTS_PICKLE
    weights = sorted(folder.glob("*.safetensors"))
    try:
        if not weights and pickle.is_file() and convert:
            convert_pickle(pickle, folder / artifacts.MODEL_WEIGHTS)
            weights = [folder / artifacts.MODEL_WEIGHTS]
        for path in weights:
            check_safetensors(path)
        check_model_files(folder)
    except ModelError as error:
        raise ModelError(f"model {base}: {error}") from None
    pickle.unlink(missing_ok=True)
    if not weights:
        raise ModelError(
            f"model {base} has no safetensors; if it has a {artifacts.WEIGHTS_PICKLE}, --convert reads its tensors, "
            "executing nothing in it, and stores them as safetensors"
        )
    if not (folder / artifacts.GLINER_CONFIG).is_file():
        if not (folder / artifacts.ENCODER_CONFIG).is_file():
            raise ModelError(f"model {base} has no {artifacts.ENCODER_CONFIG}")
        if not any((folder / name).is_file() for name in artifacts.TOKENIZER_SOURCES):
            raise ModelError(f"model {base} has no tokenizer: none of {', '.join(artifacts.TOKENIZER_SOURCES)}")
