"""Files of records, whole and damaged."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.errors import DataError
from enigma_tasks.notes.files import read_records
from enigma_tasks.notes.record_planning import Judgement, scan
from enigma_tasks.notes.records import DamagedError, lines, opened, texts
from enigma_tasks.notes.references import NoteRef, Refused, Rule
from enigma_tasks.params.limits import RecordLimits, Unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LIMITS = RecordLimits(
    max_bytes=1000, max_subwords=2000, max_records=10_000, unpacked=Unpacked(max_bytes=10**9, max_ratio=10**6)
)


def template(key: str = "drops/es/2026-06-11/day.jsonl", language: str = "es") -> NoteRef:
    return NoteRef("clinic", key, "etag", "etag", "day.jsonl", language, "path" if language else "detected",
                   "2026-06-11", 0)  # fmt: skip


def judgement(done: Iterable[str] = ()) -> Judgement:
    known = {"es", "it"}
    return Judgement(
        LIMITS,
        language_of=lambda code: code if code in known else None,
        detect=lambda text: "it" if "polmonite" in text else None,
        is_done=lambda note: note.record_id in set(done),
    )


def scanned(data: bytes, note: NoteRef | None = None, done: Iterable[str] = ()) -> list[tuple[str | None, str]]:
    """(record id, language or rule) of every line that is not done."""
    found = scan(note or template(), io.BytesIO(data), judgement(done))
    return [
        (i.note.record_id, i.rule.value) if isinstance(i, Refused) else (i.record_id, i.language)
        for i in found
        if i is not None
    ]


def row(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def test_the_language_is_the_records_own_then_the_folders_then_the_detected_one() -> None:
    data = row(id="a", text="x") + row(id="b", text="x", language="it") + row(id="c", text="x", language="xx")
    assert scanned(data) == [("a", "es"), ("b", "it"), ("c", "language_not_configured")]
    automatic = template(language="")
    data = row(id="a", text="una polmonite") + row(id="b", text="???") + row(id="c", text="x", language="auto")
    assert scanned(data, automatic) == [
        ("a", "it"), ("b", "language_not_configured"), ("c", "language_not_configured")
    ]  # fmt: skip


@pytest.mark.parametrize("undetermined", ["und", "UND", "Auto", "und-Latn"])
def test_a_language_that_a_record_leaves_open_is_the_folders_or_detected(undetermined: str) -> None:
    data = row(id="a", text="una polmonite", language=undetermined)
    assert scanned(data) == [("a", "es")]
    assert scanned(data, template(language="")) == [("a", "it")]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b'{"id": "a", "text": "cut', "json_invalid"),
        (b"[" * 100_000, "too_large"),
        (b"[" * 20_000, "json_invalid"),
        (b'{"id": "a", "text": "\xff"}', "not_utf8"),
        (b'"text"', "json_fields"),
        (b'{"text": "x"}', "json_fields"),
        (b'{"id": "", "text": "x"}', "json_fields"),
        (b'{"id": "#L1", "text": "x"}', "json_fields"),
        (b'{"id": "a\\nb", "text": "x"}', "json_fields"),
        (b'{"id": "\\ud800", "text": "x"}', "json_fields"),
        (b'{"id": "a", "text": null}', "json_fields"),
        (b'{"id": "a", "text": "x", "language": 3}', "json_fields"),
        (row(id="i" * 257, text="x"), "json_fields"),
        (row(id="a", text=""), "empty"),
        (row(id="a", text=" \n"), "blank"),
        (row(id="a", text="x\0"), "nul_byte"),
        (row(id="a", text="é" * 501), "too_large"),
        (b'{"id": "a", "text": "\\udc00"}', "not_utf8"),
        (b'{"id": "a", "n": ' + b"9" * 5000 + b', "text": "x"}', "json_invalid"),
    ],
)
def test_a_bad_line_is_refused_by_its_line_and_its_neighbours_are_kept(line: bytes, rule: str) -> None:
    data = row(id="first", text="x") + line.rstrip(b"\n") + b"\n" + row(id="last", text="x")
    assert scanned(data) == [("first", "es"), ("#L2", rule), ("last", "es")]


@pytest.mark.parametrize(
    ("value", "identity"),
    [(1000, "1000"), (-7, "-7"), (0, "0"), (10**30, "1" + "0" * 30), (12.0, "12"), ("a", "a"), ("007", "007")],
)
def test_an_id_is_a_string_or_a_whole_number(value: object, identity: str) -> None:
    assert scanned(row(id=value, text="x")) == [(identity, "es")]


@pytest.mark.parametrize("value", [True, False, None, 1.5, 1e300, float("nan"), [1], {"a": 1}])
def test_what_is_no_id_is_refused(value: object) -> None:
    assert scanned(row(id=value, text="x")) == [("#L1", "json_fields")]


def test_a_number_and_its_string_are_one_id() -> None:
    assert scanned(row(id=7, text="x") + row(id="7", text="y")) == [("7", "es"), ("#L2", "duplicate_id")]


RECORDS = [{"id": f"r{n}", "text": f"Neumonía {n}."} for n in range(5)]
PLAIN = b"".join(row(**r) for r in RECORDS)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (gzip.compress(PLAIN, mtime=0), "not_plain_text"),
        (json.dumps(RECORDS, indent=2).encode(), "not_plain_text"),
        (json.dumps(RECORDS, indent=2).encode().replace(b"\n", b"\r\n"), "not_plain_text"),
        (json.dumps(RECORDS).encode(), "not_plain_text"),
        (b"\xef\xbb\xbf" + json.dumps(RECORDS, indent=1).encode(), "not_plain_text"),
        (b"[\n" + b",\n".join(PLAIN.splitlines()) + b"\n]", "not_plain_text"),
        (json.dumps(RECORDS[0], indent=2).encode(), "not_plain_text"),
        ("\n".join(json.dumps(r, indent=1) for r in RECORDS).encode(), "not_plain_text"),
        (PLAIN.decode().encode("utf-16"), "not_plain_text"),
        (PLAIN.decode().encode("utf-16-le"), "not_plain_text"),
        (PLAIN.decode().encode("utf-16-be"), "not_plain_text"),
        (PLAIN.decode().encode("utf-32"), "not_plain_text"),
        (b"PK\x03\x04" + bytes(300), "not_plain_text"),
        (b"%PDF-1.7\nobj\nobj\n", "not_plain_text"),
        (b"{\\rtf1\\ansi\nNeumon\\'eda\\par\n}", "not_plain_text"),
        (b'<?xml version="1.0"?>\n<ClinicalDocument>\n</ClinicalDocument>\n', "not_plain_text"),
        (b'<Bundle xmlns="http://hl7.org/fhir">\n<entry/>\n</Bundle>\n', "not_plain_text"),
        (b"<html>\n<body>\n<p>Neumon\xc3\xada</p>\n</body>\n", "not_plain_text"),
        (b"id;text\n1;tos\n2;fiebre\n", "json_invalid"),
        (b'{"note_id": 1, "note_text": "x"}\n' * 9, "json_fields"),
        (b'{"resourceType": "DocumentReference", "id": "a", "text": {"div": "x"}}\n' * 9, "json_fields"),
        (b"a line\n" * 5000, "json_invalid"),
    ],
)
def test_a_file_of_another_kind_is_one_refusal(data: bytes, rule: str) -> None:
    assert scanned(data) == [(None, rule)]
    assert scanned(gzip.compress(data), template("day.jsonl.gz")) == [(None, rule)]


def test_records_after_damaged_lines_are_kept_and_each_damaged_line_is_told() -> None:
    data = b'{"id": "cut", "te\n' * 3 + row(note_id=1) + row(id="a", text="x") + b"?\n"
    assert scanned(data) == [
        ("#L1", "json_invalid"), ("#L2", "json_invalid"), ("#L3", "json_invalid"), ("#L4", "json_fields"),
        ("a", "es"), ("#L6", "json_invalid"),
    ]  # fmt: skip


def test_a_local_file_is_read_as_the_night_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "DAY.JSONL"
    path.write_bytes(row(id=1, text="x", language="it") + row(id="1", text="y") + row(id="b", text="<p>x</p>"))
    documents, defects = read_records(path, "es", lambda code: code if code in {"es", "it"} else None, LIMITS)
    assert [(d.id, d.language) for d in documents] == [("1", "it")]
    assert [(e.record, e.rule) for e in defects] == [
        ("DAY.JSONL#L2", "duplicate_id"), ("DAY.JSONL#L3", "not_plain_text")
    ]  # fmt: skip
    for data, rule in ((b"", "blank"), (b"\x1f\x8b\x08\x00", "not_plain_text")):
        path.write_bytes(data)
        documents, defects = read_records(path, "es", lambda _: "es", LIMITS)
        assert (documents, [(e.record, e.rule) for e in defects]) == ([], [("DAY.JSONL", rule)])


def test_a_second_record_of_one_id_is_refused_even_when_the_first_is_done() -> None:
    data = row(id="a", text="x") + row(id="a", text="y") + row(id="a", text="x")
    assert scanned(data, done=["a"]) == [("#L2", "duplicate_id"), ("#L3", "duplicate_id")]


def test_a_byte_order_mark_before_the_first_record_is_allowed() -> None:
    assert scanned(b"\xef\xbb\xbf" + row(id="a", text="x")) == [("a", "es")]


def test_a_file_without_a_record_is_blank_as_a_whole() -> None:
    assert scanned(b"\n \r\n\n") == [(None, "blank")]


@given(st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b), max_size=12), st.integers(1, 12))
def test_lines_are_found_where_they_are_whatever_the_limit(parts: list[bytes], limit: int) -> None:
    data = b"\n".join(parts)
    for line in lines(io.BytesIO(data), limit, 100):
        raw = data[line.start : line.start + line.size]
        assert raw.rstrip(b"\n") == parts[line.number - 1]
        assert line.data is None or line.data == raw
        assert (line.data is None) == (len(raw.rstrip(b"\n")) > limit)
    held = [line.number for line in lines(io.BytesIO(data), 1000, 100)]
    assert held == [n for n, part in enumerate(parts, 1) if part.strip()]


def test_a_line_has_the_same_version_with_and_without_its_newline() -> None:
    versions = {line.sha256 for end in (b"", b"\n", b"\r\n") for line in lines(io.BytesIO(b"abc" + end), 100, 100)}
    assert versions == {hashlib.sha256(b"abc").hexdigest()}


def text_of(n: int) -> str:
    """A text that gzip cannot make much shorter."""
    return f"tos {hashlib.sha256(str(n).encode()).hexdigest()}"


def many(count: int) -> bytes:
    return b"".join(row(id=f"r{n}", text=text_of(n)) for n in range(count))


@settings(max_examples=40)
@given(st.integers(1, 7000), st.booleans())
def test_every_whole_line_before_a_damage_is_kept(at: int, overwritten: bool) -> None:
    data = many(100)
    packed = gzip.compress(data, mtime=0)
    at = min(at, len(packed) - 9)
    damaged = packed[:at] + (b"\xff" * 12 if overwritten else b"")
    *good, last = scanned(damaged, template("day.jsonl.gz"))
    assert last == (None, "gzip_damaged")
    expected = [(f"r{n}", "es") for n in range(100)]
    if overwritten:  # wrong bits may decode for a while: what comes before them is whole all the same
        good = good[: sum(1 for a, b in zip(good, expected, strict=False) if a == b)]
    assert good == expected[: len(good)]
    readable = at * len(data) // len(packed) - 2000  # what the bytes before the damage hold, less what zlib looks ahead
    assert len(good) >= data[: max(readable, 0)].count(b"\n") - 15


def test_compressed_members_padding_and_garbage() -> None:
    two = gzip.compress(row(id="a", text="x")) + gzip.compress(row(id="b", text="x"))
    gz = template("day.jsonl.gz")
    assert scanned(two, gz) == [("a", "es"), ("b", "es")]
    assert scanned(two + bytes(512), gz) == [("a", "es"), ("b", "es")]
    assert scanned(two + b"garbage", gz)[-1] == (None, "gzip_damaged")
    assert scanned(b"no gzip at all", gz) == [(None, "gzip_damaged")]
    wrong_sum = bytearray(gzip.compress(row(id="a", text="x")))
    wrong_sum[-5] ^= 1
    assert scanned(bytes(wrong_sum), gz)[-1] == (None, "gzip_damaged")


@given(st.integers(0, 300_000), st.integers(1, 9))
@settings(max_examples=15)
def test_decompression_gives_the_very_bytes(size: int, level: int) -> None:
    data = (hashlib.sha256(str(size).encode()).digest() + bytes(40)) * (size // 72)
    assert opened(io.BytesIO(gzip.compress(data, level)), "x.gz", LIMITS).read() == data


def test_a_small_file_that_unpacks_to_a_huge_line_is_refused_without_holding_it() -> None:
    packed = gzip.compress(b'{"id": "a", "text": "' + b"x" * 30_000_000 + b'"}\n' + row(id="b", text="x"), 9)
    assert scanned(packed, template("day.jsonl.gz")) == [("#L1", "too_large"), ("b", "es")]


def test_wanted_texts_are_found_by_content_wherever_they_moved() -> None:
    data = many(5)
    wanted = {line.sha256: line.number for line in lines(io.BytesIO(data), 1000, 100) if line.number in {2, 5}}
    moved = b"\n" + b"".join(reversed(data.splitlines(keepends=True)))
    found = dict(texts(io.BytesIO(moved), "day.jsonl", wanted.keys(), LIMITS))
    assert found.keys() == wanted.keys()
    assert {wanted[v] - 1: t for v, t in found.items()} == {n: text_of(n) for n in (1, 4)}
    short = LIMITS.model_copy(update={"max_bytes": 10})
    ((_, error),) = texts(io.BytesIO(moved), "day.jsonl", [next(iter(wanted))], short)
    assert isinstance(error, DataError)
    assert error.rule == Rule.TOO_LARGE


def test_reading_past_a_damage_raises() -> None:
    with pytest.raises(DamagedError):
        opened(io.BytesIO(gzip.compress(b"abc")[:-1]), "x.gz", LIMITS).read()
