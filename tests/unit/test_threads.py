"""Work on threads keeps its order, and no more of its results than it may."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.threads import in_order


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_results_are_in_order_and_those_that_wait_are_no_larger_than_allowed(sizes: list[int], threads: int) -> None:
    lock, held, most_held = threading.Lock(), 0, 0

    def fetch(item: tuple[int, int]) -> tuple[int, int]:
        nonlocal held, most_held
        with lock:
            held += item[1]
            most_held = max(most_held, held)
        return item

    items = list(enumerate(sizes))
    found = []
    for item in in_order(fetch, items, threads, size=lambda item: item[1], most=10):
        found.append(item)
        with lock:
            held -= item[1]
    assert found == items
    # what the caller has been given is held by the caller until it takes the next
    assert most_held <= max(10, max(sizes, default=0)) + max(sizes, default=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_without_sizes_a_few_items_per_thread_are_drawn_ahead(threads: int) -> None:
    drawn = []

    def items() -> object:
        for n in range(50):
            drawn.append(n)
            yield n

    results = in_order(str, items(), threads, ahead=2)  # type: ignore[arg-type]
    assert next(results) == "0"
    assert len(drawn) == 2 * threads + 1
    assert list(results) == [str(n) for n in range(1, 50)]
