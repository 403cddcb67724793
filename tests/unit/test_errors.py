"""What errors quote: one line of a stated length."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from enigma_tasks.errors import (
    CUT,
    HINT_CHARACTERS,
    MESSAGE_CHARACTERS,
    RECORD_CHARACTERS,
    DataError,
    EnigmaError,
    ModelError,
    ServiceError,
    UsageError,
    bounded,
)
from enigma_tasks.frozen import OTHER_KEY, Frozen, read_record
from enigma_tasks.notes.names import Names

ANYTHING = st.text(max_size=50).flatmap(lambda part: st.sampled_from([part, part * 500]))


def one_short_line(message: str) -> bool:
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return len(message) <= MESSAGE_CHARACTERS and not any(unicodedata.category(c) in hidden for c in message)


@given(text=ANYTHING, kind=st.sampled_from([EnigmaError, ModelError, ServiceError, UsageError]))
def test_every_message_is_one_short_line(text: str, kind: type[EnigmaError]) -> None:
    assert one_short_line(str(kind(text)))


@given(record=ANYTHING, hint=ANYTHING, key=st.sampled_from(["", "k" * 16]))
def test_so_is_that_of_an_error_in_data_also_under_another_name(record: str, hint: str, key: str) -> None:
    error = DataError(record, "span_malformed", 7, hint)
    assert error.record == record
    for message in (str(error), Names(key).message(error, [])):
        assert one_short_line(message)
        assert ": span_malformed at 7" in message
        assert len(message) <= RECORD_CHARACTERS + HINT_CHARACTERS + 40


def test_what_is_short_is_shown_whole_and_what_is_long_says_that_it_was_cut() -> None:
    assert bounded("n17\n\u202etxt", 20) == r"n17\n\u202etxt"
    assert bounded("x" * 20, 20) == "x" * 20
    assert bounded("x" * 21, 20) == "x" * 19 + CUT
    assert len(bounded("\n" * 15, 20)) == 20
    assert str(DataError("n17", "empty", hint="expected text")) == "n17: empty (expected text)"


class Inner(Frozen):
    number: int


class Outer(Frozen):
    inner: dict[str, Inner]


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b'{"inner": {}, "of_a_newer_version": 1}', "of_a_newer_version: extra_forbidden"),
        (b'{"inner": {}, "Se\\u00f1or Garc\\u00eda": 1}', f"{OTHER_KEY}: extra_forbidden"),
        (b'{"inner": {"Patient 7": {"number": "many"}}}', f"inner.{OTHER_KEY}.number: int_parsing"),
        (b"{}", "inner: missing"),
        (b"[]", "the record itself: model_type"),
    ],
)
def test_a_record_that_cannot_be_read_names_fields_and_no_other_key_of_the_file(data: bytes, hint: str) -> None:
    with pytest.raises(DataError) as error:
        read_record(TypeAdapter(Outer), "plan.json", data)
    assert (error.value.rule, error.value.hint) == ("record_field", hint)


@pytest.mark.parametrize("offset", [2**63, -(2**63), 10**30])
def test_an_offset_that_no_table_has_a_number_for_is_left_out(offset: int) -> None:
    error = DataError("n17", "span_outside_text", offset)
    assert error.offset is None
    assert str(error) == "n17: span_outside_text"
    assert DataError("n17", "span_outside_text", 2**63 - 1).offset == 2**63 - 1
