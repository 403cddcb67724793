"""What holds for every test: one thread a process, and nothing that depends on how fast the machine is."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Before anything imports torch. Several threads wait for each other at barriers: on a busy machine they burn forty times
# the processor time of one (a test of the engine: 92 s against 2). Commands that tests start inherit it.
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
