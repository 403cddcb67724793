"""Estimated strict F1 of a night, from its rows in the tables and its shards' calibrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from enigma_tasks.adapters import night_table
from enigma_tasks.monitoring.estimated_f1 import estimated_f1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enigma_tasks.estimates import DevError, EstimatedF1
    from enigma_tasks.notes.commits import ShardCommit
    from enigma_tasks.notes.plans import Plan


def night_estimates(
    plan: Plan, commits: Mapping[str, ShardCommit | None], tables: str
) -> dict[str, dict[str, EstimatedF1]]:
    """Language -> label -> estimated strict F1, from the published notes that have what it needs."""
    errors: dict[str, dict[str, DevError]] = {}
    for shard in plan.shards:
        commit = commits[shard.id]
        errors.setdefault(shard.language, {}).update((commit and commit.calibrations) or {})
    notes, spans = night_table.read_night(
        tables, plan.batch_id, ["language", "missed"], ["language", "label", "probability"]
    )
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
