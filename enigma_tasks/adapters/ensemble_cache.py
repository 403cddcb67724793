"""Cache of verified ensemble folders on this machine, by digest."""

from __future__ import annotations

import fcntl
import logging
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.artifacts import ENSEMBLE_ARTIFACT, ENSEMBLE_CARD, ENSEMBLE_MEMBERS, MODEL_CARD
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.errors import ModelError
from enigma_tasks.leftovers import swept_folder
from enigma_tasks.ner.model_folder import model_digest, read_any_card
from enigma_tasks.workfolder import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)


def cached(digest: str, cache: Path, fetch: Callable[[Path, Mapping[str, Path]], None]) -> Path:
    """The folder `cache/{digest}` with the ensemble of that digest.

    `fetch` fills an empty folder; its second argument are the members in the cache, by digest. An existing folder is
    verified, and replaced if it is damaged. Processes that share the cache wait for each other; a folder appears
    atomically, by renaming.

    Raises:
        ModelError: the fetched ensemble does not have the digest.
        ServiceError: the cache cannot be written, as where the disk is full; names it.
    """
    if not digest.isalnum():
        raise ModelError("a digest is letters and digits")
    cache = cache.absolute()
    target = cache / digest
    with disk_errors(cache), _locked(cache, digest):
        if target.exists():
            if _digest(target) == digest:
                return target
            log.warning("the cached ensemble %s is damaged: fetching it again", digest[:12])
            shutil.rmtree(target)
        for siblings in (_members(cache), {}):  # without siblings the second time: one may be damaged
            with swept_folder(".fetching.", cache) as scratch:
                fetched = scratch / ENSEMBLE_ARTIFACT
                fetched.mkdir()
                fetch(fetched, siblings)
                if _digest(fetched) == digest:
                    fetched.rename(target)
                    return target
    raise ModelError(f"the stored ensemble does not have the digest {digest[:12]}")


@contextmanager
def _locked(cache: Path, digest: str) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released by the kernel, however the process ends
        yield


def _members(cache: Path) -> dict[str, Path]:
    """Member digest -> its folder in a cached ensemble, so that a multi-head model of several types is fetched once."""
    return {folder.name: folder for folder in cache.glob(f"[!.]*/{ENSEMBLE_MEMBERS}/*")}


def _digest(folder: Path) -> str | None:
    """The digest of an ensemble folder; None if a member does not match the card or there are other files."""
    try:
        ensemble = read_ensemble(folder)
        if any(model_digest(member.folder) != member.digest for member in ensemble.members):
            return None
        named = {folder / ENSEMBLE_CARD}
        named |= {m.folder / name for m in ensemble.members for name in (MODEL_CARD, *read_any_card(m.folder).files)}
    except ModelError:
        return None
    return ensemble.digest if named == {path for path in folder.rglob("*") if not path.is_dir()} else None
