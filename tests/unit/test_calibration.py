"""Calibration of spans on dev: monotone, adds up, and right where the world is as it was on dev."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.ensembles.calibration import (
    LEAST,
    Calibration,
    CalibrationDocument,
    Curve,
    calibration_document,
    fit_calibration,
    strict_f1,
)
from enigma_tasks.ensembles.span_evidence import SpanEvidence


def drawn(notes: int, seed: int, overconfidence: float = 1.0, hidden: float = 0.5) -> list[CalibrationDocument]:
    """Notes whose true probabilities are the evidence with its log odds divided by `overconfidence`.

    `hidden`: mentions a note that have no evidence.
    """
    generator = np.random.default_rng(seed)
    documents = []
    for _ in range(notes):
        found = generator.beta(4, 1.5, 12).clip(1e-4, 1 - 1e-4)
        uncovered = generator.beta(0.3, 2, 20).clip(0, 1 - 1e-4)
        true = [1 / (1 + np.exp(-np.log(p / (1 - p)) / overconfidence)) for p in (found, uncovered.clip(1e-4))]
        right = generator.random(12) < true[0]
        missed = ((generator.random(20) < true[1]) & (uncovered >= LEAST)).astype(np.int64)
        gold = int(right.sum() + missed.sum() + generator.poisson(hidden))
        evidence = SpanEvidence(found, np.arange(20), uncovered)
        documents.append(CalibrationDocument(evidence, right, missed, gold, 1000))
    return documents


def expected(calibration: Calibration, notes: list[CalibrationDocument]) -> tuple[float, float, int]:
    """Matched, missed, spans."""
    matched = sum(calibration.matches(d.evidence).sum() for d in notes)
    return matched, sum(calibration.missing(d.evidence, d.characters) for d in notes), sum(len(d.right) for d in notes)


def test_on_the_documents_that_it_was_fitted_on_expected_counts_are_the_real_ones() -> None:
    dev = drawn(60, 1, 2.0)
    matched, missed, _ = expected(fit_calibration(dev, 5, 1, 200), dev)
    assert matched == pytest.approx(sum(d.right.sum() for d in dev), rel=1e-3)
    assert missed == pytest.approx(sum(d.gold - d.right.sum() for d in dev), rel=1e-3)


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_where_new_notes_are_like_dev_the_estimate_is_within_its_stated_error(overconfidence: float) -> None:
    inside = 0
    for seed in range(20):
        calibration = fit_calibration(drawn(60, seed, overconfidence), 5, seed, 300)
        notes = drawn(60, 1000 + seed, overconfidence)
        matched, missed, spans = expected(calibration, notes)
        real = strict_f1(sum(d.right.sum() for d in notes), spans, sum(d.gold for d in notes))
        inside += abs(strict_f1(matched, spans, matched + missed) - real) < 2 * 2**0.5 * calibration.dev.rms
    assert inside >= 17


def test_overconfident_members_are_corrected() -> None:
    calibration = fit_calibration(drawn(300, 3, 2.5), 5, 3, 200)
    assert calibration.found.slope == pytest.approx(1 / 2.5, abs=0.1)
    assert calibration.found.intercept == pytest.approx(0, abs=0.2)
    assert calibration.unseen == pytest.approx(0.5, abs=0.2)


def test_the_error_on_dev_is_measured_on_documents_that_were_not_fitted_on() -> None:
    dev = drawn(40, 5)
    error = fit_calibration(dev, 5, 5, 500).dev
    matched, spans = sum(d.right.sum() for d in dev), sum(len(d.right) for d in dev)
    assert error.measured == pytest.approx(strict_f1(matched, spans, error.mentions), abs=1e-6)
    assert (error.documents, error.mentions) == (40, sum(d.gold for d in dev))
    assert abs(error.estimated - error.measured) < 3 * error.rms


def test_equal_documents_give_equal_bytes() -> None:
    made = [fit_calibration(drawn(30, 2), 5, 2, 200).model_dump_json() for _ in range(2)]
    assert made[0] == made[1]
    assert Calibration.model_validate_json(made[0]).model_dump_json() == made[0]


@pytest.mark.parametrize("right", [True, False])
def test_spans_that_are_all_right_or_all_wrong(right: bool) -> None:
    evidence = SpanEvidence(np.array([0.9, 0.2]), np.zeros(0, np.int64), np.zeros(0))
    documents = [CalibrationDocument(evidence, np.array([right, right]), np.zeros(0, np.int64), 2, 100)] * 6
    calibration = fit_calibration(documents, 5, 1, 100)
    assert calibration.matches(evidence) == pytest.approx([(12.5 if right else 0.5) / 13] * 2, abs=1e-6)


def test_documents_without_any_span_or_mention() -> None:
    nothing = SpanEvidence(np.zeros(0), np.zeros(0, np.int64), np.zeros(0))
    documents = [CalibrationDocument(nothing, np.zeros(0, bool), np.zeros(0, np.int64), 0, 0)] * 2
    calibration = fit_calibration(documents, 5, 1, 100)
    assert calibration.missing(nothing, 500) == 0
    assert (calibration.dev.measured, calibration.dev.rms) == (0, 0)


def test_gold_that_was_not_found_belongs_to_the_word_that_it_starts_in() -> None:
    evidence = SpanEvidence(np.array([0.9, 0.3]), np.array([5, 10, 20]), np.array([0.1, 0.1, 0.8]))
    gold = [(5, 9), (10, 14), (21, 24), (21, 24), (20, 30), (0, 3)]
    document = calibration_document(evidence, [(5, 9), (10, 12)], gold, 40)
    assert document.right.tolist() == [True, False]
    assert document.missed.tolist() == [0, 1, 2]
    assert document.gold == 5


@given(st.floats(-5, 5), st.floats(0, 5), st.lists(st.floats(0, 1), min_size=2, max_size=10))
def test_a_curve_never_falls_and_gives_probabilities(intercept: float, slope: float, values: list[float]) -> None:
    calibrated = Curve(intercept=intercept, slope=slope).of(np.sort(np.array(values)))
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert (np.diff(calibrated) >= 0).all()


@given(st.integers(2, 12), st.integers(0, 10_000))
def test_whatever_dev_is_the_fit_never_falls_and_counts_are_possible(notes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    dev = drawn(notes, seed)
    shuffled = [
        CalibrationDocument(d.evidence, generator.random(len(d.right)) < 0.5, d.missed, 12 + int(d.missed.sum()), 10)
        for d in dev
    ]
    calibration = fit_calibration(shuffled, 3, 1, 100)
    matched, missed, spans = expected(calibration, dev)
    assert 0 <= matched <= spans
    assert missed >= 0
    assert 0 <= strict_f1(matched, spans, matched + missed) <= 1
