"""How much memory a piece of work takes at its highest point."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def traced(work: Callable[[], Result]) -> tuple[Result, int]:
    """Its result, and the bytes that Python had allocated for it at most."""
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
