"""What the steps of a retraining hand over, in the object store: entries of dvc.lock, and small files.

A step is created once: of two attempts at it the first counts, and every later step builds on that one. Its data is on
the DVC remote before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field, TypeAdapter

from enigma_tasks.errors import ModelError, ObjectMissing
from enigma_tasks.frozen import Frozen, read_record
from enigma_tasks.gold.changes import TrainingWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.training_places import TrainingPlaces

PREPARE, ENSEMBLE, EVALUATE = "prepare", "ensemble", "evaluate"


class Step(Frozen):
    """The result of one step."""

    stages: dict[str, Any]
    """Entries of dvc.lock."""
    files: dict[str, str] = Field(default_factory=dict)
    """Pointers and metrics: path in the project -> content."""
    report: dict[str, Any] = Field(default_factory=dict)
    """Counts."""


_STEP, _WORK = TypeAdapter(Step), TypeAdapter(TrainingWork)


def read_step(name: str, data: bytes) -> Step:
    """A step's result as it is stored. Raises DataError as `read_record` does."""
    return read_record(_STEP, name, data)


class TrainingSteps:
    """The steps of one run.

    Raises, from every method:
        DataError: what is stored is damaged, or written by a newer version; see `frozen.read_record`.
        ServiceError: the object store is unreachable or failing.
    """

    def __init__(self, store: ObjectStore, places: TrainingPlaces) -> None:
        self._store, self.places = store, places

    def work(self) -> TrainingWork:
        """What is to be done. Raises ModelError where there is no such run."""
        try:
            return read_record(_WORK, self.places.work, self._store.get(self.places.work))
        except ObjectMissing:
            raise ModelError("no such retraining: its work is not listed") from None

    def read(self, name: str) -> Step | None:
        """A step of this run that is done."""
        return self._read(self.places.step(name))

    def require(self, name: str) -> Step:
        """As `read`. Raises ModelError if it is not done."""
        step = self.read(name)
        if step is None:
            raise ModelError(f"{name} is not done: its task has failed, and says why")
        return step

    def create(self, name: str, step: Step) -> Step:
        """Record a step; returns the one that counts, which another attempt may have created."""
        content = json.dumps(step.model_dump(mode="json"), sort_keys=True).encode()
        return step if self._store.put_if_absent(self.places.step(name), content) else self.require(name)

    def untrained(self, work: TrainingWork) -> list[str]:
        """The members that have no model yet, as their training failed or has not ended."""
        return [member for member in work.members if self.read(train_step(member)) is None]

    def of_another_run(self, name: str) -> Step | None:
        """The newest such step of another run of the language, whose result may still be up to date: DVC decides."""
        ending = self.places.step(name).removeprefix(self.places.root)
        found = [o for o in self._store.list(f"{self.places.of_language}/") if o.uri.endswith(ending)]
        newest = max(found, key=lambda o: (o.last_modified, o.key), default=None)
        return None if newest is None else self._read(newest.uri)

    def _read(self, uri: str) -> Step | None:
        try:
            return read_step(uri, self._store.get(uri))
        except ObjectMissing:
            return None


def train_step(member: str) -> str:
    """The step that trains a member."""
    return f"train-{member}"


def without(step: str, missing: Sequence[str]) -> str:
    """The step for an ensemble without these members: another one, so that a member that comes later is not lost."""
    return "-without-".join([step, *missing])
