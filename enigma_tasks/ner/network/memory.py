"""Settings of glibc's allocator: an encoder frees and allocates the same tens of MiB at every layer."""

from __future__ import annotations

import ctypes
from functools import lru_cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_MIB = 1 << 20


@lru_cache
def keep_freed_memory() -> bool:
    """Make this process keep up to 128 MiB of freed memory for reuse; False if the C library is not glibc.

    Otherwise pages are returned to the system and zeroed at every layer: 3 to 4 % of the engine's time on two cores
    (docs/experiments.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 * _MIB) and mallopt(_M_TRIM_THRESHOLD, 128 * _MIB))
