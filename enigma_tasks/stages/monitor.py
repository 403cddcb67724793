"""monitor: a night's plan, results and tables -> the page to look at in the morning, and the list of all nights."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.artifacts import QuarantinePlaces, ReportPlaces, RunPlaces
from enigma_tasks.errors import ObjectMissing, UsageError
from enigma_tasks.notes.plans import Plan
from enigma_tasks.notes.references import record_name
from enigma_tasks.pages.figures import (
    SCORE_BINS,
    LanguageFigures,
    ModelFigures,
    NightFigures,
    NightRecord,
    NightSummary,
    QuarantinedNote,
    ShardTiming,
)
from enigma_tasks.pages.flags import flags, usual_ranges
from enigma_tasks.pages.morning import render_morning_page, render_nights_page
from enigma_tasks.pages.verdict import alerts
from enigma_tasks.stages.annotate import read_commit

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings

log = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"
LISTED_NIGHTS = 400
"""Nights on the page that lists them; older ones keep their own pages."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write the pages; running it again writes the same bytes while the night and those before it stay as they are.

    Returns:
        The pages' URIs, counts, the verdict's flags (`alerts`), and exit code 0 also for a night to worry about.

    Raises:
        UsageError: the batch has no plan. ServiceError: store or tables.
    """
    run_places, reports, store = RunPlaces.of(settings, arguments.batch), ReportPlaces.of(settings), ObjectStore()
    try:
        plan = Plan.from_bytes(store.get(run_places.plan))
    except ObjectMissing:
        raise UsageError(f"there is no plan at {run_places.plan}") from None
    commits = {s.id: read_commit(store, run_places, s) for s in plan.shards}
    published = store.exists(run_places.success)
    night = _figures(plan, commits, published, settings)
    records = _other_nights(store, reports, night)
    history = tuple(r.figures for r in records if _order(r.figures) < _order(night))[-params.monitor.nights_compared :]
    found = flags(night, history, params.monitor)
    summary = NightSummary(
        figures=night,
        flags=found,
        usual=usual_ranges(night, history, params.monitor),
        history=history,
        nights_needed=params.monitor.nights_needed,
        shards=tuple(
            ShardTiming(s.id, s.language, s.notes, commit["seconds"])
            for s in plan.shards
            if (commit := commits[s.id]) is not None
        ),
        quarantine=_quarantined(plan, settings) if published else (),
        quarantine_uri=QuarantinePlaces.of(settings, plan.batch_id).notes,
    )
    names = {code: language.name for code, language in params.languages.items()}
    record = NightRecord(figures=night, flags=found)
    store.put(reports.page(plan.batch_id), render_morning_page(summary, names).encode(), HTML)
    store.put(reports.summary(plan.batch_id), record.model_dump_json(indent=1).encode(), "application/json")
    listed = sorted([*records, record], key=lambda r: _order(r.figures))[-LISTED_NIGHTS:]
    store.put(reports.nights, render_nights_page(listed).encode(), HTML)
    return {
        "page": reports.page(plan.batch_id),
        "nights": reports.nights,
        "counts": {
            "planned": night.planned,
            "annotated": night.annotated,
            "quarantined": night.quarantined,
            "waiting": night.waiting_total,
            "entities": night.entities_total,
        },
        "published": published,
        "alerts": [{"rule": f.rule, "subject": f.subject, "reason": f.reason} for f in alerts(found)],
    }


def _figures(
    plan: Plan, commits: dict[str, dict[str, Any] | None], published: bool, settings: Settings
) -> NightFigures:
    done = [c for c in commits.values() if c is not None]
    seconds: Counter[str] = Counter()
    for commit in done:
        seconds.update(commit["seconds"])
    counts: dict[str, Any] = {
        "annotated": sum(c["counts"]["annotated"] for c in done),
        "quarantined": plan.quarantined + sum(c["counts"]["quarantined"] for c in done),
    }
    if published:
        counts = _published_counts(plan.batch_id, settings)
    return NightFigures(
        batch_id=plan.batch_id,
        planned_at=plan.planned_at,
        published=published,
        listed=plan.counts["listed"],
        done=plan.counts["done"],
        planned=plan.counts["planned"] + plan.counts["quarantined"],
        waiting=plan.waiting,
        seconds=dict(sorted(seconds.items())),
        shards=len(plan.shards),
        missing_shards=tuple(s.id for s in plan.shards if commits[s.id] is None),
        models={
            language: {
                kind: ModelFigures(name=pin["name"], version=str(pin["version"]), digest=pin["digest"])
                for kind, pin in sorted(pins.items())
            }
            for language, pins in sorted(plan.models.items())
        },
        **counts,
    )


def _published_counts(batch_id: str, settings: Settings) -> dict[str, Any]:
    """What the tables say of the night, counted column by column."""
    tables = settings.require("tables")
    columns = ["language", "outcome", "rule", "characters", "characters_read"]
    outcomes: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    languages: dict[str, Counter[str]] = {}
    for row in night_table.read_notes(tables, batch_id, columns).to_pylist():
        outcomes[row["outcome"]] += 1
        if row["rule"]:
            rules[row["rule"]] += 1
        if row["language"]:
            of_language = languages.setdefault(row["language"], Counter())
            of_language[row["outcome"]] += 1
            for name in ("characters", "characters_read"):
                of_language[name] += row[name] or 0
    spans = night_table.read_spans(tables, batch_id, ["language", "label", "score"])
    entities: dict[str, Counter[str]] = {language: Counter() for language in languages}
    scores: dict[str, list[int]] = {}
    for language, label, score in zip(*(column.to_pylist() for column in spans.columns), strict=True):
        entities[language][label] += 1
        if score is not None:
            scores.setdefault(label, [0] * SCORE_BINS)[min(int(score * SCORE_BINS), SCORE_BINS - 1)] += 1
    return {
        "annotated": outcomes["annotated"],
        "quarantined": outcomes["quarantined"],
        "rules": dict(sorted(rules.items())),
        "scores": {label: tuple(bins) for label, bins in sorted(scores.items())},
        "languages": {
            code: LanguageFigures(**dict(counted), entities=dict(sorted(entities[code].items())))
            for code, counted in sorted(languages.items())
        },
    }


def _quarantined(plan: Plan, settings: Settings) -> tuple[QuarantinedNote, ...]:
    columns = ["key", "record_id", "rule", "rule_offset", "language"]
    rows = night_table.read_notes(settings.require("tables"), plan.batch_id, columns).to_pylist()
    return tuple(
        QuarantinedNote(record_name(r["key"], r["record_id"]), r["rule"], r["rule_offset"], r["language"])
        for r in sorted(rows, key=lambda r: (r["key"], r["record_id"] or ""))
        if r["rule"]
    )


def _other_nights(store: ObjectStore, reports: ReportPlaces, night: NightFigures) -> list[NightRecord]:
    """Every other night's figures, in the order of their planning."""
    own = reports.summary(night.batch_id)
    uris = [i.uri for i in store.list(f"{reports.root}/") if i.uri.endswith("/summary.json") and i.uri != own]
    records = [
        NightRecord.model_validate(json.loads(fetched.data))
        for fetched in store.get_many((uri, None) for uri in uris)
        if fetched.data is not None
    ]
    return sorted(records, key=lambda r: _order(r.figures))


def _order(night: NightFigures) -> tuple[str, str]:
    return night.planned_at, night.batch_id
