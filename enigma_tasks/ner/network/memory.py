"""Freed memory: settings of glibc's allocator and of Python's garbage collector."""

from __future__ import annotations

import ctypes
import gc
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_MIB = 1 << 20


@lru_cache
def keep_freed_memory() -> bool:
    """Make this process keep up to 128 MiB of freed memory for reuse; False if the C library is not glibc.

    An encoder frees and allocates the same tens of MiB at every layer; otherwise pages are returned to the system and
    zeroed at every layer: 3 to 4 % of the engine's time on two cores (docs/experiments.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 * _MIB) and mallopt(_M_TRIM_THRESHOLD, 128 * _MIB))


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage while libraries and models are loaded, and leave them out of every later collection.

    They stay until the process ends, and looking through them again and again, at the end too, took a fifth of the
    time of a shard's start (benchmarks/README.md).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
