"""Iterators that work on threads, in order and with bounded memory."""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(
    function: Callable[[In], Out],
    items: Iterable[In],
    threads: int,
    ahead: int = 4,
    *,
    size: Callable[[In], int] = lambda _: 0,
    most: int = 0,
) -> Iterator[Out]:
    """`map` on threads: results in order, at most `ahead` items per thread drawn before the caller takes one.

    Args:
        function: of an item.
        items: drawn as threads become free.
        threads: their number.
        ahead: items per thread.
        size: of an item's result; 0 where it is not known.
        most: size of all results that are waited for together; one that is larger is computed alone.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="s3") as pool:
        waiting: deque[tuple[Future[Out], int]] = deque()
        held = 0
        try:
            for item in items:
                own = size(item)
                while waiting and (len(waiting) >= threads * ahead or (own and held + own > most)):
                    future, taken = waiting.popleft()
                    held -= taken
                    yield future.result()
                waiting.append((pool.submit(function, item), own))
                held += own
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            for future, _ in waiting:
                future.cancel()


def read_ahead(items: Iterable[Out], ahead: int = 1) -> Iterator[Out]:
    """The same items, drawn on another thread, at most `ahead` before the caller takes one."""
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def offer(entry: tuple[bool, Any]) -> None:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return
            except queue.Full:
                continue

    def draw() -> None:
        try:
            for item in items:
                offer((True, item))
                if stopped.is_set():
                    return
            offer((False, None))
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            offer((False, error))

    thread = threading.Thread(target=draw, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = ready.get()
            if more:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        stopped.set()
        thread.join()
