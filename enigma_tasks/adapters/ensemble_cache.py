"""Ensemble folders on this machine, by digest: a way to fetch one -> a verified folder, fetched once."""

from __future__ import annotations

import fcntl
import logging
import shutil
import tempfile
from typing import TYPE_CHECKING

from enigma_tasks.artifacts import ENSEMBLE_ARTIFACT, ENSEMBLE_CARD, ENSEMBLE_MEMBERS, MODEL_CARD
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.errors import ModelError
from enigma_tasks.ner.model_folder import model_digest, read_any_card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)


def cached(digest: str, cache: Path, fetch: Callable[[Path, Mapping[str, Path]], None]) -> Path:
    """The folder `cache/{digest}`, an ensemble that has that digest.

    `fetch` fills an empty folder; it is given the members that lie in the cache already, by their digests.
    What is there is verified and kept, or replaced when damaged. Processes that share the cache wait for each other;
    a folder appears whole, by renaming.

    Raises:
        ModelError: what was fetched does not have the digest.
    """
    if not digest.isalnum():
        raise ModelError("a digest is letters and figures")
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / digest
    with (cache / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel gives it back however the process ends
        if target.exists():
            if _digest(target) == digest:
                return target
            log.warning("the cached ensemble %s is damaged: fetching it again", digest[:12])
            shutil.rmtree(target)
        for siblings in (_members(cache), {}):  # a damaged sibling must not stand in the way
            with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching.") as scratch:
                fetched = cache / scratch / ENSEMBLE_ARTIFACT
                fetched.mkdir()
                fetch(fetched, siblings)
                if _digest(fetched) == digest:
                    fetched.rename(target)
                    return target
    raise ModelError(f"the stored ensemble does not have the digest {digest[:12]}")


def _members(cache: Path) -> dict[str, Path]:
    """Member digest -> its folder in some cached ensemble: types that share a multi-head model fetch it once."""
    return {folder.name: folder for folder in cache.glob(f"[!.]*/{ENSEMBLE_MEMBERS}/*")}


def _digest(folder: Path) -> str | None:
    """The digest of a sound ensemble folder: its members are what its card says, and no file is beside them."""
    try:
        ensemble = read_ensemble(folder)
        if any(model_digest(member.folder) != member.digest for member in ensemble.members):
            return None
        named = {folder / ENSEMBLE_CARD}
        named |= {m.folder / name for m in ensemble.members for name in (MODEL_CARD, *read_any_card(m.folder).files)}
    except ModelError:
        return None
    return ensemble.digest if named == {path for path in folder.rglob("*") if not path.is_dir()} else None
