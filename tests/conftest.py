"""What holds for every test: one thread a process, no limit on an example's time, whole files side by side."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports torch; commands that tests start inherit it. Threads of torch that wait for each other do so
# busily: on a loaded machine a test of the engine took 92 s of processor time with two threads, 2 s with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Hypothesis would fail an example that takes 200 ms, or slow generation. In CI the examples are the same every time.
settings.register_profile(
    "enigma",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("enigma")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in parallel: a file's tests stay in one process, which trains and starts what they share once.

    Tests that start a whole stack follow each other, and come first: nothing else takes as long.
    """
    for item in items:
        stack = item.get_closest_marker("e2e") is not None
        item.add_marker(pytest.mark.xdist_group("stack" if stack else item.path.stem))
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
