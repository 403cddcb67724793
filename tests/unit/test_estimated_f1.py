"""Expected precision, recall and F1 of a night from its calibrated sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.estimates import DevError
from enigma_tasks.monitoring.estimated_f1 import estimated_f1

DEV = DevError(documents=100, mentions=1000, estimated=0.71, measured=0.7, rms=0.01)
ROUNDED = 1e-4


def test_expected_counts_give_the_scores() -> None:
    found = estimated_f1(notes=10, spans=100, matched=80, missed=40, dev=DEV)
    assert found is not None
    assert (found.precision, found.recall, found.f1) == (
        0.8,
        pytest.approx(80 / 120, abs=ROUNDED),
        pytest.approx(160 / 220, abs=ROUNDED),
    )
    assert found.dev == DEV


def test_the_interval_is_that_of_dev_for_a_large_night_and_wider_for_a_small_one() -> None:
    large = estimated_f1(notes=10**6, spans=10**9, matched=8e8, missed=2e8, dev=DEV)
    small = estimated_f1(notes=10, spans=110, matched=90, missed=10, dev=DEV)
    assert large is not None
    assert small is not None
    assert large.high - large.low == pytest.approx(2 * 1.96 * 0.01, abs=2 * ROUNDED)
    assert small.high - small.low == pytest.approx(2 * 1.96 * 0.01 * 11**0.5, abs=2 * ROUNDED)


def test_notes_without_spans_in_which_nothing_is_missed_have_no_estimate() -> None:
    assert estimated_f1(notes=5, spans=0, matched=0, missed=0, dev=DEV) is None


def test_notes_without_spans_in_which_mentions_are_missed_have_the_estimate_zero() -> None:
    found = estimated_f1(notes=5, spans=0, matched=0, missed=3, dev=DEV)
    assert found is not None
    assert (found.precision, found.recall, found.f1, found.low) == (0, 0, 0, 0)


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 10_000), st.floats(0, 0.5))
def test_estimates_are_shares_and_counts_add_up(spans: int, share: float, missed: float, rms: float) -> None:
    matched = spans * share
    dev = DEV.model_copy(update={"rms": rms})
    found = estimated_f1(notes=1, spans=spans, matched=matched, missed=missed, dev=dev)
    if found is None:
        assert spans + matched + missed == 0
        return
    assert 0 <= found.low <= found.f1 <= found.high <= 1
    assert 0 <= found.precision <= 1
    assert 0 <= found.recall <= 1
    wrong = spans - matched
    assert found.f1 == pytest.approx(2 * matched / (2 * matched + wrong + missed), abs=ROUNDED)


def test_where_probabilities_are_right_the_real_score_is_within_the_interval() -> None:
    """Dev and nights are drawn from the same probabilities; the calibration's error is that of dev's draw."""
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        true_precision = 0.8
        dev_matched = generator.binomial(1000, true_precision) / 1000
        spread = np.std(generator.binomial(1000, true_precision, 400) / 1000) * 2 * 1000 / (1000 + 1000)
        dev = DevError(documents=50, mentions=1000, estimated=0.8, measured=0.8, rms=float(spread))
        estimate = estimated_f1(notes=20, spans=400, matched=400 * dev_matched, missed=400 - 400 * dev_matched, dev=dev)
        matched = generator.binomial(400, true_precision)
        assert estimate is not None
        inside += estimate.low <= 2 * matched / 800 <= estimate.high
    assert inside >= 180
