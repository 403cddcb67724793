"""`enigma monitor`: a night's plan, results and tables -> the morning page; a week's reviewed notes -> its report."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow.compute as pc

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.night_counts import published_counts
from enigma_tasks.adapters.night_estimates import night_estimates
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.object_store import ObjectStore, Wanted
from enigma_tasks.adapters.review_index import ReviewIndex, read_reviews
from enigma_tasks.artifacts import QuarantinePlaces, ReportPlaces, RunPlaces
from enigma_tasks.card_places import CardPlaces, relative_link
from enigma_tasks.errors import DataError
from enigma_tasks.frozen import json_bytes
from enigma_tasks.notes.names import Names
from enigma_tasks.pages.alerts import alert_report, not_paused
from enigma_tasks.pages.drift import drift_flags, drift_of
from enigma_tasks.pages.figures import (
    SCORE_BINS,
    NightFigures,
    NightRecord,
    QuarantinedNote,
    ShardTiming,
    night_record_bytes,
    read_night_record,
)
from enigma_tasks.pages.flags import flags, usual_ranges
from enigma_tasks.pages.metrics import night_metrics, quality_metrics
from enigma_tasks.pages.morning import render_morning_page, render_nights_page
from enigma_tasks.pages.night_figures import night_figures
from enigma_tasks.pages.quality import (
    BELOW_FLOOR,
    GroupF1,
    JournalRow,
    Quality,
    chart_flags,
    floor_flags,
    reviewed_quality,
)
from enigma_tasks.pages.summary import NightSummary
from enigma_tasks.pages.verdict import alerts, verdict
from enigma_tasks.pages.week import WeekRecord, read_week_record, render_week_page, week_end
from enigma_tasks.review_places import ReviewIndexPlaces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.commits import ShardCommit
    from enigma_tasks.notes.plans import Plan
    from enigma_tasks.params.monitor import MonitorParams

Record = TypeVar("Record")

log = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"
JOURNAL_LINES = 8
"""On the morning page."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write the pages; a second run writes the same bytes unless this night or an earlier one has changed.

    Returns:
        The pages' URIs, counts, the verdict's word, and `alerts`; the exit code is 0 also for a night with alerts.

    Raises:
        UsageError: the batch has no plan. ServiceError: store or tables.
    """
    reports, store = ReportPlaces.of(settings), ObjectStore()
    if arguments.week:
        return _week(store, reports, params, settings, arguments.week)
    run_records = NightRecords.of(store, RunPlaces.of(settings, arguments.batch), settings)
    plan = run_records.plan()
    commits = {s.id: run_records.find_commit(s) for s in plan.shards}
    published = run_records.find_published()
    counts = None
    if published is not None:
        tables = settings.require("tables")
        counts = published_counts(tables, plan.batch_id, params.monitor.garbled_share, SCORE_BINS)
        counts["estimated"] = night_estimates(plan, commits, tables)
    night = night_figures(plan, commits, published, counts)
    others = [r for r in _records(store, reports) if r.figures.batch_id != night.batch_id]
    before = [r for r in others if _order(r.figures) < _order(night)]
    compared = [r for r in before if r.figures.published][-params.monitor.nights_compared :]
    summary = _summary(night, compared, params.monitor, _quality(store, settings, night, params.monitor))
    summary = replace(
        summary,
        shards=tuple(_timings(plan, commits)),
        quarantine=_quarantined(plan, settings) if night.published else (),
        quarantine_uri=QuarantinePlaces.of(settings, plan.batch_id).notes,
        cards=_cards(store, settings, reports.page(plan.batch_id), summary),
    )
    alerted = not_paused(summary.flags, [r.alerted for r in before], params.monitor.alert_pause_nights)
    record = NightRecord(figures=night, flags=summary.flags, alerted=tuple((f.rule, f.subject) for f in alerted))
    names = {code: language.name for code, language in params.languages.items()}
    store.put(reports.page(plan.batch_id), render_morning_page(summary, names).encode(), HTML)
    store.put(reports.summary(plan.batch_id), night_record_bytes(record), "application/json")
    listed = sorted([*others, record], key=lambda r: _order(r.figures))[-params.monitor.nights_listed :]
    store.put(reports.nights, render_nights_page(listed).encode(), HTML)
    return {
        "page": reports.page(plan.batch_id),
        "nights": reports.nights,
        "counts": {
            "planned": night.planned,
            "annotated": night.annotated,
            "quarantined": night.quarantined,
            "waiting": night.waiting_total,
            "deferred": night.deferred_total,
            "entities": night.entities_total,
            "reviewed": summary.quality.reviewed,
        },
        "published": night.published,
        "verdict": verdict(night, summary.flags).word,
        "alerts": [{"rule": f.rule, "subject": f.subject, "reason": f.reason} for f in alerts(summary.flags)],
        "alerted": alert_report(alerted),
        "metrics": night_metrics(summary),
    }


def _summary(
    night: NightFigures, compared: Sequence[NightRecord], params: MonitorParams, quality: Quality
) -> NightSummary:
    """The night's flags and comparisons."""
    history = tuple(r.figures for r in compared)
    drift = drift_of(night, compared, params)
    findings = [*drift_flags(drift), *chart_flags(quality, params.alert_pause_nights)]
    return NightSummary(
        figures=night,
        flags=flags(night, history, params, findings),
        usual=usual_ranges(night, history, params),
        history=history,
        nights_needed=params.nights_needed,
        drift=drift,
        drift_level=params.drift.false_discoveries,
        quality=quality,
    )


def _quality(store: ObjectStore, settings: Settings, night: NightFigures, params: MonitorParams) -> Quality:
    """What the reviewed notes of this night and those before say, and the newest lines of the journals."""
    found = reviewed_quality(read_reviews(store, settings.reviewed_index), night.planned_at, params)
    index = ReviewIndex(store, ReviewIndexPlaces.of(settings))
    return replace(
        found,
        worth_review=_worth_review(index, night.batch_id, Names.of(settings)),
        journal=_journal(store, settings, night.planned_at),
    )


def _timings(plan: Plan, commits: Mapping[str, ShardCommit | None]) -> Iterator[ShardTiming]:
    for shard in plan.shards:
        if (commit := commits[shard.id]) is not None:
            yield ShardTiming(shard.id, shard.language, shard.notes, commit.seconds)


def _cards(store: ObjectStore, settings: Settings, page: str, summary: NightSummary) -> dict[tuple[str, str], str]:
    """A link to the card of each version that the page names and that has one."""
    if not settings.cards:
        return {}
    places = CardPlaces(settings.cards)
    named = {(m.name, m.version) for models in summary.figures.models.values() for m in models.values()}
    named |= {(row.name, row.champion) for row in summary.quality.journal if row.champion}
    there = {item.uri for item in store.list(f"{places.root}/")}
    return {key: relative_link(page, uri) for key in sorted(named) if (uri := places.page(*key)) in there}


def _sites_as_shown(quality: Quality, names: Names) -> tuple[GroupF1, ...]:
    """A site is a folder of a key, so it is shown as keys are."""
    return tuple(g.model_copy(update={"subject": g.subject and names.shown(g.subject)}) for g in quality.sites)


def _worth_review(index: ReviewIndex, batch_id: str, names: Names) -> tuple[str, ...]:
    """The most useful notes of the night that were exported for review, as they may be shown."""
    manifest = index.find_manifest(batch_id)
    tasks = manifest.tasks if manifest else ()
    return tuple(names.record(t.key, t.record_id) for t in tasks if t.also_chosen or t.stream == "chosen")


def _journal(store: ObjectStore, settings: Settings, until: str) -> tuple[JournalRow, ...]:
    """The newest lines up to a time, of all journals. A damaged journal is reported by `plan`, and left out here."""
    journals = JournalStore(store, settings.require("journal"))
    rows = []
    for name in journals.names():
        try:
            lines = journals.lines(name)
        except DataError as error:
            log.warning("%s", error)
            continue
        rows += [
            JournalRow(
                line.at, name, line.n, line.kind, line.champion.version if line.champion else "", line.by, line.reason
            )
            for line in lines
            if line.time <= dt.datetime.fromisoformat(until)
        ]
    return tuple(sorted(rows, key=lambda row: (row.at, row.name, row.n), reverse=True)[:JOURNAL_LINES])


def _week(store: ObjectStore, reports: ReportPlaces, params: Params, settings: Settings, week: str) -> dict[str, Any]:
    """The report on the reviewed notes up to the end of a week."""
    quality = reviewed_quality(read_reviews(store, settings.reviewed_index), week_end(week), params.monitor)
    quality = replace(quality, sites=_sites_as_shown(quality, Names.of(settings)))
    found = (*floor_flags(quality, params.monitor), *chart_flags(quality, params.monitor.alert_pause_nights))
    earlier = _earlier_weeks(store, reports, week)
    alerted = not_paused(found, [r.alerted for r in earlier], -(-params.monitor.alert_pause_nights // 7))
    record = WeekRecord(
        week=week,
        weeks=quality.weeks,
        types=quality.types,
        sites=quality.sites,
        flags=found,
        alerted=tuple((f.rule, f.subject) for f in alerted),
    )
    store.put(reports.week(week), render_week_page(week, quality, found).encode(), HTML)
    store.put(reports.week_summary(week), json_bytes(record.model_dump(mode="json")), "application/json")
    below = [f for f in alerted if f.rule == BELOW_FLOOR]
    report: dict[str, Any] = {
        "page": reports.week(week),
        "counts": {"reviewed": sum(g.estimate.notes for g in quality.types), "below_floor": len(below)},
        "alerts": [{"rule": f.rule, "subject": f.subject, "reason": f.reason} for f in found],
        "alerted": alert_report(alerted),
        "metrics": quality_metrics(quality),
    }
    return (
        {**report, "announce": {"report": reports.week_summary(week), "below_floor": len(below)}} if below else report
    )


def _quarantined(plan: Plan, settings: Settings) -> tuple[QuarantinedNote, ...]:
    columns = ["key", "record_id", "rule", "rule_offset", "language"]
    names = Names.of(settings)
    notes = night_table.read_notes(settings.require("tables"), plan.batch_id, columns)
    found = (
        QuarantinedNote(names.record(r["key"], r["record_id"]), r["rule"], r["rule_offset"], r["language"] or None)
        for r in notes.filter(pc.field("rule").is_valid()).to_pylist()
    )
    return tuple(sorted(found, key=lambda note: (note.record_id, note.rule, note.offset or 0)))


def _records(store: ObjectStore, reports: ReportPlaces) -> list[NightRecord]:
    """Every night's record, in the order in which they were planned."""
    uris = [i.uri for i in store.list(f"{reports.root}/") if i.uri.endswith("/summary.json")]
    return sorted(_readable(store, uris, read_night_record), key=lambda r: _order(r.figures))


def _earlier_weeks(store: ObjectStore, reports: ReportPlaces, week: str) -> list[WeekRecord]:
    """The records of the weeks before, oldest first."""
    own = reports.week_summary(week)
    uris = [i.uri for i in store.list(f"{reports.weeks}/") if i.uri.endswith(".json") and i.uri < own]
    return sorted(_readable(store, uris, read_week_record), key=lambda r: r.week)


def _readable(store: ObjectStore, uris: Iterable[str], read: Callable[[str, bytes], Record]) -> list[Record]:
    """The records that this version can read."""
    records = []
    for fetched in store.get_many(Wanted(uri) for uri in uris):
        try:
            records.append(read(fetched.uri, fetched.data or b""))
        except DataError as error:
            log.warning("%s: run `enigma monitor` of that night or week again", error)
    return records


def _order(night: NightFigures) -> tuple[str, str]:
    return night.planned_at, night.batch_id
