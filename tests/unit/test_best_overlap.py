"""The best overlap of each span against the quadratic definition: nested, repeated, crossing and touching spans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.ner.best_overlap import best_overlaps, overlap_f1

anywhere = st.tuples(st.integers(0, 60), st.integers(1, 40)).map(lambda p: (p[0], p[0] + p[1]))
nested = st.tuples(st.integers(0, 30), st.integers(31, 60))
crossing = st.tuples(st.integers(0, 60), st.integers(0, 2)).map(lambda p: (p[0], p[0] + 20 + p[1]))
spans = st.lists(st.one_of(anywhere, nested, crossing), max_size=60).map(lambda found: found + found[:5])


@given(spans, spans)
def test_equal_to_trying_every_pair(ours: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    assert best_overlaps(ours, others) == [max((overlap_f1(a, b) for b in others), default=0.0) for a in ours]


def test_touching_spans_do_not_overlap() -> None:
    assert best_overlaps([(0, 5), (5, 9)], [(5, 6)]) == [0.0, 0.4]
    assert best_overlaps([(0, 5)], []) == [0.0]
