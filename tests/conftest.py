"""What holds for every test: one thread a process, no limit on an example's time, whole files side by side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

STACK = "tests/e2e/"
LONGEST = (STACK, "tests/integration/test_retrain_steps.py", "tests/integration/test_dvc_path.py")
SERVER_TIERS = {"docker", "ceph", "cluster"}
DIVIDED = "tests/faults/"
"""Tests that divide a file's work among processes, each of which starts all that it needs."""

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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A tier that needs a server, and of which every test was skipped, ends as one without a test: with code 5."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.option.markexpr not in SERVER_TIERS or reporter is None:
        return
    if exitstatus == 0 and "passed" not in reporter.stats:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: in parallel the rest goes on beside it."""
    items.sort(
        key=lambda item: next((i for i, place in enumerate(LONGEST) if item.nodeid.startswith(place)), len(LONGEST))
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """In parallel a file's tests stay in one process, which trains and starts once what they share.

    Files that start a whole stack follow each other: two stacks side by side are more than a small machine holds.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(DIVIDED):
                return nodeid
            return STACK if nodeid.startswith(STACK) else super()._split_scope(nodeid)

    return Scheduling(config, log)
