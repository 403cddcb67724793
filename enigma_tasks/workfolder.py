"""Temporary folders: in the folder that TMPDIR names or not at all, private; a full disk is a typed error."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.environment import temporary_root
from enigma_tasks.errors import DiskError
from enigma_tasks.leftovers import swept_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "enigma-"
"""Of every temporary folder's name."""
_PROBE_BYTES = 4096
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def require_temporary_root() -> Path:
    """The folder for temporary folders, after a write into it; libraries use it too.

    Python would take the next of several folders where this one is full or read-only, and leave text there.

    Raises:
        DiskError: it does not exist or cannot be written; names it.
    """
    root = temporary_root()
    tempfile.tempdir = str(root)
    with _named(root, frozenset(errno.errorcode)), tempfile.TemporaryFile(dir=root) as probe:
        probe.write(b"\0" * _PROBE_BYTES)
        probe.flush()
    return root


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder (0700) for text, removed at the end; files that the block makes, anywhere, are 0600.

    Raises:
        DiskError: the folder cannot be made, or the disk is full or fails inside the block; names the folder.
    """
    with scratch_folder() as folder:
        before = os.umask(0o077)
        try:
            yield folder
        finally:
            os.umask(before)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """As `private_folder`, for what may be copied out of it to others: files have the usual permissions.

    Libraries' temporary files are in it too; what a killed process left is removed first.
    """
    root = temporary_root()
    with swept_folder(PREFIX, root) as folder, disk_errors(root):
        place = tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = place


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn "no space left", "read-only" and the disk's own errors inside the block into DiskError."""
    with _named(folder, _DISK):
        yield


def is_disk_error(error: BaseException) -> bool:
    """Whether `disk_errors` takes it."""
    return isinstance(error, OSError) and error.errno in _DISK


@contextmanager
def _named(folder: Path, numbers: frozenset[int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise
        raise DiskError(f"folder {folder} cannot be written: {os.strerror(error.errno or 0).lower()}") from None
