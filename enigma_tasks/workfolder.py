"""Where a command works: a temporary folder that the next start removes if this process is killed."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.leftovers import swept_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "enigma-"
"""Of every temporary folder's name."""
_PRIVATE = 0o077


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder (0700) for text, removed at the end; files that the block makes, anywhere, are 0600.

    Raises:
        ServiceError: the temporary folder cannot be written.
    """
    with scratch_folder() as folder:
        mask = os.umask(_PRIVATE)
        try:
            yield folder
        finally:
            os.umask(mask)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """As `private_folder`, for what may be copied out of it to others: files have the usual permissions.

    Libraries' temporary files are in it too, so that none of them stays behind either.
    """
    with swept_folder(PREFIX) as folder:
        place = tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = place
