"""Renders the morning page of a night, and the page that lists all nights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.monitoring.measures import entry
from enigma_tasks.monitoring.measures import title as measure_title
from enigma_tasks.pages import charts
from enigma_tasks.pages.drift import drift_table, values_over_nights
from enigma_tasks.pages.figures import SCORE_BINS, NightFigures, NightRecord, QuarantinedNote, ratio
from enigma_tasks.pages.flags import changed_models
from enigma_tasks.pages.formats import count, dec, duration, environment, label_classes, percent
from enigma_tasks.pages.quality_charts import quality_charts
from enigma_tasks.pages.verdict import NOTICES, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enigma_tasks.pages.summary import NightSummary

QUARANTINE_ROWS = 200
SLOW_SHARDS = 8
CHARTED_NIGHTS = 60
"""On the page that lists all nights."""
NEUTRAL = "n0"
PHASES = ("plan", "load", "read", "compute", "write", "publish")
"""In the order of execution."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A large figure with its usual range."""

    name: str
    value: str
    below: str = ""
    css: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """A chart over nights under its heading."""

    title: str
    value: str
    chart: charts.LineChart
    legend: Mapping[str, str]


def render_morning_page(summary: NightSummary, language_names: Mapping[str, str] | None = None) -> str:
    """HTML of one night, with ids, rules and counts only, and no external resources. Pure and without a clock."""
    night = summary.figures
    colours = _colours([night, *summary.history])
    groups = _quarantine_groups(summary.quarantine)
    measures, drift_rows = drift_table(night, summary.drift, summary.nights_needed)
    return environment().get_template("morning.html.jinja").render(
        night=night,
        summary=summary,
        verdict=verdict(night, summary.flags),
        notices=NOTICES,
        tiles=_tiles(summary),
        trends=_trends(summary, colours),
        colours=colours,
        names=language_names or {},
        entity_bars=_entity_bars(night, colours),
        histograms=_histograms(night, colours),
        phases=_phases(night),
        slow=sorted(summary.shards, key=lambda s: (-s.total, s.id))[:SLOW_SHARDS],
        kinds=sorted({kind for models in night.models.values() for kind in models}),
        groups=groups,
        quarantine_shown=sum(len(notes) for _, notes in groups),
        changed={(language, kind): before for language, kind, before in changed_models(night, summary.history)},
        quality=summary.quality,
        quality_charts=quality_charts(summary.quality),
        drift_measures=[_heading(m) for m in measures],
        drift_rows=drift_rows if any(f.measures for f in night.languages.values()) else [],
        drift_trends=_drift_trends(summary),
        drift_level=summary.drift_level,
        previous=summary.history[-1].batch_id if summary.history else None,
    )  # fmt: skip


def render_nights_page(records: Sequence[NightRecord]) -> str:
    """HTML that lists all nights, newest first, with links to `{batch_id}/index.html`."""
    nights = [r.figures for r in records]
    newest = sorted(records, key=lambda r: (r.figures.planned_at, r.figures.batch_id), reverse=True)
    recent = sorted(nights, key=lambda n: (n.planned_at, n.batch_id))[-CHARTED_NIGHTS:]
    return environment().get_template("nights.html.jinja").render(
        rows=[(r.figures, verdict(r.figures, r.flags)) for r in newest],
        trends=_over_nights(recent, _colours(recent), {}) if len(recent) > 1 else [],
        shown=len(recent),
    )  # fmt: skip


def _colours(nights: Sequence[NightFigures]) -> dict[str, str]:
    return label_classes(label for n in nights for label in n.labels)


def _tiles(summary: NightSummary) -> list[Tile]:
    night = summary.figures
    usual = summary.usual
    per_note = ratio(night.entities_total, night.annotated)
    density = "" if per_note is None or not night.published else f"{dec(per_note)} per note"
    speed = "" if night.notes_per_second is None else f"{dec(night.notes_per_second)} notes/s per worker"
    share = night.quarantine_share
    return [
        Tile("Notes in", count(night.planned), _usual(usual, "notes", count), _unusual(usual, "notes", night.planned)),
        Tile("Annotated", count(night.annotated), f"{count(night.done)} were done before"),
        Tile(
            "Quarantined", count(night.quarantined), "" if share is None else percent(share),
            "odd" if night.quarantined else "",
        ),
        Tile("Waiting", count(night.waiting_total), ", ".join(sorted(night.waiting)), "odd" if night.waiting else ""),
        *([Tile("Deferred", count(night.deferred_total), "to the next night", "odd")] if night.deferred else []),
        Tile("Entities", count(night.entities_total) if night.published else "–", density),
        Tile(
            "Text read", percent(night.completeness), "of all characters",
            "wrong" if (night.completeness or 1) < 1 else "",
        ),
        Tile("Work", duration(night.seconds_total), speed),
    ]  # fmt: skip


def _usual(usual: Mapping[str, tuple[float, float]], key: str, show: Callable[[float], str]) -> str:
    return f"usually {show(usual[key][0])}–{show(usual[key][1])}" if key in usual else ""


def _unusual(usual: Mapping[str, tuple[float, float]], key: str, value: float) -> str:
    return "odd" if key in usual and not usual[key][0] <= value <= usual[key][1] else ""


def _trends(summary: NightSummary, colours: Mapping[str, str]) -> list[Trend]:
    if not summary.history:
        return []
    return _over_nights([*summary.history, summary.figures], colours, summary.usual)


def _over_nights(
    nights: Sequence[NightFigures], colours: Mapping[str, str], usual: Mapping[str, tuple[float, float]]
) -> list[Trend]:
    """Notes, quarantine, entities per note, mean score and seconds per note, each over the nights."""
    days = [n.planned_at[5:10] or n.batch_id for n in nights]

    def one(title: str, css: str, key: str, values: Sequence[float | None], show: Callable[[float], str]) -> Trend:
        line = [charts.Series("", css, tuple(values))]
        last = values[-1]
        value = "–" if last is None else show(last)
        return Trend(title, value, charts.line_chart(title, days, line, show, usual.get(key)), {})

    def by_label(title: str, figure: Callable[[NightFigures, str], float | None], *, tight: bool = False) -> Trend:
        lines = [charts.Series(f"{c} ", css, tuple(figure(n, c) for n in nights)) for c, css in colours.items()]
        return Trend(title, "", charts.line_chart(title, days, lines, dec, tight=tight), colours)

    def share(value: float) -> str:
        return f"{dec(value)} %"

    quarantined = [None if n.quarantine_share is None else 100 * n.quarantine_share for n in nights]
    cost = [ratio(n.seconds_total, n.annotated) for n in nights]
    return [
        one("Notes in", NEUTRAL, "notes", [n.planned for n in nights], count),
        one("Share in quarantine", "warn", "quarantine_share", quarantined, share),
        one("Seconds of work per note", NEUTRAL, "seconds_per_note", cost, dec),
        by_label("Entities per note", lambda n, label: n.per_note(label)),
        by_label("Mean score", lambda n, label: n.mean_score(label), tight=True),
        one("Seconds of work", NEUTRAL, "seconds", [n.seconds_total for n in nights], dec),
    ]


def _heading(measure: str) -> str:
    unit = entry(measure).unit
    return measure_title(measure).capitalize() + (", %" if unit == "%" else "")


def _drift_trends(summary: NightSummary) -> list[Trend]:
    """A chart of each figure that has drifted, with the range in which it would not have been flagged."""
    nights = [*summary.history, summary.figures]
    days = [n.planned_at[5:10] or n.batch_id for n in nights]
    trends = []
    for test in summary.drift:
        if test.drifted:
            name = f"{test.language}: {measure_title(test.measure)}"
            line = charts.Series("", "warn", values_over_nights(nights, test.language, test.measure))
            chart = charts.line_chart(name, days, [line], dec, (test.low, test.high), tight=True)
            trends.append(Trend(name, dec(test.value), chart, {}))
    return trends


def _entity_bars(night: NightFigures, colours: Mapping[str, str]) -> tuple[charts.Bar, ...]:
    rows = []
    for language, figures in sorted(night.languages.items()):
        if figures.annotated:
            parts = [
                (css, ratio(figures.entities.get(label, 0), figures.annotated) or 0.0, (f"{language} {label}: "
                 f"{dec(night.per_note(label, language))} per note"))
                for label, css in colours.items()
            ]  # fmt: skip
            rows.append((language, parts, dec(sum(value for _, value, _ in parts))))
    return charts.bars(rows)


def _histograms(night: NightFigures, colours: Mapping[str, str]) -> list[tuple[str, str, charts.Columns]]:
    """(label, mean score, chart) for each label with scores, without the empty bins below the lowest score."""
    used = [i for bins in night.scores.values() for i, n in enumerate(bins) if n]
    first = min(used, default=0)
    first -= first % (SCORE_BINS // 10)
    return [
        (
            label, dec(night.mean_score(label)),
            charts.histogram(f"Scores of {label}", colours[label], bins[first:], first / SCORE_BINS),
        )
        for label, bins in sorted(night.scores.items()) if sum(bins) and label in colours
    ]  # fmt: skip


def _phases(night: NightFigures) -> tuple[charts.Bar, ...]:
    total = night.seconds_total
    return charts.bars([
        (
            phase, [(NEUTRAL, seconds, f"{phase}: {duration(seconds)}")],
            f"{duration(seconds)} · {percent(ratio(seconds, total))}",
        )
        for phase, seconds in sorted(night.seconds.items(), key=lambda pair: (_phase_order(pair[0]), pair[0]))
    ])  # fmt: skip


def _phase_order(phase: str) -> int:
    last = phase.rsplit(maxsplit=1)[-1]
    return PHASES.index(last) if last in PHASES else len(PHASES)


def _quarantine_groups(notes: Sequence[QuarantinedNote]) -> list[tuple[str, list[QuarantinedNote]]]:
    """Notes by rule, the most frequent first; with too many notes, a limited number for each rule."""
    by_rule: dict[str, list[QuarantinedNote]] = {}
    for note in sorted(notes, key=lambda n: n.record_id):
        by_rule.setdefault(note.rule, []).append(note)
    frequent = sorted(by_rule.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    if len(notes) <= QUARANTINE_ROWS:
        return frequent
    return [(rule, found[: max(1, QUARANTINE_ROWS // len(by_rule))]) for rule, found in frequent]
