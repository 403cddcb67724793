"""Drift of a night's figures on synthetic nights: what is found the same night, and how often a quiet one alarms."""

from __future__ import annotations

import numpy as np
import pytest

from enigma_tasks.config import load_params
from enigma_tasks.monitoring.drift import WatchedNight, drift_tests, reference_nights
from enigma_tasks.monitoring.measures import Kind, key, shown, title
from enigma_tasks.monitoring.moments import Moments
from enigma_tasks.pages.drift import drift_flags, drift_of, drift_table, subject
from enigma_tasks.pages.figures import Flag, LanguageFigures, ModelFigures, NightFigures, NightRecord

PARAMS = load_params().monitor
LANGUAGES = ("es", "it", "nl")
Rng = np.random.Generator


def measures(
    rng: Rng, *, notes: int = 40, density: float = 1.0, length: float = 1.0, **rates: float
) -> dict[str, Moments]:
    """One language's sums in one night; the notes differ by far more than counts of one rate would."""
    level = {name: rng.normal(1, 0.04) for name in ("density", "unknown", "disagreement", "doubt")}
    words = rng.lognormal(6, 0.5, notes) * length * rng.normal(1, 0.03)
    entities = rng.poisson(words * 0.03 * density * level["density"] * rng.gamma(4, 0.25, notes))
    sub_words = np.round(words * rng.normal(1.4 * rates.get("sub_words", 1.0), 0.05, notes))
    unknown = rng.poisson(sub_words * 0.002 * rates.get("unknown", 1.0) * level["unknown"])
    either = entities + rng.poisson(0.2 * entities + 0.1)
    split = rng.binomial(either, min(1.0, 0.25 * rates.get("disagreement", 1.0) * level["disagreement"]))
    one = np.ones(notes)
    return {
        key(Kind.LENGTH): Moments.of(np.log(words * 6), one),
        key(Kind.EMPTY): Moments.of(entities == 0, one),
        key(Kind.ENTITIES, "DISEASE"): Moments.of(entities, words),
        key(Kind.PROBABILITY, "DISEASE"): Moments.of(entities * 0.1 * level["doubt"], entities),
        key(Kind.SUB_WORDS): Moments.of(sub_words, words),
        key(Kind.UNKNOWN): Moments.of(unknown, sub_words),
        key(Kind.DISAGREEMENT): Moments.of(split, either),
    }


def night(rng: Rng, day: int, *, notes: int = 40, version: str = "1", **changed: dict[str, float]) -> NightFigures:
    languages = {}
    for language in LANGUAGES:
        size = int(rng.poisson(notes)) + 20
        sums = measures(rng, **{"notes": size, **changed.get(language, {})})  # type: ignore[arg-type]
        languages[language] = LanguageFigures(annotated=sums["length"].n, measures=sums)
    return NightFigures(
        batch_id=f"night-{day:03}",
        planned_at=f"2026-{1 + day // 28:02}-{1 + day % 28:02}T01:00:00+00:00",
        published=True,
        planned=sum(f.annotated for f in languages.values()),
        annotated=sum(f.annotated for f in languages.values()),
        languages=languages,
        models={code: {"disease": ModelFigures(name="m", version=version, digest=version * 64)} for code in LANGUAGES},
    )


def history(rng: Rng, nights: int = 12) -> list[NightRecord]:
    return [NightRecord(figures=night(rng, day)) for day in range(nights)]


def drifted(tonight: NightFigures, past: list[NightRecord]) -> set[str]:
    return {subject(t.language, t.measure) for t in drift_of(tonight, past, PARAMS) if t.drifted}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"length": 2.0}, {"es length"}),
        ({"disagreement": 3.5}, {"es disagreement"}),
        ({"density": 0.4, "sub_words": 1.4, "unknown": 6.0}, {"es entities.DISEASE", "es sub_words"}),
    ],
    ids=["doubled length", "dead member", "another language"],
)
@pytest.mark.parametrize("nights", [6, 30])
def test_a_fault_in_one_language_is_found_the_same_night_and_in_no_other(
    fault: dict[str, float], expected: set[str], nights: int
) -> None:
    rng = np.random.default_rng(5)
    found = drifted(night(rng, 99, es=fault), history(rng, nights))
    assert expected <= found
    assert {s.split()[0] for s in found} == {"es"}


def test_languages_that_change_places_are_found_by_their_shares() -> None:
    rng = np.random.default_rng(6)
    assert {"es notes", "it notes"} <= drifted(night(rng, 99, es={"notes": 300}, it={"notes": 20}), history(rng))


def test_a_language_that_stays_away_is_found_although_it_has_no_figures() -> None:
    rng = np.random.default_rng(7)
    tonight = night(rng, 99)
    without = tonight.model_copy(update={"languages": {k: v for k, v in tonight.languages.items() if k != "it"}})
    assert "it notes" in drifted(without, history(rng))


def test_quiet_nights_have_few_false_findings() -> None:
    rng = np.random.default_rng(8)
    nights = 150
    alarms = 0
    for _ in range(nights):
        past = history(rng, 8)
        alarms += bool(drifted(night(rng, 99), past))
    # at the stated level 1.5 are expected; more than 5 have a probability below 0.5 %
    assert alarms <= 5


def test_a_flagged_night_is_no_reference_until_so_many_in_a_row_are_the_new_usual() -> None:
    one = ("es", "length")
    quiet, odd = WatchedNight({}, {}), WatchedNight({}, {}, frozenset({one}))
    assert reference_nights(one, [quiet, odd, quiet, odd, odd], 3) == [quiet, quiet]
    assert reference_nights(one, [quiet, odd, odd, odd], 3) == [odd] * 3
    assert reference_nights(one, [quiet, odd, odd, odd, quiet, odd], 3) == [*[odd] * 3, quiet]


def test_a_fault_does_not_become_usual_by_lasting_a_few_nights() -> None:
    rng = np.random.default_rng(9)
    past = history(rng)
    flag = Flag(rule="drift", subject="es length", reason="")
    for day in range(20, 20 + PARAMS.nights_needed - 1):
        tonight = night(rng, day, es={"length": 2.0})
        assert "es length" in drifted(tonight, past)
        past.append(NightRecord(figures=tonight, flags=(flag,)))


def test_nights_of_other_champions_are_the_reference_only_while_there_are_too_few_of_the_present_ones() -> None:
    rng = np.random.default_rng(10)
    past = history(rng)
    newer = {"density": 0.5}
    later = [NightRecord(figures=night(rng, 40 + n, version="2", es=newer)) for n in range(PARAMS.nights_needed)]
    first = drift_of(night(rng, 99, version="2", es=newer), past, PARAMS)
    entities = next(t for t in first if (t.language, t.measure) == ("es", "entities.DISEASE"))
    assert (entities.drifted, entities.other_models) == (True, True)
    assert "the champions are others" in next(f.reason for f in drift_flags(first) if "DISEASE" in f.subject)
    assert "es entities.DISEASE" not in drifted(night(rng, 99, version="2", es=newer), [*past, *later])


def test_the_limits_on_the_page_are_where_the_flag_begins() -> None:
    rng = np.random.default_rng(11)
    for changed in ({}, {"es": {"length": 2.0, "disagreement": 3.0}}):
        tests = drift_of(night(rng, 99, **changed), history(rng), PARAMS)
        assert tests
        for test in tests:
            assert test.drifted == (not test.low <= test.value <= test.high), test


def test_too_few_nights_or_notes_are_not_tested() -> None:
    rng = np.random.default_rng(12)
    past = history(rng)
    assert drift_of(night(rng, 99), past[: PARAMS.nights_needed - 1], PARAMS) == ()
    tonight = night(rng, 99, es={"notes": PARAMS.notes_needed - 1, "length": 3.0})
    assert ("es", "length") not in {(t.language, t.measure) for t in drift_of(tonight, past, PARAMS)}
    measure_names, rows = drift_table(tonight, (), PARAMS.nights_needed)
    assert dict(rows)["es"][measure_names.index("length")].usual == f"needs {PARAMS.nights_needed} nights"


def test_a_figure_that_was_never_counted_has_a_finite_limit() -> None:
    nothing = Moments.of(np.zeros(50), np.full(50, 700.0))
    subjects = {("es", "unknown_sub_words"): nothing}
    past = [WatchedNight(subjects, {"es": ("a",)}) for _ in range(8)]
    options = {"nights_needed": 5, "notes_needed": 20}
    (quiet,) = drift_tests(past[0], past, PARAMS.drift, **options)
    assert not quiet.drifted
    many = {("es", "unknown_sub_words"): Moments.of(np.full(50, 70.0), np.full(50, 700.0))}
    (loud,) = drift_tests(WatchedNight(many, {"es": ("a",)}), past, PARAMS.drift, **options)
    assert loud.drifted
    assert loud.value == pytest.approx(10)


def test_the_ratio_and_its_error_are_those_of_the_notes() -> None:
    rng = np.random.default_rng(13)
    words = rng.lognormal(6, 0.5, 200)
    entities = rng.poisson(words * 0.02 * rng.gamma(3, 1 / 3, 200))
    sums = Moments.of(entities, words)
    value, variance = sums.log_rate()
    picks = rng.integers(0, 200, (2000, 200))
    resampled = np.log(entities[picks].sum(1) / words[picks].sum(1))
    assert value == pytest.approx(np.log(entities.sum() / words.sum()), abs=1e-3)
    assert np.sqrt(variance) == pytest.approx(resampled.std(), rel=0.1)
    assert shown("entities.DISEASE", sums) == pytest.approx(1000 * entities.sum() / words.sum())
    assert title("entities.DISEASE") == "DISEASE per 1,000 words"
