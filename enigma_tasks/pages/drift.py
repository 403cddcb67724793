"""Drift on the morning page: a night's record -> what the tests need; their results -> flags and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.monitoring.drift import DriftTest, WatchedNight, drift_tests
from enigma_tasks.monitoring.measures import Kind, entry, key, shown, title
from enigma_tasks.monitoring.moments import Moments
from enigma_tasks.pages.figures import Flag, NightFigures, NightRecord
from enigma_tasks.pages.formats import dec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from enigma_tasks.params.monitor import MonitorParams

RULE = "drift"


@dataclass(frozen=True, slots=True)
class DriftCell:
    """One figure of one language in the table."""

    value: str
    usual: str
    """`low to high`, or why there is no test."""
    css: str


def drift_of(night: NightFigures, history: Sequence[NightRecord], params: MonitorParams) -> tuple[DriftTest, ...]:
    """The tests of a published night against the published nights before it, oldest first."""
    if not night.published:
        return ()
    languages = {language for n in (night, *(r.figures for r in history)) for language in _notes_in(n)}
    tests = drift_tests(
        _watched(NightRecord(figures=night), languages),
        [_watched(record, languages) for record in history],
        params.drift,
        nights_needed=params.nights_needed,
        notes_needed=params.notes_needed,
    )
    return tuple(tests)


def drift_flags(tests: Iterable[DriftTest]) -> Iterator[Flag]:
    """A flag for each figure that has drifted."""
    for test in tests:
        if not test.drifted:
            continue
        unit = entry(test.measure).unit
        unit = unit if unit in ("", "%") else f" {unit}"
        since = "; the champions are others than in most of those nights" if test.other_models else ""
        yield Flag(
            rule=RULE,
            subject=subject(test.language, test.measure),
            reason=f"{test.language}: {title(test.measure)} {dec(test.value)}{unit}, usually {dec(test.low)} to"
            f" {dec(test.high)}{unit} ({test.nights} nights{since}).",
            value=round(test.value, 6),
            low=round(test.low, 6),
            high=round(test.high, 6),
        )


def subject(language: str, measure: str) -> str:
    """As a flag names it: `es entities.DISEASE`."""
    return f"{language} {measure}"


def drift_table(
    night: NightFigures, tests: Iterable[DriftTest], nights_needed: int
) -> tuple[list[str], list[tuple[str, list[DriftCell]]]]:
    """(measures, a row of cells for each language)."""
    tested = {(t.language, t.measure): t for t in tests}
    watched = _watched(NightRecord(figures=night), _notes_in(night)).figures
    measures = sorted({measure for _, measure in watched}, key=lambda m: (list(Kind).index(Kind(m.split(".")[0])), m))
    rows = []
    for language in sorted({language for language, _ in watched}):
        cells = []
        for measure in measures:
            test, moments = tested.get((language, measure)), watched.get((language, measure))
            value = None if moments is None else shown(measure, moments)
            usual = f"needs {nights_needed} nights" if test is None else f"{dec(test.low)}–{dec(test.high)}"
            css = "" if test is None or not test.drifted else "odd"
            cells.append(DriftCell(dec(value), "" if value is None else usual, css))
        rows.append((language, cells))
    return measures, rows


def values_over_nights(nights: Sequence[NightFigures], language: str, measure: str) -> tuple[float | None, ...]:
    """The figure of each night, as people read it."""
    found = [_watched(NightRecord(figures=n), {language}).figures.get((language, measure)) for n in nights]
    return tuple(None if moments is None else shown(measure, moments) for moments in found)


def _watched(record: NightRecord, languages: Iterable[str]) -> WatchedNight:
    night = record.figures
    figures = {
        (language, measure): moments
        for language, of_language in night.languages.items()
        for measure, moments in of_language.measures.items()
    }
    notes = _notes_in(night)
    total = sum(notes.values())
    if total and any(f.measures for f in night.languages.values()):
        share = key(Kind.NOTES)
        for language in languages:
            count = notes.get(language, 0)
            figures[language, share] = Moments(n=total, a=count, b=total, aa=count, ab=count, bb=total)
    return WatchedNight(
        figures=figures,
        models={
            language: tuple(sorted(m.digest or m.version for m in pins.values()))
            for language, pins in night.models.items()
        },
        flagged=frozenset(
            (flag.subject.partition(" ")[0], flag.subject.partition(" ")[2])
            for flag in record.flags
            if flag.rule == RULE
        ),
    )


def _notes_in(night: NightFigures) -> dict[str, int]:
    """Language -> notes that came in: with an outcome, waiting for a champion, or deferred."""
    counts = {language: f.annotated + f.quarantined for language, f in night.languages.items()}
    for language, left in (*night.waiting.items(), *night.deferred.items()):
        if language:
            counts[language] = counts.get(language, 0) + left
    return counts
