"""What is shown of keys and ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.config import load_settings
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.notes.names import Names

ROOT = {"ENIGMA_S3_ROOT": "s3://clinic/root"}
KEY = "a key of the hospital"
PLAIN = Names.of(load_settings(ROOT))
HIDDEN = Names.of(load_settings(ROOT | {"ENIGMA_NAME_KEY": KEY}))


def test_without_a_key_names_are_shown_as_they_are() -> None:
    assert not PLAIN.hidden
    assert PLAIN.record("drops/es/n1.txt", None) == "drops/es/n1.txt"
    assert PLAIN.record("drops/es/a.jsonl", "7") == "drops/es/a.jsonl#7"
    assert PLAIN.uri("s3://clinic/root/drops/es/n1.txt") == "s3://clinic/root/drops/es/n1.txt"


def test_with_a_key_a_name_is_a_hash_that_is_the_same_everywhere() -> None:
    shown = HIDDEN.record("root/drops/es/n1.txt", None)
    assert re.fullmatch("name-[0-9a-f]{24}", shown)
    assert HIDDEN.uri("s3://clinic/root/drops/es/n1.txt") == f"s3://clinic/{shown}"
    assert HIDDEN.record("root/drops/es/n1.txt", "434881") == f"{shown}#{HIDDEN.shown('434881')}"
    assert HIDDEN.record("root/drops/es/n1.txt", "#L7") == f"{shown}#L7"


def test_an_error_shows_files_that_were_typed_and_hashes_other_names() -> None:
    typed = ["score", "--gold", "data/gold", "--pred", "out/p.tsv", "--k", "434881", "--train", "es=data/a.jsonl"]
    for record in ("p.tsv", "a.jsonl#7", "a.jsonl#L7"):
        assert HIDDEN.message(DataError(record, "label_unknown", 3, "expected"), typed) == (
            f"{record}: label_unknown at 3 (expected)"
        )
    for name, line in (("434881", ""), ("gold", ""), ("b.jsonl", "#L7")):
        error = DataError(f"{name}{line}", "blank")
        assert HIDDEN.message(error, typed) == f"{HIDDEN.shown(name)}{line}: blank"
        assert PLAIN.message(error, typed) == f"{name}{line}: blank"
    shown = HIDDEN.shown("n1")
    assert HIDDEN.message(DataError(shown, "blank"), typed) == f"{shown}: blank"


def test_another_key_gives_other_hashes_and_no_key_is_printed() -> None:
    other = Names.of(load_settings(ROOT | {"ENIGMA_NAME_KEY": KEY + "!"}))
    assert other.shown("n1") != HIDDEN.shown("n1")
    assert KEY not in repr(HIDDEN)
    assert KEY not in repr(load_settings({"ENIGMA_NAME_KEY": KEY}))


def test_names_that_are_ours_are_shown() -> None:
    for uri in (
        "s3://clinic/root/runs/night-1/plan.json",
        "s3://clinic/root/drops/",
        "s3://elsewhere/root/drops/n.txt",
    ):
        assert HIDDEN.uri(uri) == uri


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_names_are_shown_alike_only_when_they_are(one: str, other: str) -> None:
    assert (HIDDEN.shown(one) == HIDDEN.shown(other)) == (one == other)


def test_a_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(UsageError, match="ENIGMA_NAME_KEY"):
        load_settings({"ENIGMA_NAME_KEY": "short"})
