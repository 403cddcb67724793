"""The control chart: its run lengths, what it finds, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.control_chart_simulation import Setting, night, simulate
from enigma_tasks.config import load_params
from enigma_tasks.errors import UsageError
from enigma_tasks.monitoring.control_chart import control_chart, decision_limit, run_length_mean
from enigma_tasks.monitoring.f1_sums import F1Sums, NoteScore

CHART = load_params().monitor.chart
SETTING = Setting(notes=20, between=0.0)


def nights(f1: float, count: int, seed: int, first: int = 0) -> list[NoteScore]:
    rng = np.random.default_rng(seed)
    return [score for n in range(first, first + count) for score in night(n, f1, SETTING, rng)]


@pytest.mark.parametrize(
    ("slack", "limit", "fall", "mean"),
    [(0.5, 4, 0.0, 335.4), (0.5, 5, 0.0, 930.9), (0.5, 4, 1.0, 8.38)],
)
def test_run_lengths_are_those_of_published_tables(slack: float, limit: float, fall: float, mean: float) -> None:
    """One-sided CUSUM of normal values: Montgomery, Introduction to Statistical Quality Control, chapter 9."""
    assert run_length_mean(slack, limit, fall) == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize("interval", [200.0, 1000.0, 8000.0])
def test_the_limit_gives_the_stated_interval_between_false_alarms(interval: float) -> None:
    for slack in (0.2, 0.5, 0.9):
        assert run_length_mean(slack, decision_limit(slack, interval)) == pytest.approx(interval, rel=0.01)


def test_quiet_nights_and_falls_are_as_the_benchmark_says() -> None:
    """Few sequences, for the suite; `python -m benchmarks.control_chart_simulation` has the figures."""
    results = simulate(30, 0.8, 30, SETTING, seed=7)
    assert results["false alarms in 200 quiet nights, mean"] <= 1
    assert results["found within the stated delay"] >= 0.8


def test_a_fall_is_an_alarm_and_a_rise_is_none() -> None:
    quiet = nights(0.8, 30, seed=1)
    fallen = control_chart([*quiet, *nights(0.65, 8, seed=2, first=30)], CHART)
    assert any(n.alarm for n in fallen.nights[30:])
    assert not any(n.alarm for n in fallen.nights[:30])
    risen = control_chart([*quiet, *nights(0.9, 30, seed=2, first=30)], CHART)
    assert not any(n.alarm for n in risen.nights)


def test_a_chart_begins_after_enough_notes_and_states_no_delay_before() -> None:
    few = control_chart(nights(0.8, CHART.reference_notes // 20 - 1, seed=3), CHART)
    assert few.delay is None
    assert all(n.usual is None for n in few.nights)
    assert not few.alarm
    assert control_chart([], CHART).nights == ()


def test_more_reviewed_notes_find_a_fall_sooner() -> None:
    quiet = nights(0.8, 40, seed=4)
    delays = [control_chart(quiet, CHART.model_copy(update={"notes": n})).delay for n in (5, 20, 80)]
    assert delays == sorted(delays, reverse=True)
    assert len(set(delays)) == 3


def test_several_charts_share_the_interval() -> None:
    quiet = nights(0.8, 30, seed=5)
    assert control_chart(quiet, CHART, charts=8).limit > control_chart(quiet, CHART).limit


def test_late_reviews_change_nothing_but_what_they_say() -> None:
    scores = nights(0.8, 20, seed=6)
    assert control_chart(scores[::-1], CHART) == control_chart(scores, CHART)


def test_weights_are_those_of_the_sampling_design() -> None:
    """A stratum of which one note in four was drawn counts as four times its notes."""
    common, rare = NoteScore("n", 6.0, 10.0, weight=4.0), NoteScore("n", 2.0, 10.0)
    assert F1Sums.of([common, rare]).f1 == pytest.approx((4 * 6 + 2) / 50)
    four = F1Sums.of([*[NoteScore("n", 6.0, 10.0)] * 4, rare])
    assert F1Sums.of([common, rare]).f1 == pytest.approx(four.f1)


def test_an_interval_below_200_nights_is_refused() -> None:
    with pytest.raises(UsageError, match="false_alarm_nights"):
        load_params(overrides=["monitor.chart.false_alarm_nights=199"])
