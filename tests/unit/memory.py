"""How much memory a piece of work takes at its highest point."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def traced(work: Callable[[], Result]) -> tuple[Result, int]:
    """Its result, and the bytes that Python had allocated for it at most.

    What other tests left behind is collected before: its finalizers would allocate in the middle of the work.
    """
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def least_traced(work: Callable[[], Result], times: int = 3) -> tuple[Result, int]:
    """The result, and the least of the peaks of several runs of work that changes nothing.

    Imports of a first run and the threads of servers only ever add to a peak, so the least one is still a bound.
    """
    runs = [traced(work) for _ in range(times)]
    return runs[-1][0], min(most for _, most in runs)
