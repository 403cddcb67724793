"""Where a command works: a temporary folder that may hold text of notes."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.leftovers import swept_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PRIVATE = 0o077


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A folder `enigma-{prefix}-…` in the system's temporary folder.

    While it is there, files are written as 0600, and libraries' temporary files are in it.

    Raises:
        ServiceError: the temporary folder cannot be written.
    """
    with swept_folder(f"enigma-{prefix}-") as folder:
        mask, place = os.umask(_PRIVATE), tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = place
            os.umask(mask)
