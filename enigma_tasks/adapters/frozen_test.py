"""The frozen test set of a language, from the newest commit of the training project."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.artifacts import FOLDS
from enigma_tasks.errors import DataError
from enigma_tasks.training_places import frozen_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from enigma_tasks.config import Params, Settings


@contextmanager
def frozen_test(settings: Settings, params: Params, language: str) -> Iterator[Path]:
    """A folder with the language's frozen test set, while the context is open.

    Raises:
        UsageError: no training project is configured.
        DataError: `test_set_missing`, none was frozen; `frozen_set_removed`.
        ServiceError: git, DVC or the DVC remote.
    """
    with TrainingRepository.open(settings, command_seconds=params.ingest.command_seconds) as project:
        project.take_frozen()
        folder = project.folder / frozen_folder(language) / FOLDS[2]
        if project.is_frozen(language):
            project.pull(frozen_folder(language))
        if not folder.is_dir():
            raise DataError(language, "test_set_missing", hint="no test set was frozen in the training project")
        yield folder
