"""The figures that Airflow emits as metrics: numbers under fixed words, by language; see docs/monitoring.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.monitoring.measures import shown
from enigma_tasks.pages.verdict import alerts

if TYPE_CHECKING:
    from enigma_tasks.pages.quality import Quality
    from enigma_tasks.pages.summary import NightSummary

Metrics = dict[str, dict[str, float]]
"""Language, or `night` for all of them -> metric -> value."""


def night_metrics(summary: NightSummary) -> Metrics:
    """Of a night and of the reviewed notes so far."""
    night = summary.figures
    found: Metrics = {
        "night": {
            "planned": night.planned,
            "annotated": night.annotated,
            "quarantined": night.quarantined,
            "waiting": night.waiting_total,
            "deferred": night.deferred_total,
            "entities": night.entities_total,
            "seconds": night.seconds_total,
            "alerts": len(alerts(summary.flags)),
            "published": int(night.published),
        }
    }
    for language, figures in night.languages.items():
        of_language = found.setdefault(language, {"annotated": figures.annotated, "quarantined": figures.quarantined})
        for measure, moments in figures.measures.items():
            if (value := shown(measure, moments)) is not None:
                of_language[measure] = round(value, 6)
    for test in summary.drift:
        found.setdefault(test.language, {})[f"{test.measure}.drifted"] = int(test.drifted)
    for language, values in quality_metrics(summary.quality).items():
        found.setdefault(language, {}).update(values)
    return found


def quality_metrics(quality: Quality) -> Metrics:
    """The newest week's strict F1 with its interval, and the control chart, by language or `all`."""
    found: Metrics = {}
    for group in quality.weeks:  # oldest first: the newest stays
        estimate = group.estimate
        found[group.language] = {"f1": estimate.f1, "f1_low": estimate.low, "f1_high": estimate.high}
    for language, chart in quality.charts.items():
        if chart.nights:
            values = {"cusum": round(chart.nights[-1].statistic, 6), "cusum_limit": round(chart.limit, 6)}
            found.setdefault(language, {}).update(values)
    return found
