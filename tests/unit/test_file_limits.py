"""One file of notes costs only itself: what unpacks to far more than it seems is one refusal, in little memory."""

from __future__ import annotations

import gzip
import io
import json
import unicodedata
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.adapters.note_reader import chunks
from enigma_tasks.documents import LONGEST_EXPANSION, Document, expanded_length
from enigma_tasks.errors import DataError
from enigma_tasks.ner.engine import _chunks
from enigma_tasks.notes.files import read_records
from enigma_tasks.notes.plans import digest, notes_bytes, read_notes
from enigma_tasks.notes.record_planning import Judgement, scan
from enigma_tasks.notes.records import read_lines
from enigma_tasks.notes.references import NoteRef, Refused, check_subwords
from enigma_tasks.params.limits import RecordLimits, Unpacked
from tests.unit.memory import traced

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = RecordLimits(
    max_bytes=1_000_000,
    max_subwords=1_000_000,
    max_records=1000,
    unpacked=Unpacked(max_bytes=50_000_000, max_ratio=100),
)
LOOSE = Unpacked(max_bytes=10**10, max_ratio=10**6)
PHRASE = "\ufdfa"
"""One character that tokenizers write out as 18."""
FILE = NoteRef("clinic", "drops/es/2026-06-11/day.jsonl.gz", "e", "e", "day.jsonl.gz", "es", "path", "2026-06-11", 0)


def outcomes(data: bytes, limits: RecordLimits = LIMITS, key: str = FILE.key) -> list[tuple[str, int | None]]:
    """(record id or rule, offset) of all that `read_lines` says."""
    found = [outcome for _, outcome in read_lines(io.BytesIO(data), key, limits)]
    return [(o.rule, o.offset) if isinstance(o, DataError) else (o.id, None) for o in found]


def row(number: int, text: str = "tos") -> bytes:
    return json.dumps({"id": f"r{number}", "text": text}).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "most", "rule"),
    [
        (b"\n", 1000, "too_many_records"),
        (row(1), 1000, "too_many_records"),
        (b"\n", 10**9, "unpacked_ratio"),
        (row(1), 10**9, "unpacked_ratio"),
        (b'{"id": "a", "te', 1000, "unpacked_ratio"),
    ],
)
def test_a_few_kilobytes_of_millions_of_lines_are_one_refusal_in_little_memory(
    line: bytes, most: int, rule: str
) -> None:
    packed = gzip.compress(line * (5_000_000 // len(line)))
    assert len(packed) < 50_000
    limits = LIMITS.model_copy(update={"max_records": most})
    last: deque[tuple[object, object]] = deque(maxlen=1)
    assert traced(lambda: last.extend(read_lines(io.BytesIO(packed), FILE.key, limits)))[1] < 5_000_000
    ((line_of, error),) = last
    assert line_of is None
    assert isinstance(error, DataError)
    assert error.rule == rule


def test_a_file_may_not_unpack_to_more_than_the_limit_however_well_it_is_packed() -> None:
    small = LIMITS.model_copy(update={"unpacked": Unpacked(max_bytes=2000, max_ratio=10**6)})
    assert outcomes(gzip.compress(row(1, "x" * 1950)), small) == [("r1", None)]
    assert outcomes(gzip.compress(row(1, "x" * 1000) + row(2, "x" * 1000)), small)[-1] == ("unpacked_too_large", 1)


def test_the_ratio_counts_from_a_megabyte_on() -> None:
    strict = LIMITS.model_copy(update={"unpacked": Unpacked(max_bytes=10**9, max_ratio=2)})
    assert outcomes(gzip.compress(row(1) * 500), strict)[0] == ("r1", None)
    assert outcomes(gzip.compress(row(1) * 999 + row(2, "x" * 1_000_000)), strict)[-1][0] == "unpacked_ratio"


@pytest.mark.parametrize("end", [b"\n", b"\n\n\n"])
def test_records_are_counted_by_lines_and_the_blank_ones_count(end: bytes) -> None:
    few = LIMITS.model_copy(update={"max_records": 6})
    rows = [row(n).rstrip(b"\n") + end for n in range(6 // len(end))]
    assert outcomes(b"".join(rows), few, "day.jsonl") == [(f"r{n}", None) for n in range(6 // len(end))]
    assert outcomes(b"".join(rows) + row(9), few, "day.jsonl")[-1][0] == "too_many_records"


def test_lines_that_are_no_notes_are_not_kept_while_it_is_open_what_the_file_is() -> None:
    data = gzip.compress((b'{"id": "a", "text": ' + b"x" * 1_000_000 + b"\n") * 60)
    limits = LIMITS.model_copy(update={"unpacked": LOOSE})
    assert traced(lambda: outcomes(data, limits))[1] < 15_000_000
    assert outcomes(data, limits) == [("json_invalid", 1)]


def test_the_refusal_stands_for_the_file_instead_of_its_sound_records(tmp_path: Path) -> None:
    data = b"".join(row(n) for n in range(1001))
    judgement = Judgement(LIMITS, lambda code: code, lambda _: None, lambda _: False)
    *_, last = scan(FILE, io.BytesIO(gzip.compress(data)), judgement)
    assert isinstance(last, Refused)
    assert (last.note, last.rule, last.offset) == (FILE, "too_many_records", 1001)
    path = tmp_path / "day.jsonl"
    path.write_bytes(data)
    documents, defects = read_records(path, "es", lambda code: code, LIMITS)
    assert (documents, [(d.record, d.rule) for d in defects]) == ([], [("day.jsonl", "too_many_records")])


@given(st.text(max_size=200), st.sampled_from(["", PHRASE, "\ufb01", "½", "e\u0301", "각", "a" * 50]))
def test_the_expanded_length_is_that_of_the_decomposed_text(text: str, more: str) -> None:
    assert expanded_length(text + more) == len(unicodedata.normalize("NFKD", text + more))
    assert expanded_length(text) <= LONGEST_EXPANSION * len(text)


def test_no_character_expands_further() -> None:
    assert max(expanded_length(chr(c)) for c in range(0x110000)) == LONGEST_EXPANSION


def test_a_text_whose_characters_are_phrases_is_refused_and_the_longest_other_one_is_not() -> None:
    for sound in ("á" * 500_000, "¡ñ,!" * 166_000, "x" * 1_000_000):
        check_subwords("n", sound, LIMITS.max_subwords)
    with pytest.raises(DataError, match="n: too_many_subwords"):
        check_subwords("n", PHRASE * 60_000, LIMITS.max_subwords)
    lines = row(1) + row(2, PHRASE * 60_000) + row(3)
    assert outcomes(lines, key="day.jsonl") == [("r1", None), ("too_many_subwords", 2), ("r3", None)]


def test_lists_of_a_hundred_thousand_notes_are_written_and_read_line_by_line() -> None:
    notes = [replace(FILE, version=str(n), note_id=f"r{n}", record_id=f"r{n}", line=n) for n in range(100_000)]
    data, most = traced(lambda: notes_bytes(notes))
    assert most < 10_000_000

    def count() -> int:
        return sum(1 for _ in read_notes("shard", data, digest(data)))

    assert len(gzip.decompress(data)) > 20_000_000
    found, most = traced(count)
    assert (found, most < 2_000_000) == (100_000, True)


def test_notes_are_read_and_computed_together_only_while_few_sub_words_are_to_be_expected() -> None:
    text = PHRASE * 1000
    items = [(FILE, text)] * 7
    assert [len(c) for c in chunks(iter(items), 256, 2 * LONGEST_EXPANSION * 1000)] == [2, 2, 2, 1]
    documents = [Document(str(n), PHRASE * 25_000) for n in range(4)]  # 450,000 characters each when written out
    assert [len(c) for c in _chunks(documents)] == [2, 2]
