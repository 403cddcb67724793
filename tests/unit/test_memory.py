"""Memory that was freed is used again, not given back and asked for anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

from enigma_tasks.ner.network.memory import keep_freed_memory

FAULTS = """
import resource, sys
from enigma_tasks.ner.network.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [bytearray(12 << 20) for _ in range(5)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_blocks_asked_for_again_cost_no_new_pages() -> None:
    if not keep_freed_memory():
        pytest.skip("not glibc")
    faults = {
        way: int(subprocess.run([sys.executable, "-c", FAULTS, way], check=True, capture_output=True, text=True).stdout)
        for way in ("kept", "given back")
    }
    assert faults["kept"] < faults["given back"] / 4
