"""A published night's counts from its tables, grouped inside Arrow; the text of a span is not read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.night_measures import NOTE_COLUMNS, SPAN_COLUMNS, night_measures

COLUMNS = (*NOTE_COLUMNS, "rule", "characters_read", "characters_garbled")


def published_counts(tables: str, batch_id: str, garbled_share: float, score_bins: int) -> dict[str, Any]:
    """Counts by outcome, rule and language (with the sums of `monitoring.measures`), and mentions by score.

    `garbled_share`: a note with a larger share of garbled characters counts as garbled.
    """
    notes, spans = night_table.read_night(tables, batch_id, COLUMNS, SPAN_COLUMNS)
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
    for language, measures in night_measures(notes, spans).items():
        languages[language]["measures"] = measures
    rules = Counter(dict(zip(*_grouped(notes.filter(pc.field("rule").is_valid()), "rule"), strict=True)))
    return {
        "annotated": outcomes["annotated"],
        "quarantined": outcomes["quarantined"],
        "rules": dict(sorted(rules.items())),
        "scores": _score_bins(spans, score_bins),
        "languages": {
            code: {**figures, "entities": dict(sorted(figures["entities"].items()))}
            for code, figures in sorted(languages.items())
        },
    }


def _grouped(table: Any, *columns: str) -> list[list[Any]]:
    """Distinct values of the columns, and their counts."""
    counted = table.group_by(list(columns)).aggregate([([], "count_all")])
    return [counted.column(name).to_pylist() for name in (*columns, "count_all")]


def _score_bins(spans: Any, size: int) -> dict[str, tuple[int, ...]]:
    """Label -> number of mentions in each bin of the score; mentions without a score are left out."""
    scored = spans.filter(pc.field("score").is_valid())
    bins = pc.min_element_wise(pc.floor(pc.multiply(scored.column("score"), float(size))), size - 1)
    found: dict[str, list[int]] = {}
    for label, index, count in zip(*_grouped(scored.append_column("bin", bins), "label", "bin"), strict=True):
        found.setdefault(label, [0] * size)[int(index)] += count
    return {label: tuple(counts) for label, counts in sorted(found.items())}
