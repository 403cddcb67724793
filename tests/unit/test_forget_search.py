"""The search for a forgotten note takes no large object into memory, packed or not."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import forget_search
from enigma_tasks.adapters.object_versions import ObjectVersion
from enigma_tasks.notes.forgetting import Traces
from enigma_tasks.notes.forgotten import Target, Tombstones
from enigma_tasks.params.limits import Unpacked
from tests.unit.memory import least_traced

if TYPE_CHECKING:
    from enigma_tasks.adapters.forget_search import Finding

VERSION = ObjectVersion("hospital", "runs/night-1/shard.jsonl.gz", "1", latest=True, is_mark=False)
KEY = "drops/es/2026-06-11/Zzyzxova.txt"
TRACES = Traces(Target("hospital", KEY), Tombstones("f" * 32, frozenset()))
FILLER = json.dumps({"bucket": "hospital", "key": "drops/es/2026-06-11/other.txt"}).encode() + b"\n"
MOST = 700_000
"""Bytes; the records of the smallest object that is searched by line here take 1 MB in memory."""
NAMING = json.dumps({"bucket": "hospital", "key": KEY}).encode() + b"\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget_search, "_WHOLE", Unpacked(max_bytes=20_000, max_ratio=2000))
    monkeypatch.setattr(forget_search, "_SEARCHED", Unpacked(max_bytes=200_000, max_ratio=2000))
    monkeypatch.setattr(forget_search, "_LONGEST_LINE", 40_000)


def found_in(data: bytes, monkeypatch: pytest.MonkeyPatch, *, packed: bool) -> tuple[Finding | None, bytes, int]:
    """What is found in an object, the lines that are left of it, and how much memory the search took."""
    stored = gzip.compress(data) if packed else data
    monkeypatch.setattr(forget_search, "open_version", lambda _: io.BytesIO(stored))
    search: Any = forget_search._in_stream
    finding, most = least_traced(lambda: search(VERSION, io.BytesIO(stored), TRACES))
    rest = b"".join(forget_search.other_lines(VERSION, TRACES)) if finding and finding.by_line else b""
    return finding, gzip.decompress(rest) if packed and rest else rest, most


@pytest.mark.parametrize("packed", [True, False])
def test_a_large_object_is_searched_line_by_line_and_its_other_lines_are_kept(
    packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = FILLER * 2_000 + NAMING + FILLER * 400
    finding, rest, most = found_in(data, monkeypatch, packed=packed)
    assert finding is not None
    assert rest == FILLER * 2_400
    assert (finding.whole, finding.searched, finding.has_rest) == (False, True, True)
    assert most < MOST
    nothing, _, most = found_in(FILLER * 2_400, monkeypatch, packed=packed)
    assert (nothing, most < MOST) == (None, True)


@pytest.mark.parametrize("packed", [True, False])
def test_an_object_of_other_lines_that_names_the_note_has_no_rest(
    packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding, _, _ = found_in(FILLER * 2_000 + b"see " + KEY.encode() + b"\n", monkeypatch, packed=packed)
    assert finding is not None
    assert (finding.has_rest, finding.searched) == (False, True)


LONG = FILLER + b"x" * 80_000


@pytest.mark.parametrize(("data", "packed"), [(FILLER * 4_000, True), (LONG, True), (LONG, False)])
def test_an_object_that_is_too_large_to_be_searched_is_named_and_not_called_clean(
    data: bytes, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding, _, most = found_in(data, monkeypatch, packed=packed)
    assert finding is not None
    assert (finding.has_rest, finding.whole, finding.searched) == (False, False, False)
    assert most < MOST


def test_a_plain_object_is_searched_however_large_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    finding, rest, most = found_in(FILLER * 4_000 + NAMING, monkeypatch, packed=False)
    assert finding is not None
    assert (rest, most < MOST) == (FILLER * 4_000, True)
