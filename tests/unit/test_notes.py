"""Keys and bytes of single notes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.errors import DataError
from enigma_tasks.notes.references import (
    NoteRef,
    Refused,
    Rule,
    is_blank,
    is_marker,
    note_of_object,
    record_name,
    text_of_bytes,
)


def language_of(code: str) -> str | None:
    return {"es": "es", "cs": "cs", "cz": "cs"}.get(code.lower())


def judged(drop_path: str, size: int = 10) -> NoteRef | Refused:
    return note_of_object(
        "clinic", f"root/drops/{drop_path}", etag="e1", size=size, drop_path=drop_path, language_of=language_of
    )


@pytest.mark.parametrize(
    ("drop_path", "language", "source", "note_id"),
    [
        ("es/2026-06-11/n1.txt", "es", "path", "n1"),
        ("ES/2026-06-11/a/b/c/n1.TXT", "es", "path", "n1"),
        ("cz/2026-02-28/with space %41 'quote' \"q\" žluťoučký.txt", "cs", "path", None),
        ("auto/2026-06-11/n.1.txt", "", "detected", "n.1"),
        ("es/2026-06-11//n1.txt", "es", "path", "n1"),
        ("es/2026-06-11/..n1...txt", "es", "path", "..n1.."),
        ("es/2026-06-11/day.jsonl", "es", "path", "day.jsonl"),
        ("auto/2026-06-11/day.jsonl.gz", "", "detected", "day.jsonl.gz"),
    ],
)
def test_a_key_tells_language_date_and_note_id(drop_path: str, language: str, source: str, note_id: str | None) -> None:
    note = judged(drop_path)
    assert isinstance(note, NoteRef)
    assert (note.language, note.language_source, note.drop_date) == (language, source, drop_path.split("/")[1])
    assert note.note_id == (note_id or drop_path.rsplit("/", 1)[1].removesuffix(".txt"))
    assert note.identity == ("clinic", f"root/drops/{drop_path}", "", "e1")


@pytest.mark.parametrize(
    ("drop_path", "rule"),
    [
        ("es/2026-06-11/../n1.txt", Rule.KEY_UNSAFE),
        ("../2026-06-11/n1.txt", Rule.KEY_UNSAFE),
        ("es/2026-06-11/./n1.txt", Rule.KEY_UNSAFE),
        ("es/2026-06-11/n\n1.txt", Rule.KEY_UNSAFE),
        ("n1.txt", Rule.KEY_LAYOUT),
        ("es/n1.txt", Rule.KEY_LAYOUT),
        ("es/2026-06-11", Rule.KEY_LAYOUT),
        ("es/2026-02-30/n1.txt", Rule.KEY_LAYOUT),
        ("es/11-06-2026/n1.txt", Rule.KEY_LAYOUT),
        ("2026-06-11/es/n1.txt", Rule.KEY_LAYOUT),
        ("es/2026-06-11/.txt", Rule.KEY_LAYOUT),
        ("es/2026-06-11/ward-1/", Rule.KEY_LAYOUT),
        ("es/2026-06-11/.jsonl.gz", Rule.KEY_LAYOUT),
        ("xx/2026-06-11/n1.txt", Rule.LANGUAGE),
        ("es/2026-06-11/n1.pdf", Rule.FILE_TYPE),
        ("es/2026-06-11/n1", Rule.FILE_TYPE),
        ("es/2026-06-11/n1.txt.gz", Rule.FILE_TYPE),
        ("auto/2026-06-11/n1.json", Rule.FILE_TYPE),
    ],
)
def test_a_key_that_breaks_a_rule_is_refused(drop_path: str, rule: Rule) -> None:
    refused = judged(drop_path)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.offset) == (rule, None)


def test_an_empty_object_whose_key_is_a_folder_is_no_note() -> None:
    assert is_marker("drops/es/2026-06-11/", 0)
    assert not is_marker("drops/es/2026-06-11/", 70)  # a note that was named wrongly must not be lost unseen
    assert not is_marker("drops/es/2026-06-11/n1.txt", 0)


@pytest.mark.parametrize(
    ("data", "rule", "offset"),
    [
        (b"", Rule.EMPTY, None),
        (b" \r\n\t\xef\xbb\xbf\xc2\xa0", Rule.BLANK, None),
        ("ñandú ".encode() + b"\xe9 geheim", Rule.NOT_UTF8, 8),
        (b"\xed\xa0\x80", Rule.NOT_UTF8, 0),
        ("añ\x00o".encode(), Rule.NUL_BYTE, 3),
        (b"x" * 101, Rule.TOO_LARGE, None),
    ],
)
def test_bytes_that_are_no_note_are_refused_and_not_quoted(data: bytes, rule: Rule, offset: int | None) -> None:
    with pytest.raises(DataError) as caught:
        text_of_bytes("key", data, 100)
    assert (caught.value.rule, caught.value.offset) == (rule, offset)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "geheim" not in str(caught.value)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1))
def test_a_text_is_read_exactly_as_stored(text: str) -> None:
    data = text.encode()
    if is_blank(text):
        with pytest.raises(DataError, match="blank"):
            text_of_bytes("key", data, len(data))
    else:
        assert text_of_bytes("key", data, len(data)) == text


def test_a_crlf_counts_two_and_a_byte_order_mark_one() -> None:
    text = text_of_bytes("key", b"\xef\xbb\xbfa\r\nb", 100)
    assert (len(text), text.index("b")) == (5, 4)


def test_a_record_is_named_by_its_id_or_its_line() -> None:
    assert record_name("a/b.jsonl", "r1") == "a/b.jsonl#r1"
    assert record_name("a/b.jsonl", "#L7") == "a/b.jsonl#L7"
    assert record_name("a/b.txt", None) == "a/b.txt"
