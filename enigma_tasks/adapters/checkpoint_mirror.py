"""Keeps a training's checkpoint in the object store too, so that it can be resumed on another machine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from enigma_tasks.paths import below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.adapters.object_store import ObjectStore

log = logging.getLogger(__name__)


class CheckpointMirror:
    """A `TrainingCallback`: `fetch` before a training, an upload after each epoch.

    Raises, from every method:
        ServiceError: the object store is unreachable or failing.
        DataError: `path_outside`: a stored file's name leaves the folder.
    """

    def __init__(self, store: ObjectStore, uri: str, folder: Path) -> None:
        self._store, self._uri, self._folder = store, uri, folder

    def fetch(self) -> None:
        """Copy the stored checkpoint, if any, into the folder; one that is there already is kept."""
        if self._folder.exists():
            return
        prefix = f"{self._uri}/"
        for item in list(self._store.list(prefix)):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store.download(item.uri, below(self._folder, item.uri.removeprefix(prefix), "checkpoint"))

    def on_start(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""

    def on_step(self, step: int, total: int, loss: object) -> None:
        """See `TrainingCallback`."""

    def on_epoch(self, epoch: Mapping[str, float]) -> None:  # noqa: ARG002
        """Upload the checkpoint, which was written before."""
        for path in sorted(self._folder.glob("*")):
            self._store.upload(path, f"{self._uri}/{path.name}")


def discard(store: ObjectStore, uri: str) -> None:
    """Delete a stored checkpoint. Raises ServiceError."""
    store.delete_many(item.uri for item in list(store.list(f"{uri}/")))
