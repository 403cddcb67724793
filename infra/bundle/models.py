"""The base models that `models.lock` names, from the model store, checked against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.adapters.model_store import open_store, read_lock
from enigma_tasks.artifacts import base_model_folder
from infra.bundle.source import BundleError

if TYPE_CHECKING:
    from enigma_tasks.adapters.model_store import LockedModel
    from enigma_tasks.config import Settings


@dataclass(frozen=True)
class BundledModel:
    """A base model and the folder that has its files."""

    base: str
    """Its hub id."""
    locked: LockedModel
    folder: Path

    @property
    def name(self) -> str:
        """Its folder in a model store."""
        return base_model_folder(self.base)


def models_of(lock: Path, settings: Settings) -> list[BundledModel]:
    """Every model of a lock, by hub id; none if the lock names none.

    Raises:
        BundleError: no model store is set.
        ModelError: the lock is damaged, or the store lacks a model or has other files than the lock says.
        ServiceError: the store's S3 cannot be reached.
    """
    locked = read_lock(lock)
    if locked and not settings.model_store:
        raise BundleError(f"models.lock names {', '.join(sorted(locked))}: say where the model store is (MODELS=)")
    found = []
    for base, model in sorted(locked.items()):
        root = Path(open_store(settings).local(base, model))
        nested = root / base
        found.append(BundledModel(base, model, nested if nested.is_dir() else root / base_model_folder(base)))
    return found
