"""The charts of strict F1: by week with intervals, and the control chart, for each language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.monitoring.reviewed import ALL
from enigma_tasks.pages import charts
from enigma_tasks.pages.formats import dec

if TYPE_CHECKING:
    from enigma_tasks.pages.quality import Quality

NEUTRAL, WARN = "n0", "warn"
NIGHTS = 90
"""On a control chart."""


@dataclass(frozen=True, slots=True)
class QualityCharts:
    """What is drawn of one language."""

    language: str
    value: str
    """The newest week's F1 with its interval."""
    weeks: charts.LineChart
    control: charts.LineChart | None
    state: str
    """What the control chart says, in words."""
    css: str


def quality_charts(quality: Quality) -> list[QualityCharts]:
    """One for each language with reviewed notes, `all` first."""
    return [_of_language(quality, language) for language in quality.languages]


def _of_language(quality: Quality, language: str) -> QualityCharts:
    names = sorted({g.subject for g in quality.weeks})
    of_week = {g.subject: g.estimate for g in quality.weeks if g.language == language}
    estimates = [of_week.get(name) for name in names]
    newest = next(e for e in reversed(estimates) if e is not None)
    line = charts.Series(
        "",
        NEUTRAL,
        tuple(None if e is None else e.f1 for e in estimates),
        tuple(None if e is None else (e.low, e.high) for e in estimates),
    )
    title = f"Strict F1 by week, {language}"
    limits = () if quality.floor is None else ((quality.floor, "floor"),)
    weeks = charts.line_chart(title, [n[5:] for n in names], [line], _f1, limits=limits, tight=True)
    control, state, css = _control(quality, language)
    value = f"{newest.f1:.2f} ({newest.low:.2f}–{newest.high:.2f})"
    return QualityCharts("all languages" if language == ALL else language, value, weeks, control, state, css)


def _control(quality: Quality, language: str) -> tuple[charts.LineChart | None, str, str]:
    chart = quality.charts.get(language)
    nights = [] if chart is None else [n for n in chart.nights if n.usual is not None][-NIGHTS:]
    if chart is None or not nights:
        return None, "too few reviewed notes for the control chart", ""
    line = charts.Series("", NEUTRAL, tuple(n.statistic for n in nights))
    drawn = charts.line_chart(
        f"Control chart, {language}", [n.night[5:10] for n in nights], [line], dec, limits=((chart.limit, "limit"),)
    )
    alarms = [n.night[:10] for n in nights if n.alarm]
    if alarms:
        return drawn, f"alarm on {alarms[-1]}", WARN
    found = "" if chart.delay is None else f"; a fall of 5 points would be found within {chart.delay} nights"
    return drawn, f"no fall found{found}", ""


def _f1(value: float) -> str:
    return f"{value:.3f}"
