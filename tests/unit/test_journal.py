"""The journal's lines: their chain, what verification finds, who was champion when."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.errors import DataError
from enigma_tasks.promotion.decision import Decision, Interval
from enigma_tasks.promotion.journal import (
    Draft,
    Head,
    JournalLine,
    ModelVersion,
    champion_at,
    champion_before,
    digest,
    line_bytes,
    next_line,
    parse_line,
)
from enigma_tasks.promotion.journal_check import verify

NAME = "enigma-es-disease"
MORNING = dt.datetime(2026, 6, 11, 6, 0, tzinfo=dt.UTC)
DECISION = Decision(
    result="promoted", reasons=(), champion=None, challenger=Interval(value=0.8, low=0.7, high=0.9), first=None,
    p_value=None, alpha=None, look=1, cost_per_note=None, test_set="t" * 64, test_documents=50, change_plan="c" * 64,
)  # fmt: skip


def version(number: int) -> ModelVersion:
    return ModelVersion(version=str(number), digest=f"{number:064x}")


def draft(kind: str, champion: int | None, **more: Any) -> Draft:
    return Draft(
        by="ana", kind=kind, champion=None if champion is None else version(champion), reason="A test.", **more
    )


def promoted(number: int) -> Draft:
    return draft("promoted", number, challenger=version(number), decision=DECISION)


def written(drafts: list[Draft], name: str = NAME) -> dict[int, bytes]:
    """Lines by number, an hour apart."""
    stored: dict[int, bytes] = {}
    for i, item in enumerate(drafts, 1):
        line = next_line(name, item, stored.get(i - 1), now=MORNING + dt.timedelta(hours=i), line_id=f"{i:032x}")
        stored[line.n] = line_bytes(line)
    return stored


def lines(stored: dict[int, bytes]) -> list[JournalLine]:
    return [parse_line(NAME, data, n) for n, data in sorted(stored.items())]


HISTORY = [
    draft("first", 1),
    draft("look", 1, challenger=version(2), decision=DECISION, test_set="t" * 64),
    promoted(2),
    draft("alias_repaired", 2),
    draft("rollback", 1),
]


def found(stored: dict[int, bytes], head: Head | None = None) -> set[tuple[int, str]]:
    return {(f.line, f.kind) for f in verify(NAME, stored, head)}


def test_lines_are_numbered_chained_and_read_back() -> None:
    stored = written(HISTORY)
    read = lines(stored)
    assert [line.n for line in read] == [1, 2, 3, 4, 5]
    assert [line.previous for line in read] == ["", *(digest(stored[n]) for n in (1, 2, 3, 4))]
    assert {n: line_bytes(line) for n, line in enumerate(read, 1)} == stored
    assert read[2].decision == DECISION
    assert found(stored, Head.of(read[-1])) == set()


def test_a_clock_that_runs_backwards_repeats_the_time_and_says_so() -> None:
    first = line_bytes(next_line(NAME, draft("first", 1), None, now=MORNING, line_id="a" * 32))
    line = next_line(NAME, promoted(2), first, now=MORNING - dt.timedelta(days=400), line_id="b" * 32)
    assert line.at == parse_line(NAME, first).at
    assert line.clock_behind
    assert found({1: first, 2: line_bytes(line)}) == set()


@pytest.mark.parametrize(
    ("before", "item"),
    [
        ([draft("first", 1)], draft("first", 2)),
        ([draft("first", 1)], draft("look", 2)),
        ([draft("first", 1)], draft("rejected", None)),
        ([draft("first", 1)], draft("rollback", 1)),
        ([draft("first", 1)], draft("rollback", None)),
        ([draft("first", 1)], draft("promoted", 2, challenger=version(3), decision=DECISION)),
        ([draft("first", 1)], draft("promoted", 2, challenger=version(2))),
        ([], draft("first", None)),
        ([], draft("rollback", 1)),
        ([], draft("look", 1)),
    ],
)
def test_a_line_that_its_kind_does_not_allow_is_refused(before: list[Draft], item: Draft) -> None:
    stored = written(before)
    with pytest.raises(DataError, match="journal_kind"):
        next_line(NAME, item, stored.get(len(before)), now=MORNING, line_id="a" * 32)


def test_a_line_that_could_not_be_read_back_is_not_written() -> None:
    broken = DECISION.model_copy(update={"p_value": float("nan")})
    item = draft("look", None, challenger=version(1), decision=broken)
    with pytest.raises(DataError, match="journal_unreadable"):
        next_line(NAME, item, None, now=MORNING, line_id="a" * 32)


def test_looks_before_the_first_champion_are_lines_as_well() -> None:
    stored = written([draft("look", None, challenger=version(1), decision=DECISION), promoted(1)])
    assert [line.champion for line in lines(stored)] == [None, version(1)]


@pytest.mark.parametrize("words", ["two\nlines", "", "x" * 501, "a\x00b"])
def test_a_reason_is_one_line_of_text(words: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        Draft(by="ana", kind="first", champion=version(1), reason=words)


def sealed(tree: dict[str, Any]) -> bytes:
    """A line with the digest of its own bytes, as somebody could forge it."""
    empty = (json.dumps({**tree, "sha256": ""}, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    return empty.replace(b'"sha256": ""', f'"sha256": "{digest(empty)}"'.encode(), 1)


def test_a_line_of_a_newer_version_is_named_and_never_skipped() -> None:
    stored = written(HISTORY)
    for more in ({"schema_version": 2}, {"weather": "fine"}):
        newer = stored | {5: sealed(json.loads(stored[5]) | more)}
        assert found(newer) == {(5, "newer")}
        with pytest.raises(DataError, match="enigma-es-disease: journal_newer at 5"):
            parse_line(NAME, newer[5], 5)


def test_a_line_of_another_journal_is_found() -> None:
    other = written(HISTORY, "enigma-es-symptom")
    assert (6, "added") in found(written(HISTORY) | {6: other[5]})


def test_a_rewritten_line_with_a_fresh_digest_is_found_by_the_line_after_it() -> None:
    stored = written(HISTORY)
    for n in (1, 2, 3, 4):
        forged = stored | {n: sealed(json.loads(stored[n]) | {"by": "mallory"})}
        assert found(forged, Head.of(lines(stored)[-1])) == {(n, "changed")}
    last = stored | {5: sealed(json.loads(stored[5]) | {"by": "mallory"})}
    assert found(last, Head.of(lines(stored)[-1])) == {(5, "changed")}


def test_removed_last_lines_are_found_by_the_head_that_is_known() -> None:
    stored = written(HISTORY)
    head = Head.of(lines(stored)[-1])
    assert found({n: stored[n] for n in (1, 2, 3)}, head) == {(4, "removed"), (5, "removed")}
    assert found({}, head) == {(n, "removed") for n in range(1, 6)}


@given(at=st.integers(1, 5), place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_changed_bit_is_found_in_its_line(at: int, place: int, bit: int) -> None:
    stored = written(HISTORY)
    data = bytearray(stored[at])
    data[place % len(data)] ^= 1 << bit
    assert found(stored | {at: bytes(data)}) == {(at, "changed")}


@given(at=st.integers(1, 5), shifted=st.booleans())
def test_any_removed_line_is_found(at: int, shifted: bool) -> None:
    stored = written(HISTORY)
    head = Head.of(lines(stored)[-1])
    left = {n - (shifted and n > at): data for n, data in stored.items() if n != at}
    moved = {(n, "misplaced") for n in range(at, 5)} if shifted else set()
    assert found(left, head) == {(at, "removed")} | moved


@given(pair=st.lists(st.integers(1, 5), min_size=2, max_size=2, unique=True))
def test_any_two_swapped_lines_are_found(pair: list[int]) -> None:
    stored = written(HISTORY)
    first, second = sorted(pair)
    swapped = stored | {first: stored[second], second: stored[first]}
    assert found(swapped) == {(first, "swapped")}


@given(at=st.integers(1, 6), copied=st.integers(1, 5), forged=st.booleans())
def test_any_added_line_is_found(at: int, copied: int, forged: bool) -> None:
    """Between two lines, which moves those behind it, or at the end; a copy, or one that somebody made up."""
    stored = written(HISTORY)
    tree = json.loads(stored[copied])
    added = sealed(tree | {"n": at, "previous": "0" * 64, "by": "mallory"}) if forged else stored[copied]
    longer = {n + (n >= at): data for n, data in stored.items()} | {at: added}
    where = {at} if forged else {at, copied, copied + 1}  # which of two equal copies is the added one cannot be known
    assert any(line in where and kind == "added" for line, kind in found(longer))


def test_the_champion_of_a_time_is_named_with_the_line_that_made_it() -> None:
    read = lines(written(HISTORY))
    at = [None if (line := champion_at(read, MORNING + dt.timedelta(hours=h))) is None else line.n for h in range(7)]
    assert at == [None, 1, 1, 3, 3, 5, 5]
    assert champion_at([], MORNING) is None


def test_a_rollback_returns_to_the_champion_before_and_then_to_the_one_before_that() -> None:
    steps = [draft("first", 1), promoted(2), promoted(3)]
    assert champion_before(lines(written(steps))) == version(2)
    steps.append(draft("rollback", 2))
    assert champion_before(lines(written(steps))) == version(1)
    steps.append(draft("rollback", 1))
    assert champion_before(lines(written(steps))) is None
    steps.append(draft("rollback", 3))  # forward again, by name
    assert champion_before(lines(written(steps))) == version(1)
    assert champion_before([]) is None


@pytest.mark.parametrize("depth", [900, 990, 5000])
def test_a_line_of_values_nested_deeply_was_changed(depth: int) -> None:
    with pytest.raises(DataError, match="journal_changed"):
        parse_line(NAME, b'{"sha256": ' + b"[" * depth + b"]" * depth + b"}")
