"""The search for a forgotten note unpacks no object into memory that is far larger unpacked."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import forget_search
from enigma_tasks.adapters.object_versions import ObjectVersion
from enigma_tasks.notes.forgetting import Traces
from enigma_tasks.notes.forgotten import Target, Tombstones
from enigma_tasks.params.limits import Unpacked
from tests.unit.memory import traced

if TYPE_CHECKING:
    from enigma_tasks.adapters.forget_search import Finding

VERSION = ObjectVersion("hospital", "runs/night-1/shard.jsonl.gz", "1", latest=True, is_mark=False)
KEY = "drops/es/2026-06-11/Zzyzxova.txt"
TRACES = Traces(Target("hospital", KEY), Tombstones("f" * 32, frozenset()))
FILLER = json.dumps({"bucket": "hospital", "key": "drops/es/2026-06-11/other.txt"}).encode() + b"\n"
MOST = 25_000_000
"""Bytes; the records of the smaller object here take 32 MB in memory."""
NAMING = json.dumps({"bucket": "hospital", "key": KEY}).encode() + b"\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget_search, "_WHOLE", Unpacked(max_bytes=500_000, max_ratio=2000))
    monkeypatch.setattr(forget_search, "_SEARCHED", Unpacked(max_bytes=5_000_000, max_ratio=2000))
    monkeypatch.setattr(forget_search, "_LONGEST_LINE", 1_000_000)


def found_in(data: bytes) -> tuple[Finding | None, int]:
    packed = gzip.compress(data)
    search: Any = forget_search._in_bytes
    return traced(lambda: search(VERSION, packed, TRACES))


def test_a_large_packed_object_is_searched_line_by_line_and_its_other_lines_are_kept() -> None:
    finding, most = found_in(FILLER * 50_000 + NAMING + FILLER * 10_000)
    assert finding is not None
    assert gzip.decompress(finding.rest or b"") == FILLER * 60_000
    assert (finding.whole, finding.searched) == (False, True)
    assert most < MOST
    nothing, most = found_in(FILLER * 60_000)
    assert (nothing, most < MOST) == (None, True)


def test_an_object_of_other_lines_that_names_the_note_has_no_rest() -> None:
    finding, _ = found_in(FILLER * 50_000 + b"see " + KEY.encode() + b"\n")
    assert finding is not None
    assert (finding.rest, finding.searched) == (None, True)


@pytest.mark.parametrize("data", [FILLER * 100_000, FILLER + b"x" * 2_000_000])
def test_an_object_that_is_too_large_to_be_searched_is_named_and_not_called_clean(data: bytes) -> None:
    finding, most = found_in(data)
    assert finding is not None
    assert (finding.rest, finding.whole, finding.searched) == (None, False, False)
    assert most < MOST
