"""Strict F1 of reviewed notes: estimates, intervals, groups, flags, and what of them is alerted about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from enigma_tasks.config import load_params
from enigma_tasks.errors import UsageError
from enigma_tasks.monitoring.reviewed import estimate, note_score, week_of
from enigma_tasks.monitoring.reviews import ReviewedCounts, ReviewedNote
from enigma_tasks.pages.alerts import alert_report, not_paused
from enigma_tasks.pages.figures import Flag
from enigma_tasks.pages.quality import chart_flags, floor_flags, reviewed_quality
from enigma_tasks.pages.week import render_week_page, week_end

PARAMS = load_params().monitor
UNTIL = "2026-12-31T00:00:00+00:00"


def review(
    n: int, *, f1: float = 0.8, day: int = 0, rng: np.random.Generator | None = None, **changed: Any
) -> ReviewedNote:
    rng = rng or np.random.default_rng(n)
    share = float(np.clip(rng.normal(f1, 0.1), 0, 1))
    tp = int(rng.binomial(12, share))
    counts = {"disease": ReviewedCounts(tp=tp, fp=12 - tp, fn=12 - tp)}
    values: dict[str, Any] = {
        "bucket": "b",
        "key": f"drops/es/2026-06-01/ward-{n % 2}/{n}.txt",
        "record_id": None,
        "version": "v",
        "language": "es",
        "site": f"ward-{n % 2}",
        "batch_id": f"night-{day:03}",
        "planned_at": f"2026-{6 + day // 28:02}-{1 + day % 28:02}T01:00:00+00:00",
        "source": "0" * 64,
        "marks": "0" * 64,
        "models": {"disease": "d" * 64},
        "reviewed_at": UNTIL,
        "stream": "random",
        "probability": 0.1,
        "counts": counts,
    }
    return ReviewedNote.model_validate({**values, **changed})


def test_the_interval_holds_the_true_f1_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    trials, covered = 300, 0
    for _ in range(trials):
        found = estimate([note_score(review(n, rng=rng), "n") for n in range(30)], 0.95)
        assert found is not None
        covered += found.low <= 0.8 <= found.high
    assert 0.91 <= covered / trials <= 0.985


def test_unequal_probabilities_are_weighted_and_a_chosen_note_never_counts() -> None:
    """A stratum of poor notes was drawn ten times as densely: unweighted, F1 would be far too low."""
    good = [review(n, f1=0.9, probability=0.02) for n in range(40)]
    poor = [review(n, f1=0.4, probability=0.2) for n in range(40, 80)]
    chosen = [review(n, f1=0.1, stream="chosen", probability=None) for n in range(80, 120)]
    quality = reviewed_quality([*good, *poor, *chosen], UNTIL, PARAMS)
    (group,) = quality.types
    assert group.estimate.notes == 80
    assert group.estimate.f1 == pytest.approx((10 * 0.9 + 0.4) / 11, abs=0.03)
    assert quality.chosen is not None
    assert quality.chosen.f1 == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(("tp", "errors"), [(5, 0), (0, 5)])
def test_notes_that_are_all_alike_have_an_interval_that_is_not_a_point(tp: int, errors: int) -> None:
    counts = {"disease": ReviewedCounts(tp=tp, fp=errors, fn=errors)}
    found = estimate([note_score(review(n, counts=counts), "n") for n in range(10)], 0.95)
    assert found is not None
    assert found.high - found.low > 0.2


def test_notes_in_which_nobody_marked_anything_have_no_f1() -> None:
    counts = {"disease": ReviewedCounts(tp=0, fp=0, fn=0)}
    assert estimate([note_score(review(0, counts=counts), "n")], 0.95) is None
    assert estimate([], 0.95) is None


def test_weeks_are_those_of_the_nights_and_not_of_the_reviews() -> None:
    reviews = [review(n, day=n % 14) for n in range(56)]
    quality = reviewed_quality(reviews, UNTIL, PARAMS)
    assert [(g.language, g.subject) for g in quality.weeks if g.language == "es"] == [
        ("es", "2026-W23"), ("es", "2026-W24"),
    ]  # fmt: skip
    assert quality.languages == ["es"]
    assert {g.subject for g in quality.sites} == {"ward-0", "ward-1"}
    early = reviewed_quality(reviews, week_end("2026-W23"), PARAMS)
    assert {g.subject for g in early.weeks} == {"2026-W23"}


def test_a_fall_is_flagged_on_the_chart_and_one_below_the_floor_asks_for_retraining() -> None:
    rng = np.random.default_rng(3)
    quiet = [review(20 * d + n, day=d, rng=rng) for d in range(30) for n in range(20)]
    quality = reviewed_quality(quiet, UNTIL, PARAMS)
    assert [*chart_flags(quality, 7), *floor_flags(quality, PARAMS)] == []
    fallen = [review(20 * d + n, day=d, f1=0.45, rng=rng) for d in range(30, 58) for n in range(20)]
    quality = reviewed_quality([*quiet, *fallen[:100]], UNTIL, PARAMS)
    assert [f.subject for f in chart_flags(quality, 7)] == ["es"]
    quality = reviewed_quality([*quiet, *fallen], UNTIL, PARAMS)
    (flag,) = floor_flags(quality, PARAMS)
    assert (flag.rule, flag.subject) == ("f1_below_floor", "es DISEASE")
    page = render_week_page("2026-W31", quality, [flag])
    assert flag.reason in page
    assert "Control chart, es" in page


def test_a_week_is_an_iso_week() -> None:
    assert week_of("2026-06-11T01:00:00+00:00") == "2026-W24"
    assert week_end("2026-W24") == "2026-06-15T00:00:00+00:00"
    for wrong in ("2026-24", "2026-W54", "2026-W00", "last"):
        with pytest.raises(UsageError, match="2026-W24"):
            week_end(wrong)


def test_an_alert_is_paused_for_its_rule_and_subject_only() -> None:
    length, silent = (
        Flag(rule="drift", subject="es length", reason=""),
        Flag(rule="member_silent", subject="es", reason=""),
    )
    notice = Flag(rule="model_changed", subject="es", reason="")
    told = (("drift", "es length"),)
    assert not_paused((length, silent, notice), [told, ()], 2) == (silent,)
    assert not_paused((length, silent, notice), [told, (), ()], 2) == (length, silent)
    assert not_paused((length,), [told], 0) == (length,)
    assert alert_report([length.model_copy(update={"value": 2.0})]) == [
        {"alert": "alert:drift:es:length", "value": 2.0}
    ]
