"""Temporary folders that no attempt leaves behind: the next start removes those of processes that were killed.

A folder is in use while a process holds its lock (`flock`), which the kernel releases however the process ends: it is
never judged by its age, and a long attempt keeps its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".enigma"
"""Of every such folder: no other program's is swept."""
_ATTEMPTS = 10


@contextmanager
def swept_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder for this user only, removed at the end; first, what dead processes left beside it is removed.

    Args:
        prefix: of its name.
        parent: where it is; None: the system's temporary folder.

    Raises:
        ServiceError: `parent` cannot be written.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    sweep(parent)
    held = None
    try:
        for _ in range(_ATTEMPTS):  # a sweep of another process may take a folder between its creation and its claim
            folder = tempfile.TemporaryDirectory(dir=parent, prefix=prefix, suffix=SUFFIX, ignore_cleanup_errors=True)
            if (held := claim(Path(folder.name))) is not None:
                break
            folder.cleanup()
    except OSError as error:
        raise ServiceError(f"temporary folder {parent}: {error.strerror}") from None
    if held is None:
        raise ServiceError(f"temporary folder {parent}: others remove what is created in it")
    with folder, _open(held):
        yield Path(folder.name)


def claim(folder: Path) -> int | None:
    """Hold a folder for this process: a descriptor to be closed at the end; None if a sweep was faster.

    Where the file system has no locks, the folder is used unlocked and no sweep removes it.
    """
    descriptor = _descriptor(folder)
    if descriptor is None:
        return None
    if _lock(descriptor) is not False and _is(folder, descriptor):
        return descriptor
    os.close(descriptor)
    return None


def sweep(parent: Path) -> int:
    """Remove the folders of dead processes of this user in `parent`; returns how many."""
    removed = 0
    for folder in sorted(parent.glob(f"*{SUFFIX}")) + sorted(parent.glob(f".*{SUFFIX}")):
        descriptor = _descriptor(folder)
        if descriptor is None:
            continue
        with _open(descriptor):
            if os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor) and _is(folder, descriptor):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def _descriptor(folder: Path) -> int | None:
    """The open folder; None where it is gone, is a link or cannot be opened."""
    with suppress(OSError):
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    return None


@contextmanager
def _open(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Take the lock: False if another process has it, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is(folder: Path, descriptor: int) -> bool:
    """The folder of that name is the one that was opened."""
    with suppress(OSError):
        return os.path.samestat(folder.stat(follow_symlinks=False), os.fstat(descriptor))
    return False
