"""The tier of faults itself: what counts as half-made, which cases a seed draws, a table that adds up."""

from __future__ import annotations

from tests.faults.cases import Case, enumerated, sampled
from tests.faults.invariants import half_made, scrubbed
from tests.faults.numbering_proxy import Fault
from tests.faults.report import report_lines
from tests.faults.scenarios import SCENARIOS


def test_what_is_neither_as_before_nor_as_after_is_half_made() -> None:
    start, end = {"a": "1", "gone": "x"}, {"a": "2", "new": "y"}
    assert half_made({"a": "1", "new": "y"}, start, [end]) == []
    assert half_made({"a": "3", "new": "half"}, start, [end]) == ["a", "new"]
    assert half_made({"a": "2", "other": "z"}, start, [end]) == ["other"]


def test_times_and_random_ids_are_no_difference_and_counts_are() -> None:
    first = b'{"at": "2026-06-11T01:02:03+00:00", "attempt": "0123456789abcdef0123456789abcdef", "n": 3}'
    second = first.replace(b"01:02", b"05:06").replace(b"0123", b"3210")
    assert scrubbed(first) == scrubbed(second)
    assert scrubbed(first) != scrubbed(first.replace(b"3}", b"4}"))


def test_every_fault_is_possible_at_every_request_and_a_seed_draws_the_same_cases() -> None:
    cases = enumerated({s.name: 3 for s in SCENARIOS})
    assert len(cases) == len(SCENARIOS) * (3 * (len(Fault) - 1) + 1)
    assert all(str(Case.parse(str(case))) == str(case) for case in cases)
    drawn = sampled(cases, 20, seed=1)
    assert len(set(map(str, drawn))) == 20
    assert drawn == sampled(cases, 20, seed=1) != sampled(cases, 20, seed=2)
    assert sampled(cases, None, seed=1) == cases


def test_the_table_counts_every_case_once() -> None:
    row = {"scenario": "plan", "fault": "away", "order": 8, "requests": 5, "seconds": 1.0, "problems": 0}
    rows = [row, row | {"fault": "cut_body", "order": 3, "problems": 2}, row | {"scenario": "monitor", "requests": 7}]
    lines = report_lines(rows)
    assert lines[-3:] == [
        "| monitor | 7 |  | 1 | 1 | 0 | 1.0 |",
        "| plan | 5 | 1 (1) | 1 | 2 | 1 | 1.0 |",
        "| all | 12 | 1 (1) | 2 | 3 | 1 | 1.0 (mean) |",
    ]
