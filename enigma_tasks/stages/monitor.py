"""`enigma monitor`: a night's plan, results and tables -> the morning page, and the list of all nights."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.artifacts import QuarantinePlaces, ReportPlaces, RunPlaces
from enigma_tasks.errors import DataError
from enigma_tasks.monitoring.estimated_f1 import estimated_f1
from enigma_tasks.notes.names import Names
from enigma_tasks.pages.figures import (
    SCORE_BINS,
    AliasFigures,
    LanguageFigures,
    ModelFigures,
    NightFigures,
    NightRecord,
    NightSummary,
    QuarantinedNote,
    ShardTiming,
    night_record_bytes,
    read_night_record,
)
from enigma_tasks.pages.flags import flags, usual_ranges
from enigma_tasks.pages.morning import render_morning_page, render_nights_page
from enigma_tasks.pages.verdict import alerts, verdict

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.estimates import DevError, EstimatedF1
    from enigma_tasks.notes.commits import Published, ShardCommit
    from enigma_tasks.notes.plans import Plan

log = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write the pages; a second run writes the same bytes unless this night or an earlier one has changed.

    Returns:
        The pages' URIs, counts, the verdict's word, and `alerts`; the exit code is 0 also for a night with alerts.

    Raises:
        UsageError: the batch has no plan. ServiceError: store or tables.
    """
    run_places, reports, store = RunPlaces.of(settings, arguments.batch), ReportPlaces.of(settings), ObjectStore()
    run_records = NightRecords(store, run_places)
    plan = run_records.plan()
    commits = {s.id: run_records.find_commit(s) for s in plan.shards}
    published = run_records.find_published()
    night = _figures(plan, commits, published, settings, params.monitor.garbled_share)
    records = _other_nights(store, reports, night)
    before = [r.figures for r in records if r.figures.published and _order(r.figures) < _order(night)]
    history = tuple(before[-params.monitor.nights_compared :])
    found = flags(night, history, params.monitor)
    summary = NightSummary(
        figures=night,
        flags=found,
        usual=usual_ranges(night, history, params.monitor),
        history=history,
        nights_needed=params.monitor.nights_needed,
        shards=tuple(
            ShardTiming(s.id, s.language, s.notes, commit.seconds)
            for s in plan.shards
            if (commit := commits[s.id]) is not None
        ),
        quarantine=_quarantined(plan, settings) if night.published else (),
        quarantine_uri=QuarantinePlaces.of(settings, plan.batch_id).notes,
    )
    judged = verdict(night, found)
    names = {code: language.name for code, language in params.languages.items()}
    record = NightRecord(figures=night, flags=found)
    store.put(reports.page(plan.batch_id), render_morning_page(summary, names).encode(), HTML)
    store.put(reports.summary(plan.batch_id), night_record_bytes(record), "application/json")
    listed = sorted([*records, record], key=lambda r: _order(r.figures))[-params.monitor.nights_listed :]
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
        "published": night.published,
        "verdict": judged.word,
        "alerts": [{"rule": f.rule, "subject": f.subject, "reason": f.reason} for f in alerts(found)],
    }


def _figures(
    plan: Plan,
    commits: dict[str, ShardCommit | None],
    published: Published | None,
    settings: Settings,
    garbled_share: float,
) -> NightFigures:
    done = [c for c in commits.values() if c is not None]
    seconds: Counter[str] = Counter()
    for commit in done:
        seconds.update({f"annotate: {phase}": spent for phase, spent in commit.seconds.items()})
    stages = {"plan": plan.seconds, **seconds}
    counts: dict[str, Any] = {
        "annotated": sum(c.counts.annotated for c in done),
        "quarantined": plan.quarantined + sum(c.counts.quarantined for c in done),
    }
    if published is not None:
        counts = _published_counts(plan.batch_id, settings, garbled_share)
        counts["estimated"] = _estimated(plan, commits, settings.require("tables"))
        stages["publish"] = published.seconds
    return NightFigures(
        batch_id=plan.batch_id,
        planned_at=plan.planned_at,
        published=published is not None,
        listed=plan.counts.listed,
        done=plan.counts.done,
        planned=plan.counts.planned + plan.counts.quarantined,
        waiting=plan.waiting,
        seconds=stages,
        shards=len(plan.shards),
        missing_shards=tuple(s.id for s in plan.shards if commits[s.id] is None),
        models={
            language: {
                kind: ModelFigures(name=pin.name, version=pin.version, digest=pin.digest)
                for kind, pin in sorted(pins.items())
            }
            for language, pins in sorted(plan.models.items())
        },
        aliases=tuple(AliasFigures(**item.model_dump()) for item in plan.aliases),
        **counts,
    )


def _published_counts(batch_id: str, settings: Settings, garbled_share: float) -> dict[str, Any]:
    """The night's counts from the tables, grouped inside Arrow to bound memory for millions of spans."""
    tables = settings.require("tables")
    columns = ["language", "outcome", "rule", "characters", "characters_read", "characters_garbled"]
    notes = night_table.read_notes(tables, batch_id, columns)
    spans = night_table.read_spans(tables, batch_id, ["language", "label", "score"])
    outcomes: Counter[str] = Counter()
    languages: dict[str, dict[str, Any]] = {}
    sums = [([], "count_all"), ("characters", "sum"), ("characters_read", "sum")]
    for row in notes.group_by(["language", "outcome"]).aggregate(sums).to_pylist():
        outcomes[row["outcome"]] += row["count_all"]
        if row["language"]:
            figures = languages.setdefault(row["language"], {"entities": {}})
            figures[row["outcome"]] = row["count_all"]
            if row["outcome"] == "annotated":
                figures |= {"characters": row["characters_sum"], "characters_read": row["characters_read_sum"]}
    for row in spans.group_by(["language", "label"]).aggregate([([], "count_all")]).to_pylist():
        languages[row["language"]]["entities"][row["label"]] = row["count_all"]
    many = pc.field("characters_garbled") > pc.multiply(pc.field("characters"), garbled_share)
    for language, count in zip(*_grouped(notes.filter(many), "language"), strict=True):
        languages[language]["garbled"] = count
    rules = Counter(dict(zip(*_grouped(notes.filter(pc.field("rule").is_valid()), "rule"), strict=True)))
    return {
        "annotated": outcomes["annotated"],
        "quarantined": outcomes["quarantined"],
        "rules": dict(sorted(rules.items())),
        "scores": _score_bins(spans),
        "languages": {
            code: LanguageFigures(**{**figures, "entities": dict(sorted(figures["entities"].items()))})
            for code, figures in sorted(languages.items())
        },
    }


def _estimated(plan: Plan, commits: dict[str, ShardCommit | None], tables: str) -> dict[str, dict[str, EstimatedF1]]:
    """Language -> label -> estimated strict F1, from the published notes that have what it needs."""
    errors: dict[str, dict[str, DevError]] = {}
    for shard in plan.shards:
        commit = commits[shard.id]
        errors.setdefault(shard.language, {}).update({} if commit is None else commit.calibrations)
    notes = night_table.read_notes(tables, plan.batch_id, ["language", "missed"])
    spans = night_table.read_spans(tables, plan.batch_id, ["language", "label", "probability"])
    sums = [("probability", "count"), ("probability", "sum")]
    found = {
        (row["language"], row["label"]): (row["probability_count"], row["probability_sum"] or 0.0)
        for row in spans.group_by(["language", "label"]).aggregate(sums).to_pylist()
    }
    estimates: dict[str, dict[str, EstimatedF1]] = {}
    for language, of_labels in sorted(errors.items()):
        missed = notes.filter(pc.field("language") == language).column("missed")
        for label, dev in sorted(of_labels.items()):
            values = pc.map_lookup(missed, label, "first")
            count, matched = found.get((language, label), (0, 0.0))
            estimate = estimated_f1(
                notes=len(values) - values.null_count, spans=count, matched=matched,
                missed=pc.sum(values).as_py() or 0.0, dev=dev,
            )  # fmt: skip
            if estimate is not None:
                estimates.setdefault(language, {})[label] = estimate
    return estimates


def _grouped(table: Any, *columns: str) -> list[list[Any]]:
    """Distinct values of the columns, and their counts."""
    counted = table.group_by(list(columns)).aggregate([([], "count_all")])
    return [counted.column(name).to_pylist() for name in (*columns, "count_all")]


def _score_bins(spans: Any) -> dict[str, tuple[int, ...]]:
    """Label -> number of mentions in each bin of the score; mentions without a score are left out."""
    scored = spans.filter(pc.field("score").is_valid())
    bins = pc.min_element_wise(pc.floor(pc.multiply(scored.column("score"), float(SCORE_BINS))), SCORE_BINS - 1)
    found: dict[str, list[int]] = {}
    for label, index, count in zip(*_grouped(scored.append_column("bin", bins), "label", "bin"), strict=True):
        found.setdefault(label, [0] * SCORE_BINS)[int(index)] += count
    return {label: tuple(counts) for label, counts in sorted(found.items())}


def _quarantined(plan: Plan, settings: Settings) -> tuple[QuarantinedNote, ...]:
    columns = ["key", "record_id", "rule", "rule_offset", "language"]
    names = Names.of(settings)
    notes = night_table.read_notes(settings.require("tables"), plan.batch_id, columns)
    found = (
        QuarantinedNote(names.record(r["key"], r["record_id"]), r["rule"], r["rule_offset"], r["language"] or None)
        for r in notes.filter(pc.field("rule").is_valid()).to_pylist()
    )
    return tuple(sorted(found, key=lambda note: (note.record_id, note.rule, note.offset or 0)))


def _other_nights(store: ObjectStore, reports: ReportPlaces, night: NightFigures) -> list[NightRecord]:
    """Every other night's figures, in the order in which they were planned."""
    own = reports.summary(night.batch_id)
    uris = [i.uri for i in store.list(f"{reports.root}/") if i.uri.endswith("/summary.json") and i.uri != own]
    records = []
    for fetched in store.get_many((uri, None) for uri in uris):
        try:
            records.append(read_night_record(fetched.uri, fetched.data or b""))
        except DataError as error:
            log.warning("%s: run that night's monitor again", error)
    return sorted(records, key=lambda r: _order(r.figures))


def _order(night: NightFigures) -> tuple[str, str]:
    return night.planned_at, night.batch_id
