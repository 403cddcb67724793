"""Memory that was freed is used again, not given back and asked for anew."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.ner.network.memory import keep_freed_memory, uncollected

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture
def frozen_before() -> Iterator[int]:
    """How many objects the collector leaves out already; what the test adds is given back to it."""
    yield gc.get_freeze_count()
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_while_loading_and_what_was_loaded_never_again(frozen_before: int) -> None:
    collections: list[str] = []

    def collected(phase: str, _: object) -> None:
        collections.append(phase)

    gc.callbacks.append(collected)
    try:
        with uncollected():
            loaded = [[i] for i in range(100_000)]
            assert collections == []
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen_before + len(loaded)
    finally:
        gc.callbacks.remove(collected)


def test_the_collector_is_as_it_was_after_loading_failed_or_where_it_was_off(frozen_before: int) -> None:
    with pytest.raises(ValueError, match="damaged"), uncollected():
        raise ValueError("damaged")
    assert gc.isenabled()
    gc.disable()
    with uncollected():
        assert not gc.isenabled()
    assert not gc.isenabled()
    assert gc.get_freeze_count() >= frozen_before
