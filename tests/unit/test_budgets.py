"""The cost of every reader, rule, splitter, post-processor and scorer grows at most as n log n with its input."""

from __future__ import annotations

import pytest

from tests.unit import budget_formats, budget_gold, budget_imports, budget_notes, budget_spans, budget_texts
from tests.unit.budgets import CASES, LIMIT, Case, growth

SOURCES = (budget_formats, budget_gold, budget_imports, budget_notes, budget_spans, budget_texts)


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_four_times_the_input_costs_less_than_six_times(one: Case) -> None:
    found = growth(one)
    assert max(found.lines, found.seconds) < LIMIT, f"{found.lines:.1f} times the lines, {found.seconds:.1f} the time"
