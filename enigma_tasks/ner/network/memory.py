"""What glibc's allocator does with freed memory: an encoder frees and asks for the same tens of MiB at every layer."""

from __future__ import annotations

import ctypes
from functools import lru_cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_MIB = 1 << 20


@lru_cache
def keep_freed_memory() -> bool:
    """Have this process keep up to 128 MiB of freed memory for what it asks for next, for as long as it lives.

    Otherwise pages go back to the system and come anew, zeroed, at every layer: 3 to 4 % of the engine's time on two
    cores (docs/experiments.md). False where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 * _MIB) and mallopt(_M_TRIM_THRESHOLD, 128 * _MIB))
