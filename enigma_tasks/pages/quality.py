"""How good the models are: strict F1 of reviewed notes by week, its control charts, and what else a person looks at."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.frozen import Frozen
from enigma_tasks.monitoring.control_chart import ControlChart, control_chart
from enigma_tasks.monitoring.reviewed import (
    ALL,
    F1Estimate,
    by_night,
    estimate,
    grouped,
    note_score,
    of_stream,
    week_of,
)
from enigma_tasks.pages.figures import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from enigma_tasks.monitoring.reviews import ReviewedNote
    from enigma_tasks.params.monitor import MonitorParams

RECENT = dt.timedelta(days=7)
FELL, BELOW_FLOOR = "f1_fell", "f1_below_floor"


class GroupF1(Frozen):
    """Strict F1 of one group of reviewed notes."""

    language: str
    subject: str
    """Week, label or site."""
    estimate: F1Estimate


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A line of a journal of champions."""

    at: str
    name: str
    n: int
    kind: str
    champion: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quality:
    """What reviewed notes say, and what else the page shows beside it."""

    weeks: tuple[GroupF1, ...] = ()
    """By language (or `all`) and week, oldest first."""
    types: tuple[GroupF1, ...] = ()
    """By language and label, over the floor's weeks."""
    sites: tuple[GroupF1, ...] = ()
    """By language and site, over the floor's weeks."""
    reviewed: int = 0
    """Notes that were reviewed in the last seven days, of both streams."""
    chosen: F1Estimate | None = None
    """Of the notes that were chosen, which are no sample."""
    charts: Mapping[str, ControlChart] = field(default_factory=dict)
    floor: float | None = None
    worth_review: tuple[str, ...] = ()
    """Ids of the notes that a reviewer should see first."""
    journal: tuple[JournalRow, ...] = ()
    """The newest first."""

    @property
    def languages(self) -> list[str]:
        """Those with reviewed notes; `all` first if there are several."""
        found = sorted({g.language for g in self.weeks} - {ALL})
        return [ALL, *found] if len(found) > 1 else found


def reviewed_quality(reviews: Sequence[ReviewedNote], until: str, params: MonitorParams) -> Quality:
    """The part of the page that reviewed notes of nights up to `until` (a time) give."""
    known = [r for r in reviews if r.planned_at <= until]
    drawn = of_stream(known, "random")
    level = params.reviewed.level

    def weeks(review: ReviewedNote) -> Iterator[tuple[str, str]]:
        week = week_of(review.planned_at)
        yield review.language, week
        yield ALL, week

    weekly = grouped(drawn, weeks, level)
    shown = sorted({week for _, week in weekly})[-params.reviewed.weeks :]
    recent_weeks = set(shown[-params.reviewed.floor_weeks :])
    recent = [r for r in drawn if week_of(r.planned_at) in recent_weeks]
    scores = by_night(drawn)
    scores = scores if len(scores) > 2 else {k: v for k, v in scores.items() if k != ALL}
    chosen = [note_score(r, r.batch_id) for r in of_stream(known, "chosen")]
    return Quality(
        reviewed=_reviewed_lately(reviews, until),
        weeks=tuple(_group(k, e) for k, e in weekly.items() if k[1] in shown),
        types=tuple(
            _group((language, kind.upper()), e)
            for kind in sorted({kind for r in recent for kind in r.counts})
            for (language,), e in grouped(
                [r for r in recent if kind in r.counts], lambda r: [(r.language,)], level, kind
            ).items()
        ),
        sites=tuple(_group(k, e) for k, e in grouped(recent, lambda r: [(r.language, r.site)], level).items()),
        chosen=estimate(chosen, level),
        charts={
            subject: control_chart(of_subject, params.chart, charts=len(scores))
            for subject, of_subject in sorted(scores.items())
        },
        floor=params.reviewed.floor,
    )


def _reviewed_lately(reviews: Sequence[ReviewedNote], until: str) -> int:
    end = dt.datetime.fromisoformat(until)
    times = (dt.datetime.fromisoformat(r.reviewed_at) for r in reviews)
    return sum(end - RECENT < time <= end for time in times)


def chart_flags(quality: Quality, nights: int) -> Iterator[Flag]:
    """A flag for each chart with an alarm on one of its last `nights` nights."""
    for language, chart in quality.charts.items():
        alarm = next((n for n in reversed(chart.nights[-nights:]) if n.alarm), None)
        if alarm is not None and alarm.usual is not None:
            of = "all languages" if language == ALL else language
            reason = (
                f"Strict F1 of reviewed notes in {of} has fallen below the usual {alarm.usual:.3f}: the sum of the"
                f" control chart is {alarm.statistic:.1f}, its limit {chart.limit:.1f}."
            )
            yield Flag(rule=FELL, subject=language, reason=reason, value=round(alarm.f1, 6), low=round(alarm.usual, 6))


def floor_flags(quality: Quality, params: MonitorParams) -> Iterator[Flag]:
    """A flag for each language and type whose whole interval is below the floor."""
    for group in quality.types:
        found = group.estimate
        if found.notes >= params.reviewed.notes_needed and found.high < params.reviewed.floor:
            reason = (
                f"Strict F1 of {group.subject} in {group.language} is {found.f1:.3f} ({found.low:.3f} to"
                f" {found.high:.3f}) on {found.notes:,} reviewed notes, below the floor of {params.reviewed.floor:g}."
            )
            subject = f"{group.language} {group.subject}"
            yield Flag(rule=BELOW_FLOOR, subject=subject, reason=reason, value=found.f1, low=params.reviewed.floor)


def _group(key: tuple[str, ...], found: F1Estimate) -> GroupF1:
    return GroupF1(language=key[0], subject=key[1], estimate=found)
