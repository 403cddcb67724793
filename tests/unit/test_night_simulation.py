"""The simulated night: no work is lost or done twice, seeds decide, and workers help."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.night_simulation import Cluster, compared, shard_seconds, simulate

WORK = st.lists(st.floats(0.1, 500.0), min_size=1, max_size=40)
TROUBLED = st.builds(
    Cluster,
    workers=st.integers(1, 6),
    start_seconds=st.floats(0.0, 20.0),
    gap_seconds=st.floats(0.0, 5.0),
    failure=st.sampled_from([0.0, 0.1, 0.9]),
    interrupted_hours=st.sampled_from([math.inf, 1.0, 0.05]),
)


@given(WORK, TROUBLED, st.integers(0, 5))
def test_every_shard_is_done_once_or_failed_and_the_useful_seconds_are_those_of_the_done_ones(
    work: list[float], cluster: Cluster, seed: int
) -> None:
    found = simulate(work, cluster, seed)
    assert found.done + found.failed == len(work)
    assert len(work) <= found.attempts <= len(work) * (cluster.retries + 1)
    total = sum(work) + cluster.start_seconds * len(work)
    if found.failed == 0:
        assert found.useful_seconds == pytest.approx(total)
    assert found.useful_seconds <= total + 1e-6
    assert found.useful_seconds + found.lost_seconds <= cluster.workers * found.seconds + 1e-6
    assert found.seconds >= (max(work) + cluster.start_seconds if found.failed == 0 else 0)


@given(WORK, TROUBLED, st.integers(0, 5))
def test_a_seed_gives_the_same_night(work: list[float], cluster: Cluster, seed: int) -> None:
    assert simulate(work, cluster, seed) == simulate(work, cluster, seed)


def test_another_seed_gives_another_night() -> None:
    work, cluster = [60.0] * 200, Cluster(4, failure=0.2, interrupted_hours=1.0)
    assert simulate(work, cluster, 1) != simulate(work, cluster, 2)
    assert shard_seconds(5, 60.0, 0.3, 1) != shard_seconds(5, 60.0, 0.3, 2)


@given(WORK, TROUBLED, st.integers(1, 6))
def test_without_trouble_more_workers_are_never_slower(work: list[float], cluster: Cluster, more: int) -> None:
    quiet = replace(cluster, failure=0.0, interrupted_hours=math.inf)
    assert simulate(work, replace(quiet, workers=quiet.workers + more)).seconds <= simulate(work, quiet).seconds + 1e-6


def test_a_night_without_trouble_takes_what_the_work_takes() -> None:
    cluster = Cluster(2, start_seconds=4.0, gap_seconds=1.0)
    found = simulate([6.0] * 10, cluster)
    assert found.seconds == 5 * 10 + 4
    assert (found.done, found.attempts, found.lost_seconds) == (10, 10, 0.0)


def test_a_shard_whose_every_attempt_fails_is_tried_as_often_as_airflow_does_with_its_delays() -> None:
    found = simulate([0.0], Cluster(1, start_seconds=0.0, failure=1.0))
    assert (found.done, found.failed, found.attempts) == (0, 1, 4)
    assert found.seconds == 30 + 60 + 120


def test_an_interrupted_attempt_costs_its_work_and_is_repeated() -> None:
    work = [600.0] * 30
    quiet, taken = simulate(work, Cluster(3)), simulate(work, Cluster(3, interrupted_hours=1.0))
    assert taken.interruptions > 0
    assert taken.attempts == 30 + taken.interruptions
    assert taken.seconds > quiet.seconds
    assert taken.lost_seconds > 0 == quiet.lost_seconds


def test_drawn_seconds_have_the_mean_that_was_asked_for() -> None:
    drawn = shard_seconds(4000, 60.0, 0.3)
    assert sum(drawn) / len(drawn) == pytest.approx(60.0, rel=0.02)
    assert min(drawn) > 0


@pytest.mark.parametrize(("predicted", "code"), [(100.0, 0), (114.0, 0), (86.0, 0), (116.0, 1), (84.0, 1)])
def test_a_prediction_further_off_than_15_percent_is_an_error(predicted: float, code: int) -> None:
    assert compared(predicted, 100.0) == code
